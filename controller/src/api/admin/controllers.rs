//! Controllers: listed as the asked one sees them, which needs no leader, and taken in and out, which does.
//!
//! A change of them is more than one entry, and may change who leads. So each request takes one step and says what is so
//! then; the caller asks again, whoever leads by then, until nothing is left to be done. The table records the wish first,
//! under the request's id: by that a later step is known to belong to it.

use proto::v1;

use super::super::errors::ApiError;
use super::super::parse::{self, Asked};
use super::super::{Api, Leading};
use crate::raft::{ControllerView, MemberStep, Refused};
use crate::state::{Command, EventKind, NewEvent};

/// Lists the controllers. One that was removed knows only who belonged to the fleet before, and refers to a member.
pub async fn list(api: &Api, _: v1::ListControllersRequest) -> Result<v1::ListControllersReply, ApiError> {
    if api.standing().referral.is_some() {
        return Err(ApiError::NotLeading(api.why_not_leading()));
    }
    Ok(v1::ListControllersReply { controllers: all(api).await })
}

/// The controllers, by id; each is asked just now.
pub async fn all(api: &Api) -> Vec<v1::Controller> {
    api.raft.controllers().await.into_iter().map(row).collect()
}

fn row(view: ControllerView) -> v1::Controller {
    let ControllerView { id, address, role, term, applied, software, votes, warning, trouble } = view;
    v1::Controller { id, address, role, term, applied, version: software, votes, warning, trouble }
}

/// Takes a controller in, by one step.
pub async fn add(api: &Api, asked: v1::AddControllerRequest) -> Result<v1::ControllerChangeReply, ApiError> {
    let v1::AddControllerRequest { context, id, address } = asked;
    let (asked, id) = (parse::asked(context)?, parse::node("id", id)?);
    let address = parse::text("address", address)?;
    let leading = api.confirmed().await?;
    match api.raft.next_to_add(id, &address).await? {
        Some(step) => advance(api, &leading, asked, &format!("controller {id} at {address} is added"), step).await,
        None => {
            let state = leading.handle.state();
            let change = state.change_of(asked.request);
            let (revision, existed) = (change.unwrap_or(state.revision()).0, change.is_none());
            Ok(done(v1::ChangeReply { revision, existed, notes: notes(api) }))
        }
    }
}

/// Takes a controller out, by one step.
pub async fn remove(api: &Api, asked: v1::RemoveControllerRequest) -> Result<v1::ControllerChangeReply, ApiError> {
    let (asked, id) = (parse::asked(asked.context)?, parse::node("id", asked.id)?);
    let leading = api.confirmed().await?;
    match (api.raft.next_to_remove(id).await?, api.raft.address_of(id)) {
        (Some(step), address) => {
            let wish = format!("controller {id} at {} is removed", address.unwrap_or_default());
            advance(api, &leading, asked, &wish, step).await
        }
        (None, _) => match leading.handle.state().change_of(asked.request) {
            Some(revision) => Ok(done(v1::ChangeReply { revision: revision.0, existed: false, notes: notes(api) })),
            None => Err(ApiError::NotFound(format!("there is no controller {id}"))),
        },
    }
}

async fn advance(
    api: &Api,
    leading: &Leading,
    Asked { request, actor }: Asked,
    wish: &str,
    step: MemberStep,
) -> Result<v1::ControllerChangeReply, ApiError> {
    let event = Command::RecordEvents(vec![NewEvent::new(EventKind::Admin, wish)]);
    leading.handle.propose_request(request, &actor, event).await?;
    let progress = api.raft.take_step(step).await?;
    Ok(v1::ControllerChangeReply { done: None, progress })
}

fn done(reply: v1::ChangeReply) -> v1::ControllerChangeReply {
    v1::ControllerChangeReply { done: Some(reply), progress: String::new() }
}

fn notes(api: &Api) -> Vec<String> {
    match api.raft.voters() {
        even if even % 2 == 0 => vec![format!(
            "the fleet has {even} controllers now, and they survive no more losses than {} do: add or remove one",
            even - 1
        )],
        _ => Vec::new(),
    }
}

impl From<Refused> for ApiError {
    fn from(Refused(text): Refused) -> Self {
        Self::Conflict(text)
    }
}
