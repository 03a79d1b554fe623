//! The files of `controller run` and `worker run`, and the environment over them.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use tempfile::TempDir;

use crate::{command, fails};

const CONTROLLER: &str = "node-id = 1\ndata-dir = \"data\"\nlisten = \"127.0.0.1:7401\"\n\
                          initial-members = { \"1\" = \"127.0.0.1:7401\" }\n";
const WORKER: &str = "id = \"w1\"\ncontrollers = [\"127.0.0.1:7401\"]\n";

/// A file of configuration in a directory of its own, in which the process runs.
struct Configured {
    noun: &'static str,
    directory: TempDir,
}

impl Configured {
    fn new(noun: &'static str, text: &str) -> Self {
        let configured = Self { noun, directory: tempfile::tempdir().expect("a directory") };
        fs::write(configured.directory.path().join("c.toml"), text).expect("written");
        configured
    }

    fn run(&self, flags: &[&str], environment: &[(&str, &str)]) -> Output {
        let line = [&[self.noun, "run"], flags].concat();
        command(&line).envs(environment.iter().copied()).current_dir(self.directory.path()).output().expect("runs")
    }

    #[track_caller]
    fn fails(&self, code: i32, texts: &[&str]) {
        let output = self.run(&["--config", "c.toml"], &[]);
        fails(&output, code, texts);
        assert!(!self.directory.path().join("data").exists(), "nothing is made before all is checked");
    }
}

/// The controller's file with one line in the place of another.
fn controller(line: &str, instead: &str) -> Configured {
    assert!(CONTROLLER.contains(line), "{line}");
    Configured::new("controller", &CONTROLLER.replace(line, instead))
}

fn worker(more: &str) -> Configured {
    Configured::new("worker", &format!("{WORKER}{more}"))
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_what_was_meant() {
    controller("node-id = 1", "node_id = 1").fails(2, &["c.toml:1", "node_id", "did you mean node-id?"]);
    worker("\n[timing]\nlease = \"1s\"\n").fails(2, &["c.toml:4", "key timing is not known", "lanes"]);
}

#[test]
fn a_file_that_is_no_toml_is_named_with_the_line() {
    controller("node-id = 1", "node-id 1").fails(2, &["c.toml:1", "is not TOML"]);
    worker("lanes = 2\nlanes = 3\n").fails(2, &["c.toml:4", "is not TOML"]);
}

#[test]
fn a_missing_file_or_key_is_named() {
    let empty = Configured::new("worker", "");
    empty.fails(2, &["c.toml: key id is missing", "REPLISOME_ID", "id = \"w1\""]);
    fails(&empty.run(&[], &[]), 2, &["key id is missing", "--config", "REPLISOME_ID"]);
    fails(&empty.run(&["--config", "none.toml"], &[]), 2, &["--config none.toml: can't be read"]);
    controller("data-dir = \"data\"\n", "").fails(2, &["c.toml: key data-dir is missing"]);
}

#[test]
fn a_value_of_the_wrong_form_is_named_with_its_key() {
    controller("node-id = 1", "node-id = 0").fails(2, &["c.toml:1: key node-id", "whole number from 1", "not 0"]);
    controller("node-id = 1", "node-id = \"1\"").fails(2, &["c.toml:1: key node-id", "not \"1\""]);
    controller("node-id = 1", "timing.lease = \"5\"\nnode-id = 1").fails(2, &["key timing.lease", "\"5\"", "500ms"]);
    worker("memory = \"96MB\"\n").fails(2, &["c.toml:3: key memory", "96MB", "MiB"]);
    worker("lanes = 0\n").fails(2, &["key lanes", "whole number from 1"]);
    worker("weight = 0\n").fails(2, &["c.toml:3: key weight", "whole number from 1 to 1000", "not 0"]);
    worker("pool = \"two words\"\n").fails(2, &["c.toml:3: key pool", "two words", "letters, digits"]);
    worker("weight = 1.5\n").fails(2, &["key weight", "whole number from 1 to 1000"]);
    Configured::new("worker", "id = \"w 1\"\ncontrollers = [\"a:1\"]\n").fails(2, &["key id", "w 1", "letters"]);
    Configured::new("worker", "id = \"w\"\ncontrollers = [\"nowhere\"]\n").fails(2, &["key controllers", "nowhere"]);
    Configured::new("worker", "id = \"w\"\ncontrollers = []\n").fails(2, &["key controllers is missing"]);
}

#[test]
fn a_data_directory_is_a_directory() {
    for empty in ["", " "] {
        let line = format!("data-dir = \"{empty}\"");
        controller("data-dir = \"data\"", &line).fails(2, &["c.toml:2: key data-dir", "name a directory, such as"]);
    }
    let texts = ["c.toml:2: key data-dir: \"c.toml\"", "is no directory: name another place"];
    controller("data-dir = \"data\"", "data-dir = \"c.toml\"").fails(2, &texts);
}

#[test]
fn two_things_do_not_listen_at_one_address() {
    controller("node-id = 1", "http-listen = \"127.0.0.1:7401\"\nnode-id = 1")
        .fails(2, &["c.toml:1: key http-listen: \"127.0.0.1:7401\"", "address of listen", "a port of its own"]);
    worker("http-listen = \"127.0.0.1:7401\"\n")
        .fails(2, &["c.toml:3: key http-listen: \"127.0.0.1:7401\"", "address of a controller", "a port of its own"]);
}

#[test]
fn the_environment_wins_and_is_named_when_it_is_wrong() {
    let worker = worker("");
    let wrong = |name, value| worker.run(&["--config", "c.toml"], &[(name, value)]);
    fails(&wrong("REPLISOME_LANES", "many"), 2, &["REPLISOME_LANES: give a whole number", "many"]);
    fails(&wrong("REPLISOME_CONTROLLERS", "nowhere"), 2, &["REPLISOME_CONTROLLERS", "nowhere"]);
    fails(&wrong("REPLISOME_INSECURE", "perhaps"), 2, &["--insecure", "perhaps"]);
    let members = ("REPLISOME_INITIAL_MEMBERS", "127.0.0.1:7401");
    let output = controller("node-id = 1", "node-id = 1").run(&["--config", "c.toml"], &[members]);
    fails(&output, 2, &["REPLISOME_INITIAL_MEMBERS: give a table"]);
}

#[test]
fn what_the_environment_lies_over_is_checked_and_noted() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let http_listen = format!("http-listen = \"{}\"\n", taken.local_addr().expect("bound"));
    let over = [("REPLISOME_CONTROLLERS", "127.0.0.1:7402"), ("REPLISOME_LANES", "3")];
    let output = worker(&http_listen).run(&["--config", "c.toml"], &over);
    fails(&output, 1, &["note: controllers is taken from REPLISOME_CONTROLLERS, not from c.toml:2", "http-listen"]);
    let output = worker("lanes = \"two\"\n").run(&["--config", "c.toml"], &over);
    fails(&output, 2, &["c.toml:3: key lanes: give a whole number from 1 to 256, not \"two\""]);
}

#[test]
fn listening_where_others_reach_it_takes_insistence() {
    for open in ["0.0.0.0:7401", "[::]:7401", "192.0.2.1:7401"] {
        let listen = format!("advertise = \"127.0.0.1:7401\"\nlisten = \"{open}\"");
        controller("listen = \"127.0.0.1:7401\"", &listen)
            .fails(2, &["c.toml:4: key listen", open, "neither encrypted nor authenticated", "--insecure"]);
        worker(&format!("http-listen = \"{open}\"\n")).fails(2, &["key http-listen", "--insecure"]);
    }
    controller("node-id = 1", "http-listen = \"0.0.0.0:1\"\nnode-id = 1").fails(2, &["key http-listen", "--insecure"]);
    let unreachable = controller("listen = \"127.0.0.1:7401\"", "listen = \"0.0.0.0:7401\"");
    let output = unreachable.run(&["--config", "c.toml", "--insecure"], &[]);
    fails(&output, 2, &["0.0.0.0:7401", "no address that others reach", "advertise"]);
}

#[test]
fn members_that_contradict_themselves_are_refused() {
    let line = "initial-members = { \"1\" = \"127.0.0.1:7401\" }";
    for (members, texts) in [
        ("{ 1 = '127.0.0.1:7401', 2 = '127.0.0.1:7402' }", vec!["2 entries", "1, 3 or 5"]),
        ("{}", vec!["0 entries"]),
        ("{ 2 = '127.0.0.1:7402' }", vec!["lacks node-id 1"]),
        ("{ 1 = '127.0.0.1:7409' }", vec!["127.0.0.1:7409", "127.0.0.1:7401", "the same"]),
        ("{ 1 = '127.0.0.1:7401', 2 = 'b:1', 3 = 'b:1' }", vec!["nodes 2 and 3", "b:1"]),
        ("{ one = '127.0.0.1:7401' }", vec!["one", "whole number"]),
        ("['127.0.0.1:7401']", vec!["give a table"]),
    ] {
        let texts: Vec<_> = ["c.toml:4: key initial-members"].into_iter().chain(texts).collect();
        controller(line, &format!("initial-members = {members}")).fails(2, &texts);
    }
}

#[test]
fn a_lease_must_outlast_two_heartbeats() {
    controller("node-id = 1", "timing.lease = \"2s\"\nnode-id = 1")
        .fails(2, &["key timing.lease", "timing.heartbeat", "longer"]);
}

#[test]
fn a_port_in_use_is_a_failure_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let text = CONTROLLER.replace("127.0.0.1:7401", &address);
    let output = Configured::new("controller", &text).run(&["--config", "c.toml"], &[]);
    fails(&output, 1, &["listen", &address, "choose a free address and port"]);
    let output = worker(&format!("http-listen = \"{address}\"\n")).run(&["--config", "c.toml"], &[]);
    fails(&output, 1, &["http-listen", &address, "choose a free address and port"]);
}
