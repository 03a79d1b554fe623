//! An operator that speaks gRPC.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto::v1;
use proto::v1::admin_client::AdminClient;
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::shape;

/// How long a fleet may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(10);

/// An operator of the fleet with these controllers.
pub struct Operator {
    addresses: Vec<String>,
}

impl Operator {
    pub fn new(addresses: Vec<String>) -> Self {
        Self { addresses }
    }

    /// Adds the two clusters and a route of all topics.
    pub async fn add_route(&self) -> Result<()> {
        for name in [shape::source(), shape::target()] {
            let properties = [("bootstrap.servers".to_owned(), format!("{name}:9092"))].into();
            let cluster = Some(v1::Cluster { name: name.to_string(), properties });
            let request = v1::AddClusterRequest { context: context(), cluster };
            self.call(async |client| client.add_cluster(request.clone()).await).await?;
        }
        let request = v1::AddRouteRequest {
            context: context(),
            name: shape::route().to_string(),
            source: shape::source().to_string(),
            target: shape::target().to_string(),
            include: vec![".*".to_owned()],
            ..v1::AddRouteRequest::default()
        };
        self.call(async |client| client.add_route(request.clone()).await).await?;
        Ok(())
    }

    /// Makes so many changes, each an entry of the log.
    pub async fn change(&self, times: usize) -> Result<()> {
        for time in 0..times {
            let (freeze, unfreeze) = (
                v1::FreezeRebalanceRequest { context: context() },
                v1::UnfreezeRebalanceRequest { context: context() },
            );
            self.call(async |client| match time % 2 {
                0 => client.freeze_rebalance(freeze.clone()).await,
                _ => client.unfreeze_rebalance(unfreeze.clone()).await,
            })
            .await?;
        }
        Ok(())
    }

    /// The controllers, as the leader sees them.
    pub async fn controllers(&self) -> Result<Vec<v1::Controller>> {
        let request = v1::ListControllersRequest::default();
        let reply = self.call(async |client| client.list_controllers(request).await).await?;
        Ok(reply.controllers)
    }

    /// How long the page of the state takes.
    pub async fn status(&self) -> Result<v1::GetStatusReply> {
        self.call(async |client| client.get_status(with_deadline(v1::GetStatusRequest::default())).await).await
    }

    /// One call, at each controller in turn until one that leads has answered.
    async fn call<T>(
        &self,
        ask: impl AsyncFn(&mut AdminClient<Channel>) -> Result<tonic::Response<T>, Status>,
    ) -> Result<T> {
        let begin = Instant::now();
        loop {
            let mut last = None;
            for address in &self.addresses {
                match attempt(address, &ask).await {
                    Ok(reply) => return Ok(reply.into_inner()),
                    Err(status)
                        if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::DeadlineExceeded) =>
                    {
                        last = Some(status);
                    }
                    Err(status) => bail!("{address}: {}", status.message()),
                }
            }
            if begin.elapsed() > PATIENCE {
                return Err(last.context("no controllers")?).context("no controller answers as the leader");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn attempt<T>(
    address: &str,
    ask: impl AsyncFn(&mut AdminClient<Channel>) -> Result<tonic::Response<T>, Status>,
) -> Result<tonic::Response<T>, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let channel = endpoint.connect_timeout(Duration::from_secs(1)).connect().await;
    let channel = channel.map_err(|error| Status::unavailable(error.to_string()))?;
    ask(&mut AdminClient::new(channel).max_decoding_message_size(proto::MESSAGE_BYTES_MAX)).await
}

fn with_deadline<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_MAX);
    request
}

fn context() -> Option<v1::RequestContext> {
    Some(v1::RequestContext { request_id: ulid::Ulid::generate().to_string(), actor: "scale".to_owned() })
}
