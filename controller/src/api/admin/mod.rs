//! What operators call, one file a noun. Here is only which call goes where.

mod assignments;
mod backup;
mod clusters;
mod controllers;
mod events;
mod problems;
#[cfg(test)]
mod problems_test;
mod rebalance;
mod routes;
mod same_cluster;
mod status;
mod topics;
mod workers;

use proto::v1;
use tonic::{Request, Response, Status};

use super::Api;

/// The service that operators call.
pub struct Service(pub Api);

/// Passes each call to the function that does it.
macro_rules! service {
    ($($call:ident: $request:ident => $reply:ident by $function:path;)*) => {
        #[tonic::async_trait]
        impl v1::admin_server::Admin for Service {
            $(
                async fn $call(&self, request: Request<v1::$request>) -> Result<Response<v1::$reply>, Status> {
                    self.0.answer($function(&self.0, request.into_inner())).await
                }
            )*

            type ListEventsStream = events::Stream;

            async fn list_events(
                &self,
                request: Request<v1::ListEventsRequest>,
            ) -> Result<Response<Self::ListEventsStream>, Status> {
                self.0.answer(events::list(&self.0, request.into_inner())).await
            }

            type BackupStream = backup::Stream;

            async fn backup(
                &self,
                request: Request<v1::BackupRequest>,
            ) -> Result<Response<Self::BackupStream>, Status> {
                self.0.answer(backup::make(&self.0, request.into_inner())).await
            }

            async fn get_status(
                &self,
                _: Request<v1::GetStatusRequest>,
            ) -> Result<Response<v1::GetStatusReply>, Status> {
                Ok(self.0.with_hint(status::get(&self.0).await))
            }
        }
    };
}

service! {
    add_cluster: AddClusterRequest => ChangeReply by clusters::add;
    remove_cluster: RemoveClusterRequest => ChangeReply by clusters::remove;
    list_clusters: ListClustersRequest => ListClustersReply by clusters::list;
    add_route: AddRouteRequest => ChangeReply by routes::add;
    remove_route: RemoveRouteRequest => ChangeReply by routes::remove;
    pause_route: PauseRouteRequest => ChangeReply by routes::pause;
    resume_route: ResumeRouteRequest => ChangeReply by routes::resume;
    list_routes: ListRoutesRequest => ListRoutesReply by routes::list;
    add_topic: AddTopicRequest => ChangeReply by topics::add;
    remove_topic: RemoveTopicRequest => ChangeReply by topics::remove;
    pause_topic: PauseTopicRequest => ChangeReply by topics::pause;
    resume_topic: ResumeTopicRequest => ChangeReply by topics::resume;
    list_topics: ListTopicsRequest => ListTopicsReply by topics::list;
    list_assignments: ListAssignmentsRequest => ListAssignmentsReply by assignments::list;
    move_assignment: MoveAssignmentRequest => ChangeReply by assignments::change_owner;
    pin_assignment: PinAssignmentRequest => ChangeReply by assignments::pin;
    unpin_assignment: UnpinAssignmentRequest => ChangeReply by assignments::unpin;
    plan_rebalance: PlanRebalanceRequest => PlanRebalanceReply by rebalance::plan;
    run_rebalance: RunRebalanceRequest => ChangeReply by rebalance::run;
    freeze_rebalance: FreezeRebalanceRequest => ChangeReply by rebalance::freeze;
    unfreeze_rebalance: UnfreezeRebalanceRequest => ChangeReply by rebalance::unfreeze;
    list_workers: ListWorkersRequest => ListWorkersReply by workers::list;
    drain_worker: DrainWorkerRequest => ChangeReply by workers::drain;
    undrain_worker: UndrainWorkerRequest => ChangeReply by workers::undrain;
    remove_worker: RemoveWorkerRequest => ChangeReply by workers::remove;
    release_hold: ReleaseHoldRequest => ChangeReply by workers::release_hold;
    list_controllers: ListControllersRequest => ListControllersReply by controllers::list;
    add_controller: AddControllerRequest => ControllerChangeReply by controllers::add;
    remove_controller: RemoveControllerRequest => ControllerChangeReply by controllers::remove;
}
