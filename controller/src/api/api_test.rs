use std::collections::BTreeMap;
use std::time::Duration;

use common::assignment::{Phase, Progress};
use common::ids::SessionId;
use common::offsets::NextOffset;
use common::reason::Reason;
use proto::{LEADER_METADATA, v1};
use tokio::time::timeout;
use tonic::Code;

use super::served_test::{
    Served, add_cluster, add_route, add_topic, by_name, cluster, config, context, end, revision, until,
};
use crate::node::RunError;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_added_is_copied_by_a_worker_and_listed() {
    let served = Served::with_route().await;
    served.source.create_topic("orders", 1);
    let mut admin = served.admin().await;
    let reply = admin.add_topic(add_topic("orders")).await.unwrap().into_inner();
    assert!(reply.revision > 0 && !reply.existed && reply.notes.is_empty(), "{reply:?}");

    let row = served.assignment(|row| row.state == "unassigned").await;
    assert_eq!((row.worker.as_str(), row.epoch, row.next_offset), ("", 0, None));
    assert!(row.reason.unwrap().text.contains("no worker of pool default takes work"));

    let mut worker = served.worker("w1").await;
    let snapshot = worker.granted().await;
    assert_eq!(snapshot.grants.len(), 1);
    let (grant, route) = (&snapshot.grants[0], &snapshot.routes[0]);
    assert_eq!(route.group, format!("replisome.{}.r", route.fleet));
    assert_eq!(route.commit_interval, Duration::from_secs(1));

    worker.run(&snapshot, Phase::Copying).await;
    let progress = Progress {
        partition: grant.partition.clone(),
        epoch: grant.epoch,
        next_offset: Some(NextOffset(7)),
        stored_offset: Some(NextOffset(5)),
        source_end: Some(NextOffset(10)),
        source_high_watermark: Some(NextOffset(10)),
        lag_time: Duration::from_millis(1_500),
        records: 7,
        bytes: 70,
    };
    worker.report(progress).await;
    let row = served.assignment(|row| row.lag.is_some()).await;
    assert_eq!((row.state.as_str(), row.worker.as_str(), row.epoch), ("assigned", "w1", 1));
    assert_eq!((row.next_offset, row.stored_offset, row.lag), (Some(7), Some(5), Some(3)));
    assert_eq!((row.lag_seconds, row.session), (Some(1.5), worker.session.to_string()));

    let workers = admin.list_workers(v1::ListWorkersRequest::default()).await.unwrap().into_inner().workers;
    assert_eq!(workers.len(), 1);
    let v1::Worker { id, state, address, partitions, version, .. } = &workers[0];
    assert_eq!((id.as_str(), state.as_str(), address.as_str(), *partitions), ("w1", "live", "here:1", 1));
    assert_eq!((version.as_str(), workers[0].weight, workers[0].pool.as_str()), ("1.2", 3, "default"));
    let routes = admin.list_routes(v1::ListRoutesRequest::default()).await.unwrap().into_inner().routes;
    assert_eq!((routes[0].state.as_str(), routes[0].topics, routes[0].partitions), ("running", 1, 1));
    assert_eq!((routes[0].lag, routes[0].pool.as_str()), (Some(3), "default"));
    let topics = admin.list_topics(v1::ListTopicsRequest::default()).await.unwrap().into_inner().topics;
    assert_eq!((topics[0].state.as_str(), topics[0].partitions, topics[0].lag), ("replicating", 1, Some(3)));
    let status = admin.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.led && status.problems.is_empty(), "{status:?}");
    assert_eq!(status.partitions["assigned"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_still_waits_or_has_failed_and_is_a_problem_with_a_remedy() {
    let served = Served::with_route().await;
    served.source.create_topic("orders", 1);
    let mut admin = served.admin().await;
    admin.add_topic(add_topic("orders")).await.unwrap();
    let mut worker = served.worker("w1").await;
    let snapshot = worker.granted().await;
    for (reason, state, remedy) in [
        (Reason::KeyMissing { offset: 4 }, "waiting", "by itself"),
        (
            Reason::ForeignOffset { text: "another fleet".into() },
            "failed",
            "replisome topic resume --route r orders --partition 0 --continue",
        ),
    ] {
        worker.run(&snapshot, Phase::held(reason.clone())).await;
        let row = served.assignment(|row| row.state == state).await;
        assert_eq!((row.worker.as_str(), row.reason.unwrap().kind.as_str()), ("w1", reason.kind()));
        let status = admin.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
        assert_eq!((status.partitions[state], status.problems.len()), (1, 1), "{status:?}");
        let problem = &status.problems[0];
        assert!(problem.what.contains("r:orders/0") && problem.what.contains(reason.kind()), "{problem:?}");
        assert!(problem.remedy.contains(remedy), "{problem:?}");
    }
    worker.run(&snapshot, Phase::Copying).await;
    served.assignment(|row| row.state == "assigned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_given_back_and_granted_again() {
    let served = Served::with_route().await;
    served.source.create_topic("orders", 1);
    let mut admin = served.admin().await;
    admin.add_topic(add_topic("orders")).await.unwrap();
    let mut worker = served.worker("w1").await;
    let snapshot = worker.granted().await;
    worker.run(&snapshot, Phase::Copying).await;
    let pause = v1::PauseRouteRequest { context: context(), name: "r".into(), reason: "maintenance".into() };
    admin.pause_route(pause).await.unwrap();
    let row = served.assignment(|row| row.state == "releasing").await;
    assert!(row.reason.unwrap().text.contains("gives it back"));
    let routes = admin.list_routes(v1::ListRoutesRequest { name: "r".into() }).await.unwrap().into_inner().routes;
    assert_eq!(routes[0].state, "paused");
    let revision = served.assignment(|_| true).await;
    assert_eq!(revision.worker, "w1");
    let applied = common::assignment::Version { revision: common::ids::Revision(u64::MAX), ..snapshot.version };
    let nothing = common::assignment::Inventory { applied, ..Default::default() };
    worker.say(common::assignment::Up::Inventory(nothing)).await;
    let row = served.assignment(|row| row.state == "paused").await;
    assert_eq!((row.worker.as_str(), row.reason.unwrap().kind.as_str()), ("", "paused"));
    admin.resume_route(v1::ResumeRouteRequest { context: context(), name: "r".into() }).await.unwrap();
    let row = served.assignment(|row| row.state == "assigned").await;
    assert_eq!(row.epoch, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_mistake_has_its_status_and_names_what_is_wrong() {
    let served = Served::with_route().await;
    let admin = served.admin().await;
    admin.clone().add_cluster(add_cluster("alias")).await.unwrap();
    served.source.create_topic("orders", 1);
    admin.clone().add_topic(add_topic("orders")).await.unwrap();

    macro_rules! refused {
        ($call:ident($request:expr), $code:ident, $($part:expr),+) => {{
            let status = admin.clone().$call($request).await.expect_err(stringify!($call));
            assert_eq!(status.code(), Code::$code, "{status:?}");
            for part in [$($part),+] {
                assert!(status.message().contains(part), "{part:?} is not in {status:?}");
            }
        }};
    }
    let route = || add_route("x");
    let server = ("bootstrap.servers", "h:1");
    refused!(add_cluster(v1::AddClusterRequest { context: None, ..add_cluster("c") }), InvalidArgument, "request id");
    let malformed = Some(v1::RequestContext { request_id: "7".into(), actor: String::new() });
    refused!(add_cluster(v1::AddClusterRequest { context: malformed, ..add_cluster("c") }), InvalidArgument, "ULID");
    refused!(add_cluster(add_cluster("no good")), InvalidArgument, "cluster name", "no good");
    refused!(add_cluster(cluster("c", &[])), InvalidArgument, "bootstrap.servers");
    refused!(add_cluster(cluster("c", &[server, ("nonsense", "1")])), InvalidArgument, "nonsense");
    let secret = ("ssl.key.password", "hunter2");
    refused!(add_cluster(cluster("c", &[server, secret])), InvalidArgument, "ssl.key.password", "${env:NAME}");
    refused!(add_cluster(cluster("source", &[("bootstrap.servers", "other:1")])), FailedPrecondition, "source");
    refused!(remove_cluster(v1::RemoveClusterRequest { context: context(), name: "no".into() }), NotFound, "no");
    let used = v1::RemoveClusterRequest { context: context(), name: "source".into() };
    refused!(remove_cluster(used), FailedPrecondition, "route r");
    refused!(list_clusters(v1::ListClustersRequest { name: "no".into() }), NotFound, "no");

    refused!(add_route(v1::AddRouteRequest { target: "source".into(), ..route() }), InvalidArgument, "both");
    refused!(add_route(v1::AddRouteRequest { target: "no".into(), ..route() }), NotFound, "cluster no");
    refused!(add_route(v1::AddRouteRequest { delivery: 9, ..route() }), InvalidArgument, "at-least-once");
    let include = vec!["fine".into(), "a(".into()];
    refused!(add_route(v1::AddRouteRequest { include, ..route() }), InvalidArgument, "\"a(\"", "unclosed");
    let (source, target) = ("alias".into(), "source".into());
    refused!(add_route(v1::AddRouteRequest { source, target, ..route() }), FailedPrecondition, "one Kafka cluster");
    refused!(add_route(v1::AddRouteRequest { leave_topics: true, ..add_route("r") }), FailedPrecondition, "route r");
    let remove = v1::RemoveRouteRequest { context: context(), name: "no".into(), keep_offsets: false };
    refused!(remove_route(remove), NotFound, "route no");
    let long = v1::PauseRouteRequest { context: context(), name: "r".into(), reason: "x".repeat(2_000) };
    refused!(pause_route(long), InvalidArgument, "reason");
    refused!(list_routes(v1::ListRoutesRequest { name: "no".into() }), NotFound, "route no");

    refused!(add_topic(v1::AddTopicRequest { route: "no".into(), ..add_topic("t") }), NotFound, "route no");
    refused!(add_topic(add_topic("__consumer_offsets")), InvalidArgument, "__consumer_offsets");
    refused!(
        add_topic(v1::AddTopicRequest { target: "else".into(), ..add_topic("orders") }),
        FailedPrecondition,
        "orders"
    );
    let before_all = Some(v1::StartPosition { at: Some(v1::start_position::At::Offset(-1)) });
    refused!(add_topic(v1::AddTopicRequest { start: before_all, ..add_topic("t") }), InvalidArgument, "negative");
    let remove = v1::RemoveTopicRequest { context: context(), route: "r".into(), topic: "no".into() };
    refused!(remove_topic(remove), NotFound, "topic no");
    let list = v1::ListTopicsRequest { route: "r".into(), topic: "no".into() };
    refused!(list_topics(list), NotFound, "topic no", "route r");

    let list = v1::ListAssignmentsRequest { worker: "no".into(), ..Default::default() };
    refused!(list_assignments(list), NotFound, "worker no");
    refused!(
        move_assignment(v1::MoveAssignmentRequest { context: context(), ..Default::default() }),
        InvalidArgument,
        "partition"
    );
    let partition = Some(v1::RoutePartition { route: "r".into(), topic: "orders".into(), partition: 9 });
    let change = v1::MoveAssignmentRequest { context: context(), partition, worker: "w1".into() };
    refused!(move_assignment(change), NotFound, "r:orders/9");
    let pin = v1::PinAssignmentRequest { context: context(), worker: "w1".into(), ..Default::default() };
    refused!(pin_assignment(pin), InvalidArgument, "partition");
    let partition = Some(v1::RoutePartition { route: "r".into(), topic: "orders".into(), partition: 0 });
    let pin = v1::PinAssignmentRequest { context: context(), partition: partition.clone(), worker: "no".into() };
    refused!(pin_assignment(pin), NotFound, "worker no");
    let partition = partition.map(|partition| v1::RoutePartition { partition: 9, ..partition });
    refused!(unpin_assignment(v1::UnpinAssignmentRequest { context: context(), partition }), NotFound, "r:orders/9");
    refused!(list_workers(v1::ListWorkersRequest { id: "no".into() }), NotFound, "worker no");
    refused!(remove_worker(v1::RemoveWorkerRequest { context: context(), id: "no".into() }), NotFound, "worker no");
    refused!(drain_worker(v1::DrainWorkerRequest { context: context(), id: "no".into() }), NotFound, "worker no");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_by_the_first_change() {
    let served = Served::start().await;
    let mut admin = served.admin().await;
    let request = add_cluster("source");
    let first = revision(admin.add_cluster(request.clone()).await.unwrap());
    revision(admin.add_cluster(add_cluster("target")).await.unwrap());
    assert_eq!(revision(admin.add_cluster(request).await.unwrap()), first);
    let again = admin.add_cluster(add_cluster("source")).await.unwrap().into_inner();
    assert!(again.existed && again.revision > first, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_that_do_not_answer_are_added_with_a_note() {
    let served = Served::start().await;
    served.source.set_unreachable(true);
    let mut admin = served.admin().await;
    let reply = admin.add_cluster(add_cluster("source")).await.unwrap().into_inner();
    assert!(reply.notes.len() == 1 && reply.notes[0].contains("can't be reached"), "{reply:?}");
    admin.add_cluster(add_cluster("target")).await.unwrap();
    let reply = admin.add_route(add_route("r")).await.unwrap().into_inner();
    assert!(reply.notes.len() == 1 && reply.notes[0].contains("cluster source"), "{reply:?}");

    let listed = admin.list_clusters(v1::ListClustersRequest::default()).await.unwrap().into_inner().clusters;
    let listed = by_name(listed, |status| status.cluster.clone().unwrap().name);
    let (source, target) = (&listed["source"], &listed["target"]);
    assert!(!source.reachable && !source.error.is_empty() && source.routes == ["r"], "{source:?}");
    assert!(target.reachable && target.kafka_id == "target-id" && target.error.is_empty(), "{target:?}");
    let problem = until(|| async {
        let status = admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
        status.problems.into_iter().find(|problem| problem.what.contains("route r"))
    });
    assert!(problem.await.remedy.contains("brokers"));
    let routes = admin.list_routes(v1::ListRoutesRequest::default()).await.unwrap().into_inner().routes;
    assert!(routes[0].state == "failing" && !routes[0].trouble.is_empty(), "{routes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_yet_is_awaited() {
    let served = Served::with_route().await;
    let mut admin = served.admin().await;
    let reply = admin.add_topic(add_topic("later")).await.unwrap().into_inner();
    assert!(reply.notes.len() == 1 && reply.notes[0].contains("once it is there"), "{reply:?}");
    let state = async |state: &'static str| {
        until(|| async {
            let listed = admin.clone().list_topics(v1::ListTopicsRequest::default()).await.unwrap().into_inner();
            listed.topics.into_iter().find(|topic| topic.state == state)
        })
        .await
    };
    assert_eq!(state("waiting").await.partitions, 0);
    served.source.create_topic("later", 3);
    assert_eq!(state("replicating").await.partitions, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_and_followed_until_the_leadership_ends() {
    let served = Served::start().await;
    let mut admin = served.admin().await;
    admin.add_cluster(add_cluster("source")).await.unwrap();
    let first = {
        let mut events = admin.list_events(v1::ListEventsRequest::default()).await.unwrap().into_inner();
        let first = events.message().await.unwrap().expect("an event");
        assert_eq!(events.message().await.unwrap(), None);
        first
    };
    assert_eq!((first.kind.as_str(), first.actor.as_str()), ("admin", "me@here"));
    assert!(first.text.contains("cluster source"), "{first:?}");

    let follow = v1::ListEventsRequest { follow: true, after_revision: first.revision };
    let mut events = admin.list_events(follow).await.unwrap().into_inner();
    admin.add_cluster(add_cluster("target")).await.unwrap();
    let next = timeout(Duration::from_secs(5), events.message()).await.expect("it comes").unwrap().unwrap();
    assert!(next.text.contains("cluster target") && next.revision > first.revision, "{next:?}");

    let (ended, _) = tokio::join!(end(&mut events), served.stop());
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_talks_nonsense_is_told_so() {
    let served = Served::start().await;
    let (up, mut down) = served.attach().await.unwrap();
    let hello = v1::Hello { worker: "no good".into(), ..Default::default() };
    let message = v1::WorkerMessage { message: Some(v1::worker_message::Message::Hello(hello)) };
    up.send(message).await.unwrap();
    let status = end(&mut down).await.unwrap_err();
    assert!(status.code() == Code::InvalidArgument && status.message().contains("worker"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_refused_while_it_talks_on_hears_why() {
    let served = Served::start().await;
    for _ in 0..20 {
        let (up, mut down) = served.attach().await.unwrap();
        let hello = v1::Hello {
            protocol: 999,
            worker: "w1".into(),
            session: SessionId::generate().to_string(),
            weight: 1,
            pool: String::new(),
            ..Default::default()
        };
        let hello = v1::worker_message::Message::Hello(hello);
        up.send(v1::WorkerMessage { message: Some(hello) }).await.unwrap();
        let talking = tokio::spawn(async move {
            for number in 1.. {
                let heartbeat = v1::worker_message::Message::Heartbeat(v1::Heartbeat { number, rss_bytes: 0 });
                if up.send(v1::WorkerMessage { message: Some(heartbeat) }).await.is_err() {
                    return;
                }
            }
        });
        let heard = timeout(Duration::from_secs(20), down.message()).await.expect("an answer");
        let message = heard.expect("no error").expect("a message").message;
        let Some(v1::leader_message::Message::Refused(refused)) = message else { panic!("{message:?}") };
        assert!(refused.text.contains("999"), "{refused:?}");
        talking.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_stops_lets_its_workers_go_and_knows_all_after_a_restart() {
    let served = Served::with_route().await;
    let mut worker = served.worker("w1").await;
    let before = served.admin().await.list_workers(v1::ListWorkersRequest::default()).await.unwrap().into_inner();
    let (ended, served) = tokio::join!(worker.end(), served.restart());
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    let mut admin = served.admin().await;
    let routes = admin.list_routes(v1::ListRoutesRequest::default()).await.unwrap().into_inner().routes;
    assert_eq!(routes[0].name, "r");
    assert!(before.workers.len() <= 1);
    let lost = async |state: &'static str| {
        until(|| async {
            let listed = admin.clone().list_workers(v1::ListWorkersRequest::default()).await.unwrap().into_inner();
            listed.workers.into_iter().find(|worker| worker.state == state)
        })
        .await
    };
    assert_eq!(lost("suspect").await.id, "w1");
    assert_eq!(lost("lost").await.id, "w1");
    let status = served.admin().await.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.problems.iter().any(|problem| problem.what.contains("worker w1 is lost")), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_workers_give_all_back_and_say_so() {
    let served = Served::with_route().await;
    let worker = served.worker("w1").await;
    let mut admin = served.admin().await;
    let state = async |state: &'static str| {
        until(|| async {
            let beat = common::assignment::Up::Heartbeat(common::assignment::Heartbeat { number: 1, rss_bytes: 5 });
            worker.say(beat).await;
            let listed = served.admin().await.list_workers(v1::ListWorkersRequest::default()).await.unwrap();
            listed.into_inner().workers.into_iter().find(|worker| worker.state == state)
        })
        .await
    };
    assert_eq!(state("live").await.id, "w1");
    admin.drain_worker(v1::DrainWorkerRequest { context: context(), id: "w1".into() }).await.unwrap();
    assert_eq!(state("drained").await.rss_bytes, 5);
    admin.undrain_worker(v1::UndrainWorkerRequest { context: context(), id: "w1".into() }).await.unwrap();
    state("live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_a_controller_says_what_is_wrong() {
    let served = Served::start_alone();
    let mut admin = served.admin().await;
    let status = admin.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(!status.led && !status.problems.is_empty(), "{status:?}");
    assert!(status.problems[0].what.contains("not founded"), "{status:?}");
    let unreachable = status.problems.iter().filter(|problem| problem.what.contains("does not answer")).count();
    assert_eq!(unreachable, 2, "{status:?}");
    let listed = admin.list_controllers(v1::ListControllersRequest {}).await.unwrap().into_inner().controllers;
    let roles: BTreeMap<u64, String> = listed.into_iter().map(|one| (one.id, one.role)).collect();
    assert_eq!((roles.len(), roles[&2].as_str(), roles[&3].as_str()), (3, "unreachable", "unreachable"));
    let refused = admin.add_cluster(add_cluster("c")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.metadata().get(LEADER_METADATA), None);
    let refused = served.attach().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(served.readiness.borrow().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_names_who_does_and_another_takes_over_with_all_that_was_answered() {
    let mut all = Served::start_three().await;
    let listed = all[0].admin().await.list_controllers(v1::ListControllersRequest {}).await.unwrap().into_inner();
    let roles: Vec<&str> = listed.controllers.iter().map(|controller| controller.role.as_str()).collect();
    assert_eq!(roles.iter().filter(|role| **role == "follower").count(), 2, "{roles:?}");
    let leader = all.remove(roles.iter().position(|role| *role == "leader").expect("one leads"));
    let hint = |metadata: &tonic::metadata::MetadataMap| {
        metadata.get(LEADER_METADATA).map(|address| address.to_str().unwrap().to_owned())
    };

    let mut follower = all[0].admin().await;
    let refused = follower.add_cluster(add_cluster("c")).await.unwrap_err();
    assert_eq!((refused.code(), hint(refused.metadata())), (Code::Unavailable, Some(leader.address.clone())));
    let refused = all[0].attach().await.unwrap_err();
    assert_eq!((refused.code(), hint(refused.metadata())), (Code::Unavailable, Some(leader.address.clone())));
    let answer = follower.get_status(v1::GetStatusRequest {}).await.unwrap();
    assert_eq!(hint(answer.metadata()), Some(leader.address.clone()));
    let status = answer.into_inner();
    assert!(!status.led && status.controllers.len() == 3 && !status.fleet.is_empty(), "{status:?}");
    assert!(status.problems[0].remedy.contains(&leader.address), "{status:?}");

    leader.admin().await.add_cluster(add_cluster("c")).await.unwrap();
    leader.stop().await;
    let cluster = until(|| async {
        for served in &all {
            if let Ok(listed) = served.admin().await.list_clusters(v1::ListClustersRequest::default()).await {
                return listed.into_inner().clusters.pop();
            }
        }
        None
    });
    assert_eq!(cluster.await.cluster.unwrap().name, "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let clients = std::sync::Arc::new(kafka::memory::MemoryClients::default());
    let (readiness, _) = tokio::sync::watch::channel(None);
    let shutdown = tokio_util::sync::CancellationToken::new();
    let error = crate::node::run(config(1, std::slice::from_ref(&address), &dir), clients, &readiness, shutdown)
        .await
        .unwrap_err();
    assert!(matches!(error, RunError::Listen { .. }) && error.to_string().contains(&address), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request::MessageRequest};

    let served = Served::start().await;
    let mut health = HealthClient::new(served.raw().await);
    for service in ["", "replisome.v1.Admin", "replisome.v1.Fleet"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let mut reflection = ServerReflectionClient::new(served.raw().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = format!("{:?}", answers.message().await.unwrap());
    for service in ["replisome.v1.Admin", "replisome.v1.Fleet", "grpc.health.v1.Health"] {
        assert!(answer.contains(service), "{answer}");
    }
}
