//! Controllers, as the asked one sees them. Needs no leader.

use proto::v1;

use super::super::Api;
use super::super::errors::ApiError;
use crate::raft::ControllerView;

/// Lists the controllers.
pub async fn list(api: &Api, _: v1::ListControllersRequest) -> Result<v1::ListControllersReply, ApiError> {
    Ok(v1::ListControllersReply { controllers: all(api).await })
}

/// The controllers, by id; each is asked just now.
pub async fn all(api: &Api) -> Vec<v1::Controller> {
    api.raft.controllers().await.into_iter().map(row).collect()
}

fn row(view: ControllerView) -> v1::Controller {
    let ControllerView { id, address, role, term, applied, software } = view;
    v1::Controller { id, address, role, term, applied, version: software }
}
