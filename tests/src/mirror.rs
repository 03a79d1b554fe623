//! `replisome mirror` with its two properties files. Owns the command line and the files of one mirror, so that the
//! same one can be run again; never says what is copied.

use std::sync::Arc;
use std::time::Duration;

use crate::child::Exit;
use crate::process::Replisome;
use crate::scratch::Scratch;

/// A mirror's command: flags and files.
#[derive(Clone, Debug)]
pub struct Mirror {
    scratch: Arc<Scratch>,
    consumer: Vec<(String, String)>,
    producer: Vec<(String, String)>,
    flags: Vec<String>,
}

impl Mirror {
    /// A mirror that copies from the first cluster to the second, from the start of topics that its group holds no
    /// offset of.
    pub fn new(source: &str, target: &str, group: &str, whitelist: &str) -> Self {
        let scratch = Arc::new(Scratch::new(&format!("mirror-{group}")));
        let mirror = Self { scratch, consumer: Vec::new(), producer: Vec::new(), flags: Vec::new() };
        let mirror = mirror.consumer("bootstrap.servers", source).consumer("group.id", group);
        mirror
            .consumer("auto.offset.reset", "earliest")
            .producer("bootstrap.servers", target)
            .flags(["--whitelist", whitelist])
    }

    /// Sets a property of the consumer's file.
    #[must_use]
    pub fn consumer(mut self, key: &str, value: &str) -> Self {
        set(&mut self.consumer, key, value);
        self
    }

    /// Takes a property out of the consumer's file.
    #[must_use]
    pub fn without_consumer(mut self, key: &str) -> Self {
        self.consumer.retain(|(own, _)| own != key);
        self
    }

    /// Sets a property of the producer's file.
    #[must_use]
    pub fn producer(mut self, key: &str, value: &str) -> Self {
        set(&mut self.producer, key, value);
        self
    }

    /// Adds flags, as `["--num.streams", "8"]` or `["--until-end"]`.
    #[must_use]
    pub fn flags<'a>(mut self, flags: impl IntoIterator<Item = &'a str>) -> Self {
        self.flags.extend(flags.into_iter().map(str::to_owned));
        self
    }

    /// The whole command line; writes both files.
    pub fn arguments(&self) -> Vec<String> {
        let file = |name: &str, properties: &[(String, String)]| {
            let lines: Vec<_> = properties.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            self.scratch.write_properties(name, &lines).display().to_string()
        };
        let (consumer, producer) =
            (file("consumer.properties", &self.consumer), file("producer.properties", &self.producer));
        let files = ["mirror", "--consumer.config", &consumer, "--producer.config", &producer].map(str::to_owned);
        files.into_iter().chain(self.flags.iter().cloned()).collect()
    }

    /// Starts it.
    pub fn start(&self) -> Replisome {
        self.start_with(&[])
    }

    /// Starts it with environment variables.
    pub fn start_with(&self, environment: &[(&str, &str)]) -> Replisome {
        Replisome::start_with(self.arguments(), environment).with_files(self.scratch.clone())
    }

    /// Runs it with `--until-end` until it ends by itself, with exit code 0.
    #[track_caller]
    pub fn run_until_end(&self, deadline: Duration) -> (Replisome, Exit) {
        let mut running = Replisome::start(self.arguments().into_iter().chain(["--until-end".to_owned()]));
        let exit = running.wait_for_code(0, deadline);
        (running, exit)
    }
}

fn set(properties: &mut Vec<(String, String)>, key: &str, value: &str) {
    properties.retain(|(own, _)| own != key);
    properties.push((key.to_owned(), value.to_owned()));
}
