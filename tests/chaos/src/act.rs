//! Doing something to victims. Owns the signals, the cuts and the commands; never waits for what comes of it, but for the
//! end of a process that it ends.

use std::time::Duration;

use replisome_tests::child::Signal;
use replisome_tests::fleet::{Fleet, Node, Table};

use crate::scenario::Act;
use crate::victims::Victims;

/// A worker that is asked to end hands everything over first.
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// Does it to all of them at once.
pub fn act(act: Act, victims: &Victims, fleet: &mut Fleet, route: &str, table: &Table) {
    match act {
        Act::Kill => kill(fleet, victims),
        Act::Restart => {
            kill(fleet, victims);
            each(fleet, victims, Node::start);
        }
        Act::Stop => {
            each(fleet, victims, |node| node.signal(Signal::Terminate));
            each(fleet, victims, stop);
        }
        Act::Start => each(fleet, victims, Node::start),
        Act::Roll => roll(fleet, victims),
        Act::Freeze => each(fleet, victims, |node| node.signal(Signal::Stop)),
        Act::Continue => each(fleet, victims, |node| node.signal(Signal::Continue)),
        Act::Cut => {
            let mut pids = Vec::new();
            each(fleet, victims, |node| pids.push(node.process().pid()));
            pids.into_iter().for_each(|pid| fleet.cut_off(pid));
        }
        Act::Mend => fleet.mend(),
        Act::Move => {
            let (topic, partition) = victims.partition.clone().expect("a partition is moved");
            let owner = &table.rows[&(topic.clone(), partition)].owner.worker;
            let to = fleet.workers.iter().map(Node::name).find(|name| name != owner).expect("another worker");
            let partition = partition.to_string();
            let place = ["--route", route, "--topic", &topic, "--partition", &partition, "--to", to];
            fleet.ok(&[&["assignment", "move"], &place[..]].concat());
        }
    }
}

/// All signals first: they die together.
fn kill(fleet: &mut Fleet, victims: &Victims) {
    each(fleet, victims, |node| node.signal(Signal::Kill));
    each(fleet, victims, |node| {
        node.kill();
    });
}

fn stop(node: &mut Node) {
    let exit = node.process().wait(STOP_DEADLINE);
    assert_eq!(exit.code, Some(0), "{} ends in good order\n{}", node.name(), node.tail());
}

fn roll(fleet: &mut Fleet, victims: &Victims) {
    for index in &victims.controllers {
        fleet.controllers[*index].signal(Signal::Terminate);
        stop(&mut fleet.controllers[*index]);
        fleet.controllers[*index].start();
        fleet.leader();
        fleet.wait_until_alike();
    }
}

fn each(fleet: &mut Fleet, victims: &Victims, mut act: impl FnMut(&mut Node)) {
    for index in &victims.controllers {
        act(&mut fleet.controllers[*index]);
    }
    for worker in &victims.workers {
        act(fleet.worker(worker));
    }
}
