//! ISLAND. What to stop and what to start, so that what runs becomes what is wanted.
//!
//! A partition that runs under another epoch is stopped first and started when it has been released: two grants of one
//! partition never run side by side. Planning again once a stop has finished yields the start.

use std::collections::BTreeMap;
use std::fmt;

use common::assignment::Grant;
use common::ids::{Epoch, RoutePartition};

/// The difference between what runs and what is wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WorkPlan {
    /// To be released, and why.
    pub stops: Vec<(RoutePartition, StopReason)>,
    /// To be started.
    pub starts: Vec<Grant>,
    /// Left alone.
    pub keeps: usize,
}

/// Why a running partition is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// It is no longer wanted here.
    NotWanted,
    /// It is wanted under another epoch.
    OtherEpoch {
        /// The epoch it runs under.
        running: Epoch,
        /// The epoch it is wanted under.
        wanted: Epoch,
    },
}

/// What runs: its epoch, and whether it is on its way out already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunningState {
    /// The epoch it runs under.
    pub epoch: Epoch,
    /// Whether it has been told to stop.
    pub stopping: bool,
}

impl WorkPlan {
    /// Compares what runs with what is wanted. An empty plan means that nothing is to be done now.
    pub fn build(running: &BTreeMap<RoutePartition, RunningState>, wanted: &BTreeMap<RoutePartition, Grant>) -> Self {
        let mut plan = Self::default();
        for (partition, state) in running.iter().filter(|(_, state)| !state.stopping) {
            match wanted.get(partition) {
                Some(grant) if grant.epoch == state.epoch => plan.keeps += 1,
                Some(grant) => {
                    let reason = StopReason::OtherEpoch { running: state.epoch, wanted: grant.epoch };
                    plan.stops.push((partition.clone(), reason));
                }
                None => plan.stops.push((partition.clone(), StopReason::NotWanted)),
            }
        }
        plan.starts.extend(wanted.values().filter(|grant| !running.contains_key(&grant.partition)).cloned());
        plan
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.stops.is_empty() && self.starts.is_empty()
    }
}

impl fmt::Display for WorkPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stop {}, start {}, keep {}", self.stops.len(), self.starts.len(), self.keeps)?;
        for (partition, reason) in &self.stops {
            match reason {
                StopReason::NotWanted => write!(f, "\n  stop {partition}: not wanted here")?,
                StopReason::OtherEpoch { running, wanted } => {
                    write!(f, "\n  stop {partition}: runs under epoch {running}, wanted under {wanted}")?;
                }
            }
        }
        for grant in &self.starts {
            write!(f, "\n  start {} under epoch {}", grant.partition, grant.epoch)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "plan_test.rs"]
mod tests;
