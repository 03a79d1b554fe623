//! The worker's metrics: names in one place, labels bounded by what runs here.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use common::assignment::Phase;
use common::ids::{Epoch, RoutePartition};
use common::shown::Shown;

use crate::engine::{Engine, Status};

/// First source offset not yet at the target.
pub const NEXT_OFFSET: &str = "replisome_partition_next_offset";
/// First source offset not yet at the target as durably stored.
pub const STORED_OFFSET: &str = "replisome_partition_stored_offset";
/// Source records not yet at the target.
pub const LAG_RECORDS: &str = "replisome_partition_lag_records";
/// Age of the last copied record while there is lag, in seconds.
pub const LAG_SECONDS: &str = "replisome_partition_lag_seconds";
/// Source records behind an open transaction, which no reader of committed records sees yet.
pub const OPEN_TRANSACTION_RECORDS: &str = "replisome_partition_open_transaction_records";
/// Records copied by this process.
pub const RECORDS_TOTAL: &str = "replisome_partition_records_total";
/// Bytes of keys, values and headers copied by this process.
pub const BYTES_TOTAL: &str = "replisome_partition_bytes_total";
/// 1 for what a partition is doing, 0 for all else.
pub const STATE: &str = "replisome_partition_state";

/// 1 while a partition stands still for the reason.
pub const HELD: &str = "replisome_partition_held";

/// The values of the label `state`.
const STATES: [&str; 4] = ["claiming", "copying", "held", "draining"];

/// How often metrics are published.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// Publishes the state and the progress of every running partition, with a leader or without one. Never returns.
pub(crate) async fn publish(engine: &impl Engine) -> Infallible {
    let mut counted: BTreeMap<RoutePartition, Counted> = BTreeMap::new();
    let mut held = Shown::default();
    loop {
        tokio::time::sleep(PUBLISH_EVERY).await;
        let statuses = engine.statuses();
        let running: BTreeSet<&RoutePartition> = statuses.iter().map(|status| &status.running.partition).collect();
        counted.retain(|partition, _| {
            let runs = running.contains(partition);
            if !runs {
                withdraw(partition);
            }
            runs
        });
        show_held(&statuses, &mut held);
        for status in &statuses {
            show(status);
            count(status, counted.entry(status.running.partition.clone()).or_default());
        }
    }
}

/// What a counter has been told of one grant.
#[derive(Default)]
struct Counted {
    epoch: Epoch,
    records: u64,
    bytes: u64,
}

/// Progress counts from each grant on, a counter from the start of the process.
fn count(status: &Status, counted: &mut Counted) {
    let Some(progress) = &status.progress else { return };
    if counted.epoch != progress.epoch {
        *counted = Counted { epoch: progress.epoch, ..Counted::default() };
    }
    let labels = labels(&progress.partition);
    metrics::counter!(RECORDS_TOTAL, &labels).increment(progress.records.saturating_sub(counted.records));
    metrics::counter!(BYTES_TOTAL, &labels).increment(progress.bytes.saturating_sub(counted.bytes));
    (counted.records, counted.bytes) = (progress.records, progress.bytes);
}

fn labels(partition: &RoutePartition) -> [(&'static str, String); 3] {
    let RoutePartition { route, topic, partition } = partition;
    [("route", route.to_string()), ("topic", topic.to_string()), ("partition", partition.to_string())]
}

/// Of a partition that has gone elsewhere, nothing current is left: no state is 1, and no lag is told.
fn withdraw(partition: &RoutePartition) {
    show_state(partition, None);
    for name in [NEXT_OFFSET, STORED_OFFSET, LAG_RECORDS, LAG_SECONDS, OPEN_TRANSACTION_RECORDS] {
        metrics::gauge!(name, &labels(partition)).set(f64::NAN);
    }
}

fn show_state(partition: &RoutePartition, state: Option<&str>) {
    for other in STATES {
        let [route, topic, partition] = labels(partition);
        let value = if state == Some(other) { 1.0 } else { 0.0 };
        metrics::gauge!(STATE, &[route, topic, partition, ("state", other.to_owned())]).set(value);
    }
}

/// Shows why partitions stand still.
fn show_held(statuses: &[Status], shown: &mut Shown<(RoutePartition, &'static str)>) {
    let why = |status: &Status| match &status.running.phase {
        Phase::Held(reason) => Some(((status.running.partition.clone(), reason.kind()), 1.0)),
        Phase::Claiming | Phase::Copying | Phase::Draining => None,
    };
    shown.show(statuses.iter().filter_map(why), |(partition, reason), value| {
        let [route, topic, partition] = labels(partition);
        metrics::gauge!(HELD, &[route, topic, partition, ("reason", (*reason).to_owned())]).set(value);
    });
}

fn show(status: &Status) {
    let Status { running, progress, .. } = status;
    let state = match running.phase {
        Phase::Claiming => "claiming",
        Phase::Copying => "copying",
        Phase::Held(_) => "held",
        Phase::Draining => "draining",
    };
    show_state(&running.partition, Some(state));
    let Some(progress) = progress else { return };
    let behind_transaction = progress.source_end.zip(progress.source_high_watermark);
    let gauges = [
        (NEXT_OFFSET, progress.next_offset.map(|offset| offset.0 as f64)),
        (STORED_OFFSET, progress.stored_offset.map(|offset| offset.0 as f64)),
        (LAG_RECORDS, progress.lag().map(|lag| lag as f64)),
        (LAG_SECONDS, Some(progress.lag_time.as_secs_f64())),
        (OPEN_TRANSACTION_RECORDS, behind_transaction.map(|(end, high)| end.lag_to(high) as f64)),
    ];
    let labels = labels(&running.partition);
    for (name, value) in gauges {
        if let Some(value) = value {
            metrics::gauge!(name, &labels).set(value);
        }
    }
}
