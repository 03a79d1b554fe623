//! One controller or worker. Owns its files, its ports and its process over restarts; never speaks to it but by signals
//! and HTTP.

use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use crate::child::{Exit, Signal};
use crate::ports;
use crate::probe::Probe;
use crate::process::Replisome;
use crate::scratch::Scratch;

/// A node, running or not; killed when dropped.
#[derive(Debug)]
pub struct Node {
    name: String,
    noun: &'static str,
    address: String,
    probe: Probe,
    scratch: Scratch,
    config: PathBuf,
    environment: Vec<(String, String)>,
    process: Option<Replisome>,
}

impl Node {
    /// The controllers of one fleet, with node ids from 1; none is started.
    pub fn controllers(count: usize) -> Vec<Self> {
        let ports: Vec<u16> = (0..count).map(|_| ports::free()).collect();
        let member = |(index, port): (usize, &u16)| format!("\"{}\" = \"127.0.0.1:{port}\"", index + 1);
        let members: Vec<String> = ports.iter().enumerate().map(member).collect();
        let members = members.join(", ");
        let node = |(index, port): (usize, &u16)| {
            let (id, address) = (index + 1, format!("127.0.0.1:{port}"));
            let config = format!(
                "node-id = {id}\nlisten = \"{address}\"\nadvertise = \"{address}\"\ninitial-members = {{ {members} }}\n"
            );
            Self::new(&format!("controller-{id}"), "controller", address, &config)
        };
        ports.iter().enumerate().map(node).collect()
    }

    /// A controller that no fleet begins with; it is not started.
    pub fn joining_controller(id: usize) -> Self {
        let address = format!("127.0.0.1:{}", ports::free());
        let config = format!("node-id = {id}\nlisten = \"{address}\"\n");
        Self::new(&format!("controller-{id}"), "controller", address, &config)
    }

    /// A worker of the fleet with these controllers; `more` is added to its file. It is not started.
    pub fn worker(id: &str, controllers: &[String], more: &str) -> Self {
        let config = format!("id = \"{id}\"\ncontrollers = {controllers:?}\n{more}");
        Self::new(id, "worker", String::new(), &config)
    }

    fn new(name: &str, noun: &'static str, address: String, config: &str) -> Self {
        let (scratch, probe) = (Scratch::new(name), Probe::default());
        let mut text = config.to_owned();
        text += &format!("http-listen = \"{}\"\n", probe.address());
        if noun == "controller" {
            text += &format!("data-dir = {:?}\n", scratch.path().join("data"));
        }
        let config = scratch.write("config.toml", &text);
        Self { name: name.to_owned(), noun, address, probe, scratch, config, environment: Vec::new(), process: None }
    }

    /// Sets an environment variable for its next starts.
    pub fn set_environment(&mut self, key: &str, value: &str) {
        self.environment.push((key.to_owned(), value.to_owned()));
    }

    /// The path of its configuration.
    pub fn config(&self) -> String {
        self.config.display().to_string()
    }

    /// Its worker id, or `controller-N`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a controller is reached; empty for a worker.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it serves over HTTP.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Starts it, after it has ended too.
    ///
    /// # Panics
    /// When it runs.
    pub fn start(&mut self) {
        assert!(!self.is_running(), "{} already runs", self.name);
        let config = self.config();
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.process = Some(Replisome::start_as(&self.name, [self.noun, "run", "--config", &config], &environment));
    }

    /// Its process.
    ///
    /// # Panics
    /// When it was never started.
    pub fn process(&mut self) -> &mut Replisome {
        let name = &self.name;
        self.process.as_mut().unwrap_or_else(|| panic!("{name} was never started"))
    }

    /// Whether its process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().is_none())
    }

    /// kill -9.
    pub fn kill(&mut self) -> Exit {
        self.process().kill()
    }

    /// SIGTERM, then waits for its end.
    #[track_caller]
    pub fn stop(&mut self, deadline: Duration) -> Exit {
        self.process().stop(deadline)
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process().signal(signal);
    }

    /// Where a controller keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// Removes a controller's data, as a replaced disk does.
    pub fn wipe(&mut self) {
        assert!(!self.is_running(), "{} runs", self.name);
        let removed = fs::remove_dir_all(self.data_dir());
        let is_gone = removed.as_ref().map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true);
        assert!(is_gone, "wipe {}: {removed:?}", self.name);
    }

    /// The end of its output, for messages of failure.
    pub fn tail(&self) -> String {
        self.process.as_ref().map_or_else(|| "never started".to_owned(), Replisome::tail)
    }
}
