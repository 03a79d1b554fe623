//! Calls that wait for a disk or a broker, and are therefore not made on the threads that everything else runs on.

use std::pin::Pin;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// Such a call.
pub type Call = Box<dyn FnOnce() + Send>;

/// What `Blocking::run` returns.
pub type Made = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something outside whose calls wait.
pub trait Blocking: Send + Sync {
    /// Makes a call where waiting holds nobody up. Once begun it goes on, whoever waits for it.
    fn run(&self, call: Call) -> Made {
        let made = spawn_blocking(call);
        Box::pin(async move {
            // Whether it panicked is seen by the answer that did not come.
            let _ = made.await;
        })
    }
}

/// A call ended without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the call panicked")]
pub struct Panicked;

/// Makes a call to something outside and returns what came of it.
///
/// # Errors
/// It panicked.
pub async fn call<T: Send + 'static>(
    outside: &(impl Blocking + ?Sized),
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    let (answer, answered) = oneshot::channel();
    let made = outside.run(Box::new(move || {
        // Nobody may want to know any more.
        let _ = answer.send(call());
    }));
    made.await;
    answered.await.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Outside;

    impl Blocking for Outside {}

    #[tokio::test]
    async fn a_call_returns_its_answer_or_that_it_panicked() {
        assert_eq!(call(&Outside, || 7).await, Ok(7));
        assert_eq!(call(&Outside, || panic!("as the test wants")).await, Err::<(), _>(Panicked));
    }
}
