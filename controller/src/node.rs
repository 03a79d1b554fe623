//! One controller process, from its start to its end.
