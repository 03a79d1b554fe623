//! Whole nodes over real gRPC on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::config::{ClientProperties, ClusterConfig};
use common::ids::ClusterName;
use openraft::raft::VoteRequest;
use proto::v1::RaftRequest;
use proto::v1::raft_client::RaftClient;
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::node::RaftNode;
use super::settings::{RaftSettings, RaftTuning};
use super::types::{FORMAT, Vote};
use crate::leader::command_log::ProposeError;
use crate::state::command::FORMAT as ENVELOPE_FORMAT;
use crate::state::{Command, Envelope, Outcome, Rejection, State};

pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A fleet's directories and addresses. Nodes come and go.
pub(super) struct Fleet {
    dirs: TempDir,
    pub members: BTreeMap<u64, String>,
    /// Those it does not begin with.
    pub joiners: BTreeMap<u64, String>,
    pub tuning: RaftTuning,
}

/// A node that runs.
pub(super) struct Running {
    pub node: RaftNode,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Fleet {
    pub fn of(size: u64) -> Self {
        Self::with_joiners(size, 0)
    }

    /// A fleet of nodes 1 to `size`, and the nodes after them.
    pub fn with_joiners(size: u64, joiners: u64) -> Self {
        let listeners: Vec<_> = (0..size + joiners).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
        let mut members: BTreeMap<u64, String> = (1..).zip(listeners.iter().map(address)).collect();
        let joiners = members.split_off(&(size + 1));
        Self { dirs: tempfile::tempdir().unwrap(), members, joiners, tuning: RaftTuning::default() }
    }

    pub fn address(&self, id: u64) -> String {
        self.members.get(&id).or_else(|| self.joiners.get(&id)).unwrap().clone()
    }

    pub fn dir(&self, id: u64) -> std::path::PathBuf {
        self.dirs.path().join(id.to_string())
    }

    pub async fn start(&self, id: u64) -> Running {
        let advertise = self.address(id);
        let initial_members = if self.joiners.contains_key(&id) { BTreeMap::new() } else { self.members.clone() };
        let settings = RaftSettings { node: id, dir: self.dir(id), advertise: advertise.clone(), initial_members };
        let node = RaftNode::open_with(settings, self.tuning.clone()).await.unwrap();
        let shutdown = CancellationToken::new();
        let listener = tokio::net::TcpListener::bind(&advertise).await.unwrap();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(node.service());
        let serve = server.serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
        let (running, stop) = (node.clone(), shutdown.clone());
        let tasks = vec![
            tokio::spawn(async move { serve.await.unwrap() }),
            tokio::spawn(async move { running.run(stop).await }),
        ];
        Running { node, shutdown, tasks }
    }

    pub async fn start_all(&self) -> BTreeMap<u64, Running> {
        let mut nodes = BTreeMap::new();
        for id in self.members.keys() {
            nodes.insert(*id, self.start(*id).await);
        }
        nodes
    }
}

impl Running {
    /// As if it had died: nothing is handed over.
    pub async fn kill(self) {
        self.shutdown.cancel();
        self.node.clone().stop().await;
        for task in self.tasks {
            // The server also waits for connections, which peers keep open.
            let _ = timeout(Duration::from_millis(200), task).await;
        }
    }

    pub fn leads(&self) -> bool {
        self.node.standing().borrow().leads.is_some()
    }

    pub fn trouble(&self) -> String {
        self.node.standing().borrow().trouble.clone().unwrap_or_default()
    }

    pub fn table(&self) -> State {
        self.node.log().read().clone()
    }

    pub async fn propose(&self, command: Command) -> Result<Outcome, ProposeError> {
        self.node.log().propose(envelope(command)).await
    }
}

pub(super) fn envelope(command: Command) -> Envelope {
    Envelope { format: ENVELOPE_FORMAT, request: None, actor: "test".into(), time_ms: 0, command }
}

pub(super) fn add_cluster(number: usize) -> Command {
    let properties = ClientProperties::from_iter([("bootstrap.servers", format!("host{number}:9092"))]);
    Command::AddCluster(ClusterConfig { name: ClusterName::new(format!("c{number}")).unwrap(), properties })
}

pub(super) fn clusters(table: &State) -> usize {
    table.clusters().len()
}

#[track_caller]
pub(super) fn until(what: &str, mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let (what, caller) = (what.to_owned(), std::panic::Location::caller());
    async move {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}, at {caller}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(super) async fn leader(nodes: &BTreeMap<u64, Running>) -> u64 {
    let find = || nodes.iter().find(|(_, node)| node.leads()).map(|(id, _)| *id);
    until("a leader", || find().is_some()).await;
    find().expect("just found")
}

pub(super) async fn same_tables(nodes: &BTreeMap<u64, Running>, count: usize) {
    let equal = || {
        let tables: Vec<_> = nodes.values().map(Running::table).collect();
        tables.iter().all(|table| clusters(table) == count && *table == tables[0])
    };
    until("the same table everywhere", equal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_share_one_table_and_outlive_their_leader() {
    let fleet = Fleet::of(3);
    let mut nodes = fleet.start_all().await;
    let first = leader(&nodes).await;
    let follower = *nodes.keys().find(|id| **id != first).unwrap();

    assert_eq!(nodes[&first].node.linearize().await, Err(ProposeError::NotLeader), "before the barrier");
    nodes[&first].propose(Command::BeginLeadership).await.unwrap();
    for number in 0..5 {
        nodes[&first].propose(add_cluster(number)).await.unwrap();
    }
    assert_eq!(nodes[&first].node.linearize().await, Ok(()));
    assert_eq!(nodes[&follower].node.linearize().await, Err(ProposeError::NotLeader));
    assert_eq!(nodes[&follower].propose(add_cluster(9)).await, Err(ProposeError::NotLeader));
    let refused = nodes[&first]
        .propose(Command::RemoveRoute { route: common::ids::RouteName::new("none").unwrap(), keep_offsets: false });
    assert!(matches!(refused.await, Err(ProposeError::Rejected(Rejection::UnknownRoute(_)))));
    same_tables(&nodes, 5).await;
    let name = nodes[&first].table().fleet().to_string();
    assert_eq!(name.len(), 8);
    let store = fs::read_to_string(fleet.dir(1).join("store")).unwrap().to_lowercase();
    assert!(store.contains(&format!("{name}\nsum ")), "{name} is not the end of the id in {store}");
    until("the follower knows the leader", || {
        let standing = nodes[&follower].node.standing().borrow().clone();
        standing.has_quorum && standing.leader == Some((first, fleet.members[&first].clone()))
    })
    .await;
    let roles: Vec<_> =
        nodes[&follower].node.controllers().await.into_iter().map(|view| (view.id, view.role)).collect();
    let role = |id: u64| (id, if id == first { "leader" } else { "follower" }.to_owned());
    assert_eq!(roles, [1, 2, 3].map(role));

    nodes.remove(&first).unwrap().kill().await;
    let second = leader(&nodes).await;
    nodes[&second].propose(add_cluster(5)).await.unwrap();
    let views = nodes[&second].node.controllers().await;
    assert_eq!(views.iter().find(|view| view.id == first).unwrap().role, "unreachable");

    nodes.insert(first, fleet.start(first).await);
    same_tables(&nodes, 6).await;
    for node in nodes.into_values() {
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_for_long_gets_a_snapshot() {
    let mut fleet = Fleet::of(3);
    fleet.tuning = RaftTuning { snapshot_entries: 20, keep_entries: 5, ..RaftTuning::default() };
    let mut nodes = fleet.start_all().await;
    let first = leader(&nodes).await;
    let away = *nodes.keys().find(|id| **id != first).unwrap();
    nodes.remove(&away).unwrap().kill().await;
    assert!(!fleet.dir(away).join("table.snapshot").exists());
    for number in 0..70 {
        nodes[&first].propose(add_cluster(number)).await.unwrap();
    }
    until("the leader purged its log", || nodes[&first].node.purged() > 40).await;

    nodes.insert(away, fleet.start(away).await);
    same_tables(&nodes, 70).await;
    assert!(fleet.dir(away).join("table.snapshot").exists());
    for node in nodes.into_values() {
        node.kill().await;
    }
    // The snapshot and the log behind it make the same table again.
    let nodes = fleet.start_all().await;
    leader(&nodes).await;
    same_tables(&nodes, 70).await;
    for node in nodes.into_values() {
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_neither_votes_nor_founds_under_its_old_id() {
    let fleet = Fleet::of(3);
    let mut nodes = fleet.start_all().await;
    let first = leader(&nodes).await;
    nodes[&first].propose(add_cluster(0)).await.unwrap();
    same_tables(&nodes, 1).await;
    let old_store = nodes[&1].node.store().to_owned();

    // The lowest member: were it to count its emptiness as a beginning, it would found a second fleet.
    nodes.remove(&1).unwrap().kill().await;
    fs::remove_dir_all(fleet.dir(1)).unwrap();
    nodes.insert(1, fleet.start(1).await);
    let second = leader(&nodes).await;
    nodes[&second].propose(add_cluster(1)).await.unwrap();
    until("the wiped node knows", || nodes[&1].trouble().contains("Put the old directory back")).await;
    assert!(!nodes[&1].node.standing().borrow().initialized);

    // Neither under its new store id nor under its old one does it get a vote, or give one.
    let new_store = nodes[&1].node.store().to_owned();
    let other_store = nodes[&2].node.store().to_owned();
    assert_ne!(new_store, old_store);
    let (one, two) = ((1, new_store.as_str()), (2, other_store.as_str()));
    refused_as_wrong_store(&fleet.members[&2], one, two).await;
    refused_as_wrong_store(&fleet.members[&1], two, (1, &old_store)).await;

    // Without its vote there is no majority.
    let other = if second == 2 { 3 } else { 2 };
    nodes.remove(&other).unwrap().kill().await;
    until("the leader steps back", || !nodes[&second].leads()).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2_500) {
        assert!(nodes.values().all(|node| !node.leads()), "a wiped node made a majority");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(clusters(&nodes[&1].table()), 0);
    for node in nodes.into_values() {
        node.kill().await;
    }
}

async fn refused_as_wrong_store(address: &str, from: (u64, &str), to: (u64, &str)) {
    let mut client = RaftClient::connect(format!("http://{address}")).await.unwrap();
    let vote = VoteRequest { vote: Vote::new(1_000, from.0), last_log_id: None };
    let request = RaftRequest {
        format: FORMAT.into(),
        from_node: from.0,
        from_store: from.1.to_owned(),
        to_node: to.0,
        to_store: to.1.to_owned(),
        payload: postcard::to_stdvec(&vote).unwrap(),
    };
    let status = client.vote(request).await.expect_err("another store");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().starts_with("wrong store"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_waits_for_all_its_initial_members() {
    let fleet = Fleet::of(3);
    let mut nodes = BTreeMap::from([(1, fleet.start(1).await), (2, fleet.start(2).await)]);
    until("it says for whom it waits", || nodes[&1].trouble().contains(&format!("3 ({})", fleet.members[&3]))).await;
    assert!(nodes.values().all(|node| !node.node.standing().borrow().initialized));
    nodes.insert(3, fleet.start(3).await);
    leader(&nodes).await;
    until("the trouble is over", || nodes[&1].trouble().is_empty()).await;
    for node in nodes.into_values() {
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_shares_an_entry_and_what_is_too_large_is_refused() {
    let fleet = Fleet::of(1);
    let node = fleet.start(1).await;
    until("it leads", || node.leads()).await;
    let before = node.node.last_index();
    let mut proposals = JoinSet::new();
    for number in 0..500 {
        let log = node.node.log();
        proposals.spawn(async move { log.propose(envelope(add_cluster(number))).await.unwrap().revision.0 });
    }
    let mut revisions = proposals.join_all().await;
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=500).collect::<Vec<_>>());
    let entries = node.node.last_index() - before;
    assert!(entries < 250, "{entries} entries for 500 commands");

    let large = Envelope { actor: "x".repeat(2 << 20), ..envelope(Command::BeginLeadership) };
    let refused = node.node.log().propose(large).await;
    assert!(matches!(refused, Err(ProposeError::Rejected(Rejection::TooLarge { .. }))), "{refused:?}");
    node.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_a_node_stops_at_any_moment() {
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    println!("seed {seed}");
    let mut fleet = Fleet::of(1);
    fleet.tuning = RaftTuning { snapshot_entries: 10, keep_entries: 3, ..RaftTuning::default() };
    let (mut acknowledged, mut next) = (Vec::new(), 0);
    for cycle in 0..6 {
        let node = fleet.start(1).await;
        until("it leads", || node.leads()).await;
        node.propose(Command::BeginLeadership).await.unwrap();
        node.node.linearize().await.unwrap();
        let table = node.table();
        for name in &acknowledged {
            assert!(table.clusters().contains_key(name), "{name} was acknowledged before cycle {cycle}");
        }
        let log = node.node.log();
        let writer = tokio::spawn(async move {
            let mut written = Vec::new();
            for number in next.. {
                match log.propose(envelope(add_cluster(number))).await {
                    Ok(_) => written.push(ClusterName::new(format!("c{number}")).unwrap()),
                    Err(_) => return (written, number + 1),
                }
            }
            unreachable!("it is stopped before")
        });
        sleep(Duration::from_micros((seed >> (cycle * 8)) % 256 * 400)).await;
        node.kill().await;
        let (written, after) = writer.await.unwrap();
        (acknowledged, next) = ([acknowledged, written].concat(), after);
    }
    assert!(!acknowledged.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_the_log_of_a_leader_that_stops_is_of_unknown_outcome() {
    let fleet = Fleet::of(3);
    let mut nodes = fleet.start_all().await;
    let first = leader(&nodes).await;
    let lonely = nodes.remove(&first).unwrap();
    for node in nodes.into_values() {
        node.kill().await;
    }
    let before = lonely.node.last_index();
    let log = lonely.node.log();
    let proposed = tokio::spawn(async move { log.propose(envelope(add_cluster(0))).await });
    until("it is in the log", || lonely.node.last_index() > before).await;
    lonely.kill().await;
    // Its log may yet win the next election.
    assert!(matches!(proposed.await.unwrap(), Err(ProposeError::Unknown(_))));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let members = |ids: &[u64]| ids.iter().map(|id| (*id, format!("host:{id}"))).collect::<BTreeMap<_, _>>();
    let settings = |node, initial_members| RaftSettings {
        node,
        dir: Path::new("/nowhere").into(),
        advertise: format!("host:{node}"),
        initial_members,
    };
    let refused = async |settings| RaftNode::open(settings).await.expect_err("it can't work").to_string();
    assert!(refused(settings(1, members(&[1, 2]))).await.contains("names 2 controllers: it must be 1, 3 or 5"));
    assert!(refused(settings(4, members(&[1, 2, 3]))).await.contains("does not name node-id 4"));
    assert!(refused(settings(0, members(&[0]))).await.contains("count from 1"));
    let other = RaftSettings { advertise: "elsewhere:1".into(), ..settings(1, members(&[1])) };
    assert!(refused(other).await.contains("is at host:1, but it advertises elsewhere:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_leads_nothing_and_proposes_nothing() {
    let fleet = Fleet::of(1);
    let node = fleet.start(1).await;
    until("it leads", || node.leads()).await;
    let (log, standing) = (node.node.log(), node.node.standing());
    node.kill().await;
    assert_eq!(standing.borrow().leads, None);
    let after = Arc::clone(&log).propose(envelope(add_cluster(0))).await;
    assert_eq!(after, Err(ProposeError::NotLeader));
}
