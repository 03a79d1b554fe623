//! Controllers are taken in and out while the fleet runs. Whole nodes, as in `node_test`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::member_steps::{MemberStep, Refused};
use super::node::RaftNode;
use super::node_test::{DEADLINE, Fleet, Running, add_cluster, clusters, leader, same_tables, until};
use super::settings::RaftTuning;
use crate::leader::command_log::ProposeError;
use crate::state::Command;

type Nodes = BTreeMap<u64, Running>;

/// What is wanted of a controller.
#[derive(Clone, Copy)]
enum Wish {
    Add(u64),
    Remove(u64),
}

async fn next(fleet: &Fleet, node: &RaftNode, wish: Wish) -> Result<Option<MemberStep>, Refused> {
    match wish {
        Wish::Add(id) => node.next_to_add(id, &fleet.address(id)).await,
        Wish::Remove(id) => node.next_to_remove(id).await,
    }
}

/// Takes the next step wherever a node leads; what it said, `None` if nothing is left to be done.
async fn step(fleet: &Fleet, nodes: &Nodes, wish: Wish) -> Result<Option<String>, Refused> {
    let first = &nodes[&leader(nodes).await].node;
    let Some(next) = next(fleet, first, wish).await? else { return Ok(None) };
    match first.take_step(next).await {
        Ok(said) => Ok(Some(said)),
        // As the caller does: it looks again.
        Err(ProposeError::NotLeader | ProposeError::Unknown(_)) => Ok(Some(String::new())),
        Err(error) => panic!("{error}"),
    }
}

/// Takes steps until nothing is left to be done.
async fn fulfil(fleet: &Fleet, nodes: &Nodes, wish: Wish) -> Vec<String> {
    let (start, mut said) = (Instant::now(), Vec::new());
    while let Some(text) = step(fleet, nodes, wish).await.unwrap() {
        assert!(start.elapsed() < DEADLINE, "not done within {DEADLINE:?}: {said:?}");
        said.push(text);
    }
    said
}

async fn roles(nodes: &Nodes) -> Vec<(u64, String)> {
    let views = nodes[&leader(nodes).await].node.controllers().await;
    views.into_iter().map(|view| (view.id, view.role)).collect()
}

/// Writes one more cluster through whoever leads.
async fn write(nodes: &Nodes, number: usize) {
    let start = Instant::now();
    while nodes[&leader(nodes).await].propose(add_cluster(number)).await.is_err() {
        assert!(start.elapsed() < DEADLINE, "cluster {number} was not written within {DEADLINE:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn stop(nodes: Nodes) {
    for node in nodes.into_values() {
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_grows_from_one_to_five_and_shrinks_to_three_without_its_leader() {
    let mut fleet = Fleet::with_joiners(1, 4);
    fleet.tuning = RaftTuning { snapshot_entries: 20, keep_entries: 5, ..RaftTuning::default() };
    let mut nodes = fleet.start_all().await;
    leader(&nodes).await;
    // So many that a newcomer needs a snapshot.
    for number in 0..60 {
        write(&nodes, number).await;
    }
    for id in 2..=5 {
        let newcomer = fleet.start(id).await;
        let waits = format!("replisome controller add {id} --address {}", fleet.address(id));
        until("it says that it waits", || newcomer.trouble().contains(&waits)).await;
        nodes.insert(id, newcomer);
        let said = fulfil(&fleet, &nodes, Wish::Add(id)).await;
        assert!(said[0].contains("is a learner"), "{said:?}");
        assert!(said[said.len() - 1].contains("has caught up, and a vote"), "{said:?}");
        write(&nodes, 58 + id as usize).await;
        until("it takes part", || nodes[&id].trouble().is_empty()).await;
    }
    same_tables(&nodes, 64).await;
    let addresses: Vec<String> = (1..=5).map(|id| fleet.address(id)).collect();
    let named = nodes[&1].node.log().controllers();
    assert!(named.iter().all(|address| addresses.contains(address)) && named.len() == 5, "{named:?}");
    assert!(roles(&nodes).await.iter().all(|(_, role)| role == "leader" || role == "follower"));

    let first = leader(&nodes).await;
    let said = fulfil(&fleet, &nodes, Wish::Remove(first)).await;
    assert!(said[0].contains("has no vote any more"), "{said:?}");
    let gone = nodes.remove(&first).unwrap();
    until("the removed leader says so", || gone.trouble().contains("was removed from the fleet")).await;
    assert!(!gone.leads());
    let second = leader(&nodes).await;
    let other = *nodes.keys().find(|id| **id != second).unwrap();
    fulfil(&fleet, &nodes, Wish::Remove(other)).await;
    assert_eq!(step(&fleet, &nodes, Wish::Remove(other)).await, Ok(None), "it is out already");
    write(&nodes, 64).await;
    let gone = [gone, nodes.remove(&other).unwrap()];
    assert_eq!(roles(&nodes).await.len(), 3);
    same_tables(&nodes, 65).await;
    for node in gone {
        node.kill().await;
    }
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_removed_while_it_was_away_says_so_and_disturbs_nobody() {
    let fleet = Fleet::of(3);
    let mut nodes = fleet.start_all().await;
    let first = leader(&nodes).await;
    write(&nodes, 0).await;
    let away = *nodes.keys().find(|id| **id != first).unwrap();
    nodes.remove(&away).unwrap().kill().await;
    fulfil(&fleet, &nodes, Wish::Remove(away)).await;
    let term = nodes[&first].node.position().0;

    let returned = fleet.start(away).await;
    until("it says so", || returned.trouble().contains("was removed from the fleet")).await;
    assert!(returned.trouble().contains(&format!("replisome controller add {away}")), "{}", returned.trouble());
    // Several of its elections long.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        assert!(nodes[&first].leads(), "the leader was disturbed");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(nodes[&first].node.position().0, term);

    // Its directory never comes back, its id does.
    assert!(step(&fleet, &nodes, Wish::Add(away)).await.unwrap_err().0.contains("a log of its own"));
    returned.kill().await;
    fs::remove_dir_all(fleet.dir(away)).unwrap();
    nodes.insert(away, fleet.start(away).await);
    fulfil(&fleet, &nodes, Wish::Add(away)).await;
    same_tables(&nodes, 1).await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_is_exchanged_by_taking_it_out_and_in() {
    let fleet = Fleet::of(3);
    let mut nodes = fleet.start_all().await;
    write(&nodes, 0).await;
    nodes.remove(&1).unwrap().kill().await;
    fs::remove_dir_all(fleet.dir(1)).unwrap();
    leader(&nodes).await;
    let wiped = fleet.start(1).await;
    until("it says how", || wiped.trouble().contains("replisome controller remove 1")).await;
    nodes.insert(1, wiped);
    assert_eq!(step(&fleet, &nodes, Wish::Add(1)).await, Ok(None), "its id has a vote, though not this directory");
    fulfil(&fleet, &nodes, Wish::Remove(1)).await;
    fulfil(&fleet, &nodes, Wish::Add(1)).await;
    same_tables(&nodes, 1).await;
    until("it takes part", || nodes[&1].trouble().is_empty()).await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_leave_no_majority_is_refused() {
    let fleet = Fleet::of(3);
    let mut nodes = fleet.start_all().await;
    let first = leader(&nodes).await;
    let [away, other] = [1, 2, 3].into_iter().filter(|id| *id != first).collect::<Vec<_>>()[..] else { panic!() };
    nodes.remove(&away).unwrap().kill().await;
    let refused = step(&fleet, &nodes, Wish::Remove(other)).await.unwrap_err().0;
    assert!(refused.contains(&format!("start controller {away} ({})", fleet.address(away))), "{refused}");
    fulfil(&fleet, &nodes, Wish::Remove(away)).await;
    fulfil(&fleet, &nodes, Wish::Remove(other)).await;
    let refused = step(&fleet, &nodes, Wish::Remove(first)).await.unwrap_err().0;
    assert!(refused.contains("the only one with a vote"), "{refused}");
    write(&nodes, 0).await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_goes_on_after_the_death_of_whoever_led_it() {
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    println!("seed {seed}");
    let fleet = Fleet::with_joiners(3, 1);
    let mut nodes = fleet.start_all().await;
    for number in 0..5 {
        write(&nodes, number).await;
    }
    nodes.insert(4, fleet.start(4).await);
    let mut written = 5;
    for (round, wish) in [Wish::Add(4), Wish::Remove(4)].into_iter().enumerate() {
        // The leader is lost somewhere in the step that gives or takes the vote.
        let (first, node, vote) = loop {
            let first = leader(&nodes).await;
            let node = nodes[&first].node.clone();
            match next(&fleet, &node, wish).await.unwrap() {
                Some(vote @ (MemberStep::Promote(_) | MemberStep::Demote(_))) => break (first, node, vote),
                Some(before) => node.take_step(before).await.map(drop).unwrap(),
                None => panic!("it is done already"),
            }
        };
        let taken = tokio::spawn(async move { node.take_step(vote).await });
        sleep(Duration::from_micros((seed >> (round * 8)) % 256 * 100)).await;
        nodes.remove(&first).unwrap().kill().await;
        // Whatever became of it, the next leader goes on from there.
        let _ = taken.await;
        leader(&nodes).await;
        fulfil(&fleet, &nodes, wish).await;
        write(&nodes, written).await;
        written += 1;
        nodes.insert(first, fleet.start(first).await);
        let members = roles(&nodes).await.len();
        assert_eq!(members, if matches!(wish, Wish::Add(_)) { 4 } else { 3 });
    }
    nodes.remove(&4).unwrap().kill().await;
    same_tables(&nodes, written).await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_of_voters_that_was_left_half_done_is_finished_by_the_leader() {
    let fleet = Fleet::with_joiners(1, 1);
    let mut nodes = fleet.start_all().await;
    nodes.insert(2, fleet.start(2).await);
    nodes[&leader(&nodes).await].propose(Command::BeginLeadership).await.unwrap();
    step(&fleet, &nodes, Wish::Add(2)).await.unwrap();
    until("it is sent the log", || nodes[&2].table().controller_epoch().0 > 0).await;
    nodes[&1].node.leave_half_done(2);
    until("it is finished", || nodes[&1].node.voters() == 2 && !nodes[&1].node.is_half_done()).await;
    write(&nodes, 0).await;
    assert_eq!(clusters(&nodes[&1].table()), 1);
    stop(nodes).await;
}
