//! How a process reaches another one: by TCP, but for a simulation.

use std::error::Error;
use std::fmt::Debug;

use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// Makes channels.
pub trait Wire: Debug + Send + Sync + 'static {
    /// A channel to an endpoint. It connects with the first request, and again whenever a request finds it broken.
    fn channel(&self, endpoint: &Endpoint) -> Channel;
}

/// TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Wire for Tcp {
    fn channel(&self, endpoint: &Endpoint) -> Channel {
        endpoint.connect_lazy()
    }
}

/// What the other one said, or, if it was not reached, the innermost error: what the operating system said.
pub fn reason(status: &Status) -> String {
    let mut cause = status.source();
    while let Some(source) = cause.and_then(Error::source) {
        cause = Some(source);
    }
    cause.map_or_else(|| status.message().to_owned(), ToString::to_string)
}
