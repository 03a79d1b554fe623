//! The fleet's commands, without a fleet.

use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::{command, fails, replisome};

/// A value that must be shown nowhere.
const CANARY: &str = "canary-5up3r-s3cr3t";
/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";

fn at(controllers: &str, args: &[&str]) -> Output {
    command(args).env("REPLISOME_CONTROLLERS", controllers).output().expect("runs")
}

#[test]
fn a_fleet_must_be_named() {
    let texts = ["--controllers", "REPLISOME_CONTROLLERS", "127.0.0.1:7401"];
    fails(&replisome(&["route", "list"]), 2, &texts);
    fails(&at(" ,", &["status"]), 2, &texts);
}

#[test]
fn a_malformed_address_is_named_with_where_it_was_given() {
    fails(&at("127.0.0.1", &["route", "list"]), 2, &["REPLISOME_CONTROLLERS", "\"127.0.0.1\"", "HOST:PORT"]);
    let given = ["cluster", "list", "--controllers", "127.0.0.1:7401,http://a:1"];
    fails(&replisome(&given), 2, &["--controllers", "\"http://a:1\"", "HOST:PORT"]);
}

#[test]
fn without_a_controller_each_address_is_named_with_the_reason_and_nobody_waits() {
    for verb in [&["route", "list"][..], &["status"], &["controller", "list"], &["topic", "add", "-r", "r", "t"]] {
        let started = Instant::now();
        let output = at("127.0.0.1:1,no-such-host.invalid:7401", verb);
        let texts = ["no controller can be reached", "127.0.0.1:1: connection refused", "no-such-host.invalid:7401: "];
        fails(&output, 6, &texts);
        assert!(started.elapsed() < Duration::from_secs(8), "{verb:?} took {:?}", started.elapsed());
    }
}

#[test]
fn a_port_that_speaks_something_else_is_told_apart() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        for mut stream in other.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    fails(&at(&address, &["route", "list", "--timeout", "2s"]), 6, &[&address, "listen port"]);
}

#[test]
fn a_change_that_nobody_answered_has_an_unknown_outcome() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("bound").to_string();
    // The kernel accepts for it, and nobody answers.
    let add = ["topic", "add", "--route", "west-east", "orders", "--timeout", "1500ms"];
    let texts = ["outcome unknown", &address, "find out with: replisome topic describe --route west-east orders"];
    fails(&at(&address, &add), 5, &texts);
    fails(&at(&address, &["topic", "list", "--timeout", "1500ms"]), 6, &[&address]);
}

#[test]
fn a_wrong_command_line_is_usage() {
    for (line, texts) in [
        (&["route"][..], vec!["Usage: replisome route"]),
        (&["route", "fly"], vec!["fly"]),
        (&["route", "add", "r", "--source", "a"], vec!["--target"]),
        (&["route", "add", "r r", "--source", "a", "--target", "b"], vec!["r r", "route name"]),
        (
            &["route", "add", "r", "--source", "a", "--target", "b", "--start", "noon"],
            vec!["noon", "2026-01-31T08:00:00Z"],
        ),
        (
            &["route", "add", "r", "--source", "a", "--target", "b", "--delivery", "maybe"],
            vec!["maybe", "at-least-once"],
        ),
        (&["route", "list", "-o", "yaml"], vec!["yaml", "table", "json"]),
        (&["route", "list", "--timeout", "10"], vec!["--timeout", "10", "500ms"]),
        (&["topic", "add", "orders"], vec!["--route"]),
        (&["assignment", "move", "-r", "r", "-t", "t", "-p", "0"], vec!["--to"]),
        (&["rebalance", "run", "--max-moves", "0"], vec!["--max-moves", "0"]),
        (&["assignment", "pin", "-r", "r", "-t", "t", "--to", "w"], vec!["--partition"]),
        (&["controller", "add", "4"], vec!["--address"]),
        (&["controller", "add", "4", "--address", "nowhere"], vec!["nowhere", "a host and a port"]),
        (&["controller", "remove", "0"], vec!["0"]),
    ] {
        fails(&at(NOWHERE, line), 2, &texts);
    }
}

#[test]
fn a_partition_is_a_whole_number_from_0() {
    for verb in [
        &["topic", "pause", "-r", "r", "t"][..],
        &["topic", "resume", "-r", "r", "t"],
        &["assignment", "unpin", "-r", "r", "-t", "t"],
    ] {
        for wrong in ["-1", "-1.5", "x", "1.5", "4294967296", ""] {
            let output = at(NOWHERE, &[verb, &["--partition", wrong]].concat());
            fails(&output, 2, &["--partition", wrong, "a partition is a whole number from 0"]);
            assert!(!String::from_utf8_lossy(&output.stderr).contains("tip:"), "{output:?}");
        }
    }
}

#[test]
fn a_backup_goes_into_no_pipe_device_link_or_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("none", &link).expect("made");
    // Standard output is a pipe here, which nobody writes into: who reads it waits for ever.
    for file in ["/dev/null", "/dev/full", "/tmp", link.to_str().expect("text"), "/dev/stdout", "/proc/self/fd/1"] {
        fails(&at(NOWHERE, &["controller", "backup", file]), 4, &[file, "is no regular file: name another file"]);
    }
}

#[test]
fn a_literal_secret_is_refused_by_its_name_before_anything_is_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("west.properties");
    let file = file.to_str().expect("text");
    let sasl = "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n";
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    for (key, lines) in [
        ("sasl.password", format!("{sasl}sasl.username=u\nsasl.password={CANARY}\n")),
        (
            "sasl.jaas.config",
            format!("{sasl}sasl.jaas.config={module} required username=\"u\" password=\"{CANARY}\";\n"),
        ),
        ("ssl.key.password", format!("security.protocol=SSL\nssl.key.location=/k.pem\nssl.key.password={CANARY}\n")),
    ] {
        fs::write(file, format!("bootstrap.servers=a:1\n{lines}")).expect("written");
        let output = at(NOWHERE, &["cluster", "add", "west", "--properties", file]);
        fails(&output, 2, &[&format!("property {key} holds a secret"), "${file:PATH}", "${env:NAME}"]);
        assert_is_secret(&output);
    }
    let flag = format!("sasl.password={CANARY}");
    let output = at(NOWHERE, &["cluster", "add", "west", "--bootstrap", "a:1", "--property", &flag]);
    fails(&output, 2, &["sasl.password"]);
    assert_is_secret(&output);
}

#[test]
fn what_may_be_a_secret_is_shown_nowhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("west.properties");
    fs::write(&file, format!("sasl.pasword={CANARY}\n")).expect("written");
    let file = file.to_str().expect("text");
    let unknown = format!("my.own.secret={CANARY}");
    for flags in [
        &["--properties", file][..],
        &["--bootstrap", "a:1", "--property", &unknown],
        &["--bootstrap", "a:1", "--property", CANARY],
        &["--bootstrap", "a:1", "--property", &format!("={CANARY}")],
    ] {
        let output = at(NOWHERE, &[&["cluster", "add", "west"], flags].concat());
        fails(&output, 2, &["propert"]);
        assert_is_secret(&output);
    }
}

#[test]
fn properties_are_checked_before_anything_is_sent() {
    for (flags, texts) in [
        (&["--property", "acks=all"][..], vec!["bootstrap.servers is missing"]),
        (&["--properties", "/no/such/file"], vec!["--properties /no/such/file: can't be read"]),
        (&["--bootstrap", "a:1", "--property", "linger_ms=5"], vec!["linger_ms", "did you mean linger.ms?"]),
        (&["--bootstrap", "a:1", "--property", "linger.ms=soon"], vec!["linger.ms=soon"]),
        (&["--bootstrap", "a:1,foo"], vec!["bootstrap.servers: \"foo\"", "HOST:PORT, such as broker-1:9092"]),
        (&["--bootstrap", "127.0.0.1:99999"], vec!["\"127.0.0.1:99999\"", "HOST:PORT"]),
        (&["--property", "metadata.broker.list=a:0"], vec!["metadata.broker.list: \"a:0\"", "HOST:PORT"]),
        (&["--bootstrap", "a:1", "--property", "plugin.library.paths=x"], vec!["plugin.library.paths"]),
    ] {
        fails(&at(NOWHERE, &[&["cluster", "add", "west"], flags].concat()), 2, &texts);
    }
}

#[track_caller]
fn assert_is_secret(output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(stream).contains(CANARY), "{}", String::from_utf8_lossy(stream));
    }
}
