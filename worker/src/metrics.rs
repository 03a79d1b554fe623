//! The worker's metrics: names in one place, labels bounded by what runs here.

use common::assignment::Phase;

use crate::engine::Status;

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

/// The values of the label `state`.
const STATES: [&str; 4] = ["claiming", "copying", "held", "draining"];

/// Publishes the state and the progress of every running partition.
pub(crate) fn publish(statuses: &[Status]) {
    for Status { running, progress, .. } in statuses {
        let labels = [
            ("route", running.partition.route.to_string()),
            ("topic", running.partition.topic.to_string()),
            ("partition", running.partition.partition.to_string()),
        ];
        let state = match running.phase {
            Phase::Claiming => "claiming",
            Phase::Copying => "copying",
            Phase::Held(_) => "held",
            Phase::Draining => "draining",
        };
        for other in STATES {
            let [route, topic, partition] = labels.clone();
            let value = if other == state { 1.0 } else { 0.0 };
            metrics::gauge!(STATE, &[route, topic, partition, ("state", other.to_owned())]).set(value);
        }
        let Some(progress) = progress else { continue };
        let gauges = [
            (NEXT_OFFSET, progress.next_offset.map(|offset| offset.0 as f64)),
            (STORED_OFFSET, progress.stored_offset.map(|offset| offset.0 as f64)),
            (LAG_RECORDS, progress.lag().map(|lag| lag as f64)),
            (LAG_SECONDS, Some(progress.lag_time.as_secs_f64())),
            (
                OPEN_TRANSACTION_RECORDS,
                progress.source_end.zip(progress.source_high_watermark).map(|(end, high)| end.lag_to(high) as f64),
            ),
        ];
        for (name, value) in gauges {
            if let Some(value) = value {
                metrics::gauge!(name, &labels).set(value);
            }
        }
        metrics::counter!(RECORDS_TOTAL, &labels).absolute(progress.records);
        metrics::counter!(BYTES_TOTAL, &labels).absolute(progress.bytes);
    }
}
