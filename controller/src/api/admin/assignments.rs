//! Who copies what: listed, changed one by one, pinned.

use common::ids::{RouteName, RoutePartition, TopicName, WorkerId};
use proto::{Malformed, v1};

use super::super::errors::ApiError;
use super::super::view::{Observed, Row};
use super::super::{Api, parse};
use super::routes;
use crate::state::{Command, State};

/// Gives one partition to another worker.
pub async fn change_owner(api: &Api, asked: v1::MoveAssignmentRequest) -> Result<v1::ChangeReply, ApiError> {
    let command = Command::MovePartition { partition: named(asked.partition)?, to: parse::name(&asked.worker)? };
    api.change(parse::asked(asked.context)?, command, Vec::new()).await
}

/// Has a partition be with one worker whenever that takes work.
pub async fn pin(api: &Api, asked: v1::PinAssignmentRequest) -> Result<v1::ChangeReply, ApiError> {
    let (context, to) = (parse::asked(asked.context)?, parse::name::<WorkerId>(&asked.worker)?);
    let command = Command::PinPartition { partition: named(asked.partition)?, to: to.clone() };
    let notes = {
        let leading = api.leading().await?;
        let state = leading.handle.state();
        let absent = || format!("worker {to} takes no work now: the partition goes there once it does");
        let frozen = || "moves for balance are frozen: the partition goes there once that ends".to_owned();
        let frozen = state.balance().is_frozen().then(frozen);
        (!state.takes_work(&to)).then(absent).into_iter().chain(frozen).collect()
    };
    api.change(context, command, notes).await
}

/// Ends that.
pub async fn unpin(api: &Api, asked: v1::UnpinAssignmentRequest) -> Result<v1::ChangeReply, ApiError> {
    let command = Command::UnpinPartition { partition: named(asked.partition)? };
    api.change(parse::asked(asked.context)?, command, Vec::new()).await
}

/// The partition that a request must name.
fn named(partition: Option<v1::RoutePartition>) -> Result<RoutePartition, ApiError> {
    Ok(partition.ok_or_else(|| Malformed::missing("partition"))?.try_into()?)
}

/// Lists the assignment table.
pub async fn list(api: &Api, asked: v1::ListAssignmentsRequest) -> Result<v1::ListAssignmentsReply, ApiError> {
    let (route, topic): (Option<RouteName>, Option<TopicName>) =
        (parse::filter(&asked.route)?, parse::filter(&asked.topic)?);
    let worker: Option<WorkerId> = parse::filter(&asked.worker)?;
    api.look(move |leading| {
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
            let is_its_route = route.as_ref().is_none_or(|route| route == its_route);
            if is_its_route && topic.as_ref().is_none_or(|topic| topic == name) {
                let rows = observed.rows_of(&state, its_route, name, its_topic);
                assignments.extend(rows.map(|row| describe(&state, &observed, row)).filter(is_wanted));
            }
        }
        Ok(v1::ListAssignmentsReply { assignments, revision: state.revision().0 })
    })
    .await?
}

fn describe(state: &State, observed: &Observed, row: Row<'_>) -> v1::Assignment {
    let owner = row.slot.life.owner().map(|(session, _)| session);
    let worker = owner.and_then(|session| state.sessions().get(&session)).map(|session| session.worker.to_string());
    let (lag, rate, progress) = (row.lag(), observed.rate(&row), row.progress.as_ref());
    v1::Assignment {
        partition: Some(row.id.clone().into()),
        target_topic: row.topic.target.to_string(),
        state: row.condition.name().to_owned(),
        worker: worker.unwrap_or_default(),
        session: owner.map(|session| session.to_string()).unwrap_or_default(),
        epoch: row.slot.epoch.0,
        next_offset: progress.and_then(|progress| Some(progress.next_offset?.0)),
        stored_offset: progress.and_then(|progress| Some(progress.stored_offset?.0)),
        lag,
        lag_seconds: lag.and(progress).map(|progress| progress.lag_time.as_secs_f64()),
        reason: row.reason.map(Into::into),
        bytes_per_second: rate,
        noted_offset: row.slot.noted_offset.get().map(|noted| noted.0),
        pinned_to: row.slot.pin.as_ref().map(WorkerId::to_string).unwrap_or_default(),
    }
}
