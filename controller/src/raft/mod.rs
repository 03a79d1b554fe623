//! The replicated log: openraft on sled.
