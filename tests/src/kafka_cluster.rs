//! A Kafka cluster of one broker (KRaft, broker and controller in one process). Owns its process, ports and data;
//! never creates topics, and never calls itself started before the broker answers.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use std::{fs, thread};

use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::child::{self, Child, Signal};
use crate::jars::{self, Jars};
use crate::scratch::{self, Scratch};
use crate::{admin, ports, wait};

const START_DEADLINE: Duration = Duration::from_secs(90);
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// What a cluster is given beyond the defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Server properties; they win over the defaults.
    pub properties: &'a [(&'a str, &'a str)],
    /// Users of a second listener, SASL_PLAINTEXT with the mechanism PLAIN: name and password. With users an
    /// authorizer is on: they may do what ACLs allow them, while the plain listener may do everything.
    pub users: &'a [(&'a str, &'a str)],
}

/// A running broker; killed and its data removed when dropped.
#[derive(Debug)]
pub struct KafkaCluster {
    bootstrap: String,
    sasl_bootstrap: String,
    scratch: Scratch,
    broker: Mutex<Option<Child>>,
}

/// The two clusters that all tests of one binary share: use topics and groups with names of your own.
pub fn shared() -> (&'static KafkaCluster, &'static KafkaCluster) {
    static SHARED: OnceLock<(KafkaCluster, KafkaCluster)> = OnceLock::new();
    let (source, target) = SHARED.get_or_init(|| KafkaCluster::start_pair("shared", Options::default()));
    (source, target)
}

impl KafkaCluster {
    /// Starts a private cluster and waits until it answers.
    pub fn start(name: &str, options: Options<'_>) -> Self {
        let (plain, sasl, controller) = (ports::free(), ports::free(), ports::free());
        let scratch = Scratch::new(name);
        let data = scratch.path().join("data");
        format_storage(&data, plain);
        let mut properties = vec![
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", "1".to_owned()),
            ("controller.quorum.voters", format!("1@127.0.0.1:{controller}")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            ("log.dirs", data.display().to_string()),
            ("listener.security.protocol.map", PROTOCOLS.to_owned()),
        ];
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}");
        if !options.users.is_empty() {
            listeners += &format!(",SASL_PLAINTEXT://127.0.0.1:{sasl}");
            let users = options.users.iter().map(|(user, password)| format!(" user_{user}=\"{password}\""));
            let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
            let jaas = format!("{module}{};", users.collect::<String>());
            properties.push(("sasl.enabled.mechanisms", "PLAIN".to_owned()));
            properties.push(("listener.name.sasl_plaintext.plain.sasl.jaas.config", jaas));
            let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
            properties.push(("authorizer.class.name", authorizer.to_owned()));
            properties.push(("super.users", "User:ANONYMOUS".to_owned()));
        }
        properties.push(("listeners", listeners));
        properties.extend(QUICK_START.iter().map(|(key, value)| (*key, (*value).to_owned())));
        // The last value of a key wins in Java's properties files.
        properties.extend(options.properties.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let lines: Vec<(&str, &str)> = properties.iter().map(|(key, value)| (*key, value.as_str())).collect();
        scratch.write_properties("server.properties", &lines);
        let cluster = Self {
            bootstrap: format!("127.0.0.1:{plain}"),
            sasl_bootstrap: format!("127.0.0.1:{sasl}"),
            scratch,
            broker: Mutex::new(None),
        };
        cluster.start_again();
        cluster
    }

    /// Starts two private clusters at the same time.
    pub fn start_pair(name: &str, options: Options<'_>) -> (Self, Self) {
        thread::scope(|scope| {
            let source = scope.spawn(|| Self::start(&format!("{name}-source"), options));
            let target = scope.spawn(|| Self::start(&format!("{name}-target"), options));
            (source.join().expect("start the source cluster"), target.join().expect("start the target cluster"))
        })
    }

    /// The address of the plain listener, which may do everything.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The address of the listener for [`Options::users`].
    pub fn sasl_bootstrap(&self) -> &str {
        &self.sasl_bootstrap
    }

    /// Sends a signal to the broker: SIGSTOP makes it stall, SIGCONT go on.
    pub fn signal(&self, signal: Signal) {
        self.broker().as_mut().expect("the broker runs").signal(signal);
    }

    /// Ends the broker by SIGKILL; its data stays.
    pub fn kill(&self) {
        self.broker().take().expect("the broker runs").kill();
    }

    /// Ends the broker by SIGTERM and waits; its data stays.
    pub fn stop(&self) {
        let mut broker = self.broker().take().expect("the broker runs");
        broker.signal(Signal::Terminate);
        assert!(broker.wait(STOP_DEADLINE).is_some(), "the broker did not stop:\n{}", self.log_tail());
    }

    /// Starts the broker on its ports and data after [`Self::kill`] or [`Self::stop`], and waits until it answers.
    pub fn start_again(&self) {
        let mut java = Jars::Kafka.java(512);
        java.arg("-Xms512m").arg("kafka.Kafka").arg(self.scratch.path().join("server.properties"));
        java.current_dir(self.scratch.path());
        java.stdout(self.scratch.log("broker.log")).stderr(self.scratch.log("broker.log"));
        let previous = self.broker().replace(child::spawn(java).expect("start java (is Java 17 installed?)"));
        assert!(previous.is_none(), "the broker already runs");
        self.wait_until_it_answers();
    }

    /// [`Self::stop`] and [`Self::start_again`].
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// The last lines of the broker's log.
    pub fn log_tail(&self) -> String {
        scratch::tail(&self.scratch.path().join("broker.log"), 40)
    }

    fn wait_until_it_answers(&self) {
        let mut config = admin::client_config(&self.bootstrap);
        config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "200");
        let client: BaseConsumer = config.create().expect("create a client");
        let answers = wait::until_or_none(START_DEADLINE, || {
            let exit = self.broker().as_mut().and_then(Child::try_wait);
            assert!(exit.is_none(), "the broker ended: {exit:?}\n{}", self.log_tail());
            let metadata = client.fetch_metadata(None, Duration::from_millis(500));
            metadata.is_ok_and(|metadata| metadata.brokers().len() == 1).then_some(())
        });
        assert!(answers.is_some(), "the broker gave no answer within {START_DEADLINE:?}:\n{}", self.log_tail());
    }

    fn broker(&self) -> MutexGuard<'_, Option<Child>> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const PROTOCOLS: &str = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT";

/// One broker is the whole cluster, starts fast, compacts soon, and does not wait for group members.
const QUICK_START: &[(&str, &str)] = &[
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "8"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "8"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    // A killed broker cannot register again before its old session has run out (9 s by default).
    ("broker.session.timeout.ms", "3000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("log.cleaner.backoff.ms", "100"),
    // Records with old timestamps must stay, unless a topic says otherwise; then they go within a second.
    ("log.retention.ms", "-1"),
    ("log.retention.check.interval.ms", "1000"),
    ("num.recovery.threads.per.data.dir", "2"),
];

/// Copies formatted storage from the cache, under a cluster id of its own: formatting takes a JVM, copying nothing.
fn format_storage(data: &Path, plain_port: u16) {
    const TEMPLATE_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";
    let jars = Jars::Kafka.directory();
    let jars_name = jars.file_name().and_then(|name| name.to_str()).expect("the jars' directory has a plain name");
    let template = jars::cache().join(format!("{jars_name}-storage"));
    jars::make_once(&template, |partial| {
        let log_dir = partial.display().to_string();
        let scratch = Scratch::new("format");
        let roles = ("process.roles", "broker,controller");
        let listeners = ("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093");
        let quorum = ("controller.quorum.voters", "1@127.0.0.1:9093");
        let names = ("controller.listener.names", "CONTROLLER");
        let properties = [roles, listeners, quorum, names, ("node.id", "1"), ("log.dirs", &log_dir)];
        let file = scratch.write_properties("server.properties", &properties);
        let mut java = Jars::Kafka.java(256);
        java.args(["kafka.tools.StorageTool", "format", "-t", TEMPLATE_ID, "-c"]).arg(file);
        let output = java.output().expect("start java (is Java 17 installed?)");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "formatting the storage failed:\n{text}");
    });
    fs::create_dir_all(data).expect("create the data directory");
    for file in fs::read_dir(&template).expect("read the formatted storage").flatten() {
        fs::copy(file.path(), data.join(file.file_name())).expect("copy the formatted storage");
    }
    let meta = data.join("meta.properties");
    let text = fs::read_to_string(&meta).expect("read meta.properties");
    assert!(text.contains(TEMPLATE_ID), "no cluster id in meta.properties:\n{text}");
    // 22 characters of URL-safe base64, as Kafka wants it; no two clusters of this machine share a port.
    let cluster_id = format!("replisome-tests-{plain_port:A>6}");
    fs::write(&meta, text.replace(TEMPLATE_ID, &cluster_id)).expect("write meta.properties");
}
