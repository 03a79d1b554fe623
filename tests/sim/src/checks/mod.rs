//! What must be true, looked at after each step.

pub mod controllers;
