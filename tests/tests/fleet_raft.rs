//! What controllers have acknowledged they keep: over the death of all of them in the middle of a write, and against one
//! that lost its disk.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use replisome_tests::fleet::wire::Operator;
use replisome_tests::fleet::{Fleet, PATIENCE};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::process::is_full;
use replisome_tests::random::Random;
use replisome_tests::wait;

const ROUTE: &str = "written";
/// How long two controllers that must not elect one of them are watched: many elections.
const NO_LEADER: Duration = Duration::from_secs(8);

/// A fleet with a route, whose source has none of the topics that are named.
fn fleet() -> Fleet {
    let (source, target) = shared();
    let fleet = Fleet::start(3, 0);
    fleet.add_route(ROUTE, source, target, &[]);
    fleet
}

/// Adds topics until told to stop; gives the names that were acknowledged.
fn write(addresses: Vec<String>, prefix: &str, stop: &AtomicBool) -> BTreeSet<String> {
    let mut operator = Operator::new(addresses);
    let mut acknowledged = BTreeSet::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("{prefix}-{number}");
        if operator.add_topic(ROUTE, &name).is_ok() {
            acknowledged.insert(name);
        }
    }
    acknowledged
}

#[test]
fn what_was_acknowledged_survives_the_death_of_all_controllers_and_the_first_read_sees_it() {
    let mut random = Random::for_test("what_was_acknowledged_survives");
    let mut fleet = fleet();
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for round in 0..if is_full() { 20 } else { 5 } {
        let addresses = fleet.addresses();
        let stop = AtomicBool::new(false);
        let moment = Duration::from_millis(200 + random.below(800));
        let written = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|number| {
                    let (addresses, stop, prefix) = (addresses.clone(), &stop, format!("t-{round}-{number}"));
                    scope.spawn(move || write(addresses, &prefix, stop))
                })
                .collect();
            wait::pass(moment);
            fleet.kill_controllers();
            stop.store(true, Ordering::Relaxed);
            writers.into_iter().flat_map(|writer| writer.join().expect("the writer ends")).collect::<Vec<_>>()
        });
        let count = written.len();
        assert!(count > 0, "nothing was acknowledged within {moment:?}\n{}", fleet.tail());
        acknowledged.extend(written);
        let started = Instant::now();
        fleet.start_controllers();
        let mut operator = Operator::new(addresses);
        let found: BTreeSet<String> =
            wait::until("a controller answers", PATIENCE, || operator.topics(ROUTE).ok()).into_iter().collect();
        let answered = started.elapsed();
        let lost: Vec<&String> = acknowledged.difference(&found).collect();
        eprintln!(
            "round {round}: killed after {moment:?}; {count} acknowledged, {} in all, {} found {answered:?} after the start",
            acknowledged.len(),
            found.len()
        );
        assert!(lost.is_empty(), "{} acknowledged topics are not seen: {lost:?}", lost.len());
    }
    fleet.wait_until_alike();
}

#[test]
fn a_controller_that_lost_its_disk_counts_for_nothing_under_its_old_id() {
    let mut fleet = fleet();
    fleet.ok(&["topic", "add", "--route", ROUTE, "before"]);
    fleet.wait_until_alike();
    let (wiped, down) = (0, 1);
    fleet.controllers[wiped].kill();
    fleet.controllers[down].kill();
    fleet.controllers[wiped].wipe();
    fleet.controllers[wiped].start();
    // One of three with the data, one without: no quorum, for as long as anyone looks.
    let started = Instant::now();
    while started.elapsed() < NO_LEADER {
        assert_eq!(fleet.leader_now(), None, "elected with the vote of a wiped node\n{}", fleet.tail());
    }
    let output = fleet.cli(&["topic", "add", "--route", ROUTE, "meanwhile", "--timeout", "2s"]);
    output.expect(6, &["no controller leads"]);
    let (_, ready) = fleet.controllers[wiped].probe().get("/readyz").expect("it answers over HTTP");
    eprintln!("the wiped controller says: {ready}");

    fleet.controllers[down].start();
    let leader = fleet.leader();
    assert_ne!(leader, wiped, "a wiped node leads");
    let topics = fleet.json(&["topic", "list"]);
    let names: Vec<&str> = topics.as_array().into_iter().flatten().filter_map(|row| row["topic"].as_str()).collect();
    assert_eq!(names, ["before"]);
    fleet.ok(&["topic", "add", "--route", ROUTE, "after"]);
}
