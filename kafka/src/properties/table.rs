//! The allow-list: each property with the clients it is for and what becomes of it. Names that end with a dot stand
//! for all that begin with them.

use super::Role;
use super::kind::Kind;

/// One line of the table.
pub(super) struct Rule {
    name: &'static str,
    roles: &'static [Role],
    pub(super) action: Action,
}

/// What becomes of a property.
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// Goes to librdkafka under this name.
    Pass(&'static str, Kind),
    /// Is read by whoever makes the client, not by the client.
    Caller(Kind),
    /// Changes nothing, for this reason, and is noted unless it has one of these values, which say what is done anyway.
    Ignore(&'static [&'static str], &'static str),
    /// Changes nothing with one of these values; any other is refused with this text.
    Only(&'static [&'static str], &'static str),
    /// Is refused with this text.
    Refuse(&'static str),
    /// Only makes sense with others: see `security`.
    Together,
}

impl Rule {
    /// Whether a client of this role takes notice.
    pub(super) fn is_for(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// The line for a property: its own, else that of the longest beginning.
pub(super) fn find(key: &str) -> Option<&'static Rule> {
    let begins = |rule: &&Rule| rule.name.ends_with('.') && key.starts_with(rule.name);
    let own = TABLE.iter().find(|rule| rule.name == key);
    own.or_else(|| TABLE.iter().filter(begins).max_by_key(|rule| rule.name.len()))
}

/// All names that can be set.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|rule| !matches!(rule.action, Action::Refuse(_))).map(|rule| rule.name)
}

/// All names, refused ones too.
#[cfg(test)]
pub(super) fn all_names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|rule| rule.name)
}

/// The names that go to librdkafka, each with values it must take.
#[cfg(all(test, feature = "librdkafka"))]
pub(super) fn passed() -> impl Iterator<Item = (&'static str, Vec<String>)> {
    TABLE.iter().filter_map(|rule| match rule.action {
        Action::Pass(name, Kind::Within(min, max)) => Some((name, vec![min.to_string(), max.to_string()])),
        Action::Pass(name, Kind::UpTo(max)) => Some((name, vec!["0".to_owned(), max.to_string()])),
        Action::Pass(name, Kind::Switch) => Some((name, vec!["true".to_owned(), "false".to_owned()])),
        Action::Pass(name, Kind::OneOf(values)) => Some((name, values.iter().map(|&value| value.into()).collect())),
        Action::Pass(name, Kind::Text) if !["debug", "compression.level"].contains(&name) => {
            Some((name, vec!["x".to_owned()]))
        }
        _ => None,
    })
}

/// Whether the value is a secret on its own.
pub(super) fn is_password(key: &str) -> bool {
    key.ends_with(".password") || ["ssl.key.pem", "ssl.keystore.key"].contains(&key)
}

/// Whether the value can be shown: the property is known, and neither a secret nor next to one.
pub(super) fn may_be_shown(key: &str) -> bool {
    let is_private = is_password(key) || key.starts_with("sasl.") || key.ends_with(".pem") || key.contains("secret");
    !is_private && TABLE.iter().any(|rule| rule.name == key) && !matches!(key, "bootstrap.servers" | "ssl.engine.id")
}

use Action::{Caller, Ignore, Only, Pass, Refuse, Together};
use Kind::{OneOf, Switch, Text, UpTo, Within};

const ALL: &[Role] = &[Role::Consumer, Role::Producer, Role::Admin];
const READ: &[Role] = &[Role::Consumer];
const WRITE: &[Role] = &[Role::Producer];

/// The greatest value of librdkafka's `int` properties.
const I32_MAX: u64 = 2_147_483_647;

const BYTES_STAY: &[&str] = &[
    "org.apache.kafka.common.serialization.ByteArrayDeserializer",
    "org.apache.kafka.common.serialization.ByteArraySerializer",
    "org.apache.kafka.common.serialization.BytesDeserializer",
    "org.apache.kafka.common.serialization.BytesSerializer",
    "org.apache.kafka.common.serialization.ByteBufferDeserializer",
    "org.apache.kafka.common.serialization.ByteBufferSerializer",
    "kafka.serializer.DefaultDecoder",
    "kafka.serializer.DefaultEncoder",
];
const BYTES_WOULD_CHANGE: &str = "records are copied byte for byte and pass no serializer: remove it";
const RUNS_CODE: &str = "it would load code or run a command in this process, so it cannot be set: remove it";
const JAVA_CODE: &str = "Java classes cannot be run here: remove it";
const NO_MEMBERSHIP: &str = "partitions are assigned without group membership";
const IDEMPOTENT: &str = "records are always written idempotently to all in-sync replicas, at least as safe as this";
const FOREVER: &str = "a record is sent until it is acknowledged or refused, so that none is lost";
const OWN_MEMORY: &str = "memory is bounded for all partitions together by the process's own setting";
const OWN_OFFSETS: &str = "offsets are stored by the commit interval, once the target has acknowledged the records";
const OWN_SETTING: &str = "it is chosen by the copier itself: remove it";
const NO_TRANSACTIONS: &str = "records are not written in transactions: remove it";
const NO_KERBEROS: &str = "this build has no Kerberos: use PLAIN or SCRAM in sasl.mechanism";
const NO_TOKENS: &str = "OAUTHBEARER is not supported: use PLAIN or SCRAM in sasl.mechanism";
const NO_ZOOKEEPER: &str = "ZooKeeper is not used: give the brokers in bootstrap.servers instead";
const NO_JAVA_STORE: &str = "Java's key managers are not used: give certificates as PEM or PKCS12 files";

const fn rule(name: &'static str, roles: &'static [Role], action: Action) -> Rule {
    Rule { name, roles, action }
}

/// A property whose name and meaning are the same on both sides.
const fn same(name: &'static str, roles: &'static [Role], kind: Kind) -> Rule {
    rule(name, roles, Pass(name, kind))
}

#[rustfmt::skip]
static TABLE: &[Rule] = &[
    // the cluster and the connections to it
    same("bootstrap.servers", ALL, Text),
    rule("metadata.broker.list", ALL, Pass("bootstrap.servers", Text)),
    same("client.id", ALL, Text),
    same("client.rack", READ, Text),
    same("client.dns.lookup", ALL, OneOf(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"])),
    rule("request.timeout.ms", ALL, Pass("socket.timeout.ms", Within(10, 300_000))),
    same("socket.timeout.ms", ALL, Within(10, 300_000)),
    same("socket.connection.setup.timeout.ms", ALL, Within(1_000, I32_MAX)),
    rule("socket.connection.setup.timeout.max.ms", ALL, Ignore(&[], "reconnect.backoff.max.ms bounds the pauses")),
    same("socket.keepalive.enable", ALL, Switch),
    same("socket.nagle.disable", ALL, Switch),
    same("socket.max.fails", ALL, Within(0, 1_000_000)),
    same("socket.send.buffer.bytes", ALL, UpTo(100_000_000)),
    same("socket.receive.buffer.bytes", ALL, UpTo(100_000_000)),
    rule("send.buffer.bytes", ALL, Pass("socket.send.buffer.bytes", UpTo(100_000_000))),
    rule("receive.buffer.bytes", ALL, Pass("socket.receive.buffer.bytes", UpTo(100_000_000))),
    rule("socket.buffersize", ALL, Pass("socket.receive.buffer.bytes", UpTo(100_000_000))),
    same("broker.address.family", ALL, OneOf(&["any", "v4", "v6"])),
    same("broker.address.ttl", ALL, Within(0, 86_400_000)),
    same("connections.max.idle.ms", ALL, UpTo(I32_MAX)),
    same("reconnect.backoff.ms", ALL, Within(0, 3_600_000)),
    same("reconnect.backoff.max.ms", ALL, Within(0, 3_600_000)),
    same("retry.backoff.ms", ALL, Within(1, 300_000)),
    same("retry.backoff.max.ms", ALL, Within(1, 300_000)),
    rule("metadata.max.age.ms", ALL, Pass("topic.metadata.refresh.interval.ms", Within(1, 3_600_000))),
    same("topic.metadata.refresh.interval.ms", ALL, Within(1, 3_600_000)),
    same("metadata.recovery.strategy", ALL, OneOf(&["none", "rebootstrap"])),
    same("metadata.recovery.rebootstrap.trigger.ms", ALL, Within(0, I32_MAX)),
    same("enable.metrics.push", ALL, Switch),
    same("log.connection.close", ALL, Switch),
    same("debug", ALL, Text),
    rule("default.api.timeout.ms", ALL, Ignore(&[], "each request has its own limit, request.timeout.ms")),

    // reading
    same("fetch.min.bytes", READ, Within(1, 100_000_000)),
    same("fetch.max.bytes", READ, Within(0, 2_147_483_135)),
    same("fetch.wait.max.ms", READ, Within(0, 300_000)),
    rule("fetch.max.wait.ms", READ, Pass("fetch.wait.max.ms", Within(0, 300_000))),
    same("max.partition.fetch.bytes", READ, Within(1, 1_000_000_000)),
    rule("fetch.message.max.bytes", READ, Pass("max.partition.fetch.bytes", Within(1, 1_000_000_000))),
    same("fetch.error.backoff.ms", READ, Within(0, 300_000)),
    same("check.crcs", READ, Switch),
    rule("max.poll.records", READ, Ignore(&[], "records are taken one by one")),
    rule("queued.max.message.chunks", READ, Ignore(&[], OWN_MEMORY)),
    rule("group.id", READ, Caller(Text)),
    rule("auto.offset.reset", READ, Caller(OneOf(&["earliest", "latest", "none", "smallest", "largest"]))),
    rule("enable.auto.commit", READ, Ignore(&["false"], OWN_OFFSETS)),
    rule("auto.commit.enable", READ, Ignore(&["false"], OWN_OFFSETS)),
    rule("auto.commit.interval.ms", READ, Ignore(&[], OWN_OFFSETS)),
    rule("isolation.level", READ, Only(&["read_committed"],
        "records of aborted transactions would be copied as if they were valid: remove it, committed ones are read")),
    rule("exclude.internal.topics", READ, Only(&["true"], "Kafka's internal topics are never copied: remove it")),
    rule("consumer.timeout.ms", READ, Only(&["-1"], "reading does not end for want of records: use --until-end")),
    rule("allow.auto.create.topics", ALL, Ignore(&["false"], "no topic is ever created by asking for it")),
    rule("partition.assignment.strategy", READ, Ignore(&[], NO_MEMBERSHIP)),
    rule("session.timeout.ms", READ, Ignore(&[], NO_MEMBERSHIP)),
    rule("heartbeat.interval.ms", READ, Ignore(&[], NO_MEMBERSHIP)),
    rule("max.poll.interval.ms", READ, Ignore(&[], NO_MEMBERSHIP)),
    rule("group.instance.id", READ, Ignore(&[], NO_MEMBERSHIP)),
    rule("group.protocol", READ, Ignore(&[], NO_MEMBERSHIP)),
    rule("group.remote.assignor", READ, Ignore(&[], NO_MEMBERSHIP)),
    rule("key.deserializer", READ, Only(BYTES_STAY, BYTES_WOULD_CHANGE)),
    rule("value.deserializer", READ, Only(BYTES_STAY, BYTES_WOULD_CHANGE)),
    rule("dual.commit.enabled", READ, Refuse(NO_ZOOKEEPER)),
    rule("offsets.storage", READ, Only(&["kafka"], "offsets are kept in Kafka only: remove it")),

    // writing
    same("linger.ms", WRITE, Within(0, 900_000)),
    rule("queue.buffering.max.ms", WRITE, Pass("linger.ms", Within(0, 900_000))),
    same("batch.size", WRITE, Within(1, I32_MAX)),
    same("batch.num.messages", WRITE, Within(1, 1_000_000)),
    same("compression.type", WRITE, OneOf(&["none", "gzip", "snappy", "lz4", "zstd"])),
    rule("compression.codec", WRITE, Pass("compression.type", OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]))),
    same("compression.level", WRITE, Text),
    rule("compression.gzip.level", WRITE, Ignore(&[], "use compression.level")),
    rule("compression.lz4.level", WRITE, Ignore(&[], "use compression.level")),
    rule("compression.zstd.level", WRITE, Ignore(&[], "use compression.level")),
    rule("acks", WRITE, Ignore(&["all", "-1"], IDEMPOTENT)),
    rule("request.required.acks", WRITE, Ignore(&["all", "-1"], IDEMPOTENT)),
    rule("enable.idempotence", WRITE, Ignore(&["true"], IDEMPOTENT)),
    rule("max.in.flight.requests.per.connection", WRITE, Ignore(&[], "the order of a partition is kept at any number")),
    rule("retries", WRITE, Ignore(&[], FOREVER)),
    rule("message.send.max.retries", WRITE, Ignore(&[], FOREVER)),
    rule("delivery.timeout.ms", WRITE, Ignore(&[], FOREVER)),
    rule("message.timeout.ms", WRITE, Ignore(&[], FOREVER)),
    rule("buffer.memory", WRITE, Ignore(&[], OWN_MEMORY)),
    rule("max.block.ms", WRITE, Ignore(&[], "a full queue holds reading back and drops nothing")),
    rule("max.request.size", WRITE, Ignore(&[], "the target topic's max.message.bytes decides")),
    rule("message.max.bytes", WRITE, Ignore(&[], "the target topic's max.message.bytes decides")),
    rule("producer.type", WRITE, Ignore(&["async"], "records are always sent in the background and waited for")),
    rule("key.serializer", WRITE, Only(BYTES_STAY, BYTES_WOULD_CHANGE)),
    rule("value.serializer", WRITE, Only(BYTES_STAY, BYTES_WOULD_CHANGE)),
    rule("serializer.class", WRITE, Only(BYTES_STAY, BYTES_WOULD_CHANGE)),
    rule("key.serializer.class", WRITE, Only(BYTES_STAY, BYTES_WOULD_CHANGE)),
    rule("partitioner.class", WRITE, Refuse("each record keeps its partition number: remove it")),
    rule("partitioner", WRITE, Refuse("each record keeps its partition number: remove it")),
    rule("partitioner.ignore.keys", WRITE, Ignore(&[], "each record keeps its partition number")),
    rule("partitioner.adaptive.partitioning.enable", WRITE, Ignore(&[], "each record keeps its partition number")),
    rule("partitioner.availability.timeout.ms", WRITE, Ignore(&[], "each record keeps its partition number")),
    rule("transactional.id", WRITE, Refuse(NO_TRANSACTIONS)),
    rule("transaction.timeout.ms", WRITE, Ignore(&[], "records are not written in transactions")),

    // who we are, and who the brokers are
    rule("security.protocol", ALL, Together),
    rule("sasl.mechanism", ALL, Together),
    rule("sasl.mechanisms", ALL, Together),
    rule("sasl.jaas.config", ALL, Together),
    rule("sasl.username", ALL, Together),
    rule("sasl.password", ALL, Together),
    rule("ssl.truststore.location", ALL, Together),
    rule("ssl.truststore.type", ALL, Together),
    rule("ssl.truststore.password", ALL, Together),
    rule("ssl.truststore.certificates", ALL, Together),
    rule("ssl.keystore.location", ALL, Together),
    rule("ssl.keystore.type", ALL, Together),
    rule("ssl.keystore.password", ALL, Together),
    rule("ssl.keystore.key", ALL, Together),
    rule("ssl.keystore.certificate.chain", ALL, Together),
    rule("ssl.key.password", ALL, Together),
    rule("ssl.key.location", ALL, Together),
    rule("ssl.key.pem", ALL, Together),
    rule("ssl.certificate.location", ALL, Together),
    rule("ssl.certificate.pem", ALL, Together),
    rule("ssl.ca.location", ALL, Together),
    rule("ssl.ca.pem", ALL, Together),
    rule("ssl.endpoint.identification.algorithm", ALL, Together),
    rule("ssl.enabled.protocols", ALL, Together),
    rule("ssl.protocol", ALL, Together),
    same("ssl.crl.location", ALL, Text),
    same("ssl.cipher.suites", ALL, Text),
    same("ssl.curves.list", ALL, Text),
    same("ssl.sigalgs.list", ALL, Text),
    same("enable.ssl.certificate.verification", ALL, Switch),
    rule("ssl.provider", ALL, Refuse(JAVA_CODE)),
    rule("ssl.secure.random.implementation", ALL, Ignore(&[], "random numbers come from OpenSSL")),
    rule("ssl.keymanager.algorithm", ALL, Refuse(NO_JAVA_STORE)),
    rule("ssl.trustmanager.algorithm", ALL, Refuse(NO_JAVA_STORE)),
    rule("sasl.kerberos.", ALL, Refuse(NO_KERBEROS)),
    rule("sasl.kerberos.kinit.cmd", ALL, Refuse(RUNS_CODE)),
    rule("sasl.oauthbearer.", ALL, Refuse(NO_TOKENS)),
    rule("enable.sasl.oauthbearer.unsecure.jwt", ALL, Refuse(NO_TOKENS)),
    rule("sasl.login.", ALL, Refuse("logging in is not adjustable: remove it")),
    rule("sasl.login.class", ALL, Refuse(JAVA_CODE)),
    rule("sasl.login.callback.handler.class", ALL, Refuse(JAVA_CODE)),
    rule("sasl.client.callback.handler.class", ALL, Refuse(JAVA_CODE)),

    // what is refused whatever its value, with the reason
    rule("plugin.library.paths", ALL, Refuse(RUNS_CODE)),
    rule("ssl.engine.location", ALL, Refuse(RUNS_CODE)),
    rule("ssl.engine.id", ALL, Refuse(RUNS_CODE)),
    rule("ssl.engine.factory.class", ALL, Refuse(JAVA_CODE)),
    rule("ssl.providers", ALL, Refuse(RUNS_CODE)),
    rule("security.providers", ALL, Refuse(JAVA_CODE)),
    rule("interceptor.classes", ALL, Only(&[""], JAVA_CODE)),
    rule("metric.reporters", ALL, Only(&["", "org.apache.kafka.common.metrics.JmxReporter"],
        "Java classes cannot be run here: remove it, metrics are served over HTTP")),
    rule("auto.include.jmx.reporter", ALL, Ignore(&[], "metrics are served over HTTP")),
    rule("metrics.", ALL, Ignore(&[], "metrics are served over HTTP")),
    rule("config.providers", ALL, Only(&["", "file", "env", "file,env", "env,file"],
        "only ${file:PATH} and ${env:NAME} are known: remove it")),
    rule("zookeeper.", ALL, Refuse(NO_ZOOKEEPER)),
    rule("statistics.interval.ms", ALL, Refuse(OWN_SETTING)),
    rule("enable.partition.eof", ALL, Refuse(OWN_SETTING)),
    rule("enable.auto.offset.store", ALL, Refuse(OWN_SETTING)),
    rule("enable.gapless.guarantee", ALL, Refuse(OWN_SETTING)),
    rule("fetch.queue.backoff.ms", ALL, Refuse(OWN_SETTING)),
    rule("queued.min.messages", ALL, Refuse(OWN_SETTING)),
    rule("queued.max.messages.kbytes", ALL, Refuse(OWN_SETTING)),
    rule("queue.buffering.max.kbytes", ALL, Refuse(OWN_SETTING)),
    rule("queue.buffering.max.messages", ALL, Refuse(OWN_SETTING)),
    rule("receive.message.max.bytes", ALL, Refuse(OWN_SETTING)),
];
