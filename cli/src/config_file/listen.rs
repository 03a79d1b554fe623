//! Where a process listens. Until connections are encrypted, that is this machine only, unless the user insists.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::layers::{Key, Layers};
use crate::failure::Failure;
use crate::values::host_and_port;

/// An address to listen on, resolved and allowed.
pub fn address(layers: &Layers, key: &Key, insecure: bool) -> Result<Option<SocketAddr>, Failure> {
    let Some(text) = layers.parsed(key, host_and_port)? else { return Ok(None) };
    let addresses: Vec<SocketAddr> = text
        .to_socket_addrs()
        .map_err(|error| layers.wrong(key, format_args!("{text:?}: the host can't be resolved: {error}")))?
        .collect();
    let Some(first) = addresses.first() else {
        return Err(layers.wrong(key, format_args!("{text:?}: the host has no address")));
    };
    if !insecure && let Some(open) = addresses.iter().find(|address| !is_loopback(address.ip())) {
        return Err(layers.wrong(
            key,
            format_args!(
                "{text:?} would listen on {}, where others reach it, and connections are neither encrypted nor \
                 authenticated: whoever reaches the port commands the fleet. Listen on 127.0.0.1, or give --insecure \
                 (REPLISOME_INSECURE=true) if the network is closed to others",
                open.ip()
            ),
        ));
    }
    Ok(Some(*first))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
