//! From the command line and its two files to what a route is made of. Every refusal names the file, the property and
//! what to do.

use std::fs;
use std::path::Path;

use common::config::{ClientProperties, ClusterConfig, Delivery, RouteSettings, TopicFilter};
use common::ids::{ClusterName, FleetId, InvalidName, PoolName, RouteName};
use common::offsets::StartPosition;
use kafka::properties::{Role, parse_java_properties, translate};

use super::args::MirrorArgs;
use super::whitelist::Whitelist;
use crate::failure::Failure;
use crate::values::Switch;

/// What a mirror is to do.
#[derive(Clone, Debug)]
pub struct MirrorConfig {
    /// The fleet that offsets are stored for: every mirror is the same, so that the next one goes on.
    pub fleet: FleetId,
    /// The one route.
    pub route: RouteName,
    /// The cluster that is read.
    pub source: ClusterConfig,
    /// The cluster that is written.
    pub target: ClusterConfig,
    /// The route's settings.
    pub settings: RouteSettings,
    /// Which topics.
    pub whitelist: Whitelist,
    /// `auto.offset.reset=none`: without any stored offset there is no place to begin.
    pub needs_stored_offset: bool,
    /// What was taken without effect.
    pub notes: Vec<String>,
}

impl MirrorConfig {
    /// Reads both files and checks everything that can be checked without a broker.
    pub fn load(args: &MirrorArgs) -> Result<Self, Failure> {
        let mut notes: Vec<String> = args.check()?.into_iter().map(str::to_owned).collect();
        let whitelist = Whitelist::parse(args.topics_flag(), args.topics())?;
        let name = |error: InvalidName| Failure::usage(error);
        let consumer_file = File { flag: "--consumer.config", path: &args.consumer_config };
        let producer_file = File { flag: "--producer.config", path: &args.producer_config };
        let source =
            ClusterConfig { name: ClusterName::new("source").map_err(name)?, properties: consumer_file.read()? };
        let target =
            ClusterConfig { name: ClusterName::new("target").map_err(name)?, properties: producer_file.read()? };
        notes.extend(consumer_file.check(&source, Role::Consumer)?);
        notes.extend(producer_file.check(&target, Role::Producer)?);
        let group =
            consumer_file.needed(&source.properties, "group.id", "the group whose offsets say how far it is")?;
        let (start, needs_stored_offset) = match property(&source.properties, "auto.offset.reset") {
            None | Some("latest" | "largest") => (StartPosition::Latest, false),
            Some("earliest" | "smallest") => (StartPosition::Earliest, false),
            Some("none") => (StartPosition::Earliest, true),
            Some(other) => {
                let text = format!("property auto.offset.reset={other}: set it to earliest, latest or none");
                return Err(consumer_file.wrong(text));
            }
        };
        let settings = RouteSettings {
            source: source.name.clone(),
            target: target.name.clone(),
            pool: PoolName::default(),
            group: group.to_owned(),
            delivery: Delivery::AtLeastOnce,
            filter: TopicFilter { include: vec![whitelist.pattern().to_owned()], exclude: Vec::new() },
            start,
            manage_topics: args.manage_topics == Switch::On,
            accept_foreign_offsets: args.accept_foreign_offsets,
            commit_interval: args.commit_interval(),
        };
        let (fleet, route) = (FleetId::new("mirror").map_err(name)?, RouteName::new("mirror").map_err(name)?);
        Ok(Self { fleet, route, source, target, settings, whitelist, needs_stored_offset, notes })
    }
}

/// The brokers' addresses of a cluster, as the user gave them.
pub fn bootstrap(cluster: &ClusterConfig) -> &str {
    property(&cluster.properties, "bootstrap.servers")
        .or_else(|| property(&cluster.properties, "metadata.broker.list"))
        .unwrap_or_default()
}

/// A property's value without blanks around it; nothing for an empty one.
fn property<'a>(properties: &'a ClientProperties, key: &str) -> Option<&'a str> {
    properties.0.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// One of the two files.
struct File<'a> {
    flag: &'static str,
    path: &'a Path,
}

impl File<'_> {
    fn wrong(&self, text: impl std::fmt::Display) -> Failure {
        Failure::usage(format!("{} {}: {text}", self.flag, self.path.display()))
    }

    fn read(&self) -> Result<ClientProperties, Failure> {
        let bytes = fs::read(self.path).map_err(|error| {
            let remedy = match error.kind() {
                std::io::ErrorKind::NotFound => "give the path of a properties file",
                std::io::ErrorKind::PermissionDenied => "make it readable for this user",
                _ => "give a readable properties file",
            };
            self.wrong(format!("can't be read: {error}; {remedy}"))
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| self.wrong("is not text in UTF-8; write other characters as \\uXXXX"))?;
        parse_java_properties(&text).map_err(|error| self.wrong(error))
    }

    /// Checks every property against the allow-list, and returns notes on what has no effect.
    fn check(&self, cluster: &ClusterConfig, role: Role) -> Result<Vec<String>, Failure> {
        // The file says which cluster it is.
        let prefix = format!("cluster {}: ", cluster.name);
        let mut notes = Vec::new();
        for role in [role, Role::Admin] {
            let translated = translate(cluster, role)
                .map_err(|error| self.wrong(error.text.strip_prefix(&prefix).unwrap_or(&error.text)))?;
            if role != Role::Admin {
                notes = translated.notes;
            }
        }
        Ok(notes.into_iter().map(|note| format!("{}: {note}", self.path.display())).collect())
    }

    fn needed<'p>(&self, properties: &'p ClientProperties, key: &str, what: &str) -> Result<&'p str, Failure> {
        property(properties, key)
            .ok_or_else(|| self.wrong(format!("property {key} is missing: set it, it names {what}")))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;
    use crate::failure::Exit;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MirrorArgs,
    }

    /// Both files in a directory, and what becomes of them.
    fn load(consumer: &str, producer: &str) -> Result<MirrorConfig, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path: PathBuf = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (consumer, producer) = (file("c.properties", consumer), file("p.properties", producer));
        let line = ["mirror", "--consumer.config", &consumer, "--producer.config", &producer, "--whitelist", "a,b"]
            .map(str::to_owned);
        MirrorConfig::load(&Line::try_parse_from(line).unwrap().args)
    }

    const CONSUMER: &str = "bootstrap.servers=source:9092\ngroup.id=g\n";
    const PRODUCER: &str = "bootstrap.servers=target:9092\n";

    #[test]
    fn both_files_become_a_route() {
        let config = load(CONSUMER, PRODUCER).unwrap();
        assert_eq!((bootstrap(&config.source), bootstrap(&config.target)), ("source:9092", "target:9092"));
        assert_eq!((config.settings.group.as_str(), config.settings.start), ("g", StartPosition::Latest));
        assert_eq!(config.settings.filter.include, ["a|b"]);
        assert!(
            config.settings.manage_topics && !config.settings.accept_foreign_offsets && !config.needs_stored_offset
        );
    }

    #[test]
    fn the_reset_says_where_a_first_mirror_begins() {
        for (value, start, needs) in [
            ("earliest", StartPosition::Earliest, false),
            ("latest ", StartPosition::Latest, false),
            ("none", StartPosition::Earliest, true),
        ] {
            let config = load(&format!("{CONSUMER}auto.offset.reset={value}\n"), PRODUCER).unwrap();
            assert_eq!((config.settings.start, config.needs_stored_offset), (start, needs), "{value}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        let cases = [
            ("bootstrap.servers=s:9092\n", PRODUCER, "c.properties: property group.id is missing"),
            ("bootstrap.servers=s:9092\ngroup.id= \n", PRODUCER, "c.properties: property group.id is missing"),
            ("group.id=g\n", PRODUCER, "c.properties: property bootstrap.servers is missing"),
            (CONSUMER, "acks=all\n", "p.properties: property bootstrap.servers is missing"),
            ("bootstrap.servers=s:9092\ngroup.id=g\nauto.offset.reset=middle\n", PRODUCER, "auto.offset.reset=middle"),
            ("bootstrap.servers=s:9092\ngroup.id=g\nplugin.library.paths=x\n", PRODUCER, "plugin.library.paths"),
            (CONSUMER, "bootstrap.servers=t:9092\nbatch.sise=1\n", "did you mean batch.size?"),
            ("a=\\u12\n", PRODUCER, "c.properties: line 1"),
        ];
        for (consumer, producer, text) in cases {
            let failure = load(consumer, producer).unwrap_err();
            assert!(failure.text.contains(text), "{failure}");
            assert_eq!(failure.exit, Exit::Usage);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let line = ["mirror", "--consumer.config=/no/such", "--producer.config=/no/such", "--whitelist=a"];
        let failure = MirrorConfig::load(&Line::try_parse_from(line).unwrap().args).unwrap_err();
        assert!(failure.text.contains("--consumer.config /no/such: can't be read"), "{failure}");
    }
}
