//! The gRPC services that operators and workers call.
