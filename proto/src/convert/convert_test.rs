use std::sync::Arc;
use std::time::Duration;

use common::assignment::{
    Down, Grant, Heartbeat, Hello, Inventory, PROTOCOL, Phase, Progress, Refusal, RefusalKind, Renewal, Running,
    Snapshot, UncleanRelease, Up, Version,
};
use common::config::{ClusterConfig, Delivery, RouteConfig};
use common::ids::{
    ClusterName, ControllerEpoch, Epoch, FleetId, FleetIncarnation, Partition, PoolName, Revision, RouteName,
    RoutePartition, SessionId, TopicId, TopicName, WorkerId,
};
use common::offsets::{NextOffset, StartPosition};
use common::reason::{Reason, Side};
use common::weight::Weight;

use crate::v1;

fn partition() -> RoutePartition {
    let (route, topic) = (RouteName::new("r").unwrap(), TopicName::new("t").unwrap());
    RoutePartition { route, topic, partition: Partition(7) }
}

fn version() -> Version {
    Version { incarnation: FleetIncarnation(1), controller_epoch: ControllerEpoch(2), revision: Revision(3) }
}

fn cluster(name: &str) -> ClusterConfig {
    let properties = [("bootstrap.servers", "h:1"), ("sasl.password", "${file:/p}")].into_iter().collect();
    ClusterConfig { name: ClusterName::new(name).unwrap(), properties }
}

#[test]
fn what_a_worker_says_survives_the_wire() {
    let held = Phase::held(Reason::Denied { side: Side::Target });
    let phases = [Phase::Claiming, Phase::Copying, held, Phase::Draining];
    let running = phases.map(|phase| Running { partition: partition(), epoch: Epoch(9), phase });
    let progress = Progress {
        partition: partition(),
        epoch: Epoch(9),
        next_offset: Some(NextOffset(5)),
        stored_offset: None,
        source_end: Some(NextOffset(6)),
        source_high_watermark: Some(NextOffset(8)),
        lag_time: Duration::from_millis(1_234),
        records: 10,
        bytes: 11,
    };
    let hello = Hello {
        protocol: PROTOCOL,
        worker: WorkerId::new("w1").unwrap(),
        session: SessionId::from_number(77),
        address: "host:1".into(),
        software: "0.1".into(),
        weight: Weight::try_from(3).unwrap(),
        pool: PoolName::new("near").unwrap(),
        fleet: Some(FleetId::new("f").unwrap()),
    };
    let unclean = vec![UncleanRelease { partition: partition(), epoch: Epoch(8) }];
    for up in [
        Up::Hello(hello),
        Up::Inventory(Inventory { applied: version(), running: running.to_vec(), unclean }),
        Up::Heartbeat(Heartbeat { number: 4, rss_bytes: 5 }),
        Up::Progress(vec![progress]),
        Up::Draining,
    ] {
        assert_eq!(Up::try_from(v1::WorkerMessage::from(up.clone())), Ok(up));
    }
}

#[test]
fn what_a_leader_says_survives_the_wire() {
    let starts =
        [StartPosition::Earliest, StartPosition::Latest, StartPosition::Offset(NextOffset(3)), StartPosition::Time(-1)];
    let grants = starts.map(|start| Grant {
        partition: partition(),
        epoch: Epoch(2),
        target_topic: TopicName::new("east.t").unwrap(),
        source_topic_id: TopicId(uuid::Uuid::from_u128(1)),
        target_topic_id: TopicId(uuid::Uuid::from_u128(2)),
        start,
        noted_offset: Some(NextOffset(9)),
        accept_foreign_offset: true,
    });
    let route = RouteConfig {
        name: RouteName::new("r").unwrap(),
        fleet: FleetId::new("f").unwrap(),
        incarnation: Revision(4),
        offsets_since: Revision(2),
        source: cluster("a"),
        target: cluster("b"),
        group: "replisome.f.r".into(),
        delivery: Delivery::AtLeastOnce,
        accept_foreign_offsets: true,
        commit_interval: Duration::from_secs(1),
    };
    let snapshot = Snapshot {
        session: SessionId::from_number(77),
        fleet: FleetId::new("f").unwrap(),
        version: version(),
        routes: vec![route],
        grants: grants.to_vec(),
    };
    let controllers = vec!["127.0.0.1:7401".to_owned(), "[::1]:7402".to_owned()];
    let renewal = Renewal {
        heartbeat: 3,
        every: Duration::from_millis(200),
        progress_every: Duration::from_secs(2),
        lease: Duration::from_secs(1),
        controllers,
    };
    let refusal = |kind| Down::Refused(Refusal { kind, lease: Duration::from_secs(5), text: "why".into() });
    for down in [
        Down::Snapshot(Arc::new(snapshot)),
        Down::Renewed(renewal),
        refusal(RefusalKind::InUse),
        refusal(RefusalKind::SessionEnded),
        refusal(RefusalKind::Fatal),
        refusal(RefusalKind::OtherFleet),
    ] {
        assert_eq!(Down::try_from(v1::LeaderMessage::from(down.clone())), Ok(down));
    }
}

#[test]
fn a_reason_of_a_newer_version_keeps_its_text() {
    let reason = v1::Reason { kind: "new".into(), text: "do this".into(), heals: true, json: r#"{"new":{}}"#.into() };
    assert_eq!(Reason::from(reason), Reason::Waiting { text: "do this".into() });
}

#[test]
fn what_is_wrong_with_a_message_is_named() {
    let hello = v1::Hello { worker: "no good".into(), ..v1::Hello::default() };
    let message = v1::WorkerMessage { message: Some(v1::worker_message::Message::Hello(hello)) };
    let error = Up::try_from(message).unwrap_err().to_string();
    assert!(error.starts_with("worker: ") && error.contains("no good"), "{error}");
    let (worker, session) = ("w1".into(), SessionId::from_number(77).to_string());
    let hello = v1::Hello { worker, session, weight: 1_001, ..v1::Hello::default() };
    let message = |hello| v1::WorkerMessage { message: Some(v1::worker_message::Message::Hello(hello)) };
    let error = Up::try_from(message(hello.clone())).unwrap_err().to_string();
    assert_eq!(error, "weight: a weight is a whole number from 1 to 1000, not 1001");
    let unset = Up::try_from(message(v1::Hello { weight: 0, ..hello }));
    assert!(matches!(unset, Ok(Up::Hello(Hello { weight, pool, .. }))
        if weight == Weight::default() && pool == PoolName::default()));
    assert_eq!(Up::try_from(v1::WorkerMessage { message: None }).unwrap_err().to_string(), "message: is missing");
    for every_ms in [0, u64::MAX] {
        let renewed =
            v1::Renewed { heartbeat: 1, every_ms, progress_every_ms: 500, lease_ms: 5_000, controllers: Vec::new() };
        let message = v1::LeaderMessage { message: Some(v1::leader_message::Message::Renewed(renewed)) };
        let error = Down::try_from(message).unwrap_err().to_string();
        assert!(error.starts_with(&format!("every_ms: {every_ms} ms")), "{error}");
    }
}
