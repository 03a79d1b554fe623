//! What more than one crate uses, and nothing else: ids and numbers, offsets and their identity, the messages between
//! leader and worker, the connection they travel on, calls that wait, gauges that come and go, and the set-up
//! of logs.
//!
//! Owns no behaviour of a fleet: deciding is in `controller`, copying in `worker`. Never names a foreign service
//! library: no Kafka client, no Raft, no gRPC. Everything here is plain data, checked where it is made (`TopicName::new`)
//! and trusted after that.

pub mod assignment;
pub mod blocking;
pub mod bug;
pub mod config;
pub mod identity;
pub mod ids;
pub mod net;
pub mod offsets;
pub mod reason;
pub mod shown;
pub mod telemetry;
pub mod weight;
