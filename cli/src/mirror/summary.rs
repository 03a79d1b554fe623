//! What a mirror says at its end: a table of topics on stdout.

use std::time::Duration;

use super::tally::{Amount, Tally};
use crate::failure::Failure;
use crate::output::{self, grouped};

/// Prints what was copied in `elapsed`.
pub fn print(tally: &Tally, elapsed: Duration) -> Result<(), Failure> {
    lines(tally, elapsed).into_iter().try_for_each(output::result)
}

fn lines(tally: &Tally, elapsed: Duration) -> Vec<String> {
    let topics = tally.topics();
    let width = topics.keys().map(|topic| topic.as_str().len()).max().unwrap_or(0).max("TOPIC".len());
    let row = |topic: &str, cells: [&str; 5]| {
        let [partitions, records, bytes, seconds, rate] = cells;
        format!("{topic:width$}  {partitions:>10}  {records:>13}  {bytes:>15}  {seconds:>8}  {rate:>10}")
    };
    let seconds = elapsed.as_secs_f64();
    let sum_row = |name: &str, partitions: usize, amount: Amount| {
        let rate = grouped((amount.records as f64 / seconds.max(0.001)) as u64);
        let cells = [
            &grouped(partitions as u64),
            &grouped(amount.records),
            &grouped(amount.bytes),
            &format!("{seconds:.1}"),
            &rate,
        ];
        row(name, cells.map(String::as_str))
    };
    let mut lines = vec![row("TOPIC", ["PARTITIONS", "RECORDS", "BYTES", "SECONDS", "RECORDS/S"])];
    lines.extend(topics.iter().map(|(topic, sum)| sum_row(topic.as_str(), sum.partitions, sum.amount)));
    if topics.len() > 1 {
        let partitions = topics.values().map(|sum| sum.partitions).sum();
        let amount = topics.values().fold(Amount::default(), |all, sum| all + sum.amount);
        lines.push(sum_row("total", partitions, amount));
    }
    lines
}
