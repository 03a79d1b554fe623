//! What a cluster says about itself, and changes to it, over librdkafka's admin interface.
//!
//! A call that the cluster lacks fails at once as `Unsupported`. librdkafka knows that from the ApiVersions of the broker
//! it asks, but only gets so far if it finds the controller: a cluster without one (librdkafka's own mock) is therefore
//! asked at any broker. See `docs/design/librdkafka-admin.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::ids::{TopicId, TopicName, TopicPartition};
use common::offsets::NextOffset;

use super::admin_offsets::{self, Found, NO_LEADER};
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

/// How soon all topics may be asked for again because of partitions that are not found.
const RENEW_PAUSE: Duration = Duration::from_secs(2);

/// How long an order may take: the controller waits until all brokers know of it.
const ORDER_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// When the client's idea of the topics was renewed last.
    renewed: Mutex<Option<Instant>>,
}

impl LibrdkafkaAdmin {
    /// An administrator whose client has this configuration, in librdkafka's words.
    pub fn new(config: BTreeMap<String, String>) -> Result<Self, Error> {
        let properties: Vec<_> = config.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // a producer: unlike a consumer it needs no group
        let client = Client::new(Kind::Producer, &properties).map_err(|text| Error::new(ErrorKind::Config, text))?;
        Ok(Self { client, has_controller: AtomicBool::new(false), renewed: Mutex::new(None) })
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

    /// Asks for something of each topic, in bounded requests, and puts the answers into the order asked.
    fn for_each<T: Clone, U>(
        &self,
        doing: &str,
        wait: Duration,
        topics: &[TopicName],
        ask: impl Fn(&Request<'_>, &[&str]) -> Result<Named<T>, Failure>,
        made: impl Fn(T) -> U,
    ) -> Result<Vec<Result<U, Error>>, Error> {
        self.begin();
        // asking for one twice is an error
        let distinct: Vec<&str> = topics.iter().map(TopicName::as_str).collect::<BTreeSet<_>>().into_iter().collect();
        let mut found: BTreeMap<String, Result<T, Failure>> = BTreeMap::new();
        for some in distinct.chunks(TOPICS_MAX) {
            let request = self.to_controller(wait, doing)?;
            found.extend(ask(&request, some).map_err(|failure| self.error(doing, &failure))?);
        }
        let answer = |topic: &TopicName| {
            let missing = || Failure::of(Code::UNKNOWN_TOPIC_OR_PART);
            let found = found.get(topic.as_str()).cloned().unwrap_or_else(|| Err(missing()));
            found.map(&made).map_err(|failure| self.error(format_args!("{doing} {topic}"), &failure))
        };
        Ok(topics.iter().map(answer).collect())
    }
}

/// What is only needed to look offsets up.
impl LibrdkafkaAdmin {
    fn look_up(&self, wait: Duration, queries: &[(TopicPartition, OffsetQuery)]) -> Result<Vec<Found>, Error> {
        let found = admin_offsets::look_up(&self.request(wait), queries)?;
        found.map_err(|failure| self.error("looking up offsets", &failure))
    }

    /// Asks once more where `found` may be stale. Without time or an answer it stays.
    fn look_up_again(&self, deadline: Instant, queries: &[(TopicPartition, OffsetQuery)], found: &mut [Found]) {
        let left = time_left(deadline);
        if left < LEAST_TIMEOUT {
            return;
        }
        let places: Vec<usize> = (0..found.len()).filter(|at| admin_offsets::may_be_stale(&found[*at])).collect();
        let asked: Vec<_> = places.iter().map(|at| queries[*at].clone()).collect();
        for (at, answer) in places.into_iter().zip(self.look_up(left, &asked).into_iter().flatten()) {
            found[at] = answer;
        }
    }

    /// Has the client ask for all topics, unless it did so just now; whether it has.
    fn renew_topics(&self, deadline: Instant) -> bool {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.is_some_and(|at| at.elapsed() < RENEW_PAUSE) || time_left(deadline) < LEAST_TIMEOUT {
            return false;
        }
        *renewed = Some(Instant::now());
        drop(renewed);
        admin::metadata(&self.client, true, time_left(deadline)).is_ok()
    }

    /// The client does not say whether a partition without a leader is missing, denied or only between two leaders.
    fn why_no_leader(&self, deadline: Instant, places: &BTreeSet<&TopicPartition>) -> BTreeMap<TopicPartition, Error> {
        let topics: Vec<_> = places.iter().map(|place| place.topic.clone()).collect();
        let described = match self.describe(time_left(deadline).max(LEAST_TIMEOUT), &topics) {
            Ok(described) => described,
            Err(error) => topics.iter().map(|_| Err(error.clone())).collect(),
        };
        let why = |(place, described): (&&TopicPartition, Result<TopicDescription, Error>)| {
            let code = match described {
                Ok(topic) if topic.partitions > place.partition.0 => Code::LEADER_NOT_AVAILABLE,
                Ok(_) => Code::UNKNOWN_PARTITION,
                Err(error) => return ((*place).clone(), error),
            };
            ((*place).clone(), errors::error(format_args!("looking up an offset of {place}"), &Failure::of(code)))
        };
        places.iter().zip(described).map(why).collect()
    }

    fn describe(&self, wait: Duration, topics: &[TopicName]) -> Result<Vec<Result<TopicDescription, Error>>, Error> {
        self.for_each("describing topic", wait, topics, admin_topics::describe, |topic: Topic| {
            let (may_read, may_write) = topic.rights.unwrap_or((true, true));
            TopicDescription {
                id: TopicId(uuid::Uuid::from_u64_pair(topic.id.0, topic.id.1)),
                partitions: u32::try_from(topic.partitions).unwrap_or(u32::MAX),
                may_read,
                may_write,
            }
        })
    }
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
        self.describe(QUESTION_TIMEOUT, topics)
    }

    fn topic_configs(&self, topics: &[TopicName]) -> Result<Vec<Result<TopicConfigs, Error>>, Error> {
        self.for_each(
            "describing the settings of topic",
            QUESTION_TIMEOUT,
            topics,
            admin_configs::describe,
            |settings| {
                let setting = |setting: admin_configs::Setting| {
                    (setting.name, TopicConfig { value: setting.value, is_override: setting.is_override })
                };
                TopicConfigs(settings.into_iter().map(setting).collect())
            },
        )
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
        let deadline = Instant::now() + QUESTION_TIMEOUT;
        let mut found = self.look_up(FIRST_LOOK_TIMEOUT, queries)?;
        // The client keeps topics as it saw them last: a partition that is new to it, or has moved, is looked for once
        // more.
        if found.iter().any(admin_offsets::may_be_stale) && self.renew_topics(deadline) {
            self.look_up_again(deadline, queries, &mut found);
        }
        let report = self.reports();
        let is_leaderless = |found: &Found| matches!(found, Err(failure) if failure.code == NO_LEADER);
        let leaderless =
            queries.iter().zip(&found).filter(|(_, found)| is_leaderless(found)).map(|((place, _), _)| place);
        let why_no_leader = self.why_no_leader(deadline, &leaderless.collect());
        let answer = |(found, (place, _)): (Found, &(TopicPartition, OffsetQuery))| {
            found.map_err(|failure| {
                if let Some(error) = why_no_leader.get(place).filter(|_| failure.code == NO_LEADER) {
                    return error.clone();
                }
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
        self.begin();
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
