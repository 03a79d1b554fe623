//! What a running mirror says of itself over HTTP. Owns asking and reading the answer; never judges it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::process::Replisome;
use crate::{ports, wait};

const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// An address for one mirror at a time, as `--http-listen` takes it.
#[derive(Clone, Debug)]
pub struct Probe {
    address: String,
}

impl Default for Probe {
    fn default() -> Self {
        Self { address: format!("127.0.0.1:{}", ports::free()) }
    }
}

impl Probe {
    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The status and the body of an answer; `None` when there is none.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Waits until every partition has its claim.
    #[track_caller]
    pub fn wait_until_ready(&self, running: &mut Replisome, deadline: Duration) {
        let ready = wait::until_or_none(deadline, || {
            let ended = running.try_wait().is_some();
            let ready = self.get("/readyz").is_some_and(|(status, _)| status == 200);
            (ready || ended).then_some(ready)
        });
        let said = self.get("/readyz");
        assert!(ready == Some(true), "not ready; ended: {}; /readyz: {said:?}\n{}", ready.is_some(), running.tail());
    }

    /// The value of a metric of one partition, with further labels as they are written in the text.
    pub fn metric(&self, name: &str, topic: &str, partition: i32, label: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics")?;
        let line = lines(&text, name, topic, partition).find(|line| line.contains(label))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Why a partition stands still, in the word for machines; `None` when it does not.
    pub fn held(&self, topic: &str, partition: i32) -> Option<String> {
        let (_, text) = self.get("/metrics")?;
        let line = lines(&text, "replisome_partition_held", topic, partition).find(|line| line.ends_with(" 1"))?;
        Some(line.split_once("reason=\"")?.1.split('"').next()?.to_owned())
    }

    /// Why a topic waits as a whole, in the word for machines; `None` when it does not.
    pub fn waiting(&self, topic: &str) -> Option<String> {
        let (_, text) = self.get("/metrics")?;
        let topic = format!("topic=\"{topic}\"");
        let mut lines =
            text.lines().filter(|line| line.starts_with("replisome_topic_waiting{") && line.contains(&topic));
        let line = lines.find(|line| line.ends_with(" 1"))?;
        Some(line.split_once("reason=\"")?.1.split('"').next()?.to_owned())
    }

    /// Waits until a partition stands still for this reason.
    #[track_caller]
    pub fn wait_until_held(&self, running: &Replisome, topic: &str, partition: i32, reason: &str, deadline: Duration) {
        let held = wait::until_or_none(deadline, || self.held(topic, partition).filter(|held| held == reason));
        let found = self.held(topic, partition);
        assert!(held.is_some(), "{topic}-{partition}: {found:?} instead of {reason:?}\n{}", running.tail());
    }
}

fn lines<'a>(text: &'a str, name: &str, topic: &str, partition: i32) -> impl Iterator<Item = &'a str> {
    let start = format!("{name}{{");
    let labels = [format!("topic=\"{topic}\""), format!("partition=\"{partition}\"")];
    text.lines().filter(move |line| line.starts_with(&start) && labels.iter().all(|label| line.contains(label)))
}
