//! Who copies what: listed, and changed one by one.

use common::ids::{RouteName, TopicName, WorkerId};
use proto::{Malformed, v1};

use super::super::errors::ApiError;
use super::super::view::{Observed, Row};
use super::super::{Api, parse};
use super::routes;
use crate::state::{Command, State};

/// Gives one partition to another worker.
pub async fn change_owner(api: &Api, asked: v1::MoveAssignmentRequest) -> Result<v1::ChangeReply, ApiError> {
    let partition = asked.partition.ok_or_else(|| Malformed::missing("partition"))?.try_into()?;
    let command = Command::MovePartition { partition, to: parse::name(&asked.worker)? };
    api.change(parse::asked(asked.context)?, command, Vec::new()).await
}

/// Lists the assignment table.
pub async fn list(api: &Api, asked: v1::ListAssignmentsRequest) -> Result<v1::ListAssignmentsReply, ApiError> {
    let (route, topic): (Option<RouteName>, Option<TopicName>) =
        (parse::filter(&asked.route)?, parse::filter(&asked.topic)?);
    let worker: Option<WorkerId> = parse::filter(&asked.worker)?;
    let leading = api.confirmed().await?;
    let observed = Observed::of(&leading.handle);
    let state = leading.handle.state();
    if let Some(route) = &route {
        routes::find(&state, route)?;
    }
    if let Some(worker) = worker.as_ref().filter(|worker| !state.workers().contains_key(worker)) {
        return Err(ApiError::NotFound(format!("there is no worker {worker}")));
    }
    let is_wanted = |row: &v1::Assignment| worker.as_ref().is_none_or(|worker| worker.as_str() == row.worker);
    let mut assignments = Vec::new();
    for ((its_route, name), its_topic) in state.topics() {
        if route.as_ref().is_none_or(|route| route == its_route) && topic.as_ref().is_none_or(|topic| topic == name) {
            let rows = observed.rows_of(&state, its_route, name, its_topic);
            assignments.extend(rows.map(|row| describe(&state, row)).filter(is_wanted));
        }
    }
    Ok(v1::ListAssignmentsReply { assignments, revision: state.revision().0 })
}

fn describe(state: &State, row: Row<'_>) -> v1::Assignment {
    let owner = row.slot.life.owner().map(|(session, _)| session);
    let worker = owner.and_then(|session| state.sessions().get(&session)).map(|session| session.worker.to_string());
    let lag = row.lag();
    v1::Assignment {
        partition: Some(row.id.clone().into()),
        target_topic: row.topic.target.to_string(),
        state: row.condition.name().to_owned(),
        worker: worker.unwrap_or_default(),
        session: owner.map(|session| session.to_string()).unwrap_or_default(),
        epoch: row.slot.epoch.0,
        next_offset: row.progress.and_then(|progress| Some(progress.next_offset?.0)),
        stored_offset: row.progress.and_then(|progress| Some(progress.stored_offset?.0)),
        lag,
        lag_seconds: lag.and(row.progress).map(|progress| progress.lag_time.as_secs_f64()),
        reason: row.reason.map(Into::into),
    }
}
