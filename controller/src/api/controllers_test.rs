//! Controllers are taken in and out by whoever asks, step by step.

use std::time::Duration;

use common::assignment::Down;
use proto::v1;
use proto::v1::admin_client::AdminClient;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::served_test::{Served, context, until};

/// Asks whoever leads by then, under one request id, until it is done; what came of it, and what was told.
async fn change(
    fleet: &[&Served],
    call: impl AsyncFn(AdminClient<Channel>) -> Result<Response<v1::ControllerChangeReply>, Status>,
) -> Result<(v1::ChangeReply, Vec<String>), Status> {
    let (deadline, mut told) = (Instant::now() + Duration::from_secs(20), Vec::new());
    for served in fleet.iter().cycle() {
        assert!(Instant::now() < deadline, "not done: {told:?}");
        match call(served.admin().await).await.map(Response::into_inner) {
            Ok(v1::ControllerChangeReply { done: Some(done), .. }) => return Ok((done, told)),
            Ok(v1::ControllerChangeReply { progress, .. }) => told.push(progress),
            Err(status) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) => {}
            Err(status) => return Err(status),
        }
    }
    unreachable!("it goes round for ever")
}

async fn add(fleet: &[&Served], id: u64, address: &str) -> Result<(v1::ChangeReply, Vec<String>), Status> {
    let request = v1::AddControllerRequest { context: context(), id, address: address.to_owned() };
    change(fleet, async |mut admin| admin.add_controller(request.clone()).await).await
}

async fn remove(fleet: &[&Served], id: u64) -> Result<v1::ChangeReply, Status> {
    let request = v1::RemoveControllerRequest { context: context(), id };
    Ok(change(fleet, async |mut admin| admin.remove_controller(request.clone()).await).await?.0)
}

async fn events(served: &Served) -> Vec<String> {
    let request = v1::ListEventsRequest::default();
    let mut stream = served.admin().await.list_events(request).await.unwrap().into_inner();
    let mut texts = Vec::new();
    while let Some(event) = stream.message().await.unwrap() {
        texts.push(event.text);
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_is_taken_in_and_out_and_each_is_told_once() {
    let (first, second) = (Served::start().await, Served::start_joining(2));
    let waits = second.readiness.borrow().clone();
    assert!(waits.is_some(), "it is ready before it is in a fleet");
    until(|| async { TcpStream::connect(&second.address).await.ok() }).await;
    let both = [&first, &second];
    let (done, told) = add(&both, 2, &second.address).await.unwrap();
    assert!(!done.existed && done.notes[0].contains("2 controllers"), "{done:?}");
    assert!(told[0].contains("controller 2 is a learner"), "{told:?}");
    assert!(told[told.len() - 1].contains("a vote"), "{told:?}");
    timeout(Duration::from_secs(20), second.readiness.clone().wait_for(Option::is_none)).await.unwrap().unwrap();

    let (again, told) = add(&both, 2, &second.address).await.unwrap();
    assert!(again.existed && told.is_empty() && again.revision >= done.revision, "{again:?} {told:?}");
    let listed = first.admin().await.list_controllers(v1::ListControllersRequest {}).await.unwrap().into_inner();
    let listed: Vec<_> = listed.controllers.into_iter().map(|one| (one.id, one.address, one.votes)).collect();
    assert_eq!(listed, [(1, first.address.clone(), true), (2, second.address.clone(), true)]);

    // A worker is told where they are.
    let leading = until(|| async {
        for served in both {
            if served.attach().await.is_ok() {
                return Some(served);
            }
        }
        None
    });
    let mut worker = leading.await.worker("w1").await;
    let renewal = loop {
        let message = worker.down.message().await.unwrap().expect("the stream goes on");
        if let Down::Renewed(renewal) = Down::try_from(message).unwrap() {
            break renewal;
        }
    };
    assert_eq!(renewal.controllers, [first.address.clone(), second.address.clone()]);

    let done = remove(&both, 2).await.unwrap();
    assert!(!done.existed && done.notes.is_empty(), "{done:?}");
    assert_eq!(remove(&[&first], 2).await.unwrap_err().code(), Code::NotFound);
    until(|| async { second.readiness.borrow().clone().filter(|text| text.contains("was removed from the fleet")) })
        .await;
    let events = events(&first).await;
    for wish in [
        format!("controller 2 at {} is added", second.address),
        format!("controller 2 at {} is removed", second.address),
    ] {
        assert_eq!(events.iter().filter(|text| **text == wish).count(), 1, "{wish} is not once in {events:?}");
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_is_refused_and_leaves_no_trace() {
    let served = Served::start().await;
    let refused = |status: Status, code, text: &str| {
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(text), "{status}");
    };
    refused(add(&[&served], 2, "127.0.0.1:1").await.unwrap_err(), Code::FailedPrecondition, "no controller answers");
    refused(add(&[&served], 2, &served.address).await.unwrap_err(), Code::FailedPrecondition, "controller 1 is at");
    refused(add(&[&served], 0, "127.0.0.1:1").await.unwrap_err(), Code::InvalidArgument, "count from 1");
    refused(remove(&[&served], 1).await.unwrap_err(), Code::FailedPrecondition, "the only one with a vote");
    assert_eq!(events(&served).await, [] as [&str; 0]);
    served.stop().await;
}
