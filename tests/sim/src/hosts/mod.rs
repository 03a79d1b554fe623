//! What runs on the hosts of the simulated network: the product's processes, each with a network, a disk and clusters of
//! its own choice, and the operator.

pub mod asker;
pub mod caller;
pub mod clock;
pub mod controller;
pub mod operator;
pub mod relay;
pub mod requests;
pub mod stops;
pub mod tasks;
pub mod worker;
