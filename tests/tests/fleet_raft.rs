//! What controllers have acknowledged they keep: over the death of all of them in the middle of a write, against one that
//! lost its disk, and over damage to a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use replisome_tests::fleet::wire::Operator;
use replisome_tests::fleet::{Fleet, Node, PATIENCE, run_cli};
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
                    scope.spawn(move || Operator::new(addresses).add_topics_until(ROUTE, &prefix, stop))
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

/// The files below a directory, each by its path below it.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            match entry.is_dir() {
                true => dirs.push(entry),
                false => {
                    let below = entry.strip_prefix(dir).expect("below it").to_owned();
                    all.insert(below, fs::read(&entry).expect("a file"));
                }
            }
        }
    }
    all
}

/// Lays a controller's directory anew, with one file of it damaged at random. Says how.
fn lay(node: &mut Node, all: &BTreeMap<PathBuf, Vec<u8>>, random: &mut Random) -> String {
    node.wipe();
    let victims: Vec<&PathBuf> = all.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(path, _)| path).collect();
    let victim = victims[random.below(victims.len() as u64) as usize];
    let (mut how, dir) = (String::new(), node.data_dir());
    for (path, bytes) in all {
        let (path, mut bytes) = (dir.join(path), bytes.clone());
        fs::create_dir_all(path.parent().expect("below the directory")).expect("make a directory");
        if path == dir.join(victim) {
            let place = random.below(bytes.len() as u64) as usize;
            let name = victim.display();
            match random.below(4) {
                0 => {
                    how = format!("{name} removed");
                    continue;
                }
                1 => {
                    how = format!("{name} cut at {place} of {}", bytes.len());
                    bytes.truncate(place);
                }
                2 => {
                    how = format!("{name}: a bit of byte {place} of {} flipped", bytes.len());
                    bytes[place] ^= 1;
                }
                _ => {
                    how = format!("{name}: zeros from {place} of {}", bytes.len());
                    bytes.iter_mut().skip(place).take(512).for_each(|byte| *byte = 0);
                }
            }
        }
        fs::write(path, bytes).expect("write a file");
    }
    how
}

/// Starts the fleet's one controller: its topics, or with which words it refused.
fn topics_or_refusal(fleet: &mut Fleet) -> Result<BTreeSet<String>, String> {
    let mut operator = Operator::new(fleet.addresses());
    let node = &mut fleet.controllers[0];
    node.start();
    let started = wait::until("it answers or ends", PATIENCE, || match node.process().try_wait() {
        Some(exit) => Some(Err((exit, node.process().stderr()))),
        None => operator.topics(ROUTE).ok().map(Ok),
    });
    match started {
        Ok(topics) => {
            node.kill();
            Ok(topics.into_iter().collect())
        }
        Err((exit, said)) => {
            assert_eq!(exit.code, Some(1), "{said}");
            assert!(!said.contains("panicked"), "{said}");
            Err(said.lines().last().unwrap_or_default().to_owned())
        }
    }
}

#[test]
fn a_damaged_directory_opens_with_all_that_was_acknowledged_or_is_refused_with_what_to_do() {
    let mut random = Random::for_test("a_damaged_directory");
    let (source, target) = shared();
    let mut fleet = Fleet::start(1, 0);
    fleet.add_route(ROUTE, source, target, &[]);
    let mut operator = Operator::new(fleet.addresses());
    let mut add = |from: u32| {
        let names = (from..from + 20).map(|number| format!("t-{number}"));
        let added = names.inspect(|name| assert!(operator.add_topic(ROUTE, name).expect("acknowledged") > 0));
        added.collect::<Vec<_>>()
    };
    let mut acknowledged: BTreeSet<String> = add(0).into_iter().collect();
    // Opened again, since only then sled writes its `snap.*`.
    fleet.controllers[0].kill();
    fleet.controllers[0].start();
    fleet.leader();
    acknowledged.extend(add(20));
    fleet.controllers[0].kill();
    let all = files(&fleet.controllers[0].data_dir());

    let (mut opened, mut repaired, mut refused) = (0, 0, 0);
    for round in 0..if is_full() { 100 } else { 15 } {
        let how = lay(&mut fleet.controllers[0], &all, &mut random);
        let outcome = topics_or_refusal(&mut fleet);
        eprintln!("{round}: {how}: {}", outcome.as_ref().map_or_else(String::as_str, |_| "opens"));
        let has_all = |topics: &BTreeSet<String>| {
            let lost: Vec<_> = acknowledged.difference(topics).collect();
            assert!(lost.is_empty(), "{how}: it opens without {lost:?}");
        };
        let said = match outcome {
            Ok(topics) => {
                has_all(&topics);
                opened += 1;
                continue;
            }
            Err(said) => said,
        };
        let remedies = ["replisome controller ", "put a good copy back", "restore it"];
        assert!(remedies.iter().any(|remedy| said.contains(remedy)), "{how}: no remedy: {said}");
        let config = fleet.controllers[0].config();
        let repair = run_cli(&["controller", "repair", "--config", &config], &[]);
        if repair.code == 0 {
            let topics = topics_or_refusal(&mut fleet);
            has_all(&topics.unwrap_or_else(|said| panic!("{how}: repaired, and then: {said}")));
            repaired += 1;
        } else {
            assert!([1, 4].contains(&repair.code) && repair.stderr.contains("controller"), "{how}: {repair:?}");
            eprintln!("{round}: repair: {}", repair.stderr.trim_end());
            refused += 1;
        }
    }
    eprintln!("{opened} opened with all, {repaired} after a repair, {refused} refused");
    assert!(opened > 0 && repaired + refused > 0, "the damage is of one kind alone");
}
