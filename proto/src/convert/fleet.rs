//! What travels between a worker and its leader.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use common::assignment::{
    Down, Heartbeat, Hello, Inventory, Phase, Progress, Refusal, RefusalKind, Renewal, Running, UncleanRelease, Up,
};
use common::ids::{Epoch, InvalidName};
use common::offsets::NextOffset;
use common::weight::Weight;

use super::malformed::Malformed;
use super::types::{name, required};
use crate::v1;
use crate::v1::leader_message::Message as FromLeader;
use crate::v1::worker_message::Message as FromWorker;

impl From<Up> for v1::WorkerMessage {
    fn from(from: Up) -> Self {
        let message = match from {
            Up::Hello(hello) => FromWorker::Hello(v1::Hello {
                protocol: hello.protocol,
                worker: hello.worker.into(),
                session: hello.session.to_string(),
                address: hello.address,
                software: hello.software,
                weight: hello.weight.number(),
                fleet: hello.fleet.map(String::from).unwrap_or_default(),
                pool: hello.pool.into(),
            }),
            Up::Inventory(inventory) => FromWorker::Inventory(v1::Inventory {
                applied: Some(inventory.applied.into()),
                running: inventory.running.into_iter().map(Into::into).collect(),
                unclean: inventory.unclean.into_iter().map(Into::into).collect(),
                more: false,
            }),
            Up::Heartbeat(Heartbeat { number, rss_bytes }) => {
                FromWorker::Heartbeat(v1::Heartbeat { number, rss_bytes })
            }
            Up::Progress(partitions) => FromWorker::Progress(v1::ProgressReport {
                partitions: partitions.into_iter().map(Into::into).collect(),
            }),
            Up::Draining => FromWorker::Draining(v1::Draining {}),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::WorkerMessage> for Up {
    type Error = Malformed;

    fn try_from(from: v1::WorkerMessage) -> Result<Self, Malformed> {
        Ok(match from.message.ok_or_else(|| Malformed::missing("message"))? {
            FromWorker::Hello(hello) => Self::Hello(Hello {
                protocol: hello.protocol,
                worker: name("worker", &hello.worker)?,
                session: name("session", &hello.session)?,
                address: hello.address,
                software: hello.software,
                weight: weight(hello.weight)?,
                pool: given("pool", &hello.pool)?.unwrap_or_default(),
                fleet: given("fleet", &hello.fleet)?,
            }),
            FromWorker::Inventory(inventory) => Self::Inventory(Inventory {
                applied: inventory.applied.ok_or_else(|| Malformed::missing("applied"))?.into(),
                running: inventory.running.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
                unclean: inventory.unclean.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            }),
            FromWorker::Heartbeat(v1::Heartbeat { number, rss_bytes }) => {
                Self::Heartbeat(Heartbeat { number, rss_bytes })
            }
            FromWorker::Progress(report) => {
                Self::Progress(report.partitions.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
            FromWorker::Draining(v1::Draining {}) => Self::Draining,
        })
    }
}

impl From<Down> for v1::LeaderMessage {
    fn from(from: Down) -> Self {
        let message = match from {
            Down::Snapshot(snapshot) => FromLeader::Snapshot(snapshot.as_ref().into()),
            Down::Renewed(Renewal { heartbeat, every, progress_every, lease, controllers }) => {
                FromLeader::Renewed(v1::Renewed {
                    heartbeat,
                    every_ms: millis(every),
                    progress_every_ms: millis(progress_every),
                    lease_ms: millis(lease),
                    controllers,
                })
            }
            Down::Refused(Refusal { kind, lease, text }) => {
                let kind = v1::RefusalKind::from(kind).into();
                FromLeader::Refused(v1::Refused { kind, text, lease_ms: millis(lease) })
            }
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::LeaderMessage> for Down {
    type Error = Malformed;

    fn try_from(from: v1::LeaderMessage) -> Result<Self, Malformed> {
        Ok(match from.message.ok_or_else(|| Malformed::missing("message"))? {
            FromLeader::Snapshot(snapshot) => Self::Snapshot(Arc::new(snapshot.try_into()?)),
            FromLeader::Renewed(renewed) => Self::Renewed(Renewal {
                heartbeat: renewed.heartbeat,
                every: span("every_ms", renewed.every_ms)?,
                progress_every: span("progress_every_ms", renewed.progress_every_ms)?,
                lease: span("lease_ms", renewed.lease_ms)?,
                controllers: renewed.controllers,
            }),
            FromLeader::Refused(refused) => Self::Refused(Refusal {
                kind: refused.kind().into(),
                lease: Duration::from_millis(refused.lease_ms),
                text: refused.text,
            }),
        })
    }
}

impl From<RefusalKind> for v1::RefusalKind {
    fn from(from: RefusalKind) -> Self {
        match from {
            RefusalKind::InUse => Self::InUse,
            RefusalKind::SessionEnded => Self::SessionEnded,
            RefusalKind::Fatal => Self::Fatal,
            RefusalKind::OtherFleet => Self::OtherFleet,
        }
    }
}

impl From<v1::RefusalKind> for RefusalKind {
    /// A kind that this software does not know can't be acted on: it is fatal.
    fn from(from: v1::RefusalKind) -> Self {
        match from {
            v1::RefusalKind::InUse => Self::InUse,
            v1::RefusalKind::SessionEnded => Self::SessionEnded,
            v1::RefusalKind::OtherFleet => Self::OtherFleet,
            v1::RefusalKind::Fatal | v1::RefusalKind::Unspecified => Self::Fatal,
        }
    }
}

impl From<Running> for v1::Running {
    fn from(from: Running) -> Self {
        let (phase, reason) = match from.phase {
            Phase::Claiming => (v1::Phase::Claiming, None),
            Phase::Copying => (v1::Phase::Copying, None),
            Phase::Held(reason) => (v1::Phase::Held, Some((*reason).into())),
            Phase::Draining => (v1::Phase::Draining, None),
        };
        Self { partition: Some(from.partition.into()), epoch: from.epoch.0, phase: phase.into(), reason }
    }
}

impl TryFrom<v1::Running> for Running {
    type Error = Malformed;

    fn try_from(from: v1::Running) -> Result<Self, Malformed> {
        let phase = match from.phase() {
            v1::Phase::Claiming => Phase::Claiming,
            v1::Phase::Copying => Phase::Copying,
            v1::Phase::Held => Phase::held(from.reason.ok_or_else(|| Malformed::missing("reason"))?.into()),
            v1::Phase::Draining => Phase::Draining,
            v1::Phase::Unspecified => return Err(Malformed::missing("phase")),
        };
        Ok(Self { partition: required("partition", from.partition)?, epoch: Epoch(from.epoch), phase })
    }
}

impl From<UncleanRelease> for v1::UncleanRelease {
    fn from(from: UncleanRelease) -> Self {
        Self { partition: Some(from.partition.into()), epoch: from.epoch.0 }
    }
}

impl TryFrom<v1::UncleanRelease> for UncleanRelease {
    type Error = Malformed;

    fn try_from(from: v1::UncleanRelease) -> Result<Self, Malformed> {
        Ok(Self { partition: required("partition", from.partition)?, epoch: Epoch(from.epoch) })
    }
}

impl From<Progress> for v1::Progress {
    fn from(from: Progress) -> Self {
        let number = |offset: Option<NextOffset>| offset.map(|offset| offset.0);
        Self {
            partition: Some(from.partition.into()),
            epoch: from.epoch.0,
            next_offset: number(from.next_offset),
            stored_offset: number(from.stored_offset),
            source_end: number(from.source_end),
            source_high_watermark: number(from.source_high_watermark),
            lag_time_ms: millis(from.lag_time),
            records: from.records,
            bytes: from.bytes,
        }
    }
}

impl TryFrom<v1::Progress> for Progress {
    type Error = Malformed;

    fn try_from(from: v1::Progress) -> Result<Self, Malformed> {
        Ok(Self {
            partition: required("partition", from.partition)?,
            epoch: Epoch(from.epoch),
            next_offset: from.next_offset.map(NextOffset),
            stored_offset: from.stored_offset.map(NextOffset),
            source_end: from.source_end.map(NextOffset),
            source_high_watermark: from.source_high_watermark.map(NextOffset),
            lag_time: Duration::from_millis(from.lag_time_ms),
            records: from.records,
            bytes: from.bytes,
        })
    }
}

/// The longest time that can be meant: what is longer would overflow where it is added to a clock.
const SPAN_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// A time that something is done at intervals of, or waited for.
fn span(field: &'static str, millis: u64) -> Result<Duration, Malformed> {
    match millis {
        1..=SPAN_MS_MAX => Ok(Duration::from_millis(millis)),
        _ => Err(Malformed::new(field, format!("{millis} ms is no time between 1 ms and a day"))),
    }
}

/// A name that may be left out.
fn given<T: FromStr<Err = InvalidName>>(field: &'static str, value: &str) -> Result<Option<T>, Malformed> {
    if value.is_empty() { Ok(None) } else { name(field, value).map(Some) }
}

fn weight(number: u32) -> Result<Weight, Malformed> {
    match number {
        0 => Ok(Weight::default()),
        _ => Weight::try_from(number).map_err(|error| Malformed::new("weight", error)),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
