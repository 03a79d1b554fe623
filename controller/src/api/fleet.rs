//! Workers' streams: what comes up goes to the leader that has the seat, what he says goes down. Nothing is kept here
//! but one message on its way down; what is not yet sent stays in the link, where the newer replaces the older.

use common::assignment::{Down, Up};
use common::net::LeaderLink;
use proto::parts::Parts;
use proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::errors::ApiError;
use super::{Api, Leading};

/// Messages between the link and the connection: more would only be older.
const DOWN_QUEUE_MAX: usize = 1;

type ToWorker = mpsc::Sender<Result<v1::LeaderMessage, Status>>;

/// The service that workers call.
pub struct Service(pub Api);

#[tonic::async_trait]
impl v1::fleet_server::Fleet for Service {
    type AttachStream = ReceiverStream<Result<v1::LeaderMessage, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let leading = self.0.leading().await.map_err(|error| self.0.status(error))?;
        let (down, receiver) = mpsc::channel(DOWN_QUEUE_MAX);
        tokio::spawn(serve(self.0.clone(), leading, request.into_inner(), down));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Serves one connection until the worker, the leader or the leadership ends it.
async fn serve(api: Api, leading: Leading, up: Streaming<v1::WorkerMessage>, down: ToWorker) {
    let over = leading.over.clone();
    let error = tokio::select! {
        end = pump(&leading, up, &down) => match end {
            Ok(()) => return,
            Err(error) => error,
        },
        () = over.cancelled() => ApiError::NotLeading("this controller leads no more".into()),
    };
    // Nobody to tell it to is no news: the connection is gone.
    let _ = down.send(Err(api.status(error))).await;
}

/// Passes messages both ways. A message that waits to go down never keeps a heartbeat from coming up.
async fn pump(leading: &Leading, mut up: Streaming<v1::WorkerMessage>, down: &ToWorker) -> Result<(), ApiError> {
    let closed = |_| ApiError::NotLeading("the leader closed the connection".into());
    let mut link: LeaderLink = leading.dialer.dial().await.map_err(closed)?;
    let (mut inventory, mut parts) = (Parts::<v1::Inventory>::default(), Vec::new().into_iter());
    let mut room = None;
    let mut is_heard = true;
    loop {
        tokio::select! {
            message = up.message(), if is_heard => match message {
                Ok(Some(part)) => if let Some(message) = inventory.join(part)? {
                    // A leader that listens no more may have said why: that is still on its way down.
                    is_heard = link.send(Up::try_from(message)?).await.is_ok();
                },
                Ok(None) => return Ok(()),
                Err(status) => return Err(ApiError::Invalid(format!("unreadable: {}", status.message()))),
            },
            permit = down.reserve(), if room.is_none() => match permit {
                Ok(permit) => match parts.next() {
                    Some(part) => permit.send(Ok(part)),
                    None => room = Some(permit),
                },
                Err(_) => return Ok(()),
            },
            message = link.receive(), if room.is_some() => {
                let message = message.map_err(closed)?;
                let refused = matches!(message, Down::Refused(_));
                parts = v1::LeaderMessage::from(message).parts().into_iter();
                room.take().expect("checked").send(Ok(parts.next().expect("a message has a part at least")));
                if refused {
                    return Ok(());
                }
            }
        }
    }
}
