//! An operator that speaks gRPC. Owns finding the leader and telling three outcomes apart: done, not done, unknown.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::v1;
use proto::v1::admin_client::AdminClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// How long one call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(6);

/// An operator of one fleet.
#[derive(Debug)]
pub struct Operator {
    addresses: Vec<String>,
    leader: Option<AdminClient<Channel>>,
    next: usize,
}

impl Operator {
    /// An operator that knows these controllers.
    pub fn new(addresses: Vec<String>) -> Self {
        Self { addresses, leader: None, next: 0 }
    }

    /// Adds a topic, at whichever controller answers next: the revision, or why not. Every error but those of the request
    /// itself leaves the outcome unknown.
    pub fn add_topic(&mut self, route: &str, topic: &str) -> Result<u64, Status> {
        let context = Some(v1::RequestContext { request_id: super::ulid(), actor: "tests".to_owned() });
        let (route, topic) = (route.to_owned(), topic.to_owned());
        let request = v1::AddTopicRequest { context, route, topic, ..v1::AddTopicRequest::default() };
        self.call(async |client| client.add_topic(with_deadline(request.clone())).await).map(|reply| reply.revision)
    }

    /// Adds topics `PREFIX-0`, `PREFIX-1`, … until told to stop; gives the names that were acknowledged.
    pub fn add_topics_until(mut self, route: &str, prefix: &str, stop: &AtomicBool) -> BTreeSet<String> {
        let names = (0..).map(|number: usize| format!("{prefix}-{number}"));
        names.take_while(|_| !stop.load(Ordering::Relaxed)).filter(|name| self.add_topic(route, name).is_ok()).collect()
    }

    /// The names of the route's topics, or why there is no answer.
    pub fn topics(&mut self, route: &str) -> Result<Vec<String>, Status> {
        let request = v1::ListTopicsRequest { route: route.to_owned(), topic: String::new() };
        let reply = self.call(async |client| client.list_topics(with_deadline(request.clone())).await)?;
        Ok(reply.topics.into_iter().map(|topic| topic.topic).collect())
    }

    /// One call; an address that does not answer or does not lead is left for the next one.
    fn call<T>(
        &mut self,
        ask: impl AsyncFn(&mut AdminClient<Channel>) -> Result<tonic::Response<T>, Status>,
    ) -> Result<T, Status> {
        let mut client = match self.leader.take() {
            Some(client) => client,
            None => {
                self.next = (self.next + 1) % self.addresses.len();
                AdminClient::new(super::block_on(super::connect(&self.addresses[self.next]))?)
                    .max_decoding_message_size(proto::MESSAGE_BYTES_MAX)
            }
        };
        let answer = super::block_on(ask(&mut client));
        // Only a leader answers: otherwise another address is asked next time.
        let is_of_leader = match &answer {
            Ok(_) => true,
            Err(status) => !matches!(status.code(), Code::Unavailable | Code::Unknown | Code::DeadlineExceeded),
        };
        self.leader = is_of_leader.then_some(client);
        answer.map(tonic::Response::into_inner)
    }
}

fn with_deadline<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_DEADLINE);
    request
}
