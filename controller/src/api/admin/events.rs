//! What happened: once, or on and on.

use std::time::Duration;

use common::ids::Revision;
use proto::v1;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::super::errors::ApiError;
use super::super::{Api, Leading};
use crate::state::{Event, EventKind};

/// What a listener gets.
pub type Stream = ReceiverStream<Result<v1::Event, Status>>;

/// Events on their way to one listener.
const QUEUE_MAX: usize = 64;

/// How long changes are gathered before the events are looked through again.
const GATHER: Duration = Duration::from_millis(50);

type Listener = mpsc::Sender<Result<v1::Event, Status>>;

/// Lists events, oldest first.
pub async fn list(api: &Api, asked: v1::ListEventsRequest) -> Result<Stream, ApiError> {
    let leading = api.confirmed().await?;
    let (listener, receiver) = mpsc::channel(QUEUE_MAX);
    tokio::spawn(tell(api.clone(), leading, asked, listener));
    Ok(ReceiverStream::new(receiver))
}

/// Tells one listener, until he has all, is gone, or the leadership ends.
async fn tell(api: Api, leading: Leading, asked: v1::ListEventsRequest, listener: Listener) {
    let mut revisions = leading.handle.revisions();
    let mut told = Revision(asked.after_revision);
    loop {
        tokio::select! {
            sent = send(&leading, &mut told, &listener) => if sent.is_err() || !asked.follow { return },
            () = leading.over.cancelled() => break,
        }
        tokio::select! {
            changed = revisions.changed() => if changed.is_err() { break },
            () = listener.closed() => return,
            () = leading.over.cancelled() => break,
        }
        sleep(GATHER).await;
    }
    let error = ApiError::NotLeading("this controller leads no more".into());
    // Who does not listen any more needs no reason.
    let _ = listener.send(Err(api.status(error))).await;
}

/// Sends what is newer than what was told. A change counts as told once all its events were sent.
async fn send(leading: &Leading, told: &mut Revision, listener: &Listener) -> Result<(), mpsc::error::SendError<()>> {
    let (news, revision): (Vec<v1::Event>, Revision) = {
        let state = leading.handle.state();
        let news = state.events().into_iter().filter(|event| event.revision > *told).map(describe);
        (news.collect(), state.revision())
    };
    for event in news {
        listener.reserve().await?.send(Ok(event));
    }
    *told = revision.max(*told);
    Ok(())
}

fn describe(event: &Event) -> v1::Event {
    let Event { revision, time_ms, actor, event } = event.clone();
    v1::Event {
        revision: revision.0,
        time_ms,
        kind: kind(event.kind).to_owned(),
        route: event.route.map(Into::into).unwrap_or_default(),
        topic: event.topic.map(Into::into).unwrap_or_default(),
        partition: event.partition.map(|partition| partition.0),
        actor,
        text: event.text,
        detail: event.detail.map(Into::into),
    }
}

fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Gap => "gap",
        EventKind::Topic => "topic",
        EventKind::Pause => "pause",
        EventKind::Move => "move",
        EventKind::Session => "session",
        EventKind::Fence => "fence",
        EventKind::Admin => "admin",
    }
}
