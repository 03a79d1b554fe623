//! Making clients: the user's properties, and above them the settings that correctness depends on.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::blocking::Blocking;
use common::config::ClusterConfig;
use common::ids::TopicPartition;

use super::admin::LibrdkafkaAdmin;
use super::offsets::LibrdkafkaOffsets;
use super::sink::LibrdkafkaSink;
use super::source::LibrdkafkaSource;
use crate::admin::ClusterAdmin;
use crate::clients::Clients;
use crate::error::{Error, ErrorKind};
use crate::ffi::client::{Client, Kind};
use crate::offsets::OffsetStore;
use crate::properties::{Role, client_config};
use crate::sink::SinkBounds;
use crate::source::SourceBounds;

/// Makes librdkafka's clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct LibrdkafkaClients;

/// librdkafka wants a group of each consumer. Nobody commits under this one.
const READER_GROUP: &str = "replisome-reader";

/// What is read at most by one Fetch request: half of what may be read ahead, within these bounds, so that the bound is
/// overshot by little. A larger record comes alone.
const FETCH_BYTES: (usize, usize) = (1 << 20, 48 << 20);

/// librdkafka's largest value of its byte settings.
const BYTES_MAX: usize = i32::MAX as usize;

impl Blocking for LibrdkafkaClients {}

impl Clients for LibrdkafkaClients {
    type Source = LibrdkafkaSource;
    type Sink = LibrdkafkaSink;

    fn source(&self, cluster: &ClusterConfig, bounds: SourceBounds) -> Result<LibrdkafkaSource, Error> {
        let settings = Settings::of(cluster, Role::Consumer)?.source(bounds);
        Ok(LibrdkafkaSource::new(settings.client(cluster, Kind::Consumer)?))
    }

    fn sink(&self, cluster: &ClusterConfig, bounds: SinkBounds) -> Result<LibrdkafkaSink, Error> {
        let settings = Settings::of(cluster, Role::Producer)?.sink(bounds);
        let compresses = settings.given.get("compression.type").is_some_and(|codec| codec != "none");
        Ok(LibrdkafkaSink::new(settings.client(cluster, Kind::Producer)?, bounds, compresses))
    }

    fn admin(&self, cluster: &ClusterConfig) -> Result<Arc<dyn ClusterAdmin>, Error> {
        let Settings { given, own } = Settings::of(cluster, Role::Admin)?;
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        let admin = LibrdkafkaAdmin::new(given.into_iter().chain(own).collect());
        let wrong = |error: Error| Error::new(error.kind, format!("cluster {}: {}", cluster.name, error.text));
        Ok(Arc::new(admin.map_err(wrong)?))
    }

    fn offsets(&self, cluster: &ClusterConfig, group: &str) -> Result<Box<dyn OffsetStore>, Error> {
        let settings = Settings::of(cluster, Role::Consumer)?.offsets(group);
        let cluster = cluster.clone();
        let client = move || settings.client(&cluster, Kind::Consumer);
        Ok(Box::new(LibrdkafkaOffsets::new(Box::new(client), group)?))
    }
}

/// Settings by librdkafka's names. What is set later wins.
struct Settings {
    given: BTreeMap<String, String>,
    own: Vec<(&'static str, String)>,
}

impl Settings {
    fn of(cluster: &ClusterConfig, role: Role) -> Result<Self, Error> {
        let mut settings = Self { given: client_config(cluster, role)?, own: Vec::new() };
        settings.given.entry("client.id".to_owned()).or_insert_with(|| "replisome".to_owned());
        // A broker that comes back is found soon.
        settings.set("reconnect.backoff.ms", 20).set("reconnect.backoff.max.ms", 1_000);
        settings.set("socket.nagle.disable", true).set("log.connection.close", false);
        settings.set("allow.auto.create.topics", false);
        Ok(settings)
    }

    fn set(&mut self, name: &'static str, value: impl ToString) -> &mut Self {
        self.own.push((name, value.to_string()));
        self
    }

    fn consumer(&mut self, group: &str) -> &mut Self {
        self.set("group.id", group).set("enable.auto.commit", false).set("enable.auto.offset.store", false);
        self.set("isolation.level", "read_committed")
    }

    fn source(mut self, bounds: SourceBounds) -> Self {
        let fetch_bytes = (bounds.queued_bytes / 2).clamp(FETCH_BYTES.0, FETCH_BYTES.1);
        self.consumer(READER_GROUP).set("auto.offset.reset", "error").set("enable.partition.eof", true);
        self.set("check.crcs", true);
        self.set("queued.max.messages.kbytes", (bounds.queued_bytes / 1024).clamp(1, 2_097_151));
        // Enough for the time that a full queue waits until it asks for more; a record costs memory beside its bytes.
        self.set("queued.min.messages", 50_000);
        self.set("fetch.queue.backoff.ms", 10).set("fetch.wait.max.ms", 100).set("fetch.error.backoff.ms", 100);
        self.set("message.max.bytes", FETCH_BYTES.0); // `fetch.max.bytes` must not be below it
        self.set("fetch.max.bytes", fetch_bytes).set("fetch.message.max.bytes", FETCH_BYTES.0);
        // A broker returns at least one batch, however large.
        self.set("receive.message.max.bytes", BYTES_MAX);
        // A topic that vanishes is noticed soon.
        self.set("topic.metadata.refresh.interval.ms", 2_000).set("topic.metadata.propagation.max.ms", 2_000);
        self
    }

    fn sink(mut self, bounds: SinkBounds) -> Self {
        self.set("enable.idempotence", true).set("acks", "all").set("enable.gapless.guarantee", true);
        self.set("message.timeout.ms", 0).set("max.in.flight", 5).set("delivery.report.only.error", false);
        if !self.given.contains_key("linger.ms") {
            self.set("linger.ms", 5);
        }
        let given = self.given.get("batch.size").and_then(|bytes| bytes.parse::<usize>().ok());
        self.set("batch.size", bounds.batch_bytes.min(given.unwrap_or(usize::MAX)).clamp(1, BYTES_MAX));
        // The sink keeps the bound itself: the client's would refuse a record larger than it for ever.
        self.set("queue.buffering.max.kbytes", BYTES_MAX).set("queue.buffering.max.messages", 10_000_000);
        // A topic that is really missing ends the sink, so a new one gets time to become known to every broker.
        self.set("topic.metadata.propagation.max.ms", 5_000);
        // What a topic takes is known to the caller; batches are bounded by `batch.size`.
        self.set("message.max.bytes", 1_000_000_000);
        self
    }

    fn offsets(mut self, group: &str) -> Self {
        // A commit waits for the group's coordinator for a session, and for its answer for the socket's time: it has
        // ended by the time its caller stops waiting, and a client that is dropped does not wait for long either.
        self.consumer(group).set("session.timeout.ms", 6_000).set("heartbeat.interval.ms", 2_000);
        self.set("socket.timeout.ms", 7_000);
        self
    }

    fn client(&self, cluster: &ClusterConfig, kind: Kind) -> Result<Client, Error> {
        let given = self.given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let own = self.own.iter().map(|(name, value)| (*name, value.as_str()));
        let properties: Vec<_> = given.chain(own).collect();
        Client::new(kind, &properties)
            .map_err(|text| Error::new(ErrorKind::Config, format!("cluster {}: {text}", cluster.name)))
    }
}

/// A partition's number as librdkafka has it.
pub(super) fn partition_number(place: &TopicPartition) -> Result<i32, Error> {
    i32::try_from(place.partition.0)
        .map_err(|_| Error::new(ErrorKind::UnknownTopic, format!("{place}: no cluster has so many partitions")))
}
