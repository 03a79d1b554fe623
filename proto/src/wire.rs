//! How a process reaches another one: by TCP, but for a simulation.

use std::fmt::Debug;

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
