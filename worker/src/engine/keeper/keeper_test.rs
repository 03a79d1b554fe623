//! A keeper over clusters in memory: the order of looking and storing.

use common::assignment::Renewal;
use common::config::{ClientProperties, ClusterConfig, Delivery};
use common::ids::{ClusterName, Epoch, FleetId, Partition, Revision, RouteName, RoutePartition};
use common::offsets::StartPosition;
use kafka::admin::GroupMember;
use kafka::clients::Clients;
use kafka::memory::{CommitFault, MemoryClients, MemoryCluster};
use kafka::record::Slot;

use super::*;

struct Rig {
    source: MemoryCluster,
    target: MemoryCluster,
    clients: MemoryClients,
}

fn cluster(name: &str) -> ClusterConfig {
    ClusterConfig { name: ClusterName::new(name).expect("legal"), properties: ClientProperties::default() }
}

impl Rig {
    fn new() -> Self {
        let (source, target) = (MemoryCluster::new("source"), MemoryCluster::new("target"));
        source.create_topic("t", 2);
        target.create_topic("t", 2);
        for number in 0..10 {
            source.append_text("t", 0, "key", &number.to_string(), 1_000 + number);
        }
        let named = |name| ClusterName::new(name).expect("legal");
        let clients = MemoryClients::new([(named("source"), source.clone()), (named("target"), target.clone())]);
        Self { source, target, clients }
    }

    fn keeper(&self, session: u128) -> Keeper {
        let route = RouteConfig {
            name: RouteName::new("r").expect("legal"),
            fleet: FleetId::new("f").expect("legal"),
            incarnation: Revision(1),
            offsets_since: Revision(1),
            source: cluster("source"),
            target: cluster("target"),
            group: "g".to_owned(),
            delivery: Delivery::AtLeastOnce,
            accept_foreign_offsets: false,
            commit_interval: Duration::from_secs(1),
        };
        let source = self.clients.admin(&route.source).expect("known");
        let target = self.clients.admin(&route.target).expect("known");
        let offsets = self.clients.offsets(&route.source, "g").expect("known");
        let tether = Arc::new(Tether::new(Moment::now()));
        Keeper::new(route, SessionId::from_number(session), tether, source, target, offsets)
    }

    fn question(&self, epoch: u64, start: StartPosition, ask: Ask) -> Question {
        let topic = TopicName::new("t").expect("legal");
        let route = RouteName::new("r").expect("legal");
        let grant = Grant {
            partition: RoutePartition { route, topic: topic.clone(), partition: Partition(0) },
            epoch: Epoch(epoch),
            target_topic: topic,
            source_topic_id: self.source.topic_id("t").unwrap_or_default(),
            target_topic_id: self.target.topic_id("t").unwrap_or_default(),
            start,
            noted_offset: None,
            accept_foreign_offset: false,
        };
        Question { slot: Slot(0), grant: Arc::new(grant), ask, closely: false }
    }

    fn claim(&self, session: u128, epoch: u64, start: StartPosition) -> Verdict {
        self.ask(&mut self.keeper(session), self.question(epoch, start, Ask::Claim))
    }

    fn keep(&self, keeper: &mut Keeper, epoch: u64, floor: i64) -> Verdict {
        let ask = Ask::Keep { floor: Position::at(NextOffset(floor)), store: true };
        self.ask(keeper, self.question(epoch, StartPosition::Earliest, ask))
    }

    fn ask(&self, keeper: &mut Keeper, question: Question) -> Verdict {
        keeper.answer(&[question], Instant::now()).remove(0).verdict
    }

    fn stored(&self) -> Option<i64> {
        Some(self.source.group_offset("g", "t", 0)?.next_offset.0)
    }
}

/// Stored offsets, and what happens between the first look at them and what follows.
struct Interrupted<F> {
    offsets: Box<dyn OffsetStore>,
    then: Option<F>,
}

impl<F: FnOnce() + Send> OffsetStore for Interrupted<F> {
    fn read(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<GroupOffset>>, Error> {
        let stored = self.offsets.read(partitions);
        if let Some(then) = self.then.take() {
            then();
        }
        stored
    }

    fn read_all(&mut self) -> Result<Vec<(TopicPartition, GroupOffset)>, Error> {
        self.offsets.read_all()
    }

    fn commit(&mut self, offsets: &[(TopicPartition, GroupOffset)]) -> Result<Vec<Result<(), Error>>, Error> {
        self.offsets.commit(offsets)
    }
}

fn claimed(at: i64) -> Verdict {
    Verdict::Claimed(Position::at(NextOffset(at)))
}

#[test]
fn a_first_claim_stores_its_start_before_anything_is_read() {
    for (start, offset) in [(StartPosition::Earliest, 0), (StartPosition::Latest, 10), (StartPosition::Time(1_004), 4)]
    {
        let rig = Rig::new();
        assert_eq!(rig.claim(1, 1, start), claimed(offset), "{start}");
        assert_eq!(rig.stored(), Some(offset), "{start}");
    }
}

#[test]
fn what_kafka_has_forgotten_is_claimed_where_it_was_noted_and_what_is_stored_where_that_is() {
    let rig = Rig::new();
    let claim = |epoch, noted| {
        let mut question = rig.question(epoch, StartPosition::Latest, Ask::Claim);
        let grant = Grant { noted_offset: Some(NextOffset(noted)), ..(*question.grant).clone() };
        question.grant = Arc::new(grant);
        rig.ask(&mut rig.keeper(1), question)
    };
    assert_eq!(claim(1, 4), claimed(4));
    assert_eq!(claim(2, 2), claimed(4), "it is stored");
    rig.source.forget_group_offset("g", "t", 0);
    assert_eq!(claim(3, 3), claimed(3));
    rig.source.forget_group_offset("g", "t", 0);
    assert!(matches!(claim(4, 11), Verdict::Obstacle(Reason::OutOfRange { .. })), "the source ends before");
}

#[test]
fn another_tools_offset_is_taken_over() {
    let rig = Rig::new();
    let theirs = GroupOffset { next_offset: NextOffset(6), leader_epoch: None, metadata: String::new() };
    rig.source.set_group_offset("g", "t", 0, theirs);
    assert_eq!(rig.claim(1, 1, StartPosition::Latest), claimed(6));
}

#[test]
fn of_two_claimers_under_one_epoch_the_newer_session_wins() {
    let rig = Rig::new();
    assert_eq!(rig.claim(2, 1, StartPosition::Earliest), claimed(0));
    let refused = rig.claim(1, 1, StartPosition::Earliest);
    assert!(matches!(refused, Verdict::Obstacle(Reason::Superseded { .. })), "{refused:?}");
}

#[test]
fn a_late_commit_of_a_lost_owner_is_stored_over() {
    let rig = Rig::new();
    let (mut older, mut newer) = (rig.keeper(1), rig.keeper(2));
    assert_eq!(rig.ask(&mut older, rig.question(1, StartPosition::Earliest, Ask::Claim)), claimed(0));
    let zombie = rig.source.group_offset("g", "t", 0).expect("claimed");
    assert_eq!(rig.ask(&mut newer, rig.question(2, StartPosition::Earliest, Ask::Claim)), claimed(0));
    assert_eq!(rig.keep(&mut newer, 2, 8), Verdict::Stored(NextOffset(8)));
    rig.source.set_group_offset("g", "t", 0, GroupOffset { next_offset: NextOffset(3), ..zombie });
    assert_eq!(rig.keep(&mut newer, 2, 8), Verdict::Stored(NextOffset(8)));
    assert_eq!(rig.stored(), Some(8));
    assert!(matches!(rig.keep(&mut older, 1, 9), Verdict::Obstacle(Reason::Superseded { .. })));
    assert_eq!(rig.stored(), Some(8));
}

#[test]
fn a_worker_that_stood_still_before_it_stores_looks_again_first() {
    for somebody_claims in [true, false] {
        let rig = Rig::new();
        let mut older = rig.keeper(1);
        assert_eq!(rig.ask(&mut older, rig.question(1, StartPosition::Earliest, Ask::Claim)), claimed(0));
        let every = Duration::from_millis(20);
        older.tether.renew(&Renewal { heartbeat: 1, every, lease: every * 5, ..Renewal::default() }, Moment::now());
        let (source, stored) = (rig.source.clone(), rig.source.group_offset("g", "t", 0).expect("claimed"));
        let theirs =
            GroupOffset { next_offset: NextOffset(8), metadata: stored.metadata.replace(" e=1 ", " e=2 "), ..stored };
        let stand_still = move || {
            std::thread::sleep(every * 2);
            if somebody_claims {
                source.set_group_offset("g", "t", 0, theirs);
            }
        };
        let offsets = rig.clients.offsets(&older.route.source, "g").expect("known");
        older.offsets = Box::new(Interrupted { offsets, then: Some(stand_still) });
        let verdict = rig.keep(&mut older, 1, 5);
        if somebody_claims {
            assert!(matches!(verdict, Verdict::Unanswered(_)), "{verdict:?}");
            assert_eq!(rig.stored(), Some(8));
            assert!(matches!(rig.keep(&mut older, 1, 5), Verdict::Obstacle(Reason::Superseded { .. })));
        } else {
            assert_eq!((verdict, rig.stored()), (Verdict::Stored(NextOffset(5)), Some(5)));
        }
    }
}

#[test]
fn a_group_with_members_refuses_and_nothing_is_stored() {
    let rig = Rig::new();
    let member = GroupMember { member_id: "m".into(), client_id: "mirrormaker".into(), host: "/127.0.0.1".into() };
    rig.source.set_members("g", vec![member]);
    let verdict = rig.claim(1, 1, StartPosition::Earliest);
    assert_eq!(verdict, Verdict::Obstacle(Reason::GroupHasMembers));
    assert_eq!(rig.stored(), None);
}

#[test]
fn a_commit_that_fails_is_unanswered_whether_it_was_stored_or_not() {
    for fault in [CommitFault::Lost, CommitFault::Unknown] {
        let rig = Rig::new();
        let mut keeper = rig.keeper(1);
        rig.source.fail_commit(fault);
        let claim = || rig.question(1, StartPosition::Earliest, Ask::Claim);
        assert!(matches!(rig.ask(&mut keeper, claim()), Verdict::Unanswered(_)), "{fault:?}");
        assert_eq!(rig.ask(&mut keeper, claim()), claimed(0), "{fault:?}: asking again is harmless");
    }
}

#[test]
fn a_recreated_target_stops_the_storing() {
    let rig = Rig::new();
    let mut keeper = rig.keeper(1);
    let claim = rig.question(1, StartPosition::Earliest, Ask::Claim);
    let grant = claim.grant.clone();
    assert_eq!(rig.ask(&mut keeper, claim), claimed(0));
    rig.target.delete_topic("t");
    rig.target.create_topic("t", 2);
    let ask = Ask::Keep { floor: Position::at(NextOffset(5)), store: true };
    let verdict = rig.ask(&mut keeper, Question { slot: Slot(0), grant, ask, closely: false });
    assert!(matches!(verdict, Verdict::Obstacle(Reason::TopicRecreated { side: Side::Target, .. })), "{verdict:?}");
    assert_eq!(rig.stored(), Some(0));
}

#[test]
fn a_floor_that_does_not_move_is_stored_again_before_the_group_forgets_it() {
    let rig = Rig::new();
    let mut keeper = rig.keeper(1);
    assert_eq!(rig.ask(&mut keeper, rig.question(1, StartPosition::Earliest, Ask::Claim)), claimed(0));
    let stored = rig.source.group_offset("g", "t", 0).expect("claimed");
    let ask = Ask::Keep { floor: Position::at(NextOffset(0)), store: true };
    let keep = rig.question(1, StartPosition::Earliest, ask);
    // the tool's own mark on the metadata tells whether it was written again
    let marked = GroupOffset { leader_epoch: Some(common::offsets::LeaderEpoch(77)), ..stored };
    rig.source.set_group_offset("g", "t", 0, marked);
    let epoch = || rig.source.group_offset("g", "t", 0).expect("stored").leader_epoch;
    keeper.answer(std::slice::from_ref(&keep), Instant::now() + STORE_AGAIN_AFTER / 2);
    assert_eq!(epoch(), Some(common::offsets::LeaderEpoch(77)));
    keeper.answer(&[keep], Instant::now() + STORE_AGAIN_AFTER * 2);
    assert_ne!(epoch(), Some(common::offsets::LeaderEpoch(77)));
}

#[test]
fn an_unreachable_cluster_leaves_everything_unanswered() {
    let rig = Rig::new();
    rig.target.set_unreachable(true);
    let verdict = rig.claim(1, 1, StartPosition::Earliest);
    assert!(matches!(verdict, Verdict::Unanswered(Reason::Unreachable { side: Side::Target, .. })), "{verdict:?}");
    assert_eq!(rig.stored(), None);
}

#[test]
fn a_worker_that_sees_neither_a_leader_nor_the_stored_offsets_stops_after_a_lease() {
    let rig = Rig::new();
    let mut keeper = rig.keeper(1);
    assert_eq!(rig.ask(&mut keeper, rig.question(1, StartPosition::Earliest, Ask::Claim)), claimed(0));
    rig.source.set_unreachable(true);
    let ask = Ask::Keep { floor: Position::at(NextOffset(0)), store: true };
    let keep = rig.question(1, StartPosition::Earliest, ask);
    let began = Instant::now();
    let look = |keeper: &mut Keeper, second| {
        let answers = keeper.answer(std::slice::from_ref(&keep), began + Duration::from_secs(second));
        answers.into_iter().next().expect("one question").verdict
    };
    for second in [0, 4] {
        let verdict = look(&mut keeper, second);
        assert!(matches!(verdict, Verdict::Unanswered(_)), "after {second} s: {verdict:?}");
    }
    let verdict = look(&mut keeper, 6);
    assert!(matches!(verdict, Verdict::Obstacle(Reason::Unreachable { side: Side::Source, .. })), "{verdict:?}");
    rig.source.set_unreachable(false);
    assert_eq!(look(&mut keeper, 7), Verdict::Stored(NextOffset(0)));
}

/// Stored offsets that can't be reached.
struct OutOfReach;

impl OffsetStore for OutOfReach {
    fn read(&mut self, _: &[TopicPartition]) -> Result<Vec<Option<GroupOffset>>, Error> {
        Err(Error::new(ErrorKind::Unreachable, "cut off"))
    }

    fn read_all(&mut self) -> Result<Vec<(TopicPartition, GroupOffset)>, Error> {
        Err(Error::new(ErrorKind::Unreachable, "cut off"))
    }

    fn commit(&mut self, _: &[(TopicPartition, GroupOffset)]) -> Result<Vec<Result<(), Error>>, Error> {
        Err(Error::new(ErrorKind::Unreachable, "cut off"))
    }
}

#[test]
fn a_partition_whose_offset_nobody_sees_stops_whatever_is_known_of_others() {
    let rig = Rig::new();
    let mut keeper = rig.keeper(1);
    assert_eq!(rig.ask(&mut keeper, rig.question(1, StartPosition::Earliest, Ask::Claim)), claimed(0));
    keeper.offsets = Box::new(OutOfReach);
    let ask = Ask::Keep { floor: Position::at(NextOffset(0)), store: true };
    let (keep, mut other) =
        (rig.question(1, StartPosition::Earliest, ask), rig.question(1, StartPosition::Earliest, ask));
    Arc::make_mut(&mut other.grant).partition.partition = Partition(7);
    let began = Instant::now();
    let mut verdicts = |second| {
        let now = began + Duration::from_secs(second);
        let mut verdict = |question: &Question| keeper.answer(std::slice::from_ref(question), now).remove(0).verdict;
        [verdict(&keep), verdict(&other)]
    };
    for second in 0..5 {
        let [kept, missing] = verdicts(second);
        assert!(matches!(kept, Verdict::Unanswered(_)), "after {second} s: {kept:?}");
        assert!(matches!(missing, Verdict::Obstacle(Reason::TopicMissing { .. })), "{missing:?}");
    }
    let [kept, _] = verdicts(6);
    assert!(matches!(kept, Verdict::Obstacle(Reason::Unreachable { .. })), "{kept:?}");
}
