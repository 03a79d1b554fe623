//! What an operator asks for, as a value that can be asked again.

use common::ids::{PoolName, RoutePartition};
use proto::v1::admin_client::AdminClient;
use proto::v1::{self, ChangeReply, RequestContext};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::brokers::{SOURCE, TARGET};

/// A change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    AddCluster { name: &'static str },
    AddRoute { name: &'static str, include: &'static str, pool: PoolName },
    PauseRoute { route: String },
    ResumeRoute { route: String },
    AddTopic { route: String, topic: String },
    RemoveTopic { route: String, topic: String },
    PauseTopic { route: String, topic: String, partition: Option<u32> },
    ResumeTopic { route: String, topic: String, partition: Option<u32> },
    Move { partition: RoutePartition, worker: String },
    Pin { partition: RoutePartition, worker: String },
    Unpin { partition: RoutePartition },
    Rebalance { moves_max: Option<u32> },
    Freeze,
    Unfreeze,
    Drain { worker: String },
    Undrain { worker: String },
    RemoveWorker { worker: String },
    ReleaseHold,
}

impl Request {
    /// Asks one controller.
    pub async fn ask(
        self,
        mut admin: AdminClient<Channel>,
        context: RequestContext,
    ) -> Result<Response<ChangeReply>, Status> {
        let (context, reason) = (Some(context), "simulated".to_owned());
        match self {
            Self::AddCluster { name } => {
                let properties = [("bootstrap.servers".to_owned(), format!("{name}:9092"))].into();
                let cluster = Some(v1::Cluster { name: name.to_owned(), properties });
                admin.add_cluster(v1::AddClusterRequest { context, cluster }).await
            }
            Self::AddRoute { name, include, pool } => {
                let route = v1::AddRouteRequest {
                    context,
                    name: name.to_owned(),
                    source: SOURCE.to_owned(),
                    target: TARGET.to_owned(),
                    include: vec![include.to_owned()],
                    pool: pool.into(),
                    ..Default::default()
                };
                admin.add_route(route).await
            }
            Self::PauseRoute { route: name } => {
                admin.pause_route(v1::PauseRouteRequest { context, name, reason }).await
            }
            Self::ResumeRoute { route: name } => admin.resume_route(v1::ResumeRouteRequest { context, name }).await,
            Self::AddTopic { route, topic } => {
                admin.add_topic(v1::AddTopicRequest { context, route, topic, target: String::new(), start: None }).await
            }
            Self::RemoveTopic { route, topic } => {
                admin.remove_topic(v1::RemoveTopicRequest { context, route, topic }).await
            }
            Self::PauseTopic { route, topic, partition } => {
                admin.pause_topic(v1::PauseTopicRequest { context, route, topic, partition, reason }).await
            }
            Self::ResumeTopic { route, topic, partition } => {
                let accept_foreign_offsets = false;
                let asked = v1::ResumeTopicRequest { context, route, topic, partition, accept_foreign_offsets };
                admin.resume_topic(asked).await
            }
            Self::Move { partition, worker } => {
                let partition = Some(partition.into());
                admin.move_assignment(v1::MoveAssignmentRequest { context, partition, worker }).await
            }
            Self::Pin { partition, worker } => {
                let partition = Some(partition.into());
                admin.pin_assignment(v1::PinAssignmentRequest { context, partition, worker }).await
            }
            Self::Unpin { partition } => {
                let partition = Some(partition.into());
                admin.unpin_assignment(v1::UnpinAssignmentRequest { context, partition }).await
            }
            Self::Rebalance { moves_max } => admin.run_rebalance(v1::RunRebalanceRequest { context, moves_max }).await,
            Self::Freeze => admin.freeze_rebalance(v1::FreezeRebalanceRequest { context }).await,
            Self::Unfreeze => admin.unfreeze_rebalance(v1::UnfreezeRebalanceRequest { context }).await,
            Self::Drain { worker: id } => admin.drain_worker(v1::DrainWorkerRequest { context, id }).await,
            Self::Undrain { worker: id } => admin.undrain_worker(v1::UndrainWorkerRequest { context, id }).await,
            Self::RemoveWorker { worker: id } => admin.remove_worker(v1::RemoveWorkerRequest { context, id }).await,
            Self::ReleaseHold => admin.release_hold(v1::ReleaseHoldRequest { context, pool: String::new() }).await,
        }
    }
}
