//! Clocks that run at different speeds. Each process has a clock of its own, and some are fast: what they call a second is
//! over a little sooner than the others' second. Nothing may depend on two clocks running alike, but that a lease of a
//! leader is shorter than what its voters grant by a twentieth (`RaftTuning::acts_for`).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance, sleep};

use crate::dice::Dice;
use crate::run::TICK;
use crate::world::World;

/// How many of a thousand processes have a fast clock.
const FAST: u64 = 500;
/// By how many parts of a thousand at most. A clock is set right (NTP) or watched (hypervisors) at less than one; this is as
/// much as the leader's margin bears, once a jump of the clock and the time between two looks are taken off.
const PARTS_MAX: u64 = 30;
/// How often a fast clock is put forward, if it gained enough.
const LOOKS_EVERY: Duration = Duration::from_millis(20);

/// How fast the clock of one process is.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What it gains, in parts of a thousand.
    parts: u32,
}

impl Clock {
    /// The clock of a process that starts.
    pub fn draw(dice: &mut Dice) -> Self {
        let parts = if dice.hits(FAST) { dice.between(1, PARTS_MAX) } else { 0 };
        Self { parts: u32::try_from(parts).expect("small") }
    }

    /// A process's work, by its clock.
    pub async fn time<F: Future>(self, world: &Arc<World>, work: F) -> F::Output {
        if self.parts == 0 {
            return work.await;
        }
        tokio::select! {
            biased;
            done = work => done,
            never = self.run_fast(world) => match never {},
        }
    }

    /// Turmoil takes every host on by a step, or by what its clock jumped if that is more: so a jump goes to where the
    /// clock must be when the step is over. It is of whole milliseconds, since tokio rounds the ends of sleeps up to them: a
    /// clock in between would gain most of one in each step.
    async fn run_fast(self, world: &World) -> Infallible {
        let (started, began) = (Instant::now(), world.now());
        world.bit("fast-clock");
        loop {
            sleep(LOOKS_EVERY).await;
            let passed = world.now() - began + TICK;
            let behind = (passed + passed * self.parts / 1_000).saturating_sub(started.elapsed());
            if behind > TICK {
                advance(Duration::from_millis(u64::try_from(behind.as_millis()).expect("short"))).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_gains_what_it_was_told_to_and_others_nothing() {
        let world = Arc::new(World::new(0, false));
        let mut sim = turmoil::Builder::new().tick_duration(TICK).build();
        let ends = Arc::new(std::sync::Mutex::new(Vec::new()));
        for parts in [0, 30] {
            let (world, ends) = (world.clone(), ends.clone());
            sim.host(format!("host{parts}"), move || {
                let (world, ends) = (world.clone(), ends.clone());
                async move {
                    Clock { parts }.time(&world, sleep(Duration::from_secs(103))).await;
                    ends.lock().unwrap().push(world.now());
                    Ok(())
                }
            });
        }
        while world.now() < Duration::from_secs(104) {
            sim.step().unwrap();
            world.set_now(sim.elapsed());
        }
        let ends = ends.lock().unwrap();
        assert_eq!(ends.len(), 2);
        assert!(ends[0].abs_diff(Duration::from_secs(100)) <= 2 * TICK, "{ends:?}");
        assert!(ends[1].abs_diff(Duration::from_secs(103)) <= 2 * TICK, "{ends:?}");
    }
}
