//! The fleet's commands against one controller, and those that are for its data directory: what they print, on which
//! stream, with which exit code. No Kafka: the clusters that are named answer nobody.

mod data_directory;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One controller.
struct Fleet {
    address: String,
    controller: Process,
    directory: TempDir,
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replisome"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REPLISOME_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// A command of a controller, with its configuration: its data directory is `data` below `directory`.
fn configured(args: &[&str], node: u64, address: &str, directory: &TempDir) -> Command {
    let mut command = command(args);
    command
        .env("REPLISOME_NODE_ID", node.to_string())
        .envs([("REPLISOME_DATA_DIR", "data"), ("REPLISOME_LISTEN", address)])
        .current_dir(directory.path());
    command
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A process that is killed when dropped, however a test ends.
struct Process(Child);

impl Process {
    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("asked").is_some()
    }

    /// Waits for its end; how it ended, and what it said.
    fn end(&mut self) -> (ExitStatus, String) {
        wait_for("a process to end", || self.has_ended());
        let mut text = String::new();
        self.0.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
        (self.0.wait().expect("ended"), text)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Fleet {
    fn start() -> Self {
        let fleet = Self::with_peers("");
        wait_for("a leader", || fleet.run(&["route", "list", "--timeout", "2s"]).status.success());
        fleet
    }

    /// One controller of a fleet whose others were never started.
    fn with_peers(peers: &str) -> Self {
        let (address, directory) = (free_address(), tempfile::tempdir().expect("a directory"));
        let mut run = configured(&["controller", "run"], 1, &address, &directory);
        let controller = run.env("REPLISOME_INITIAL_MEMBERS", format!("1={address}{peers}")).stderr(Stdio::null());
        Self { controller: Process(controller.spawn().expect("runs")), address, directory }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.env("REPLISOME_CONTROLLERS", &self.address);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("runs")
    }

    /// Ends with the code, and says these texts on stdout and stderr; an empty one stands for nothing at all.
    #[track_caller]
    fn says(&self, args: &[&str], code: i32, stdout: &str, stderr: &str) {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        for (stream, text) in [(&output.stdout, stdout), (&output.stderr, stderr)] {
            let stream = String::from_utf8_lossy(stream);
            assert!(if text.is_empty() { stream.is_empty() } else { stream.contains(text) }, "{args:?}: {output:?}");
        }
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["-o", "json"]].concat());
        assert!(output.status.success(), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

#[test]
fn a_fleet_is_set_up_looked_at_and_taken_down() {
    let fleet = Fleet::start();
    for (noun, note) in
        [("route", "route add"), ("topic", "topic add"), ("cluster", "cluster add"), ("worker", "worker run")]
    {
        fleet.says(&[noun, "list"], 0, "", note);
        assert_eq!(fleet.json(&[noun, "list"]), Value::Array(Vec::new()));
    }

    let west = ["cluster", "add", "west", "--bootstrap", "127.0.0.1:1", "--property", "acks=1"];
    fleet.says(&west, 0, "cluster west added (revision ", "property acks is ignored");
    fleet.says(&west, 0, "", "cluster west exists already");
    fleet.says(&["cluster", "add", "west", "--bootstrap", "127.0.0.1:2"], 4, "", "other properties");
    let added = fleet.json(&["cluster", "add", "east", "--bootstrap", "127.0.0.1:2"]);
    assert!(added["revision"].is_u64() && added["existed"] == false, "{added}");
    fleet.says(&["cluster", "describe", "west"], 0, "bootstrap.servers=127.0.0.1:1", "");
    fleet.says(&["cluster", "describe", "north"], 3, "", "north");

    let route = ["route", "add", "west-east", "--source", "west", "--target", "east", "--include", "orders.*"];
    fleet.says(&route, 0, "route west-east added (revision ", "can't be reached");
    fleet.says(&route, 0, "", "exists already");
    fleet.says(&[&route[..], &["--exclude", "x"]].concat(), 4, "", "other settings");
    fleet.says(&["route", "add", "r", "--source", "west", "--target", "north"], 3, "", "north");
    fleet.says(&["route", "add", "r", "--source", "west", "--target", "east", "--include", "a("], 2, "", "\"a(\"");
    fleet.says(&["cluster", "remove", "west"], 4, "", "route west-east");
    fleet.says(&["route", "describe", "west-east"], 0, "orders.*", "");
    assert_eq!(fleet.json(&["route", "-o", "json", "describe", "west-east"])["start"], "earliest");

    let topic = ["topic", "add", "--route", "west-east", "customers", "--target", "clients", "--start", "latest"];
    fleet.says(&topic, 0, "topic customers on route west-east added (revision ", "");
    fleet.says(&topic, 0, "", "exists already");
    fleet.says(&["topic", "add", "--route", "north", "customers"], 3, "", "north");
    fleet.says(&["topic", "pause", "-r", "west-east", "customers", "--reason", "window"], 0, "paused (revision ", "");
    fleet.says(&["topic", "pause", "-r", "west-east", "customers"], 0, "", "is paused already");
    let shown = fleet.json(&["topic", "describe", "-r", "west-east", "customers"]);
    assert_eq!((&shown["state"], &shown["target_topic"]), (&"paused".into(), &"clients".into()), "{shown}");
    fleet.says(&["topic", "resume", "-r", "west-east", "customers"], 0, "resumed (revision ", "");
    fleet.says(&["topic", "resume", "-r", "west-east", "customers", "--partition", "7"], 3, "", "7");
    fleet.says(&["route", "pause", "west-east", "--reason", "maintenance"], 0, "paused (revision ", "");
    fleet.says(&["route", "list"], 0, "paused", "");
    fleet.says(&["route", "resume", "west-east"], 0, "resumed (revision ", "");
    fleet.says(&["route", "resume", "west-east"], 0, "", "is not paused");
    let partition = ["-r", "west-east", "-t", "customers", "-p", "0"];
    fleet.says(&[&["assignment", "move"], &partition[..], &["--to", "w1"]].concat(), 3, "", "customers");
    fleet.says(&[&["assignment", "pin"], &partition[..], &["--to", "w1"]].concat(), 3, "", "there is no worker w1");
    fleet.says(&[&["assignment", "unpin"], &partition[..]].concat(), 3, "", "customers/0");
    for verb in ["drain", "undrain", "remove"] {
        fleet.says(&["worker", verb, "w1"], 3, "", "there is no worker w1");
    }
    fleet.says(&["worker", "release-hold"], 0, "", "no moves are held; nothing was changed");

    assert_eq!(fleet.json(&["rebalance", "plan"]), Value::Array(Vec::new()));
    fleet.says(&["rebalance", "plan", "--max-moves", "3"], 0, "", "nothing to move");
    fleet.says(&["rebalance", "run"], 0, "", "nothing to move");
    fleet.says(&["rebalance", "freeze"], 0, "frozen (revision ", "");
    fleet.says(&["rebalance", "freeze"], 0, "", "frozen already");
    fleet.says(&["rebalance", "plan"], 0, "", "replisome rebalance unfreeze");
    fleet.says(&["rebalance", "run"], 4, "", "replisome rebalance unfreeze");
    fleet.says(&["status"], 0, "Rebalance:   frozen since revision ", "");
    let frozen = fleet.json(&["status"]);
    assert_eq!(frozen["rebalance"]["state"], "frozen", "{frozen}");
    assert!(frozen["problems"].to_string().contains("replisome rebalance unfreeze"), "{frozen}");
    fleet.says(&["rebalance", "unfreeze"], 0, "no longer frozen (revision ", "");
    fleet.says(&["rebalance", "unfreeze"], 0, "", "not frozen");

    fleet.says(&["status"], 0, "Problems", "");
    let status = fleet.json(&["status"]);
    assert!(status["led"] == true && status["fleet"].is_string(), "{status}");
    assert_eq!(status["controllers"][0]["role"], "leader", "{status}");
    assert_eq!(status["rebalance"]["state"], "idle", "{status}");
    assert_eq!(fleet.json(&["controller", "list"])[0]["address"], fleet.address.as_str());

    let events = fleet.json(&["event", "list"]);
    let events = events.as_array().expect("an array");
    let is_there = |text: &str| events.iter().any(|event| event["text"].as_str().is_some_and(|t| t.contains(text)));
    for text in ["cluster west added", "window", "maintenance"] {
        assert!(is_there(text), "{text:?} is not in {events:#?}");
    }
    assert!(events.iter().all(|event| event["time"].as_str().is_some_and(|time| time.ends_with('Z'))), "{events:#?}");

    fleet.says(&["topic", "remove", "-r", "west-east", "customers"], 0, "removed (revision ", "");
    fleet.says(&["route", "remove", "west-east", "--keep-offsets"], 0, "removed (revision ", "");
    fleet.says(&["route", "remove", "west-east"], 3, "", "west-east");
    for cluster in ["west", "east"] {
        wait_for("the route to be gone", || fleet.run(&["cluster", "remove", cluster]).status.success());
        fleet.says(&["cluster", "remove", cluster], 3, "", cluster);
    }
}

#[test]
fn a_controller_is_taken_in_and_out() {
    let fleet = Fleet::start();
    let (address, directory) = (free_address(), tempfile::tempdir().expect("a directory"));
    let add = ["controller", "add", "2", "--address", &address];
    fleet.says(&add, 4, "", "no controller answers at");
    let mut joining = configured(&["controller", "run"], 2, &address, &directory);
    let _joining = Process(joining.stderr(Stdio::null()).spawn().expect("runs"));
    // Each is asked alone: it serves its port before it is in any fleet.
    let knows_nobody = || fleet.run(&["controller", "list", "--controllers", &address]).status.success();
    wait_for("its port", knows_nobody);
    fleet.says(&["controller", "list", "--controllers", &address], 0, "", "no controllers are known yet");
    fleet.says(&["controller", "add", "3", "--address", &address], 4, "", "controller 2 answers");
    fleet.says(&add, 0, "controller 2 at", "controller 2 is a learner");
    fleet.says(&add, 0, "", "is in the fleet already");
    assert_eq!(fleet.json(&["controller", "list"])[1]["votes"], true);
    fleet.says(&["status"], 0, "2 controllers vote", "");
    fleet.says(&["controller", "remove", "2"], 0, "controller 2 removed: stop it (revision ", "no vote any more");
    fleet.says(&["controller", "remove", "2"], 3, "", "there is no controller 2");
    fleet.says(&["controller", "remove", "1"], 4, "", "the only one with a vote");
}

#[test]
fn results_that_cant_be_written_are_a_failure() {
    let fleet = Fleet::start();
    fleet.says(&["rebalance", "freeze"], 0, "frozen (revision ", "");
    let events = ["event", "list", "-o", "json"];
    for args in [&["status"][..], &events, &[&events[..], &["--follow"]].concat(), &["rebalance", "unfreeze"]] {
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let output = fleet.command(args).stdout(full).output().expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.starts_with("error: standard output can't be written"), "{args:?}: {stderr}");
    }
}

#[test]
fn events_are_followed_one_object_a_line() {
    let fleet = Fleet::start();
    let mut follow = fleet.command(&["event", "list", "--follow", "-o", "json"]);
    let mut follower = Process(follow.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("runs"));
    let lines = BufReader::new(follower.0.stdout.take().expect("piped")).lines();
    for name in ["west", "east"] {
        fleet.says(&["cluster", "add", name, "--bootstrap", "127.0.0.1:1"], 0, "added", "can't be reached");
    }
    let texts = lines.map(|line| {
        let event: Value = serde_json::from_str(&line.expect("a line")).expect("one object a line");
        event["text"].as_str().expect("a text").to_owned()
    });
    let admin: Vec<_> = texts.filter(|text| text.starts_with("cluster")).take(2).collect();
    assert_eq!(admin, ["cluster west added", "cluster east added"]);
    // Nobody reads any more: the next event ends it.
    fleet.says(&["cluster", "add", "north", "--bootstrap", "127.0.0.1:1"], 0, "added", "can't be reached");
    wait_for("its end", || follower.has_ended());
}

#[test]
fn a_worker_is_listed_drained_and_alone_under_its_id() {
    let fleet = Fleet::start();
    let worker = || {
        let mut command = fleet.command(&["worker", "run"]);
        // Nobody reads along: only what it says in the end.
        let command = command
            .env("REPLISOME_ID", "w1")
            .env("REPLISOME_WEIGHT", "2")
            .env("REPLISOME_POOL", "near")
            .env("RUST_LOG", "off");
        Process(command.stderr(Stdio::piped()).spawn().expect("runs"))
    };
    let mut one = worker();
    let state = || fleet.json(&["worker", "list"])[0]["state"].clone();
    wait_for("the worker", || state() == "live");
    let mut other = worker();
    // The newcomer gives up, unless this machine held the first one up so long that it was taken for dead.
    wait_for("one of both to give up", || one.has_ended() || other.has_ended());
    if one.has_ended() {
        std::mem::swap(&mut one, &mut other);
    }
    let (status, text) = other.end();
    assert!(status.code() == Some(4) && text.contains("w1 is in use"), "{status} {text}");
    wait_for("the other one", || state() == "live");
    fleet.says(&["worker", "drain", "w1"], 0, "worker w1 is being drained (revision ", "");
    fleet.says(&["worker", "drain", "w1"], 0, "", "nothing was changed");
    wait_for("the drain", || state() == "drained");
    fleet.says(&["worker", "undrain", "w1"], 0, "worker w1 may work again (revision ", "");
    wait_for("the end of the drain", || state() == "live");
    fleet.says(&["worker", "describe", "w1"], 0, "live", "");
    let row = fleet.json(&["worker", "list"])[0].clone();
    assert_eq!((&row["weight"], &row["pool"]), (&Value::from(2), &Value::from("near")));
    fleet.says(&["worker", "remove", "w1"], 4, "", "stop its process first");
    assert!(Command::new("kill").arg(one.0.id().to_string()).status().expect("kill runs").success());
    let (status, text) = one.end();
    assert!(status.success(), "{status} {text}");
    wait_for("the worker to be gone", || fleet.json(&["worker", "list"]) == Value::Array(Vec::new()));
    fleet.says(&["worker", "remove", "w1"], 0, "worker w1 removed (revision ", "");
    fleet.says(&["worker", "remove", "w1"], 3, "", "there is no worker w1");
}

#[test]
fn a_controller_without_a_majority_says_what_it_knows() {
    let fleet = Fleet::with_peers(",2=127.0.0.1:1,3=127.0.0.1:2");
    wait_for("its port", || fleet.run(&["status"]).status.success());
    fleet.says(&["status"], 0, "none: the table can't be read", "");
    fleet.says(&["status"], 0, "Problems\n  1. ", "");
    for text in ["no controller leads", &fleet.address, "majority"] {
        fleet.says(&["route", "list", "--timeout", "1s"], 6, "", text);
    }
    let waits = |timeout| {
        let output = fleet.run(&["route", "list", "--timeout", timeout]);
        assert!(output.status.code() == Some(6) && output.stdout.is_empty(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).matches("waiting for a controller that leads (at most ").count()
    };
    assert_eq!([waits("3s"), waits("900ms")], [1, 0]);
}
