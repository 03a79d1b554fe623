use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use proto::v1::{AddTopicRequest, GetStatusReply, GetStatusRequest, ListRoutesRequest};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::metadata::MetadataValue;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};

use super::attempt::Admin;
use super::client::Client;
use crate::failure::{Exit, Failure};

/// A controller that answers every request with a status.
struct Fake {
    address: String,
    /// What it was asked, as it was sent.
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Fake {
    /// One that answers its first, second, … request as told.
    async fn start(answer: impl Fn(usize) -> Status + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let router = axum::Router::new().fallback(async move |request: Request| {
            let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let number = {
                let mut seen = seen.lock().unwrap();
                seen.push(body.to_vec());
                seen.len()
            };
            answer(number).into_http::<Body>()
        });
        let server = Server::builder().add_routes(Routes::from(router));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self { address, asked }
    }

    fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn not_leader(leader: &str) -> Status {
    let mut status = Status::unavailable("does not lead");
    if !leader.is_empty() {
        status.metadata_mut().insert(proto::LEADER_METADATA, MetadataValue::try_from(leader).unwrap());
    }
    status
}

/// A leader has judged, which ends the search.
fn judged() -> Status {
    Status::failed_precondition("it contradicts what is there")
}

fn client(controllers: &[&str]) -> Client {
    Client::new(controllers.iter().map(|address| address.to_string()).collect(), Duration::from_secs(2))
}

async fn change(client: &Client) -> Failure {
    let call = async |mut admin: Admin, context| {
        admin.add_topic(AddTopicRequest { context: Some(context), ..Default::default() }).await
    };
    client.change("replisome topic list", call).await.expect_err("a fake never says yes")
}

async fn read(client: &Client) -> Failure {
    let call = async |mut admin: Admin| admin.list_routes(ListRoutesRequest::default()).await;
    client.read(call).await.expect_err("a fake never says yes")
}

#[tokio::test]
async fn the_leader_is_followed_and_asked_once() {
    let leader = Fake::start(|_| judged()).await;
    let named = leader.address.clone();
    let follower = Fake::start(move |_| not_leader(&named)).await;
    let failure = change(&client(&[&follower.address])).await;
    assert_eq!((failure.exit, failure.text.as_str()), (Exit::Conflict, "it contradicts what is there"));
    assert_eq!((follower.times_asked(), leader.times_asked()), (1, 1));
}

#[tokio::test]
async fn an_election_is_waited_for() {
    let controller = Fake::start(|number| if number < 4 { not_leader("") } else { judged() }).await;
    assert_eq!(read(&client(&[&controller.address])).await.exit, Exit::Conflict);
    assert_eq!(controller.times_asked(), 4);
}

#[tokio::test]
async fn without_a_leader_the_time_runs_out_and_each_controller_is_named() {
    let controller = Fake::start(|_| not_leader("127.0.0.1:1")).await;
    let started = Instant::now();
    let failure = change(&client(&[&controller.address])).await;
    assert_eq!(failure.exit, Exit::NoController);
    for text in ["no controller leads", &controller.address, "does not lead", "127.0.0.1:1: connection refused"] {
        assert!(failure.text.contains(text), "{text:?} is not in: {failure}");
    }
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_change_is_repeated_under_the_same_request_id() {
    // The controllers of one fleet share the table of request ids; here only the wire is looked at.
    let fails = |code: Code| move |number| if number < 3 { Status::new(code, "no quorum") } else { judged() };
    for code in [Code::DeadlineExceeded, Code::Cancelled, Code::Unknown] {
        let controller = Fake::start(fails(code)).await;
        assert_eq!(change(&client(&[&controller.address])).await.exit, Exit::Conflict);
        let asked = controller.asked.lock().unwrap();
        assert_eq!(asked.len(), 3, "{code:?}");
        assert!(asked.iter().all(|body| body == &asked[0]), "{code:?}");
    }
}

#[tokio::test]
async fn a_change_without_an_answer_has_an_unknown_outcome_and_a_read_none() {
    let controller = Fake::start(|_| Status::deadline_exceeded("no quorum")).await;
    let failure = change(&client(&[&controller.address])).await;
    assert_eq!(failure.exit, Exit::Unknown);
    for text in ["outcome unknown", &controller.address, "no quorum", "find out with: replisome topic list"] {
        assert!(failure.text.contains(text), "{text:?} is not in: {failure}");
    }
    assert_eq!(read(&client(&[&controller.address])).await.exit, Exit::NoController);
}

#[tokio::test]
async fn statuses_become_exit_codes_and_plain_words() {
    for (code, exit) in [
        (Code::InvalidArgument, Exit::Usage),
        (Code::NotFound, Exit::NotFound),
        (Code::AlreadyExists, Exit::Conflict),
        (Code::Internal, Exit::Failed),
        (Code::Unimplemented, Exit::Failed),
    ] {
        let controller = Fake::start(move |_| Status::new(code, "why")).await;
        let failure = read(&client(&[&controller.address])).await;
        assert_eq!(failure.exit, exit);
        assert!(!failure.text.contains("Status") && !failure.text.contains("code"), "{failure}");
    }
}

#[tokio::test]
async fn a_survey_asks_everybody_once_and_the_leader_that_is_named() {
    let named = Fake::start(|_| judged()).await;
    let failing = Fake::start(|_| not_leader("")).await;
    let leader = named.address.clone();
    let call = async |mut admin: Admin| admin.get_status(GetStatusRequest {}).await;
    let best = |reply: &GetStatusReply| reply.led;
    let survey = client(&[&failing.address, "127.0.0.1:1"]);
    let failure = survey.survey(call, best, |_| 0, |_| Some(leader.clone())).await.expect_err("nobody could tell");
    assert_eq!((failure.exit, failing.times_asked(), named.times_asked()), (Exit::NoController, 1, 0));
    assert!(failure.text.contains("127.0.0.1:1: connection refused"), "{failure}");
}
