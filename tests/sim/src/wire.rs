//! TCP as turmoil simulates it, behind the product's `Wire` and `Incoming`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::unfold;
use hyper_util::rt::TokioIo;
use proto::wire::Wire;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::codegen::http::Uri;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};
use turmoil::net::{TcpListener, TcpStream};

use crate::links::Links;

/// Channels that begin at one host.
#[derive(Clone, Debug)]
pub struct SimWire {
    links: Arc<Links>,
    host: String,
}

impl SimWire {
    /// Those that begin at `host`.
    pub fn new(links: &Arc<Links>, host: &str) -> Self {
        Self { links: links.clone(), host: host.to_owned() }
    }

    /// The connections that come in on a port.
    pub async fn listen(&self, port: u16) -> io::Result<impl controller::node::Incoming + use<>> {
        let (links, host) = (self.links.clone(), self.host.clone());
        let listener = TcpListener::bind(("0.0.0.0", port)).await?;
        Ok(unfold(listener, move |listener| {
            let (links, from) = (links.clone(), host.clone());
            async move {
                let connection = listener.accept().await.map(|(stream, peer)| {
                    let to = turmoil::reverse_lookup(peer.ip()).unwrap_or_default();
                    Connection { stream, links, from, to }
                });
                Some((connection, listener))
            }
        }))
    }
}

impl Wire for SimWire {
    fn channel(&self, endpoint: &Endpoint) -> Channel {
        let (links, host) = (self.links.clone(), self.host.clone());
        let connect = move |uri: Uri| {
            let (links, from) = (links.clone(), host.clone());
            async move {
                let to = uri.host().unwrap_or_default().to_owned();
                let stream = TcpStream::connect((to.as_str(), uri.port_u16().unwrap_or_default())).await?;
                Ok::<_, io::Error>(TokioIo::new(Connection { stream, links, from, to }))
            }
        };
        endpoint.connect_with_connector_lazy(tower::service_fn(connect))
    }
}

/// One end of a connection.
struct Connection {
    stream: TcpStream,
    links: Arc<Links>,
    from: String,
    to: String,
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.links.carries(&self.from, &self.to);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
