//! Routes that end and begin again under the same name, and fleets that share their clusters.

use std::collections::BTreeSet;
use std::time::Duration;

use replisome_tests::admin::Admin;
use replisome_tests::compare::{assert_equal_hashes, assert_nothing_lost};
use replisome_tests::fleet::{Fleet, PATIENCE, Table};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::fill;
use replisome_tests::{contents, wait};

use super::alone;

const PARTITIONS: i32 = 2;
/// A leader notes how far partitions are stored once a minute.
const NOTED_MAX: Duration = Duration::from_secs(90);

/// The group that a route's offsets are stored in.
#[track_caller]
fn group(fleet: &Fleet, route: &str) -> String {
    let described = fleet.json(&["route", "list"]);
    let own = described.as_array().and_then(|routes| routes.iter().find(|found| found["name"] == route));
    let group = own.and_then(|found| found["group"].as_str());
    group.unwrap_or_else(|| panic!("route list names no group of {route}: {described}")).to_owned()
}

fn stored(group: &str, topic: &str) -> Vec<i64> {
    Admin::new(shared().0.bootstrap()).committed(group, topic).into_values().map(|stored| stored.offset).collect()
}

/// Waits until the group's offsets of the topic are these.
#[track_caller]
fn wait_for_stored(group: &str, topic: &str, offset: i64) {
    let wanted = vec![offset; PARTITIONS as usize];
    let mut last = Vec::new();
    let found = wait::until_or_none(PATIENCE, || {
        last = stored(group, topic);
        (last == wanted).then_some(())
    });
    assert!(found.is_some(), "{group} stores {last:?} of {topic} instead of {wanted:?}");
}

/// Waits until all partitions stand still for this reason.
#[track_caller]
fn wait_for_reason(fleet: &Fleet, kind: &str) -> Table {
    fleet.wait_for_table(kind, PATIENCE, |table| {
        table.rows.len() == PARTITIONS as usize && table.rows.values().all(|row| row.reason["kind"] == kind)
    })
}

fn hashes(topic: &str) -> (contents::Hashes, contents::Hashes) {
    let (source, target) = shared();
    (contents::hashes(source.bootstrap(), topic), contents::hashes(target.bootstrap(), topic))
}

#[track_caller]
fn remove_route(fleet: &Fleet, route: &str, flags: &[&str]) {
    fleet.ok(&[&["route", "remove", route], flags].concat());
    wait::until_true("the route is gone", PATIENCE, || {
        let routes = fleet.json(&["route", "list"]);
        routes.as_array().is_some_and(|routes| routes.iter().all(|found| found["name"] != route))
    });
}

fn add_again(fleet: &Fleet, route: &str, topic: &str, flags: &[&str]) {
    fleet.ok(&[&["route", "add", route, "--source", "west", "--target", "east", "--include", topic], flags].concat());
}

/// A fleet whose route has copied a new topic of 500 records a partition, and the route's group.
fn copied(route: &str, topic: &str) -> (Fleet, String) {
    let (source, target) = shared();
    Admin::new(source.bootstrap()).create_topic(topic, PARTITIONS, &[]);
    fill(source.bootstrap(), topic, PARTITIONS, 500, 0);
    let fleet = Fleet::start(1, 1);
    fleet.add_route(route, source, target, &["--include", topic]);
    let group = group(&fleet, route);
    fleet.wait_until_copying(PARTITIONS as usize);
    wait_for_stored(&group, topic, 500);
    (fleet, group)
}

#[test]
fn a_removed_route_takes_its_offsets_along_and_begins_anew_under_the_same_name() {
    let _alone = alone();
    let (route, topic) = ("removed", "routes-removed");
    let (fleet, group) = copied(route, topic);
    let source = shared().0;
    let admin = Admin::new(source.bootstrap());

    remove_route(&fleet, route, &[]);
    wait::until_true("its group is gone", PATIENCE, || !admin.groups().contains(&group));
    fill(source.bootstrap(), topic, PARTITIONS, 100, 0);

    // The rule of a route is the first record there is: all comes again, and what came meanwhile.
    add_again(&fleet, route, topic, &[]);
    fleet.wait_until_copying(PARTITIONS as usize);
    wait_for_stored(&group, topic, 600);
    let (expected, found) = hashes(topic);
    let twice = assert_nothing_lost(&expected, &found);
    assert!(twice.values().all(|count| *count == 500), "from the first record on: {twice:?}");
}

#[test]
fn kept_offsets_are_continued_only_on_demand_and_nothing_is_missing_silently() {
    let _alone = alone();
    let (route, topic) = ("kept", "routes-kept");
    let (fleet, group) = copied(route, topic);
    let source = shared().0;
    let admin = Admin::new(source.bootstrap());

    remove_route(&fleet, route, &["--keep-offsets"]);
    assert!(admin.groups().contains(&group), "the group is kept");
    fill(source.bootstrap(), topic, PARTITIONS, 100, 0);

    // Offsets of another incarnation of the route: it waits, and says so.
    add_again(&fleet, route, topic, &[]);
    let waiting = wait_for_reason(&fleet, "foreign-offset");
    for row in waiting.rows.values() {
        let text = row.reason["text"].as_str().unwrap_or_default();
        assert!(text.contains("--continue"), "the reason names the remedy: {text}");
    }
    assert_eq!(stored(&group, topic), [500, 500], "what was stored stays");
    let (_, found) = hashes(topic);
    assert!(contents::counts(&found).values().all(|count| *count == 500), "nothing was copied: {found:?}");

    fleet.ok(&["topic", "resume", "--route", route, topic, "--continue"]);
    wait_for_stored(&group, topic, 600);
    let (expected, found) = hashes(topic);
    assert_equal_hashes(&expected, &found);
}

#[test]
fn an_offset_that_is_set_while_a_worker_holds_the_partition_stays_and_is_gone_on_from() {
    let _alone = alone();
    let (route, topic) = ("cut", "routes-cut");
    let (fleet, group) = copied(route, topic);
    let source = shared().0;
    let admin = Admin::new(source.bootstrap());

    // While nobody copies, more comes and the first of it is deleted.
    fleet.ok(&["topic", "pause", "--route", route, topic]);
    wait_for_reason(&fleet, "paused");
    fill(source.bootstrap(), topic, PARTITIONS, 100, 0);
    (0..PARTITIONS).for_each(|partition| admin.delete_records(topic, partition, 550));
    fleet.ok(&["topic", "resume", "--route", route, topic]);
    wait_for_reason(&fleet, "out-of-range");
    assert_eq!(stored(&group, topic), [500, 500], "the gap is not passed");
    let problems = fleet.json(&["status"])["problems"].to_string();
    assert!(problems.contains("--reset-offsets") && problems.contains("route describe cut"), "{problems}");
    assert!(fleet.ok(&["route", "describe", route]).stdout.contains(&group), "it names the group");

    (0..PARTITIONS).for_each(|partition| admin.commit(&group, topic, partition, 560, ""));
    let overwritten =
        wait::until_or_none(Duration::from_secs(3), || (stored(&group, topic) != [560, 560]).then_some(()));
    assert!(overwritten.is_none(), "the worker stored over it: {:?}", stored(&group, topic));
    fleet.ok(&["topic", "resume", "--route", route, topic, "--continue"]);
    wait_for_stored(&group, topic, 600);
    let (_, found) = hashes(topic);
    assert!(contents::counts(&found).values().all(|count| *count == 540), "500 before and 40 after the gap: {found:?}");
}

#[test]
fn what_is_paused_for_so_long_that_kafka_forgets_its_offsets_goes_on_where_controllers_noted_them() {
    let _alone = alone();
    let (route, topic) = ("forgotten", "routes-forgotten");
    let (fleet, group) = copied(route, topic);
    let source = shared().0;
    let admin = Admin::new(source.bootstrap());
    let noted = || -> Vec<Option<i64>> {
        let assignments = fleet.json(&["assignment", "list", "--route", route]);
        let rows = assignments.as_array().expect("a list");
        rows.iter().map(|row| row["noted_offset"].as_i64()).collect()
    };
    wait::until_true("its offsets are noted", NOTED_MAX, || noted() == [Some(500); PARTITIONS as usize]);

    fleet.ok(&["topic", "pause", "--route", route, topic]);
    wait_for_reason(&fleet, "paused");
    // What `offsets.retention.minutes` does to it.
    admin.delete_group(&group);
    assert_eq!(stored(&group, topic), Vec::<i64>::new());
    fill(source.bootstrap(), topic, PARTITIONS, 100, 0);
    fleet.ok(&["topic", "resume", "--route", route, topic]);
    wait_for_stored(&group, topic, 600);
    let (expected, found) = hashes(topic);
    assert_equal_hashes(&expected, &found);
}

#[test]
fn two_fleets_with_the_same_names_on_the_same_clusters_leave_each_other_alone() {
    let _alone = alone();
    let (source, target) = shared();
    let route = "twins";
    let topics = ["routes-twins-a", "routes-twins-b"];
    let admin = Admin::new(source.bootstrap());
    for topic in topics {
        admin.create_topic(topic, PARTITIONS, &[]);
        fill(source.bootstrap(), topic, PARTITIONS, 500, 0);
    }
    let fleets = topics.map(|topic| {
        let fleet = Fleet::start(1, 1);
        fleet.add_route(route, source, target, &["--include", topic]);
        fleet
    });
    let groups = fleets.each_ref().map(|fleet| group(fleet, route));
    assert_ne!(groups[0], groups[1]);
    for (group, topic) in groups.iter().zip(topics) {
        wait_for_stored(group, topic, 500);
    }
    for (group, others) in groups.iter().zip([topics[1], topics[0]]) {
        assert_eq!(stored(group, others), Vec::<i64>::new(), "{group} holds offsets of the other fleet's topic");
    }
    remove_route(&fleets[0], route, &[]);
    wait::until_true("the first group is gone", PATIENCE, || !admin.groups().contains(&groups[0]));
    fill(source.bootstrap(), topics[1], PARTITIONS, 100, 0);
    wait_for_stored(&groups[1], topics[1], 600);
    let left: BTreeSet<String> = admin.groups().into_iter().filter(|group| groups.contains(group)).collect();
    assert_eq!(left, BTreeSet::from([groups[1].clone()]));
    for topic in topics {
        let records = contents::counts(&hashes(topic).1);
        eprintln!("{topic}: {records:?} at the target");
    }
    let (expected, found) = hashes(topics[1]);
    assert_equal_hashes(&expected, &found);
}
