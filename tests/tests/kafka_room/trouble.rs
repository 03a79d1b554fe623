//! Clusters of their own: rights, and brokers that go away.

use std::time::{Duration, Instant};

use kafka::error::ErrorKind;
use kafka::record::Slot;
use kafka::sink::{Sink, SinkBounds};
use kafka::source::Source;
use replisome_tests::admin::Admin;
use replisome_tests::child::Signal;
use replisome_tests::kafka_cluster::{KafkaCluster, Options};
use replisome_tests::produce::{NewRecord, Producer};
use replisome_tests::{contents, kafka_tools};

use super::*;

const BOUNDS: SinkBounds = SinkBounds { queued_bytes: MIB, batch_bytes: MIB };

#[test]
fn rights_are_told_by_partition_and_a_wrong_password_without_one() {
    let options = Options { users: &[("alice", "secret")], ..Options::default() };
    let cluster = KafkaCluster::start("room-secured", options);
    let admin = Admin::new(cluster.bootstrap());
    for topic in ["room-open", "room-denied"] {
        admin.create_topic(topic, 1, &[]);
        Producer::new(cluster.bootstrap()).send_all(topic, &[NewRecord::new(0, "k", "v")]);
    }
    let allow = |operation: &str| {
        let who = ["--add", "--allow-principal", "User:alice", "--topic", "room-open", "--operation", operation];
        kafka_tools::acls(cluster.bootstrap(), &who);
    };
    allow("Read");
    allow("Write");
    let login = |password: &'static str| {
        [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "alice"),
            ("sasl.password", password),
        ]
    };

    // No right on any group is needed to read.
    let mut reader = source_with(cluster.sasl_bootstrap(), &login("secret"), MIB);
    reader.assign(&[at(0, "room-open", 0, 0), at(1, "room-denied", 0, 0)]).unwrap();
    let (mut denied, mut ended) = (false, false);
    poll_until(&mut reader, "a denial and an end", |seen| {
        match seen {
            Seen::Failed(Some(1), ErrorKind::TopicDenied, _) => denied = true,
            Seen::End(0, 1) => ended = true,
            Seen::Record(0, _) => {}
            other => panic!("{other:?}"),
        }
        denied && ended
    });
    // Said again each time it is tried again, and only then.
    assert_eq!(poll(&mut reader, Duration::from_secs(3)), None);
    reader.assign(&[at(1, "room-denied", 0, 0)]).unwrap();
    let is_denied = |seen: &Seen| matches!(seen, Seen::Failed(Some(1), ErrorKind::TopicDenied, _));
    poll_until(&mut reader, "the second denial", is_denied);

    let mut writer = sink_with(cluster.sasl_bootstrap(), &login("secret"), BOUNDS);
    writer.open(Slot(0), &place("room-open", 0)).unwrap();
    writer.open(Slot(1), &place("room-denied", 0)).unwrap();
    writer.produce(Slot(0), &plain(0, b"v")).unwrap();
    assert_eq!(drain(&mut writer), [Delivery { slot: Slot(0), offset: 0, outcome: Ok(()) }]);
    let denied = match writer.produce(Slot(1), &plain(5, b"v")) {
        Ok(()) => drain(&mut writer)[0].outcome.unwrap_err(),
        Err(error) => error.kind,
    };
    assert_eq!(denied, ErrorKind::TopicDenied);

    let mut stranger = source_with(cluster.sasl_bootstrap(), &login("wrong"), MIB);
    stranger.assign(&[at(0, "room-open", 0, 0)]).unwrap();
    let refused = |seen: &Seen| matches!(seen, Seen::Failed(None, ErrorKind::Authentication, _));
    let seen = poll_until(&mut stranger, "the refusal", refused);
    assert!(!format!("{seen:?}").contains("wrong"), "a password in an error: {seen:?}");
}

#[test]
fn a_restart_of_the_broker_loses_nothing_and_a_stalled_one_holds_nobody_up() {
    let cluster = KafkaCluster::start("room-restarted", Options::default());
    Admin::new(cluster.bootstrap()).create_topic("room-restarted", 1, &[]);
    let mut reader = source(cluster.bootstrap());
    let mut writer = sink_with(cluster.bootstrap(), &[], BOUNDS);
    let mut store = offsets(cluster.bootstrap(), "room-restarted");
    reader.assign(&[at(0, "room-restarted", 0, 0)]).unwrap();
    writer.open(Slot(0), &place("room-restarted", 0)).unwrap();
    let write = |writer: &mut LibrdkafkaSink, numbers: std::ops::Range<i64>| {
        for number in numbers {
            writer.produce(Slot(0), &plain(number, b"v")).unwrap();
        }
    };
    write(&mut writer, 0..100);
    let delivered = drain(&mut writer);
    assert_eq!(delivered.len(), 100);
    cluster.kill();
    write(&mut writer, 100..200);
    cluster.start_again();
    write(&mut writer, 200..300);
    let delivered: Vec<_> = drain(&mut writer).iter().map(|delivery| (delivery.offset, delivery.outcome)).collect();
    assert_eq!(delivered, (100..300).map(|offset| (offset, Ok(()))).collect::<Vec<_>>());
    assert_eq!(contents::read(cluster.bootstrap(), "room-restarted").len(), 300);
    let seen = poll_until(&mut reader, "the end", |seen| *seen == Seen::End(0, 300));
    assert_eq!(seen_offsets(&seen, 0), (0..300).collect::<Vec<_>>());
    let troubles = seen.iter().filter(|seen| matches!(seen, Seen::Failed(..)));
    assert!(troubles.clone().all(|seen| matches!(seen, Seen::Failed(None, ErrorKind::Unreachable, _))), "{seen:?}");
    let commit = [(place("room-restarted", 0), stored(300))];
    assert_eq!(store.commit(&commit).unwrap(), [Ok(())]);

    // The restarted leader's epoch is a new one: behind the end of the old one nothing was written under it.
    let Some(Seen::Record(0, last)) = seen.iter().rfind(|seen| matches!(seen, Seen::Record(..))) else { panic!() };
    assert!(last.leader_epoch > Some(LeaderEpoch(0)), "{last:?}");
    let after = |next_offset| Position { next_offset: NextOffset(next_offset), leader_epoch: Some(LeaderEpoch(0)) };
    let truncated = |seen: &Seen| matches!(seen, Seen::Failed(Some(0), ErrorKind::Truncated, _));
    // Again and again, while it is read from a good place: the client must have stopped that first.
    for _ in 0..100 {
        reader.assign(&[at(0, "room-restarted", 0, 100)]).unwrap();
        reader.assign(&[(Slot(0), place("room-restarted", 0), after(250))]).unwrap();
        let seen = poll_until(&mut reader, "the truncation", truncated);
        assert_eq!(seen_offsets(&seen, 0), [0; 0]);
    }
    reader.assign(&[(Slot(0), place("room-restarted", 0), after(100))]).unwrap();
    assert_eq!(seen_offsets(&until_end(&mut reader, 0), 0), (100..300).collect::<Vec<_>>());

    cluster.signal(Signal::Stop);
    write(&mut writer, 300..301);
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    drop(writer);
    drop(reader);
    assert!(started.elapsed() < Duration::from_secs(2), "dropping took {:?}", started.elapsed());
    assert_eq!(store.commit(&commit).unwrap_err().kind, ErrorKind::Unreachable);
    drop(store);
    assert!(started.elapsed() < Duration::from_secs(12), "a commit to a stalled broker took {:?}", started.elapsed());
    cluster.signal(Signal::Continue);
}

fn stored(offset: i64) -> kafka::offsets::GroupOffset {
    let next_offset = NextOffset(offset);
    kafka::offsets::GroupOffset { next_offset, leader_epoch: None, metadata: String::new() }
}
