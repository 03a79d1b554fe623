//! The consumer group that a mirror stores its offsets in: what MirrorMaker 1 left there is continued, members are waited
//! for, and of two mirrors one goes on.

#[path = "groups/latest.rs"]
mod latest;
#[path = "groups/ownership.rs"]
mod ownership;

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};

use replisome_tests::admin::{self, Admin};
use replisome_tests::child::Exit;
use replisome_tests::compare::{assert_equal_hashes, assert_nothing_lost};
use replisome_tests::contents;
use replisome_tests::kafka_cluster::{KafkaCluster, shared};
use replisome_tests::load::fill;
use replisome_tests::mirror::Mirror;
use replisome_tests::mirror_maker::MirrorMaker;
use replisome_tests::probe::Probe;
use replisome_tests::process::Replisome;
use replisome_tests::wait;

const MINUTE: Duration = Duration::from_secs(60);

/// A mirror between the shared clusters, under a group with its topic's name.
fn mirror(topic: &str, probe: &Probe) -> Mirror {
    let (source, target) = shared();
    let mirror = Mirror::new(source.bootstrap(), target.bootstrap(), topic, topic);
    mirror.flags(["--num.streams", "2", "--http-listen", probe.address()])
}

/// Waits until the group's offset stands at the end of each partition.
#[track_caller]
fn wait_until_all_is_stored(running: &Replisome, group: &str, topic: &str) {
    let admin = Admin::new(shared().0.bootstrap());
    let partitions = admin.partitions(topic);
    let ends: Vec<i64> = (0..partitions).map(|partition| admin.offsets(topic, partition, false).1).collect();
    let stored = || admin.committed(group, topic).into_values().map(|committed| committed.offset).collect::<Vec<_>>();
    let all = wait::until_or_none(MINUTE, || (stored() == ends).then_some(()));
    assert!(all.is_some(), "{topic}: ends {ends:?}, stored {:?}\n{}", stored(), running.tail());
}

fn hashes(cluster: &KafkaCluster, topic: &str) -> contents::Hashes {
    contents::hashes(cluster.bootstrap(), topic)
}

/// A consumer that has joined a group; leaves when dropped.
struct Member {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    fn join(group: &str, topic: &str, client_id: &str) -> Self {
        let mut config = admin::client_config(shared().0.bootstrap());
        config.set("group.id", group).set("client.id", client_id).set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().expect("create a consumer");
        consumer.subscribe(&[topic]).expect("subscribe");
        wait::until_true("the consumer has joined", MINUTE, || {
            drop(consumer.poll(Duration::from_millis(50)));
            consumer.assignment().is_ok_and(|assigned| assigned.count() > 0)
        });
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                drop(consumer.poll(Duration::from_millis(50)));
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop = None;
        self.thread.take().map(JoinHandle::join);
    }
}

/// Lets the real MirrorMaker 1 copy a part of a topic, ends it in some way, and lets ours finish: how much came twice,
/// how much was copied and not committed, and ours.
fn continue_what_mirror_maker_began(
    topic: &'static str,
    end: impl Fn(&mut MirrorMaker) -> Exit,
) -> (usize, i64, Replisome) {
    let (source, target) = shared();
    let (admin, target_admin) = (Admin::new(source.bootstrap()), Admin::new(target.bootstrap()));
    admin.create_topic(topic, 1, &[]);
    target_admin.create_topic(topic, 1, &[]);
    fill(source.bootstrap(), topic, 1, 400_000, 100);
    let consumer = [
        ("bootstrap.servers", source.bootstrap()),
        ("group.id", topic),
        ("auto.offset.reset", "earliest"),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "1000"),
        ("max.poll.records", "200"),
    ];
    let producer = [("bootstrap.servers", target.bootstrap()), ("linger.ms", "0")];
    let flags = ["--offset.commit.interval.ms", "300"];
    let mut mirror_maker = MirrorMaker::start_with(&consumer, &producer, 1, topic, &flags);
    let arrived = || target_admin.offsets(topic, 0, true).1;
    let committed = || admin.committed(topic, topic).get(&0).map_or(0, |committed| committed.offset);
    wait::until_true("MirrorMaker has copied and committed a part", MINUTE, || {
        mirror_maker.assert_runs();
        arrived() > 20_000 && committed() > 0
    });
    end(&mut mirror_maker);
    let (stored, copied) = (committed(), arrived());
    assert!(copied < 400_000, "MirrorMaker was too quick: it copied all");
    let (ours, _) = mirror(topic, &Probe::default()).run_until_end(2 * MINUTE);
    let duplicates = assert_nothing_lost(&hashes(source, topic), &hashes(target, topic))[&0];
    let tail = copied - stored;
    eprintln!("{topic}: MirrorMaker copied {copied}, committed {stored}; of the {tail} others {duplicates} came again");
    (duplicates, tail, ours)
}

#[test]
fn a_group_that_a_stopped_mirror_maker_1_committed_is_continued_without_a_repeat() {
    let stop = |mirror_maker: &mut MirrorMaker| mirror_maker.stop();
    let (duplicates, tail, _) = continue_what_mirror_maker_began("groups-stopped-mm1", stop);
    assert_eq!((duplicates, tail), (0, 0));
}

#[test]
fn a_killed_mirror_maker_1_is_named_and_waited_for_and_only_its_uncommitted_tail_comes_again() {
    let kill = |mirror_maker: &mut MirrorMaker| mirror_maker.kill();
    let (duplicates, tail, ours) = continue_what_mirror_maker_began("groups-killed-mm1", kill);
    assert!(duplicates as i64 <= tail, "{duplicates} repeats, {tail} not committed");
    let said = ours.stderr();
    assert!(said.contains("has members: groups-killed-mm1-0"), "it names the member:\n{said}");
}

#[test]
fn live_members_are_named_and_the_mirror_goes_on_when_they_leave() {
    let (source, target) = shared();
    let topic = "groups-live";
    Admin::new(source.bootstrap()).create_topic(topic, 2, &[]);
    fill(source.bootstrap(), topic, 2, 1_000, 0);
    let member = Member::join(topic, topic, "somebody-else");
    let probe = Probe::default();
    let mirror = mirror(topic, &probe);
    let mut running = mirror.start();
    running.wait_for_output("has members: somebody-else at ", MINUTE);
    assert_eq!(Admin::new(target.bootstrap()).partitions(topic), 0, "nothing is done before they leave");
    drop(member);
    probe.wait_until_ready(&mut running, MINUTE);
    wait_until_all_is_stored(&running, topic, topic);
    assert_equal_hashes(&hashes(source, topic), &hashes(target, topic));
}

#[test]
fn a_member_that_joins_later_pauses_the_mirror_until_it_leaves() {
    let (source, target) = shared();
    let topic = "groups-joined-later";
    Admin::new(source.bootstrap()).create_topic(topic, 2, &[]);
    fill(source.bootstrap(), topic, 2, 1_000, 0);
    let probe = Probe::default();
    let mirror = mirror(topic, &probe);
    let mut running = mirror.start();
    probe.wait_until_ready(&mut running, MINUTE);
    wait_until_all_is_stored(&running, topic, topic);
    let member = Member::join(topic, topic, "somebody-else");
    fill(source.bootstrap(), topic, 2, 1_000, 0);
    probe.wait_until_held(&running, topic, 0, "group-has-members", MINUTE);
    drop(member);
    wait_until_all_is_stored(&running, topic, topic);
    assert_equal_hashes(&hashes(source, topic), &hashes(target, topic));
}

#[test]
fn members_that_stay_end_the_mirror_with_code_4_after_a_minute() {
    let (source, target) = shared();
    let topic = "groups-staying";
    Admin::new(source.bootstrap()).create_topic(topic, 1, &[]);
    let _member = Member::join(topic, topic, "stays-for-ever");
    let started = Instant::now();
    let mirror = mirror(topic, &Probe::default());
    let mut running = mirror.start();
    running.wait_for_code(4, 2 * MINUTE);
    let took = started.elapsed();
    assert!((MINUTE..MINUTE + MINUTE / 4).contains(&took), "{took:?}");
    assert!(running.stderr().contains("still has members after 60 s: stays-for-ever at "), "{}", running.tail());
    assert_eq!(Admin::new(target.bootstrap()).partitions(topic), 0);
}
