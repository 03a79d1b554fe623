//! What a cluster says about itself, and changes to it, over librdkafka's admin interface.
//!
//! A call that the cluster lacks fails at once as `Unsupported`. librdkafka knows that from the ApiVersions of the broker
//! it asks, but only gets so far if it finds the controller: a cluster without one (librdkafka's own mock) is therefore
//! asked at any broker. See `docs/design/librdkafka-admin.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::ids::{TopicId, TopicName, TopicPartition};
use common::offsets::NextOffset;

use super::admin_offsets::{self, Found};
use super::errors;
use crate::admin::{ClusterAdmin, GroupMember, NewTopic, OffsetQuery, TopicConfig, TopicConfigs, TopicDescription};
use crate::error::{Error, ErrorKind};
use crate::ffi::admin::{self, Request};
use crate::ffi::admin_topics::{Named, Topic};
use crate::ffi::client::{Client, Kind};
use crate::ffi::code::{Code, Failure};
use crate::ffi::event::Happened;
use crate::ffi::{admin_configs, admin_groups, admin_reads, admin_topics};

/// How long a question may take. A broker that is alive answers in milliseconds.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// How long offsets may be looked for at first. What is left of a question's time is for looking again.
const FIRST_LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// With less time than this left, nothing more is asked.
const LEAST_TIMEOUT: Duration = Duration::from_millis(100);

/// How long the client surely knows the leaders of a topic that it described: it forgets them after `metadata.max.age.ms`,
/// 15 minutes.
const KNOWN_FOR: Duration = Duration::from_secs(300);

/// How long an order may take: the controller waits until all brokers know of it.
const ORDER_TIMEOUT: Duration = Duration::from_secs(10);

/// What is being done while topics are described.
const DESCRIBING: &str = "describing topic";

/// Topics described by one request, so that neither it nor its answer grows without bound.
const TOPICS_MAX: usize = 500;

const INVALID_PARTITIONS: Code = Code(37);
const GROUP_ID_NOT_FOUND: Code = Code(69);

/// What a group's coordinator answers while it starts.
const COORDINATOR_STARTS: [Code; 3] =
    [Code::COORDINATOR_LOAD_IN_PROGRESS, Code::COORDINATOR_NOT_AVAILABLE, Code::NOT_COORDINATOR];

/// How long to wait before it is asked again.
const COORDINATOR_PAUSE: Duration = Duration::from_millis(100);

/// An administrator of a real cluster. Any thread may use it.
#[derive(Debug)]
pub struct LibrdkafkaAdmin {
    client: Client,
    has_controller: AtomicBool,
    /// Topics that the cluster described, until when the client surely knows their leaders, and their partitions.
    known: Mutex<BTreeMap<String, (Instant, usize)>>,
}

/// Topics by name with what was found out about each.
type Answers<T> = BTreeMap<String, Result<T, Failure>>;

impl LibrdkafkaAdmin {
    /// An administrator whose client has this configuration, in librdkafka's words.
    pub fn new(config: BTreeMap<String, String>) -> Result<Self, Error> {
        let properties: Vec<_> = config.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // a producer: unlike a consumer it needs no group
        let client = Client::new(Kind::Producer, &properties).map_err(|text| Error::new(ErrorKind::Config, text))?;
        Ok(Self { client, has_controller: AtomicBool::new(false), known: Mutex::default() })
    }

    /// A request to whichever broker is responsible.
    fn request(&self, wait: Duration) -> Request<'_> {
        Request { client: &self.client, wait, broker: None }
    }

    /// A request to the controller; in a cluster that has none, to any broker.
    fn to_controller(&self, wait: Duration, doing: impl fmt::Display) -> Result<Request<'_>, Error> {
        let request = self.request(wait);
        if self.has_controller.load(Ordering::Relaxed) {
            return Ok(request);
        }
        let metadata = admin::metadata(&self.client, false, wait.min(QUESTION_TIMEOUT));
        let metadata = metadata.map_err(|failure| self.error(doing, &failure))?;
        // librdkafka would wait for it until the time is up
        if metadata.brokers.contains(&admin::controller(&self.client)) {
            self.has_controller.store(true, Ordering::Relaxed);
            return Ok(request);
        }
        Ok(Request { broker: metadata.brokers.first().copied(), ..request })
    }

    /// An error with what was being done. Where no answer came, what the client says of its connections tells more.
    fn error(&self, doing: impl fmt::Display, failure: &Failure) -> Error {
        let mut failure = failure.clone();
        if failure.text.trim_end().ends_with(':') {
            // a broker's own words are optional
            failure.text = format!("{} {}", failure.text.trim_end(), failure.code);
        }
        match failure.code {
            Code::POLICY_VIOLATION | INVALID_PARTITIONS => {
                Error::new(ErrorKind::InvalidConfig, format!("{doing}: {}", failure.text))
            }
            Code::TIMED_OUT | Code::TIMED_OUT_QUEUE | Code::TRANSPORT | Code::LEADER_NOT_AVAILABLE => {
                errors::error(doing, &self.reports().unwrap_or(failure))
            }
            _ => errors::error(doing, &failure),
        }
    }

    /// Forgets what the client reported of its connections, so that reports neither pile up nor outlive their truth.
    fn begin(&self) {
        self.reports();
    }

    /// What the client reported since it was asked last, if that tells why no answer came; a refused login first.
    fn reports(&self) -> Option<Failure> {
        let mut telling = None;
        while let Some(event) = self.client.poll(Duration::ZERO) {
            let Happened::Trouble(trouble) = event.happened() else { continue };
            match errors::kind(trouble.failure.code) {
                ErrorKind::Authentication => telling = Some(trouble.failure),
                ErrorKind::Unreachable if telling.is_none() && trouble.failure.code != Code::ALL_BROKERS_DOWN => {
                    telling = Some(trouble.failure);
                }
                _ => {}
            }
        }
        telling
    }

    /// Asks for something of each topic, none twice, in bounded requests.
    fn ask_each<T>(
        &self,
        doing: &str,
        wait: Duration,
        topics: &BTreeSet<&str>,
        ask: impl Fn(&Request<'_>, &[&str]) -> Result<Named<T>, Failure>,
    ) -> Result<Answers<T>, Error> {
        let missing = || Err(Failure::of(Code::UNKNOWN_TOPIC_OR_PART));
        let mut found: Answers<T> = topics.iter().map(|topic| ((*topic).to_owned(), missing())).collect();
        let topics: Vec<&str> = topics.iter().copied().collect();
        for some in topics.chunks(TOPICS_MAX) {
            let request = self.to_controller(wait, doing)?;
            found.extend(ask(&request, some).map_err(|failure| self.error(doing, &failure))?);
        }
        Ok(found)
    }

    /// Puts the answers into the order in which the topics were named.
    fn in_order<T: Clone, U>(
        &self,
        doing: &str,
        topics: &[TopicName],
        found: &Answers<T>,
        made: impl Fn(T) -> U,
    ) -> Vec<Result<U, Error>> {
        let answer = |topic: &TopicName| {
            let found = found[topic.as_str()].clone();
            found.map(&made).map_err(|failure| self.error(format_args!("{doing} {topic}"), &failure))
        };
        topics.iter().map(answer).collect()
    }

    /// Describes topics, after which the client knows their leaders.
    fn describe(&self, wait: Duration, topics: &BTreeSet<&str>) -> Result<Answers<Topic>, Error> {
        let found = self.ask_each(DESCRIBING, wait, topics, admin_topics::describe)?;
        let now = Instant::now();
        let mut known = self.known();
        known.retain(|_, (until, _)| now < *until);
        for (name, topic) in &found {
            known.remove(name);
            if let Ok(topic) = topic {
                known.insert(name.clone(), (now + KNOWN_FOR, topic.partitions));
            }
        }
        Ok(found)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, usize)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is only needed to look offsets up.
impl LibrdkafkaAdmin {
    /// Answers what needs no leader, and asks the leaders for the rest.
    ///
    /// The client must know them before it is asked: else it asks for them itself, and frees what it works on while it
    /// works on it if they become known in between (`rd_kafka_topic_partition_list_query_leaders_async`).
    fn look_up(&self, deadline: Instant, queries: &[(TopicPartition, OffsetQuery)]) -> Result<Vec<Found>, Error> {
        let topics: BTreeSet<&str> = queries.iter().map(|(place, _)| place.topic.as_str()).collect();
        let partitions = self.partitions(deadline, &topics)?;
        let is_there = |place: &TopicPartition| match &partitions[place.topic.as_str()] {
            Ok(partitions) if (place.partition.0 as usize) < *partitions => Ok(()),
            Ok(_) => Err(Failure::of(Code::UNKNOWN_PARTITION)),
            Err(failure) => Err(failure.clone()),
        };
        let found = admin_offsets::look_up(&self.request(time_left(deadline)), queries, is_there)?;
        found.map_err(|failure| self.error("looking up offsets", &failure))
    }

    /// How many partitions each topic has, as it was described not long ago or just now.
    fn partitions(&self, deadline: Instant, topics: &BTreeSet<&str>) -> Result<Answers<usize>, Error> {
        let now = Instant::now();
        let mut found = Answers::new();
        for (name, (until, partitions)) in self.known().iter() {
            if now < *until && topics.contains(name.as_str()) {
                found.insert(name.clone(), Ok(*partitions));
            }
        }
        let unknown = topics.iter().copied().filter(|topic| !found.contains_key(*topic)).collect();
        let described = self.describe(time_left(deadline), &unknown)?;
        found.extend(described.into_iter().map(|(name, topic)| (name, topic.map(|topic| topic.partitions))));
        Ok(found)
    }

    /// Describes topics anew and asks once more where `found` may be stale. Without time or an answer it stays.
    fn look_up_again(&self, deadline: Instant, queries: &[(TopicPartition, OffsetQuery)], found: &mut [Found]) {
        let places: Vec<usize> = (0..found.len()).filter(|at| admin_offsets::may_be_stale(&found[*at])).collect();
        if places.is_empty() || time_left(deadline) < LEAST_TIMEOUT {
            return;
        }
        let asked: Vec<_> = places.iter().map(|at| queries[*at].clone()).collect();
        let stale: BTreeSet<&str> = asked.iter().map(|(place, _)| place.topic.as_str()).collect();
        self.known().retain(|name, _| !stale.contains(name.as_str()));
        for (at, answer) in places.into_iter().zip(self.look_up(deadline, &asked).into_iter().flatten()) {
            found[at] = answer;
        }
    }
}

/// Asking for one topic twice is an error.
fn distinct(topics: &[TopicName]) -> BTreeSet<&str> {
    topics.iter().map(TopicName::as_str).collect()
}

fn time_left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

impl ClusterAdmin for LibrdkafkaAdmin {
    fn cluster_id(&self) -> Result<Option<String>, Error> {
        self.begin();
        admin::metadata(&self.client, false, QUESTION_TIMEOUT)
            .map_err(|failure| self.error("asking for the cluster's id", &failure))?;
        Ok(admin::cluster_id(&self.client))
    }

    fn topics(&self) -> Result<BTreeMap<TopicName, u32>, Error> {
        self.begin();
        let metadata = admin::metadata(&self.client, true, QUESTION_TIMEOUT)
            .map_err(|failure| self.error("listing topics", &failure))?;
        let named = metadata.topics.into_iter().filter_map(|(name, count)| Some((TopicName::new(name).ok()?, count)));
        Ok(named.collect())
    }

    fn describe_topics(&self, topics: &[TopicName]) -> Result<Vec<Result<TopicDescription, Error>>, Error> {
        self.begin();
        let found = self.describe(QUESTION_TIMEOUT, &distinct(topics))?;
        Ok(self.in_order(DESCRIBING, topics, &found, |topic| {
            let (may_read, may_write) = topic.rights.unwrap_or((true, true));
            TopicDescription {
                id: TopicId(uuid::Uuid::from_u64_pair(topic.id.0, topic.id.1)),
                partitions: u32::try_from(topic.partitions).unwrap_or(u32::MAX),
                may_read,
                may_write,
            }
        }))
    }

    fn topic_configs(&self, topics: &[TopicName]) -> Result<Vec<Result<TopicConfigs, Error>>, Error> {
        self.begin();
        let doing = "describing the settings of topic";
        let found = self.ask_each(doing, QUESTION_TIMEOUT, &distinct(topics), admin_configs::describe)?;
        Ok(self.in_order(doing, topics, &found, |settings| {
            let setting = |setting: admin_configs::Setting| {
                (setting.name, TopicConfig { value: setting.value, is_override: setting.is_override })
            };
            TopicConfigs(settings.into_iter().map(setting).collect())
        }))
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<(), Error> {
        self.begin();
        let doing = format_args!("creating topic {}", topic.name);
        let configs = topic.configs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let request = self.to_controller(ORDER_TIMEOUT, doing)?;
        admin_topics::create(&request, topic.name.as_str(), topic.partitions, configs)
            .map_err(|failure| self.error(doing, &failure))
    }

    fn grow_topic(&self, topic: &TopicName, partitions: u32) -> Result<(), Error> {
        self.begin();
        let doing = format_args!("growing topic {topic} to {partitions} partitions");
        let request = self.to_controller(ORDER_TIMEOUT, doing)?;
        admin_topics::grow(&request, topic.as_str(), partitions).map_err(|failure| self.error(doing, &failure))
    }

    fn set_topic_configs(&self, topic: &TopicName, configs: &BTreeMap<String, String>) -> Result<(), Error> {
        self.begin();
        let doing = format_args!("setting up topic {topic}");
        let configs = configs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let request = self.to_controller(ORDER_TIMEOUT, doing)?;
        admin_configs::set(&request, topic.as_str(), configs).map_err(|failure| self.error(doing, &failure))
    }

    fn offsets(&self, queries: &[(TopicPartition, OffsetQuery)]) -> Result<Vec<Result<NextOffset, Error>>, Error> {
        self.begin();
        let begin = Instant::now();
        let mut found = self.look_up(begin + FIRST_LOOK_TIMEOUT, queries)?;
        // A topic that is known may have grown meanwhile, and its leaders moved.
        self.look_up_again(begin + QUESTION_TIMEOUT, queries, &mut found);
        let report = self.reports();
        let answer = |(found, (place, _)): (Found, &(TopicPartition, OffsetQuery))| {
            found.map_err(|failure| {
                // what the client says of its connections tells more
                let told = report.as_ref().filter(|_| failure.code == Code::TIMED_OUT).unwrap_or(&failure);
                errors::error(format_args!("looking up an offset of {place}"), told)
            })
        };
        Ok(found.into_iter().zip(queries).map(answer).collect())
    }

    fn group_members(&self, group: &str) -> Result<Vec<GroupMember>, Error> {
        self.begin();
        match ask_coordinator(|| admin_reads::members(&self.request(QUESTION_TIMEOUT), group)) {
            Err(failure) if failure.code == GROUP_ID_NOT_FOUND => Ok(Vec::new()),
            Err(failure) => Err(self.error(format_args!("asking for the members of group {group}"), &failure)),
            Ok(members) => Ok(members
                .into_iter()
                .map(|member| GroupMember {
                    member_id: member.member_id,
                    client_id: member.client_id,
                    host: member.host,
                })
                .collect()),
        }
    }

    fn delete_group(&self, group: &str) -> Result<(), Error> {
        // A coordinator that can't tell about groups can't delete them either. librdkafka must not find that out: it would
        // count its own queue down twice (`rd_kafka_DeleteGroupsRequest`, then `rd_kafka_coord_req_fsm`) and abort the
        // process when the client ends.
        self.group_members(group)?;
        match ask_coordinator(|| admin_groups::delete(&self.request(QUESTION_TIMEOUT), group)) {
            Err(failure) if failure.code != GROUP_ID_NOT_FOUND => {
                Err(self.error(format_args!("deleting group {group}"), &failure))
            }
            _ => Ok(()),
        }
    }
}

/// Asks a group's coordinator, again while it starts: the first question of all lets the cluster create its topic of
/// groups.
fn ask_coordinator<T>(ask: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
    let deadline = Instant::now() + QUESTION_TIMEOUT;
    loop {
        match ask() {
            Err(failure) if COORDINATOR_STARTS.contains(&failure.code) && Instant::now() < deadline => {
                std::thread::sleep(COORDINATOR_PAUSE);
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
#[path = "admin_test.rs"]
mod tests;
