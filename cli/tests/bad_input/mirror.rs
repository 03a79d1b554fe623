//! `replisome mirror`: its flags and its two files.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;

use tempfile::TempDir;

use crate::{fails, replisome};

const CONSUMER: &str = "bootstrap.servers=127.0.0.1:1\ngroup.id=g\n";
const PRODUCER: &str = "bootstrap.servers=127.0.0.1:2\n";

/// Both files, and the flags that name them.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new(consumer: &str, producer: &str) -> Self {
        let files = Self { directory: tempfile::tempdir().expect("a directory") };
        fs::write(files.path("consumer.properties"), consumer).expect("written");
        fs::write(files.path("producer.properties"), producer).expect("written");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn mirror(&self, more: &[&str]) -> Output {
        let (consumer, producer) = (self.path("consumer.properties"), self.path("producer.properties"));
        let files = [
            "--consumer.config",
            consumer.to_str().expect("text"),
            "--producer.config",
            producer.to_str().expect("text"),
        ];
        let args: Vec<_> = ["mirror"].iter().chain(&files).chain(more).copied().collect();
        replisome(&args)
    }
}

#[test]
fn a_wrong_command_line_is_usage() {
    fails(&replisome(&["nonsense"]), 2, &["nonsense"]);
    fails(&replisome(&["mirror", "--whitelist", "a"]), 2, &["--consumer.config"]);
    let files = Files::new(CONSUMER, PRODUCER);
    fails(&files.mirror(&[]), 2, &["--whitelist"]);
    fails(&files.mirror(&["--whitelist", "a", "--num.streams", "0"]), 2, &["--num.streams", "0"]);
    fails(&files.mirror(&["--whitelist", "a", "--memory", "96MB"]), 2, &["--memory", "96MB", "MiB"]);
    fails(&files.mirror(&["--whitelist", "a", "--message.handler", "x.Y"]), 2, &["--message.handler x.Y", "Java"]);
}

#[test]
fn a_wrong_expression_is_usage() {
    let files = Files::new(CONSUMER, PRODUCER);
    fails(&files.mirror(&["--whitelist", "*"]), 2, &["\"*\"", "'.*'"]);
    fails(&files.mirror(&["--whitelist", "a("]), 2, &["\"a(\"", "unclosed"]);
    fails(&files.mirror(&["--include", "(?!b).*"]), 2, &["negative lookahead", "position 1"]);
}

#[test]
fn a_wrong_file_is_usage_and_named() {
    let files = Files::new(CONSUMER, PRODUCER);
    fs::remove_file(files.path("producer.properties")).expect("removed");
    fails(&files.mirror(&["--whitelist", "a"]), 2, &["--producer.config", "producer.properties", "can't be read"]);
    for (consumer, producer, texts) in [
        ("bootstrap.servers=x:1\n", PRODUCER, ["consumer.properties", "group.id is missing"]),
        (CONSUMER, "acks=all\n", ["producer.properties", "bootstrap.servers is missing"]),
        (CONSUMER, "bootstrap.servers=x:1\nlinger=5\n", ["producer.properties", "linger"]),
        (
            "bootstrap.servers=x:1\ngroup.id=g\nplugin.library.paths=/tmp/x.so\n",
            PRODUCER,
            ["plugin.library.paths", "consumer.properties"],
        ),
        ("bootstrap.servers=x:1\ngroup.id=\\u12\n", PRODUCER, ["line 2", "consumer.properties"]),
    ] {
        fails(&Files::new(consumer, producer).mirror(&["--whitelist", "a"]), 2, &texts);
    }
}

#[test]
fn a_port_in_use_is_a_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let output = Files::new(CONSUMER, PRODUCER).mirror(&["--whitelist", "a", "--http-listen", &address]);
    fails(&output, 1, &["--http-listen", &address]);
}
