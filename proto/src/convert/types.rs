//! What more than one service speaks of.

use common::assignment::Version;
use common::config::{ClientProperties, ClusterConfig, Delivery};
use common::ids::{ControllerEpoch, FleetIncarnation, InvalidName, Partition, Revision, RoutePartition, TopicId};
use common::offsets::{NextOffset, StartPosition};
use common::reason::Reason;

use super::malformed::Malformed;
use crate::v1;

/// Reads a name, or says which field broke its rule.
pub(super) fn name<T: std::str::FromStr<Err = InvalidName>>(field: &'static str, value: &str) -> Result<T, Malformed> {
    value.parse().map_err(|error| Malformed::new(field, error))
}

/// Reads a message that must be there.
pub(super) fn required<M, T: TryFrom<M, Error = Malformed>>(
    field: &'static str,
    value: Option<M>,
) -> Result<T, Malformed> {
    value.ok_or_else(|| Malformed::missing(field))?.try_into()
}

/// Reads a topic id.
pub(super) fn topic_id(field: &'static str, bytes: &[u8]) -> Result<TopicId, Malformed> {
    uuid::Uuid::from_slice(bytes).map(TopicId).map_err(|error| Malformed::new(field, error))
}

impl From<RoutePartition> for v1::RoutePartition {
    fn from(from: RoutePartition) -> Self {
        Self { route: from.route.into(), topic: from.topic.into(), partition: from.partition.0 }
    }
}

impl TryFrom<v1::RoutePartition> for RoutePartition {
    type Error = Malformed;

    fn try_from(from: v1::RoutePartition) -> Result<Self, Malformed> {
        let (route, topic) = (name("route", &from.route)?, name("topic", &from.topic)?);
        Ok(Self { route, topic, partition: Partition(from.partition) })
    }
}

impl From<ClusterConfig> for v1::Cluster {
    fn from(from: ClusterConfig) -> Self {
        Self { name: from.name.into(), properties: from.properties.0.into_iter().collect() }
    }
}

impl TryFrom<v1::Cluster> for ClusterConfig {
    type Error = Malformed;

    fn try_from(from: v1::Cluster) -> Result<Self, Malformed> {
        let properties = ClientProperties(from.properties.into_iter().collect());
        Ok(Self { name: name("cluster", &from.name)?, properties })
    }
}

impl From<Delivery> for v1::Delivery {
    fn from(from: Delivery) -> Self {
        match from {
            Delivery::AtLeastOnce => Self::AtLeastOnce,
        }
    }
}

impl TryFrom<v1::Delivery> for Delivery {
    type Error = Malformed;

    fn try_from(from: v1::Delivery) -> Result<Self, Malformed> {
        match from {
            v1::Delivery::AtLeastOnce => Ok(Self::AtLeastOnce),
            v1::Delivery::Unspecified => Err(Malformed::missing("delivery")),
        }
    }
}

impl From<StartPosition> for v1::StartPosition {
    fn from(from: StartPosition) -> Self {
        use v1::start_position::At;
        let at = match from {
            StartPosition::Earliest => At::Earliest(true),
            StartPosition::Latest => At::Latest(true),
            StartPosition::Offset(offset) => At::Offset(offset.0),
            StartPosition::Time(time_ms) => At::TimeMs(time_ms),
        };
        Self { at: Some(at) }
    }
}

impl TryFrom<v1::StartPosition> for StartPosition {
    type Error = Malformed;

    fn try_from(from: v1::StartPosition) -> Result<Self, Malformed> {
        use v1::start_position::At;
        match from.at.ok_or_else(|| Malformed::missing("start"))? {
            At::Earliest(_) => Ok(Self::Earliest),
            At::Latest(_) => Ok(Self::Latest),
            At::Offset(offset) if offset >= 0 => Ok(Self::Offset(NextOffset(offset))),
            At::Offset(offset) => Err(Malformed::new("start", format_args!("offset {offset} is negative"))),
            At::TimeMs(time_ms) => Ok(Self::Time(time_ms)),
        }
    }
}

impl From<Reason> for v1::Reason {
    fn from(from: Reason) -> Self {
        Self {
            kind: from.kind().to_owned(),
            text: from.to_string(),
            heals: from.heals(),
            json: serde_json::to_string(&from).expect("a reason is made of strings and numbers"),
        }
    }
}

impl From<v1::Reason> for Reason {
    /// A kind that this software does not know is kept as its text.
    fn from(from: v1::Reason) -> Self {
        serde_json::from_str(&from.json).unwrap_or(Self::Waiting { text: from.text })
    }
}

impl From<Version> for v1::Version {
    fn from(from: Version) -> Self {
        Self {
            fleet_incarnation: from.incarnation.0,
            controller_epoch: from.controller_epoch.0,
            revision: from.revision.0,
        }
    }
}

impl From<v1::Version> for Version {
    fn from(from: v1::Version) -> Self {
        Self {
            incarnation: FleetIncarnation(from.fleet_incarnation),
            controller_epoch: ControllerEpoch(from.controller_epoch),
            revision: Revision(from.revision),
        }
    }
}
