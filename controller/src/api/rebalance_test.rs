use proto::v1;
use tonic::Code;

use super::served_test::{Served, add_topic, context, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_is_shown_before_it_is_run_and_not_run_while_frozen() {
    let served = Served::with_route().await;
    served.source.create_topic("orders", 4);
    let mut admin = served.admin().await;
    admin.freeze_rebalance(v1::FreezeRebalanceRequest { context: context() }).await.unwrap();
    admin.add_topic(add_topic("orders")).await.unwrap();
    let mut first = served.worker("w1").await;
    let snapshot = first.granted().await;
    first.run(&snapshot, common::assignment::Phase::Copying).await;
    let _second = served.worker("w2").await;
    let listed = || async {
        let listed = admin.clone().list_workers(v1::ListWorkersRequest::default()).await.unwrap().into_inner();
        (listed.workers.len() == 2 && listed.workers.iter().all(|worker| worker.state == "live")).then_some(())
    };
    until(listed).await;

    let pinned = v1::RoutePartition { route: "r".into(), topic: "orders".into(), partition: 0 };
    let pin = v1::PinAssignmentRequest { context: context(), partition: Some(pinned), worker: "w2".into() };
    let reply = admin.pin_assignment(pin).await.unwrap().into_inner();
    assert!(reply.notes.len() == 1 && reply.notes[0].contains("frozen"), "{reply:?}");
    let plan = |moves_max| v1::PlanRebalanceRequest { moves_max };
    let planned = admin.plan_rebalance(plan(None)).await.unwrap().into_inner();
    assert!(planned.frozen);
    let texts: Vec<_> = planned.moves.iter().map(|planned| (planned.cause.as_str(), planned.text.as_str())).collect();
    let expected = [("pinned", "it is pinned to worker w2"), ("balance", "another worker has less to do")];
    assert_eq!(texts, expected);
    assert!(planned.moves.iter().all(|planned| planned.from == "w1" && planned.to == "w2"), "{planned:?}");

    let run = |moves_max| v1::RunRebalanceRequest { context: context(), moves_max };
    let refused = admin.run_rebalance(run(None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("replisome rebalance unfreeze"), "{refused:?}");
    for code in [
        admin.run_rebalance(run(Some(0))).await.unwrap_err().code(),
        admin.plan_rebalance(plan(Some(0))).await.unwrap_err().code(),
    ] {
        assert_eq!(code, Code::InvalidArgument);
    }
    let status = admin.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.rebalance.unwrap().state, "frozen");
    assert!(status.problems[0].remedy.contains("replisome rebalance unfreeze"), "{:?}", status.problems);

    admin.unfreeze_rebalance(v1::UnfreezeRebalanceRequest { context: context() }).await.unwrap();
    let releasing = || async {
        let listed = admin.clone().list_assignments(v1::ListAssignmentsRequest::default()).await.unwrap().into_inner();
        let mut rows = listed.assignments.into_iter().filter(|row| row.state == "releasing");
        rows.any(|row| row.pinned_to == "w2").then_some(rows.count())
    };
    assert_eq!(until(releasing).await, 1, "the pinned one, and one for balance");
    let planned = admin.plan_rebalance(plan(None)).await.unwrap().into_inner();
    assert!(planned.moves.is_empty() && !planned.frozen, "{planned:?}");
    let reply = admin.run_rebalance(run(Some(5))).await.unwrap().into_inner();
    assert!(reply.existed && reply.notes[0].contains("nothing to move"), "{reply:?}");
}
