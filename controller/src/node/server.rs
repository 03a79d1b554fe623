//! The port: all services on one, with the signs of life by which a dead host or a frozen peer is noticed.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::{Connected, Router, TcpIncoming};
use tonic_health::pb::health_server::{Health, HealthServer};

use crate::api::Api;
use crate::raft::RaftNode;

/// How often whoever is connected is pinged. The kernel says nothing of a host that lost its power or a process that is
/// stopped.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// When the kernel begins to ask whether a silent host is there; for connections that never said a word.
const TCP_KEEPALIVE: Duration = Duration::from_secs(10);

/// All services. A worker that answers no ping is cut off only once its `lease` has run out: until then the lease alone
/// decides about it.
pub fn router(raft: &RaftNode, api: &Api, health: HealthServer<impl Health>, lease: Duration) -> Router {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors are compiled in");
    Server::builder()
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_INTERVAL + lease))
        .add_service(raft.service())
        .add_service(api.fleet())
        .add_service(api.admin())
        .add_service(health)
        .add_service(reflection)
}

/// Connections that come in, whatever carries them.
pub trait Incoming: Stream<Item = Result<Self::Connection, Self::Failure>> + Send + 'static {
    /// One of them.
    type Connection: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static;
    /// Why none came.
    type Failure: Into<Box<dyn Error + Send + Sync>> + Send;
}

impl<S, C, E> Incoming for S
where
    S: Stream<Item = Result<C, E>> + Send + 'static,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + Send,
{
    type Connection = C;
    type Failure = E;
}

/// How many connections may wait to be accepted, if the system allows it (`net.core.somaxconn`): a large fleet's workers all
/// dial at once when a leader dies. What does not fit is dialled again by its kernel a second later.
const BACKLOG: u32 = 4_096;

/// Listens at an address.
pub async fn listen(address: &str) -> io::Result<TcpListener> {
    let mut refused = None;
    let listen = |address: SocketAddr| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A process that was started anew need not wait for the connections of the one before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    for address in lookup_host(address).await? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it has no address")))
}

/// Those of a TCP listener.
pub fn tcp(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(TCP_KEEPALIVE))
}

/// Serves until `stop`, then until what is under way has ended.
pub async fn serve(
    router: Router,
    incoming: impl Incoming,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    router.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await
}
