//! The metrics that a worker serves, described for whoever scrapes them. The worker counts, under its own names.

use metrics::{Unit, describe_counter, describe_gauge};
use worker::metrics as names;

/// Tells the recorder what each name means.
pub fn describe() {
    describe_gauge!(names::NEXT_OFFSET, "First source offset not yet at the target");
    describe_gauge!(names::STORED_OFFSET, "First source offset not yet at the target as durably stored");
    describe_gauge!(names::LAG_RECORDS, "Source records not yet at the target, up to the last stable offset");
    describe_gauge!(names::LAG_SECONDS, Unit::Seconds, "Age of the last copied record while there is lag, else 0");
    describe_gauge!(names::OPEN_TRANSACTION_RECORDS, "Source records behind an open transaction");
    describe_counter!(names::RECORDS_TOTAL, "Records copied by this process");
    describe_counter!(names::BYTES_TOTAL, Unit::Bytes, "Bytes of keys, values and headers copied by this process");
    describe_gauge!(names::STATE, "1 for what the partition is doing, 0 for all else");
    describe_gauge!(names::HELD, "1 while the partition stands still for the reason");
}
