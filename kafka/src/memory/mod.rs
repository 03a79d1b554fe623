//! A cluster in memory behind the traits of this crate.
