//! What runs on the hosts of the simulated network: the product's processes, each with a network, a disk and clusters of
//! its own choice, and the operator.

pub mod controller;
