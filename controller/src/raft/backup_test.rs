//! A fleet is lost and goes on from its backup. Whole nodes, as in `node_test`.

use std::collections::BTreeMap;
use std::fs;

use super::backup::{Backup, BackupError};
use super::node_test::{Fleet, Running, add_cluster, clusters, leader, until};
use super::restore::restore;
use super::settings::{OpenError, RaftSettings};

fn settings(fleet: &Fleet, node: u64) -> RaftSettings {
    let (dir, advertise) = (fleet.dir(node), fleet.address(node));
    RaftSettings { node, dir, advertise, initial_members: BTreeMap::new() }
}

async fn backup(node: &Running) -> Backup {
    let bytes = node.node.backup().expect("it has a table").to_bytes();
    Backup::from_bytes(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_fleet_goes_on_from_its_backup_and_grows_and_tells_the_lost_ones_that_they_are_out() {
    let fleet = Fleet::with_joiners(3, 1);
    let mut nodes = fleet.start_all().await;
    let first = leader(&nodes).await;
    for number in 0..5 {
        nodes[&first].propose(add_cluster(number)).await.unwrap();
    }
    let follower = *nodes.keys().find(|id| **id != first).unwrap();
    until("a follower has it too", || clusters(&nodes[&follower].table()) == 5).await;
    let saved = backup(&nodes[&follower]).await;
    let before = nodes[&first].table();
    assert_eq!((saved.of.revision, &saved.of.fleet), (before.revision().0, before.fleet()));
    // What comes now is lost.
    nodes[&first].propose(add_cluster(5)).await.unwrap();
    for node in std::mem::take(&mut nodes).into_values() {
        node.kill().await;
    }

    // The others' disks are still there, and one of them is started again later, by mistake.
    fs::remove_dir_all(fleet.dir(1)).unwrap();
    let restored = settings(&fleet, 1);
    let of = tokio::task::spawn_blocking(move || restore(&restored, saved)).await.unwrap().unwrap();
    assert_eq!(of.revision, before.revision().0);
    nodes.insert(1, fleet.start(1).await);
    leader(&nodes).await;
    let table = nodes[&1].table();
    assert_eq!((clusters(&table), table.fleet()), (5, before.fleet()));
    assert!(table.incarnation() > before.incarnation() && table.revision() > before.revision());
    let revision = nodes[&1].propose(add_cluster(6)).await.unwrap().revision;
    assert!(revision > table.revision());

    let lost = fleet.start(2).await;
    until("the lost one is told", || lost.trouble().contains("was removed from the fleet")).await;
    assert!(nodes[&1].leads());
    lost.kill().await;

    nodes.insert(4, fleet.start(4).await);
    while let Some(step) = nodes[&1].node.next_to_add(4, &fleet.address(4)).await.unwrap() {
        nodes[&1].node.take_step(step).await.unwrap();
    }
    until("the new one has the table", || nodes[&4].table() == nodes[&1].table()).await;
    for node in nodes.into_values() {
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_backup_is_refused_and_so_is_a_directory_in_use() {
    let fleet = Fleet::with_joiners(1, 1);
    let node = fleet.start(1).await;
    until("it leads", || node.leads()).await;
    let joiner = fleet.start(2).await;
    assert_eq!(joiner.node.backup(), None, "it has no table yet");
    joiner.kill().await;
    let saved = backup(&node).await;
    let bytes = saved.to_bytes();
    for cut in [30, bytes.len() - 1] {
        assert!(matches!(Backup::from_bytes(&bytes[..cut]), Err(BackupError::Damaged)), "{cut}");
    }
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    assert!(matches!(Backup::from_bytes(&flipped), Err(BackupError::Damaged)));
    assert!(matches!(Backup::from_bytes(b"replisome-backup 2\n"), Err(BackupError::Foreign)));
    assert!(matches!(Backup::from_bytes(b""), Err(BackupError::Foreign)));

    let taken = settings(&fleet, 1);
    let error = tokio::task::spawn_blocking(move || restore(&taken, saved)).await.unwrap().unwrap_err();
    assert!(matches!(&error, OpenError::Refused { problem, .. } if problem.contains("not empty")), "{error}");
    node.kill().await;
}
