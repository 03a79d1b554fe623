//! What a user gets for wrong input that needs no broker to be recognised: the right exit code, a text that names key,
//! value and remedy, and never a panic or a secret.

mod configuration;
mod fleet;
mod mirror;

use std::fs::File;
use std::io::Read;
use std::process::{Command, Output, Stdio};

/// The binary, without what this environment may say of a fleet.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replisome"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REPLISOME_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

fn replisome(args: &[&str]) -> Output {
    command(args).output().expect("runs")
}

#[track_caller]
fn fails(output: &Output, code: i32, texts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for text in texts {
        assert!(stderr.contains(text), "{text:?} is not in: {stderr}");
    }
    assert!(!stderr.contains("panicked") && !stderr.contains("backtrace"), "{stderr}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn help_version_and_completions_succeed() {
    for (args, text) in [
        (vec!["--help"], "mirror"),
        (vec!["--version"], env!("CARGO_PKG_VERSION")),
        (vec!["mirror", "--help"], "--consumer.config"),
        (vec!["--help"], "failure-modes.md"),
        (vec!["route", "add", "--help"], "--source"),
        (vec!["worker", "run", "--help"], "--config"),
        (vec!["completions", "bash"], "replisome"),
        (vec!["completions", "bash"], "undrain"),
    ] {
        let output = replisome(&args);
        assert!(output.status.success(), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(text), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_causes_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_replisome"))
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("read");
    assert!(child.wait().expect("ends").success() && stderr.is_empty(), "{stderr}");
}

#[test]
fn output_that_cant_be_written_is_a_failure() {
    for args in [&["completions", "zsh"][..], &["--help"], &["--version"]] {
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let output = command(args).stdout(full).output().expect("runs");
        fails(&output, 1, &["error: standard output can't be written: No space left on device"]);
    }
}

#[test]
fn run_offers_no_flag_that_would_say_nothing() {
    for noun in ["worker", "controller"] {
        let help = replisome(&[noun, "run", "--help"]).stdout;
        assert!(!String::from_utf8_lossy(&help).contains("--output"), "{noun}");
        fails(&replisome(&[noun, "run", "-o", "json"]), 2, &[noun, "--output"]);
        fails(&replisome(&[noun, "run", "--controllers", "127.0.0.1:1"]), 2, &["--controllers"]);
    }
}

#[test]
fn a_flag_that_would_say_nothing_is_refused_with_a_hint_that_is_true() {
    for (line, texts) in [
        (&["worker", "run", "--controllers", "a:1"][..], ["no --controllers: set the key controllers", "REPLISOME_C"]),
        (&["worker", "run", "-o", "json"], ["worker run takes no --output: leave it out", "commands that ask a fleet"]),
        (&["controller", "run", "--controllers", "a:1"], ["controller run takes no --controllers", "leave it out"]),
        (&["controller", "restore", "file", "-o", "json"], ["controller restore takes no --output", "leave it out"]),
        (&["controller", "repair", "--timeout", "1s"], ["controller repair takes no --timeout", "leave it out"]),
    ] {
        fails(&replisome(line), 2, &texts);
    }
}
