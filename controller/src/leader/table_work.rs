//! Work over the whole table. With a hundred thousand partitions a round takes tens of milliseconds, in which heartbeats and the
//! log must go on: so it is done beside the runtime's threads, and no more than half of the time.

use std::sync::Arc;
use std::time::Duration;

use common::blocking::{Blocking, call};
use tokio::time::{Instant, sleep_until};

/// How long a loop rests at most after one part of a round: one that took longer was held up from outside.
const REST_MAX: Duration = Duration::from_secs(1);

/// One loop's rounds over the table.
pub(crate) struct TableWork {
    beside: Arc<dyn Blocking>,
    rests_until: Instant,
}

impl TableWork {
    /// No round was made yet. `beside` is where they are made.
    pub fn new(beside: Arc<dyn Blocking>) -> Self {
        Self { beside, rests_until: Instant::now() }
    }

    /// Waits until another round may begin: as long as the parts of the last one took.
    pub async fn rested(&self) {
        sleep_until(self.rests_until).await;
    }

    /// Makes a round, or a part of one.
    ///
    /// # Panics
    /// If `work` does.
    pub async fn run<T: Send + 'static>(&mut self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let begun = Instant::now();
        let made = call(&*self.beside, work).await.expect("work over the table does not panic");
        let owed = self.rests_until.saturating_duration_since(begun);
        self.rests_until = Instant::now() + owed + begun.elapsed().min(REST_MAX);
        made
    }
}

#[cfg(test)]
mod tests {
    use common::blocking::{Call, Made};

    use super::*;

    /// Takes a second for each call.
    struct Slow;

    impl Blocking for Slow {
        fn run(&self, call: Call) -> Made {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                call();
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_rests_as_long_as_its_last_round_took() {
        let begun = Instant::now();
        let mut work = TableWork::new(Arc::new(Slow));
        for round in 0..3 {
            work.rested().await;
            assert_eq!((work.run(move || round).await, begun.elapsed().as_secs()), (round, 2 * round + 1));
        }
        work.run(|| "a second part of the last round").await;
        work.rested().await;
        assert_eq!(begun.elapsed().as_secs(), 8);
    }
}
