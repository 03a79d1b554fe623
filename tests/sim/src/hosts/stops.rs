//! Hosts whose processes stand still for a while, and then go on as if nothing had been.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::world::{World, lock};

/// How soon a stop that ends before its time is noticed.
const LOOKS_EVERY: Duration = Duration::from_millis(20);

/// Which hosts stand still, and until when.
#[derive(Debug)]
pub struct Stops {
    world: Arc<World>,
    until: Mutex<BTreeMap<String, Duration>>,
}

impl Stops {
    /// None.
    pub fn new(world: &Arc<World>) -> Self {
        Self { world: world.clone(), until: Mutex::default() }
    }

    /// A host stands still until then.
    pub fn stop(&self, host: &str, until: Duration) {
        lock(&self.until).insert(host.to_owned(), until);
    }

    /// Every host goes on.
    pub fn clear(&self) {
        lock(&self.until).clear();
    }

    /// How long a host stands still before it is looked at again: a stop may end before its time.
    fn left(&self, host: &str) -> Option<Duration> {
        let until = lock(&self.until).get(host).copied()?;
        let left = until.checked_sub(self.world.now()).filter(|left| !left.is_zero())?;
        Some(left.min(LOOKS_EVERY))
    }

    /// Returns once the host goes on.
    pub async fn passed(&self, host: &str) {
        if self.left(host).is_some() {
            self.world.bit("stop");
        }
        while let Some(left) = self.left(host) {
            sleep(left).await;
        }
    }

    /// Work that stands still with its host.
    pub fn stoppable<F: Future>(self: &Arc<Self>, host: &str, work: F) -> Stoppable<F> {
        Stoppable { stops: self.clone(), host: host.to_owned(), work: Box::pin(work), sleep: None }
    }
}

/// See `Stops::stoppable`.
pub struct Stoppable<F> {
    stops: Arc<Stops>,
    host: String,
    work: Pin<Box<F>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Stoppable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            if let Some(pause) = &mut self.sleep {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.sleep = None;
            }
            match self.stops.left(&self.host) {
                Some(left) => self.sleep = Some(Box::pin(sleep(left))),
                None => return self.work.as_mut().poll(cx),
            }
        }
    }
}
