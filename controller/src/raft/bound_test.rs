//! A data directory stays small, and a disk that is full ends the log with a word about it.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::blocking::Blocking;
use proto::wire::Tcp;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::bound::DIRECTORY_BYTES_MAX;
use super::medium::{Medium, Pairs, Tree};
use super::node::RaftNode;
use super::node_test::{DEADLINE, Fleet, add_cluster, envelope, until};
use super::settings::{RaftSettings, RaftTuning};
use super::sled_dir::SledDir;
use crate::leader::command_log::ProposeError;
use crate::state::{Command, Envelope};

fn bytes(dir: &Path) -> u64 {
    let size = |file: io::Result<fs::DirEntry>| {
        // A file that is replaced just now.
        let Ok(kind) = file.as_ref().map_err(drop).and_then(|file| file.metadata().map_err(drop)) else { return 0 };
        if kind.is_dir() { bytes(&file.unwrap().path()) } else { kind.len() }
    };
    fs::read_dir(dir).unwrap().map(size).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_commands_leave_a_small_directory() {
    const COMMANDS: usize = 20_000;
    const AT_ONCE: usize = 25;
    let fleet = Fleet::of(1);
    let node = fleet.start(1).await;
    until("it leads", || node.leads()).await;
    let (mut greatest, before) = (0, node.node.last_index());
    let text = "x".repeat(4_000);
    for _ in 0..COMMANDS / AT_ONCE {
        let mut proposals = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (log, actor) = (node.node.log(), text.clone());
            proposals.spawn(async move {
                log.propose(Envelope { actor, ..envelope(Command::BeginLeadership) }).await.unwrap();
            });
        }
        proposals.join_all().await;
        greatest = greatest.max(bytes(&fleet.dir(1)));
    }
    let (entries, applied) = (node.node.last_index() - before, node.table().controller_epoch().0);
    println!("{entries} entries of {} MiB; at most {} MiB on disk", (COMMANDS * text.len()) >> 20, greatest >> 20);
    assert_eq!(applied, COMMANDS as u64);
    assert!(COMMANDS * text.len() > DIRECTORY_BYTES_MAX as usize, "less was written than may be kept");
    assert!(greatest < DIRECTORY_BYTES_MAX, "{greatest} bytes, after {entries} entries");
    until("the log is purged", || node.node.purged() > 0).await;
    node.kill().await;
    // All of it is there again.
    let node = fleet.start(1).await;
    until("it leads", || node.leads()).await;
    node.propose(add_cluster(0)).await.unwrap();
    assert_eq!(node.table().controller_epoch().0, COMMANDS as u64);
    node.kill().await;
}

/// A real directory on a disk that becomes full.
#[derive(Debug)]
struct Filling {
    dir: SledDir,
    is_full: Arc<AtomicBool>,
}

impl Filling {
    fn take_room(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Blocking for Filling {}

impl Medium for Filling {
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.dir.get(tree, key)
    }

    fn range(&self, tree: Tree, range: RangeInclusive<&[u8]>) -> Pairs<'_> {
        self.dir.range(tree, range)
    }

    fn write(&self, tree: Tree, changes: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> io::Result<()> {
        self.dir.write(tree, changes)
    }

    fn sync(&self) -> io::Result<()> {
        self.take_room().and_then(|()| self.dir.sync())
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.dir.read_file(name)
    }

    fn replace_file(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        self.take_room().and_then(|()| self.dir.replace_file(name, parts))
    }

    fn room(&self) -> Option<u64> {
        Some(if self.is_full.load(Ordering::Relaxed) { 0 } else { u64::MAX })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_log_and_is_named_and_nothing_that_was_acknowledged_is_lost() {
    let fleet = Fleet::of(1);
    let (dir, is_full) = (fleet.dir(1), Arc::new(AtomicBool::new(false)));
    fs::create_dir_all(&dir).unwrap();
    let medium = Filling { dir: SledDir::open(&dir).unwrap(), is_full: is_full.clone() };
    let settings = RaftSettings { node: 1, dir, advertise: fleet.address(1), initial_members: fleet.members.clone() };
    let node = RaftNode::open_on(settings, Arc::new(medium), Arc::new(Tcp), RaftTuning::default()).await.unwrap();
    let (running, shutdown) = (node.clone(), CancellationToken::new());
    let run = tokio::spawn(async move { running.run(shutdown).await });
    until("it leads", || node.standing().borrow().leads.is_some()).await;
    node.log().propose(envelope(add_cluster(0))).await.unwrap();
    assert_eq!(node.failure(), None);
    assert_eq!(node.controllers().await[0].warning, "");

    is_full.store(true, Ordering::Relaxed);
    until("it warns", || node.0.health.warning().is_some()).await;
    let warning = node.controllers().await.remove(0).warning;
    assert!(warning.contains("has 0 MiB of room left, and may need 64"), "{warning}");
    let unknown = node.log().propose(envelope(add_cluster(1))).await;
    assert!(matches!(unknown, Err(ProposeError::Unknown(_))), "{unknown:?}");
    timeout(DEADLINE, run).await.expect("it ends with its log").unwrap();
    let failure = node.failure().expect("it says why");
    assert!(failure.starts_with("writing its log: ") && failure.contains("the disk is full. Make room"), "{failure}");
    node.stop().await;

    let node = fleet.start(1).await;
    until("it leads", || node.leads()).await;
    assert!(!node.table().clusters().is_empty(), "what was acknowledged is there");
    node.kill().await;
}
