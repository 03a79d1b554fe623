//! One request to one controller, and what came of it.
//!
//! A status with a source was made here, by a connection that broke; one without was sent by the controller.

use std::error::Error;
use std::io;
use std::time::Duration;

use proto::v1::admin_client::AdminClient;
use tokio::time::{Instant, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

use crate::failure::{Exit, Failure};

/// How long a controller may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A controller that hangs, or a host that went silent, is found out by pings, however long an answer may take.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The client of one controller.
pub type Admin = AdminClient<Channel>;

/// Why an attempt has no result.
pub enum Trouble {
    /// The controller has judged: asking again would bring the same.
    Final(Failure),
    /// It does not lead; perhaps it knows who does.
    NotLeader { leader: Option<String>, why: String },
    /// It can't be reached: nothing was sent.
    Unreachable(String),
    /// It was asked and did not answer, or does not know what came of it.
    Unanswered(String),
}

/// Connects. Nothing is asked yet.
pub async fn connect(address: &str, deadline: Instant) -> Result<Admin, Trouble> {
    let unreachable = |why: String| Trouble::Unreachable(why);
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_| unreachable("is no address".to_owned()))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true);
    match timeout_at(deadline, endpoint.connect()).await {
        Ok(Ok(channel)) => Ok(AdminClient::new(channel)
            .max_decoding_message_size(proto::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(proto::MESSAGE_BYTES_MAX)),
        Ok(Err(error)) => Err(unreachable(broken(&error))),
        Err(_) => Err(unreachable("no connection in time".to_owned())),
    }
}

/// Waits for the answer to a request that was sent.
pub async fn answer<R>(
    address: &str,
    deadline: Instant,
    call: impl Future<Output = Result<Response<R>, Status>>,
) -> Result<R, Trouble> {
    match timeout_at(deadline, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(trouble(address, &status)),
        Err(_) => Err(Trouble::Unanswered("no answer in time".to_owned())),
    }
}

/// What a status means.
pub fn trouble(address: &str, status: &Status) -> Trouble {
    if let Some(source) = status.source() {
        return Trouble::Unanswered(broken(source));
    }
    let text = status.message();
    let judged = |exit, text: String| Trouble::Final(Failure { exit, text });
    match status.code() {
        Code::Unavailable => {
            let leader = proto::leader_of(status.metadata());
            Trouble::NotLeader { leader, why: said(text, "does not lead") }
        }
        // An answer that breaks off without its end comes as unknown.
        Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            Trouble::Unanswered(said(text, "does not know the outcome"))
        }
        Code::InvalidArgument => judged(Exit::Usage, text.to_owned()),
        Code::NotFound => judged(Exit::NotFound, text.to_owned()),
        Code::FailedPrecondition | Code::AlreadyExists => judged(Exit::Conflict, text.to_owned()),
        Code::Unimplemented => judged(
            Exit::Failed,
            format!("{address} does not know this command: it is no controller, or one of another version"),
        ),
        _ => judged(Exit::Failed, format!("the controller at {address} failed: {}", said(text, "it did not say why"))),
    }
}

fn said(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

/// Why a connection broke or never was, in plain words.
fn broken(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::ConnectionRefused => return "connection refused: nothing listens there".to_owned(),
                io::ErrorKind::TimedOut => return "no connection within 1 s".to_owned(),
                _ => {}
            }
        }
        innermost = error;
        next = error.source();
    }
    let text = innermost.to_string();
    if text.contains("lookup address") || text.contains("resolve") {
        return "the host's name can't be resolved".to_owned();
    }
    if text.contains("deadline has elapsed") {
        return "no connection within 1 s".to_owned();
    }
    if text.contains("keep-alive timed out") {
        return "it accepts connections and does not answer".to_owned();
    }
    if text.contains("frame") || text.contains("protocol") {
        return "it does not speak gRPC: is this the controller's listen port?".to_owned();
    }
    if ["connection closed", "broken pipe", "connection reset"].iter().any(|words| text.contains(words)) {
        return "it closed the connection: it was stopped just now, or this is not the controller's listen port"
            .to_owned();
    }
    format!("the connection broke: {text}")
}
