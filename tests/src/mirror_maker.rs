//! The real MirrorMaker 1. Owns its process, its two properties files and its measures; never corrects what it does.

use std::time::Duration;

use crate::child::{self, Child, Exit, Signal};
use crate::jars::Jars;
use crate::scratch::{self, Scratch};

/// A running MirrorMaker 1; killed when dropped.
#[derive(Debug)]
pub struct MirrorMaker {
    child: Child,
    scratch: Scratch,
}

impl MirrorMaker {
    /// Starts it with its usual heap of 256 MiB. The consumer needs `bootstrap.servers` and `group.id`, and
    /// `auto.offset.reset=earliest` to copy what is there already; the producer needs `bootstrap.servers`.
    pub fn start(consumer: &[(&str, &str)], producer: &[(&str, &str)], streams: u32, whitelist: &str) -> Self {
        Self::start_with(consumer, producer, streams, whitelist, &[])
    }

    /// Like [`Self::start`], with further flags, as `["--offset.commit.interval.ms", "1000"]`.
    pub fn start_with(
        consumer: &[(&str, &str)],
        producer: &[(&str, &str)],
        streams: u32,
        whitelist: &str,
        flags: &[&str],
    ) -> Self {
        let scratch = Scratch::new("mirror-maker");
        let mut java = Jars::MirrorMaker.java(256);
        java.arg("kafka.tools.MirrorMaker");
        java.arg("--consumer.config").arg(scratch.write_properties("consumer.properties", consumer));
        java.arg("--producer.config").arg(scratch.write_properties("producer.properties", producer));
        java.args(["--num.streams", &streams.to_string(), "--whitelist", whitelist]).args(flags);
        java.stdout(scratch.log("mirror-maker.log")).stderr(scratch.log("mirror-maker.log"));
        let child = child::spawn(java).expect("start java (is Java 17 installed?)");
        Self { child, scratch }
    }

    /// User and system time so far, of all threads, the JVM's start included.
    pub fn cpu(&self) -> Duration {
        self.child.cpu()
    }

    /// The greatest resident set so far, in bytes.
    pub fn rss_peak_bytes(&mut self) -> u64 {
        self.child.rss_peak_bytes()
    }

    /// SIGTERM: it commits and leaves its group.
    pub fn stop(&mut self) -> Exit {
        self.child.signal(Signal::Terminate);
        self.child.wait(Duration::from_secs(60)).unwrap_or_else(|| panic!("it does not stop:\n{}", self.tail()))
    }

    /// kill -9: it stays a member of its group for its session timeout.
    pub fn kill(&mut self) -> Exit {
        self.child.kill()
    }

    /// Fails the test if it has ended, with the end of its log.
    pub fn assert_runs(&mut self) {
        let exit = self.child.try_wait();
        assert!(exit.is_none(), "MirrorMaker ended: {exit:?}\n{}", self.tail());
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        scratch::tail(&self.scratch.path().join("mirror-maker.log"), 30)
    }
}
