//! Kafka's jars. Owns fetching them once by Maven into a cache outside the tree (`$REPLISOME_CACHE`, else
//! `$XDG_CACHE_HOME/replisome`, else `~/.cache/replisome`); never fetches while another process does.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, process};

/// A set of jars: one pom in `tests/jars/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jars {
    /// The brokers under test and Kafka's own tools.
    Kafka,
    /// The last Kafka that carries MirrorMaker 1.
    MirrorMaker,
}

impl Jars {
    /// The directory that holds the jars and the logging configuration; fetches them on first use.
    ///
    /// # Panics
    /// When Maven is missing or fails, with its output.
    pub fn directory(self) -> &'static Path {
        static KAFKA: OnceLock<PathBuf> = OnceLock::new();
        static MIRROR_MAKER: OnceLock<PathBuf> = OnceLock::new();
        match self {
            Self::Kafka => KAFKA.get_or_init(|| self.fetch()),
            Self::MirrorMaker => MIRROR_MAKER.get_or_init(|| self.fetch()),
        }
    }

    /// A `java` command with these jars on the class path, logging to stdout, and no input.
    pub fn java(self, heap_mib_max: u32) -> Command {
        let directory = self.directory();
        let mut command = Command::new("java");
        command.arg(format!("-Xmx{heap_mib_max}m")).arg("-cp").arg(directory.join("*"));
        let logging = directory.join(self.logging().0);
        match self {
            Self::Kafka => command.arg(format!("-Dlog4j2.configurationFile={}", logging.display())),
            Self::MirrorMaker => command.arg(format!("-Dlog4j.configuration=file:{}", logging.display())),
        };
        command.stdin(Stdio::null());
        command
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::MirrorMaker => "mirror-maker",
        }
    }

    fn pom(self) -> &'static str {
        match self {
            Self::Kafka => include_str!("../jars/kafka.xml"),
            Self::MirrorMaker => include_str!("../jars/mirror-maker.xml"),
        }
    }

    fn logging(self) -> (&'static str, &'static str) {
        match self {
            Self::Kafka => ("log4j2.xml", include_str!("../jars/log4j2.xml")),
            Self::MirrorMaker => ("log4j.properties", include_str!("../jars/log4j.properties")),
        }
    }

    /// The directory's name carries a hash of what it is made from, so that another version is another directory.
    fn fetch(self) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        (self.pom(), self.logging()).hash(&mut hasher);
        let directory = cache().join(format!("{}-{:016x}", self.name(), hasher.finish()));
        make_once(&directory, |partial| {
            eprintln!("fetching the jars of {} into {}", self.name(), directory.display());
            let pom = partial.join("pom.xml");
            fs::write(&pom, self.pom()).expect("write the pom");
            fs::write(partial.join(self.logging().0), self.logging().1).expect("write the logging configuration");
            let mut maven = Command::new("mvn");
            maven.args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-f"]).arg(&pom);
            maven.arg(format!("-DoutputDirectory={}", partial.display())).stdin(Stdio::null());
            let output = maven.output().unwrap_or_else(|error| panic!("run mvn (is Maven installed?): {error}"));
            let text = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "mvn failed:\n{}", String::from_utf8_lossy(&text));
        });
        directory
    }
}

/// Makes `directory` by `make`, exactly once among all processes: it appears whole, or not at all.
pub fn make_once(directory: &Path, make: impl FnOnce(&Path)) {
    if directory.exists() {
        return;
    }
    let parent = directory.parent().expect("a cached directory has a parent");
    let name = directory.file_name().and_then(|name| name.to_str()).expect("a cached directory has a plain name");
    fs::create_dir_all(parent).expect("create the cache");
    let lock = File::create(parent.join(format!("{name}.lock"))).expect("create a lock file in the cache");
    lock.lock().expect("lock the cache");
    if directory.exists() {
        return;
    }
    let partial = parent.join(format!("{name}.partial-{}", process::id()));
    fs::create_dir_all(&partial).expect("create a directory in the cache");
    make(&partial);
    fs::rename(&partial, directory).expect("move the finished directory into its place");
}

/// The cache outside the tree.
pub fn cache() -> PathBuf {
    let from = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("REPLISOME_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|path| path.join("replisome")))
        .or_else(|| from("HOME").map(|path| path.join(".cache/replisome")))
        .unwrap_or_else(|| env::temp_dir().join("replisome-cache"))
}
