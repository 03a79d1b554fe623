//! What is done to data directories: saved, restored, repaired, filled.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Fleet, Process, command, configured, free_address, wait_for};

impl Fleet {
    /// The only controller is gone, as by kill -9.
    fn kill(&mut self) {
        self.controller.0.kill().expect("killed");
        self.controller.0.wait().expect("ended");
    }

    /// Starts it again where it was, and waits until it leads.
    fn start_again(&mut self) {
        let mut run = self.configured(&["controller", "run"]);
        self.controller = Process(run.stderr(Stdio::null()).spawn().expect("runs"));
        wait_for("a leader", || self.run(&["route", "list", "--timeout", "2s"]).status.success());
    }

    /// A command with the controller's configuration.
    fn configured(&self, args: &[&str]) -> Command {
        configured(args, 1, &self.address, &self.directory)
    }

    /// Sled's `snap.*` files.
    fn snapshots(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.directory.path().join("data/log")).expect("a log");
        let paths = files.map(|file| file.expect("a file").path());
        paths.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap."))).collect()
    }
}

#[track_caller]
fn ends(output: &Output, code: i32, texts: &[&str]) {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in: {said}");
    }
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{said}");
}

#[test]
fn a_fleet_goes_on_from_its_backup_where_its_controllers_are_lost() {
    let mut fleet = Fleet::start();
    fleet.says(&["cluster", "add", "west", "--bootstrap", "127.0.0.1:1"], 0, "added", "can't be reached");
    let file = fleet.directory.path().join("fleet.backup").to_str().expect("text").to_owned();
    let saved = fleet.json(&["controller", "backup", &file]);
    assert!(saved["led"] == true && saved["controller"] == 1 && saved["revision"].as_u64() > Some(1), "{saved}");
    fleet.says(&["controller", "backup", &file], 0, "saved to", "");
    fleet.says(&["cluster", "add", "lost", "--bootstrap", "127.0.0.1:1"], 0, "added", "can't be reached");
    let status = fleet.json(&["status"]);
    let other = fleet.directory.path().join("controller.toml").to_str().expect("text").to_owned();
    fs::write(&other, "node-id = 1\n").expect("written");
    fleet.says(&["controller", "backup", &other], 4, "", "is no backup: name another file");
    assert_eq!(fs::read_to_string(&other).expect("it is there"), "node-id = 1\n");
    fleet.says(
        &["controller", "backup", "/no/such/directory/file"],
        1,
        "",
        "/no/such/directory/file: can't be written",
    );
    let restore = |fleet: &Fleet| fleet.configured(&["controller", "restore", &file]).output().expect("runs");
    ends(&restore(&fleet), 4, &["data", "not empty"]);
    fleet.kill();
    let data = fleet.directory.path().join("data");
    fs::remove_dir_all(&data).expect("removed");

    // As a full disk is: no file may grow.
    let plain = fleet.configured(&["controller", "restore", &file]);
    let script =
        format!("trap '' XFSZ; ulimit -f 0; exec {} controller restore {file}", env!("CARGO_BIN_EXE_replisome"));
    let mut full = Command::new("sh");
    full.args(["-c", &script]).current_dir(fleet.directory.path());
    full.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    ends(
        &full.output().expect("runs"),
        1,
        &["data", "File too large", "nothing is left of this attempt", "restore again"],
    );
    assert_eq!(fs::read_dir(&data).expect("a directory").count(), 0);

    let revision = format!("as of revision {}", saved["revision"]);
    ends(&restore(&fleet), 0, &["restored to data", &revision, "decides alone now", "controller add ID"]);
    fleet.start_again();
    let names = fleet.json(&["cluster", "list"]);
    let names: Vec<&Value> = names.as_array().expect("an array").iter().map(|cluster| &cluster["name"]).collect();
    assert_eq!(names, ["west"]);
    let restored = fleet.json(&["status"]);
    assert_eq!(restored["fleet"], status["fleet"]);
    assert!(restored["revision"].as_u64() > status["revision"].as_u64(), "{restored}");
    let events = fleet.json(&["event", "list"]);
    assert!(events.to_string().contains("the fleet was restored from a backup of revision"), "{events}");
}

#[test]
fn what_is_no_backup_is_named_and_nothing_is_made_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let restore = |file: &str| {
        configured(&["controller", "restore", file], 1, "127.0.0.1:7401", &directory).output().expect("runs")
    };
    ends(&restore("none"), 2, &["none: can't be read"]);
    fs::write(directory.path().join("text"), "hello\n").expect("written");
    ends(&restore("text"), 2, &["text: it is no backup"]);
    fs::write(directory.path().join("cut"), "replisome-backup 1\nxxxx").expect("written");
    ends(&restore("cut"), 2, &["cut: it is damaged or cut short"]);
    assert!(!directory.path().join("data").exists());
    for verb in ["restore", "repair"] {
        ends(&command(&["controller", verb, "--controllers", "127.0.0.1:1", "x"]).output().expect("runs"), 2, &[]);
    }
}

#[test]
fn a_directory_that_does_not_open_names_the_command_that_repairs_it() {
    let mut fleet = Fleet::start();
    fleet.says(&["cluster", "add", "west", "--bootstrap", "127.0.0.1:1"], 0, "added", "can't be reached");
    let repair = |fleet: &Fleet| fleet.configured(&["controller", "repair"]).output().expect("runs");
    ends(&repair(&fleet), 4, &["data", "in use by another process"]);
    fleet.kill();
    ends(&repair(&fleet), 0, &["data is whole: entries 0 to ", "nothing was done"]);
    fleet.start_again();
    fleet.kill();
    let snapshots = fleet.snapshots();
    assert!(!snapshots.is_empty(), "sled writes one when it opens what is there");
    for path in &snapshots {
        fs::write(path, "").expect("written");
    }
    let run = fleet.configured(&["controller", "run"]).output().expect("runs");
    ends(&run, 1, &["the log in the data directory data is damaged", "replisome controller repair --config FILE"]);
    let name = snapshots[0].file_name().expect("a name").to_str().expect("text");
    ends(&repair(&fleet), 0, &["did not open", "moved to data/aside-1: ", name, "is whole: entries 0 to "]);
    fleet.start_again();
    assert_eq!(fleet.json(&["cluster", "list"])[0]["name"], "west");
}

#[test]
fn a_controller_whose_files_may_grow_no_more_ends_with_a_word_about_it() {
    let (address, directory) = (free_address(), tempfile::tempdir().expect("a directory"));
    // As a full disk is: writes fail. The limit counts half kibibytes; the shell's child inherits that the signal is ignored.
    let script = format!("trap '' XFSZ; ulimit -f 1600; exec {} controller run", env!("CARGO_BIN_EXE_replisome"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(directory.path()).stdin(Stdio::null()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REPLISOME_")) {
        shell.env_remove(name);
    }
    shell.envs([("REPLISOME_NODE_ID", "1"), ("REPLISOME_DATA_DIR", "data"), ("REPLISOME_LISTEN", &address)]);
    shell.env("REPLISOME_INITIAL_MEMBERS", format!("1={address}"));
    let mut controller = Process(shell.spawn().expect("runs"));
    let acknowledged = fill(&address, &mut controller, &directory);
    let (status, text) = controller.end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("error: the data directory data: writing its log: "), "{text}");
    assert!(text.contains("ulimit -f") && text.contains("nothing that was acknowledged is lost"), "{text}");
    assert!(!text.contains("panicked"), "{text}");

    // With room again it has all that was acknowledged.
    let mut run = configured(&["controller", "run"], 1, &address, &directory);
    run.env("REPLISOME_INITIAL_MEMBERS", format!("1={address}"));
    let _controller = Process(run.stderr(Stdio::null()).spawn().expect("runs"));
    let listed = || command(&["cluster", "list", "-o", "json", "--controllers", &address]).output().expect("runs");
    wait_for("a leader", || listed().status.success());
    let listed: Value = serde_json::from_slice(&listed().stdout).expect("JSON");
    let listed: BTreeSet<_> = listed.as_array().expect("an array").iter().map(|row| row["name"].to_string()).collect();
    assert!(!acknowledged.is_empty() && acknowledged.is_subset(&listed), "{acknowledged:?} {listed:?}");
}

/// Writes until the controller has ended; the names, quoted, that it acknowledged.
fn fill(address: &str, controller: &mut Process, directory: &TempDir) -> BTreeSet<String> {
    let text = "x".repeat(200_000);
    let file = directory.path().join("large.properties");
    fs::write(&file, format!("bootstrap.servers=127.0.0.1:1\nclient.id={text}\n")).expect("written");
    let file = file.to_str().expect("text");
    let (mut number, mut acknowledged) = (0, BTreeSet::new());
    wait_for("the end of its room", || {
        number += 1;
        let name = format!("c{number}");
        let add = ["cluster", "add", &name, "--properties", file, "--timeout", "10s"];
        if command(&add).env("REPLISOME_CONTROLLERS", address).output().expect("runs").status.success() {
            acknowledged.insert(format!("{name:?}"));
        }
        controller.has_ended()
    });
    acknowledged
}
