//! Names and numbers as types, so that a session is never taken for an epoch. Names are checked when they are made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name that breaks the rules of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} is not valid: {rule}")]
pub struct InvalidName {
    /// What the name was meant for, as shown to people.
    pub kind: &'static str,
    /// The refused text.
    pub value: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

/// The longest name Kafka takes for a topic (`org.apache.kafka.common.internals.Topic.MAX_NAME_LENGTH`); ours too.
pub const NAME_LENGTH_MAX: usize = 249;

fn check(kind: &'static str, value: &str) -> Result<(), InvalidName> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if value.is_empty() || value.len() > NAME_LENGTH_MAX || value == "." || value == ".." || !value.chars().all(legal) {
        let rule = "1 to 249 of letters, digits, '.', '_' and '-', and not '.' or '..'";
        return Err(InvalidName { kind, value: value.to_owned(), rule });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// Checks the name.
            pub fn new(value: impl AsRef<str>) -> Result<Self, InvalidName> {
                check($kind, value.as_ref())?;
                Ok(Self(value.as_ref().into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.to_string()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// One set of controllers and their workers, named once at bootstrap.
    FleetId,
    "fleet id"
);
name!(
    /// A Kafka cluster as the fleet knows it.
    ClusterName,
    "cluster name"
);
name!(
    /// A directed pair of clusters with its settings.
    RouteName,
    "route name"
);
name!(
    /// A Kafka topic.
    TopicName,
    "topic name"
);
name!(
    /// A worker process, stable over its restarts.
    WorkerId,
    "worker id"
);
name!(
    /// Workers that copy certain routes and nothing else.
    PoolName,
    "pool"
);

impl Default for PoolName {
    /// Where workers and routes are that name none.
    fn default() -> Self {
        Self("default".into())
    }
}

impl TopicName {
    /// Kafka's own topics (`__consumer_offsets` and its like), which are never copied.
    pub fn is_internal(&self) -> bool {
        self.as_str().starts_with("__")
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(pub u64);

        impl $type {
            /// The number that follows this one.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// Which grant of one partition this is. Grows by one at each grant; an older epoch never beats a newer one.
    Epoch
);
number!(
    /// Number of a change of the replicated table: its log index.
    Revision
);
number!(
    /// Grows at each leadership; carried in every push so that a deposed leader's push is recognised.
    ControllerEpoch
);
number!(
    /// Grows when controllers are restored from a backup; the first number that two snapshots are compared by.
    FleetIncarnation
);

/// A partition's number within its topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct Partition(pub u32);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One registration of a worker, made by the worker when it registers. Ordered by time: of two sessions with the same
/// epoch the greater one is the newer and wins.
///
/// Kept as bytes, the greatest first: a number of 16 bytes would have every row that names a session aligned to them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "ulid::Ulid", into = "ulid::Ulid")]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// A session that begins now. Reads the clock and the random generator: for the edges only.
    pub fn generate() -> Self {
        ulid::Ulid::generate().into()
    }

    /// The session with this number; greater numbers are newer.
    pub const fn from_number(number: u128) -> Self {
        Self(number.to_be_bytes())
    }
}

impl From<ulid::Ulid> for SessionId {
    fn from(id: ulid::Ulid) -> Self {
        Self::from_number(id.0)
    }
}

impl From<SessionId> for ulid::Ulid {
    fn from(id: SessionId) -> Self {
        Self(u128::from_be_bytes(id.0))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ulid::Ulid::from(*self), f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = InvalidName;
    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let rule = "26 characters of Crockford's base 32";
        let invalid = |_| InvalidName { kind: "session id", value: value.to_owned(), rule };
        ulid::Ulid::from_string(value).map(Self::from).map_err(invalid)
    }
}

/// Kafka's id of a topic (KIP-516): another one under the same name is another topic. Nil where the cluster has none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(pub uuid::Uuid);

impl TopicId {
    /// What a cluster without topic ids reports.
    pub const NONE: Self = Self(uuid::Uuid::nil());

    /// Whether both are known and differ: only then is it certain that the topic was deleted and created again.
    pub fn contradicts(self, other: Self) -> bool {
        self != Self::NONE && other != Self::NONE && self != other
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// A partition of a topic in one cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition within it.
    pub partition: Partition,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: TopicName, partition: Partition) -> Self {
        Self { topic, partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// The unit of assignment: one partition of one source topic on one route.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RoutePartition {
    /// The route.
    pub route: RouteName,
    /// The source topic.
    pub topic: TopicName,
    /// The partition, the same number on both sides.
    pub partition: Partition,
}

impl RoutePartition {
    /// Where it is read from.
    pub fn source(&self) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), self.partition)
    }
}

impl fmt::Display for RoutePartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.route, self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_outside_kafkas_rules_is_refused_with_the_rule() {
        for bad in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
            let error = TopicName::new(bad).expect_err(bad).to_string();
            assert!(error.contains("topic name") && error.contains("249"), "{error}");
        }
        assert_eq!(TopicName::new("a.b_c-1").expect("legal").as_str(), "a.b_c-1");
    }

    #[test]
    fn sessions_survive_their_text_form_and_keep_their_order() {
        let (older, newer) = (SessionId::from_number(5), SessionId::from_number(6));
        assert!(older < newer);
        assert_eq!(newer.to_string().parse::<SessionId>().expect("own text"), newer);
    }

    #[test]
    fn an_unknown_topic_id_contradicts_nothing() {
        let known = TopicId(uuid::Uuid::from_u128(1));
        assert!(!known.contradicts(TopicId::NONE) && !TopicId::NONE.contradicts(known) && !known.contradicts(known));
        assert!(known.contradicts(TopicId(uuid::Uuid::from_u128(2))));
    }
}
