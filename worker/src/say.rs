//! Log lines about one partition, with the same fields everywhere.

/// `say!(warn, partition_id, epoch, %reason, "text")`: a log line with the fields `route`, `topic`, `partition`, `epoch`.
macro_rules! say {
    ($level:ident, $partition:expr, $epoch:expr, $($rest:tt)+) => {{
        let common::ids::RoutePartition { route, topic, partition } = &$partition;
        tracing::$level!(%route, %topic, %partition, epoch = %$epoch, $($rest)+)
    }};
}

pub(crate) use say;
