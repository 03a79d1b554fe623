//! The configuration of a controller or a worker: a file, and the environment over it.
//!
//! ```text
//! controller.toml ──┐
//!                   ├─> layers ──> controller | worker: every key read, checked, with its default
//! REPLISOME_…     ──┘  (wins)
//! ```
//!
//! Owns: the keys, their defaults, the checks that need no network, and a refusal that names the place and the key.
//! Never does: open anything but the file (it looks at what a path names). A key that is not known is refused; an environment variable that is not
//! known is left alone, since the prefix is not ours alone, and noted if it looks like a slip of the pen.

mod controller;
mod layers;
mod listen;
mod worker;

pub use controller::ControllerFile;
pub use worker::WorkerFile;
