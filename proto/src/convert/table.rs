//! What a worker is told to run.

use std::time::Duration;

use common::assignment::{Grant, Snapshot};
use common::config::RouteConfig;
use common::ids::{Epoch, Revision};
use common::offsets::NextOffset;

use super::malformed::Malformed;
use super::types::{name, required, topic_id};
use crate::v1;

impl From<Grant> for v1::Grant {
    fn from(from: Grant) -> Self {
        Self {
            partition: Some(from.partition.into()),
            epoch: from.epoch.0,
            target_topic: from.target_topic.into(),
            source_topic_id: from.source_topic_id.0.as_bytes().to_vec(),
            target_topic_id: from.target_topic_id.0.as_bytes().to_vec(),
            start: Some(from.start.into()),
            accept_foreign_offset: from.accept_foreign_offset,
            noted_offset: from.noted_offset.map(|noted| noted.0),
        }
    }
}

impl TryFrom<v1::Grant> for Grant {
    type Error = Malformed;

    fn try_from(from: v1::Grant) -> Result<Self, Malformed> {
        Ok(Self {
            partition: required("partition", from.partition)?,
            epoch: Epoch(from.epoch),
            target_topic: name("target_topic", &from.target_topic)?,
            source_topic_id: topic_id("source_topic_id", &from.source_topic_id)?,
            target_topic_id: topic_id("target_topic_id", &from.target_topic_id)?,
            start: required("start", from.start)?,
            noted_offset: from.noted_offset.map(NextOffset),
            accept_foreign_offset: from.accept_foreign_offset,
        })
    }
}

impl From<RouteConfig> for v1::RouteConfig {
    fn from(from: RouteConfig) -> Self {
        Self {
            name: from.name.into(),
            fleet: from.fleet.into(),
            incarnation: from.incarnation.0,
            offsets_since: from.offsets_since.0,
            source: Some(from.source.into()),
            target: Some(from.target.into()),
            group: from.group,
            delivery: v1::Delivery::from(from.delivery).into(),
            accept_foreign_offsets: from.accept_foreign_offsets,
            commit_interval_ms: u64::try_from(from.commit_interval.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TryFrom<v1::RouteConfig> for RouteConfig {
    type Error = Malformed;

    fn try_from(from: v1::RouteConfig) -> Result<Self, Malformed> {
        let delivery = from.delivery().try_into()?;
        Ok(Self {
            name: name("name", &from.name)?,
            fleet: name("fleet", &from.fleet)?,
            incarnation: Revision(from.incarnation),
            offsets_since: Revision(from.offsets_since),
            source: required("source", from.source)?,
            target: required("target", from.target)?,
            group: from.group,
            delivery,
            accept_foreign_offsets: from.accept_foreign_offsets,
            commit_interval: Duration::from_millis(from.commit_interval_ms),
        })
    }
}

impl From<&Snapshot> for v1::Snapshot {
    fn from(from: &Snapshot) -> Self {
        Self {
            session: from.session.to_string(),
            fleet: from.fleet.to_string(),
            version: Some(from.version.into()),
            routes: from.routes.iter().cloned().map(Into::into).collect(),
            grants: from.grants.iter().cloned().map(Into::into).collect(),
            more: false,
        }
    }
}

impl TryFrom<v1::Snapshot> for Snapshot {
    type Error = Malformed;

    fn try_from(from: v1::Snapshot) -> Result<Self, Malformed> {
        Ok(Self {
            session: name("session", &from.session)?,
            fleet: name("fleet", &from.fleet)?,
            version: from.version.ok_or_else(|| Malformed::missing("version"))?.into(),
            routes: from.routes.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            grants: from.grants.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}
