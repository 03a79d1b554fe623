//! Controllers come and go under a fleet that copies: one, three, five, three, and killed in the middle of that; all lost,
//! and restored from a backup. What was acknowledged stays, no partition moves, and every record arrives.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use replisome_tests::fleet::wire::Operator;
use replisome_tests::fleet::{Fleet, Output, PATIENCE, Table, run_cli};
use replisome_tests::flow::Flow;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::STEADY;
use replisome_tests::random::Random;
use replisome_tests::scratch::Scratch;
use replisome_tests::wait;

/// Partitions of the one topic that is copied, half of them at each of two workers.
const PARTITIONS: i32 = 8;
const ROWS: usize = 8;

/// A fleet that copies.
struct Scene {
    fleet: Fleet,
    flow: Flow,
    route: &'static str,
    before: Table,
}

impl Scene {
    fn new(route: &'static str, controllers: usize) -> Self {
        let (source, target) = shared();
        let flow = Flow::start(source, target, &[route], PARTITIONS, STEADY);
        let fleet = Fleet::start(controllers, 2);
        fleet.add_route(route, source, target, &["--include", route]);
        let before = fleet.wait_for_counts(&[("w1", ROWS / 2), ("w2", ROWS / 2)]);
        flow.wait_for_first();
        Self { fleet, flow, route, before }
    }

    /// Starts a controller that was prepared, and waits until it waits to be taken in.
    #[track_caller]
    fn start_newcomer(&mut self, id: usize) {
        let newcomer = &mut self.fleet.controllers[id - 1];
        newcomer.start();
        let wanted = format!("replisome controller add {id} --address {}", newcomer.address());
        self.wait_for_word(id, &wanted);
    }

    /// Waits until a controller says this in `/readyz`.
    #[track_caller]
    fn wait_for_word(&self, id: usize, word: &str) {
        let node = &self.fleet.controllers[id - 1];
        let said = || node.probe().get("/readyz").filter(|(_, text)| text.contains(word));
        wait::until(&format!("controller {id} says {word:?}"), PATIENCE, said);
    }

    /// Begins a command that adds or removes a controller; the fleet may be harmed meanwhile.
    fn begin(&self, command: &[&str]) -> JoinHandle<Output> {
        let addresses = self.fleet.addresses().join(",");
        let command = [&["controller"], command, &["--controllers", &addresses, "--timeout", "20s"]].concat();
        let command: Vec<String> = command.into_iter().map(str::to_owned).collect();
        std::thread::spawn(move || run_cli(&command.iter().map(String::as_str).collect::<Vec<_>>(), &[]))
    }

    /// Gives the command again until it succeeds, as an operator does.
    #[track_caller]
    fn fulfil(&self, command: &[&str]) {
        let mut last = None;
        let done = wait::until_or_none(PATIENCE, || {
            let output = self.fleet.cli(&[&["controller"], command].concat());
            let is_done = output.code == 0 || (command[0] == "remove" && output.code == 3);
            last = Some(output);
            is_done.then_some(())
        });
        assert!(done.is_some(), "{}\n{}", last.expect("it was given"), self.fleet.tail());
    }

    /// The ids of those that vote, as the leader knows them.
    #[track_caller]
    fn voters(&self) -> BTreeSet<u64> {
        let leader = self.fleet.controllers[self.fleet.leader()].address();
        let rows = self.fleet.cli_at(leader, &["controller", "list", "-o", "json"]).json();
        let rows = rows.as_array().into_iter().flatten();
        rows.filter(|row| row["votes"] == true).filter_map(|row| row["id"].as_u64()).collect()
    }

    /// Everything has arrived, in order.
    #[track_caller]
    fn judge(self) {
        let Self { fleet, flow, route, .. } = self;
        let source = flow.source().to_owned();
        let (records, twice) = flow.judge(|| fleet.wait_until_caught_up(&source, &[route]));
        eprintln!("{route}: {records} records, none lost, first arrivals in order; {twice} came twice");
    }
}

/// Stops the writer, however the test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn topics(fleet: &Fleet) -> BTreeSet<String> {
    let rows = fleet.json(&["topic", "list"]);
    rows.as_array().into_iter().flatten().filter_map(|row| row["topic"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_fleet_grows_from_one_to_five_and_shrinks_to_three_under_kills_and_nothing_moves_or_is_lost() {
    let mut random = Random::for_test("a_fleet_grows_from_one_to_five");
    let mut scene = Scene::new("controllers-grow", 1);
    for _ in 0..4 {
        scene.fleet.add_controller();
    }
    let (addresses, route, stop) = (scene.fleet.addresses(), scene.route, AtomicBool::new(false));
    let at = |id: usize| addresses[id - 1].clone();
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| Operator::new(addresses.clone()).add_topics_until(route, "written", &stop));
        let stop = Stop(&stop);
        for id in 2..=5 {
            scene.start_newcomer(id);
            let (name, address) = (id.to_string(), at(id));
            let add = ["add", &name, "--address", &address];
            // With two of two, both are needed: none is killed before there are three.
            let under_way = scene.begin(&add);
            wait::pass(Duration::from_millis(random.below(300)));
            match id {
                4 => {
                    scene.fleet.controllers[id - 1].kill();
                    scene.fleet.controllers[id - 1].start();
                }
                5 => {
                    let leader = scene.fleet.leader();
                    scene.fleet.controllers[leader].kill();
                    scene.fleet.controllers[leader].start();
                }
                _ => {}
            }
            let first = under_way.join().expect("the command ends");
            eprintln!("{first}");
            if id < 4 {
                first.expect(0, &["is a learner", "has caught up, and a vote"]);
            }
            scene.fulfil(&add);
            assert_eq!(scene.voters(), (1..=id as u64).collect());
        }

        // First one that leads, then the only one that the workers' files name; and who leads dies in the middle of it.
        let first = scene.fleet.leader() + 1;
        scene.fulfil(&["remove", &first.to_string()]);
        scene.wait_for_word(first, "was removed from the fleet");
        let second = if first == 1 { 2 } else { 1 };
        let leader = scene.fleet.leader() + 1;
        let under_way = scene.begin(&["remove", &second.to_string()]);
        wait::pass(Duration::from_millis(random.below(300)));
        scene.fleet.controllers[leader - 1].kill();
        eprintln!("{}", under_way.join().expect("the command ends"));
        scene.fleet.controllers[leader - 1].start();
        scene.fulfil(&["remove", &second.to_string()]);
        let left: BTreeSet<u64> = (1..=5).filter(|id| *id != first as u64 && *id != second as u64).collect();
        assert_eq!(scene.voters(), left);
        for id in [first, second] {
            scene.wait_for_word(id, "was removed from the fleet");
            let exit = scene.fleet.controllers[id - 1].stop(PATIENCE);
            assert_eq!(exit.code, Some(0), "{exit:?}");
        }
        scene.fleet.ok(&["topic", "add", "--route", route, "the-last"]);
        drop(stop);
        writer.join().expect("the writer ends")
    });
    let found = topics(&scene.fleet);
    let lost: Vec<&String> = written.difference(&found).collect();
    eprintln!("{} topics were acknowledged meanwhile", written.len());
    assert!(!written.is_empty() && lost.is_empty(), "{} acknowledged topics are not seen: {lost:?}", lost.len());
    scene.before.assert_unmoved(&scene.fleet.wait_until_copying(ROWS));
    scene.judge();
}

#[test]
fn a_rolling_restart_takes_changes_all_the_time_and_nothing_moves() {
    let mut scene = Scene::new("controllers-rolling", 3);
    for round in 0..3 {
        let exit = scene.fleet.controllers[round].stop(PATIENCE);
        assert_eq!(exit.code, Some(0), "{exit:?}");
        let added = scene.fleet.ok(&["topic", "add", "--route", scene.route, &format!("round-{round}")]);
        scene.fleet.controllers[round].start();
        let applied = scene.fleet.wait_until_alike();
        eprintln!(
            "controller {} restarted: `topic add` took {:?} meanwhile; all applied {applied}",
            round + 1,
            added.took
        );
    }
    assert_eq!(topics(&scene.fleet), set(&["round-0", "round-1", "round-2", scene.route]));
    scene.before.assert_unmoved(&scene.fleet.wait_until_copying(ROWS));
    scene.judge();
}

#[test]
fn a_lost_fleet_goes_on_from_its_backup_and_fences_the_controllers_that_were_lost() {
    let mut scene = Scene::new("controllers-restored", 3);
    let (scratch, route) = (Scratch::new("backup"), scene.route);
    let file = scratch.path().join("fleet.backup").display().to_string();
    scene.fleet.ok(&["topic", "add", "--route", route, "kept"]);
    scene.fleet.ok(&["controller", "backup", &file]);
    // Another incarnation of the route copies by then, of which the backup knows nothing.
    scene.fleet.ok(&["route", "remove", route, "--keep-offsets"]);
    wait::until_true("the route is gone", PATIENCE, || scene.fleet.json(&["route", "list"]) == serde_json::json!([]));
    let include = ["--source", "west", "--target", "east", "--include", route, "--continue"];
    scene.fleet.ok(&[&["route", "add", route], &include[..]].concat());
    scene.fleet.wait_until_copying(ROWS);
    scene.fleet.wait_until_caught_up(scene.flow.source(), &[route]);
    scene.fleet.ok(&["topic", "add", "--route", route, "decided-since"]);
    let known = scene.fleet.json(&["status"])["fleet"].clone();
    scene.fleet.kill_controllers();

    let restored = &mut scene.fleet.controllers[0];
    let config = restored.config();
    let restore = ["controller", "restore", "--config", &config, &file];
    run_cli(&restore, &[]).expect(4, &["not empty"]);
    restored.wipe();
    run_cli(&restore, &[]).expect(0, &["decides alone now"]);
    restored.start();
    assert_eq!(scene.fleet.leader(), 0);
    assert_eq!((topics(&scene.fleet), &scene.fleet.json(&["status"])["fleet"]), (set(&["kept", route]), &known));
    let after = scene.fleet.wait_until_copying(ROWS);
    for (place, row) in &after.rows {
        assert!(row.owner.epoch > scene.before.rows[place].owner.epoch, "{place:?}: {row:?}");
        assert_ne!(row.owner.session, scene.before.rows[place].owner.session, "{place:?}: a session of the lost fleet");
    }

    // The other two are a majority of the lost fleet, and are started again by mistake.
    for id in [2, 3] {
        scene.fleet.controllers[id - 1].start();
    }
    for id in [2, 3] {
        scene.wait_for_word(id, "was removed from the fleet");
        let removed = scene.fleet.controllers[id - 1].address();
        let list = scene.fleet.cli_at(removed, &["controller", "list", "-o", "json"]).json();
        let ids: Vec<_> = list.as_array().into_iter().flatten().map(|row| row["id"].as_u64()).collect();
        assert_eq!(ids, [Some(1)], "who asks one that was removed is sent on to a member");
    }
    assert_eq!((scene.fleet.leader(), scene.voters()), (0, BTreeSet::from([1])));
    after.assert_unmoved(&scene.fleet.wait_until_copying(ROWS));
    for id in [2, 3] {
        scene.fleet.controllers[id - 1].kill();
        scene.fleet.controllers[id - 1].wipe();
    }

    // Whatever initial-members says: they wait, and are taken in.
    for id in [2, 3] {
        let (name, address) = (id.to_string(), scene.fleet.controllers[id - 1].address().to_owned());
        scene.fleet.controllers[id - 1].start();
        scene.fulfil(&["add", &name, "--address", &address]);
    }
    assert_eq!(scene.voters(), BTreeSet::from([1, 2, 3]));
    scene.fleet.controllers[0].kill();
    scene.fleet.ok(&["topic", "add", "--route", route, "decided-by-them"]);
    assert_eq!(topics(&scene.fleet), set(&["decided-by-them", "kept", route]));
    after.assert_unmoved(&scene.fleet.wait_until_copying(ROWS));
    scene.judge();
}

#[test]
fn workers_stay_with_a_lost_fleet_while_its_controllers_found_another_one_and_until_it_is_restored() {
    let mut scene = Scene::new("controllers-founded-anew", 3);
    let scratch = Scratch::new("backup");
    let file = scratch.path().join("fleet.backup").display().to_string();
    scene.fleet.ok(&["controller", "backup", &file]);
    let lost = scene.fleet.json(&["status"])["fleet"].as_str().expect("an id").to_owned();
    scene.fleet.kill_controllers();
    for node in &mut scene.fleet.controllers {
        node.wipe();
        node.start();
    }
    scene.fleet.leader();
    let told = format!("worker w1 and 1 more copy for fleet {lost}");
    wait::until_true("the fleet that was founded names them", PATIENCE, || {
        let status = scene.fleet.json_or_none(&["status"]).unwrap_or_default();
        status["fleet"].as_str().is_some_and(|here| here != lost) && status["problems"].to_string().contains(&told)
    });
    let counts = scene.flow.counts();
    scene.flow.wait_for_more(&counts);

    scene.fleet.kill_controllers();
    let restored = &mut scene.fleet.controllers[0];
    restored.wipe();
    run_cli(&["controller", "restore", "--config", &restored.config(), &file], &[]).expect(0, &["decides alone now"]);
    restored.start();
    assert_eq!(scene.fleet.leader(), 0);
    scene.fleet.wait_until_copying(ROWS);
    assert_eq!(scene.fleet.json(&["status"])["fleet"], lost.as_str());
    scene.judge();
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
