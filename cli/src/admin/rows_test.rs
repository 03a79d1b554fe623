use std::collections::BTreeSet;

use proto::v1;
use serde::Serialize;

use super::assignment::AssignmentRow;
use super::cluster::ClusterRow;
use super::controller::ControllerRow;
use super::event::EventRow;
use super::print::{Row, table};
use super::rebalance::PlannedMoveRow;
use super::route::RouteRow;
use super::topic::TopicRow;
use super::worker::WorkerRow;

/// Scripts rely on these names: fields may be added, none is renamed or removed.
#[track_caller]
fn has_fields(row: &impl Serialize, names: &str) {
    let json = serde_json::to_value(row).unwrap();
    let fields: BTreeSet<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let missing: Vec<_> = names.split(", ").filter(|name| !fields.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {fields:?}");
}

#[test]
fn the_fields_that_scripts_rely_on_are_there() {
    has_fields(
        &AssignmentRow::from(v1::Assignment::default()),
        "route, topic, partition, target_topic, state, worker, session, epoch, next_offset, stored_offset, lag, \
         lag_seconds, reason, pinned_to, bytes_per_second, noted_offset",
    );
    has_fields(&PlannedMoveRow::from(v1::PlannedMove::default()), "route, topic, partition, from, to, cause, text");
    let worker = WorkerRow::from(v1::Worker::default());
    has_fields(&worker, "id, session, state, address, partitions, version, rss_bytes, weight, pool, bytes_per_second");
    has_fields(&ControllerRow::from(v1::Controller::default()), "id, address, role, term, applied");
    let route = RouteRow::from(v1::Route::default());
    has_fields(&route, "name, source, target, delivery, state, topics, partitions, lag, pool");
    let topic = TopicRow::from(v1::Topic::default());
    has_fields(&topic, "route, topic, target_topic, partitions, state, lag, reason");
    has_fields(&ClusterRow::from(v1::ClusterStatus::default()), "name, bootstrap, reachable");
    let event = EventRow::from(v1::Event::default());
    has_fields(&event, "revision, time, kind, route, topic, partition, actor, text, detail");
}

#[test]
fn what_is_not_known_is_null_and_a_reason_has_its_word() {
    let reason = v1::Reason {
        kind: "paused".into(),
        text: "by an operator".into(),
        json: "\"paused\"".into(),
        ..Default::default()
    };
    let assignment = v1::Assignment { reason: Some(reason), next_offset: Some(7), ..Default::default() };
    let json = serde_json::to_value(AssignmentRow::from(assignment)).unwrap();
    assert!(json["worker"].is_null() && json["lag"].is_null() && json["stored_offset"].is_null(), "{json}");
    assert_eq!((&json["next_offset"], &json["reason"]["kind"]), (&7.into(), &"paused".into()));
    assert_eq!((&json["reason"]["data"], &json["reason"]["heals"]), (&"paused".into(), &false.into()));
}

#[test]
fn a_pin_is_told_and_whether_it_waits_for_its_worker() {
    let row = |worker: &str, pinned_to: &str| {
        let (worker, pinned_to) = (worker.to_owned(), pinned_to.to_owned());
        AssignmentRow::from(v1::Assignment { worker, pinned_to, ..Default::default() })
    };
    let why = |worker, pinned_to| row(worker, pinned_to).cells().pop().unwrap();
    assert_eq!([why("w1", ""), why("w1", "w1"), why("", "w1")], ["", "pinned to w1", "pinned to w1"]);
    assert_eq!(why("w2", "w1"), "pinned to w1, goes there once that takes work in its pool and moves are not frozen");
    assert_eq!(serde_json::to_value(row("w1", "w1")).unwrap()["pinned_to"], "w1");
    assert!(serde_json::to_value(row("w1", "")).unwrap()["pinned_to"].is_null());
}

#[test]
fn a_table_has_a_line_for_each_row_and_no_column_that_says_nothing() {
    let row = |name: &str, trouble: &str| {
        let (name, trouble) = (name.to_owned(), trouble.to_owned());
        RouteRow::from(v1::Route { name, trouble, lag: Some(12_345), ..Default::default() })
    };
    let fine = table(&[row("west-east", ""), row("r", "")], 0);
    let lines: Vec<_> = fine.lines().collect();
    assert_eq!(lines.len(), 3, "{fine}");
    assert!(lines[0].starts_with("NAME        SOURCE") && lines[0].ends_with("LAG"), "{fine}");
    assert!(lines[1].ends_with("   12,345"), "{fine}");
    let long = "no answer ".repeat(50);
    let troubled = table(&[row("west-east", &long)], 0);
    assert!(troubled.contains("TROUBLE") && troubled.contains(long.trim()), "{troubled}");
    assert_eq!(RouteRow::COLUMNS.len(), row("a", "").cells().len());
}
