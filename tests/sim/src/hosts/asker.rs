//! Somebody who asks controllers: the one that leads, as far as he knows, and another one if that does not answer.

use std::sync::Arc;
use std::time::Duration;

use proto::v1::admin_client::AdminClient;
use proto::wire::Wire;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

use crate::dice::Dice;
use crate::hosts::operator::NAME;
use crate::site::Site;
use crate::wire::SimWire;

/// How long one controller may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// What became of a request.
pub enum Answer<T> {
    /// It was answered.
    Given(T),
    /// It was refused.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// Somebody who asks.
pub struct Asker {
    addresses: Vec<String>,
    wire: SimWire,
    pub dice: Dice,
    /// Whom to ask first.
    leader: Option<String>,
}

impl Asker {
    /// Somebody on the operator's host.
    pub fn new(site: &Arc<Site>, dice: Dice) -> Self {
        Self { addresses: site.addresses(), wire: SimWire::new(&site.links, NAME), dice, leader: None }
    }

    /// Asks controllers until one has answered, or the time is up.
    pub async fn ask<T, Asked>(&mut self, patience: Duration, call: impl Fn(AdminClient<Channel>) -> Asked) -> Answer<T>
    where
        Asked: Future<Output = Result<Response<T>, Status>>,
    {
        let give_up = Instant::now() + patience;
        while Instant::now() < give_up {
            let address = match self.leader.take() {
                Some(leader) => leader,
                None => self.dice.pick(&self.addresses).expect("there are controllers"),
            };
            let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a legal address");
            let endpoint = endpoint.connect_timeout(Duration::from_secs(1));
            match timeout(ANSWER_MAX, call(AdminClient::new(self.wire.channel(&endpoint)))).await {
                Ok(Ok(reply)) => {
                    self.leader = Some(address);
                    return Answer::Given(reply.into_inner());
                }
                Ok(Err(status)) => match status.code() {
                    Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::AlreadyExists => {
                        return Answer::Refused;
                    }
                    _ => self.leader = proto::leader_of(status.metadata()),
                },
                Err(_) => {}
            }
            sleep(self.dice.millis(20, 200)).await;
        }
        Answer::Unknown
    }
}
