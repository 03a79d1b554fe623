//! Values whose end takes time, kept away from the runtime's threads.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::topics::ClusterAccess;

/// A client of a cluster that says goodbye to its brokers before it goes: where waiting holds nobody up.
pub(crate) struct OffRuntime<T: Send + 'static> {
    access: Arc<dyn ClusterAccess>,
    value: Option<T>,
}

impl<T: Send + 'static> OffRuntime<T> {
    /// A place for a client that `access` makes.
    pub fn new(access: Arc<dyn ClusterAccess>) -> Self {
        Self { access, value: None }
    }

    /// Takes the client out, to be used.
    pub fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// Puts it back.
    pub fn put(&mut self, value: T) {
        self.value = Some(value);
    }

    /// Lets go of it.
    pub fn clear(&mut self) {
        if let (Some(value), Ok(runtime)) = (self.value.take(), Handle::try_current()) {
            runtime.spawn(self.access.run(Box::new(move || drop(value))));
        }
    }
}

impl<T: Send + 'static> Drop for OffRuntime<T> {
    fn drop(&mut self) {
        self.clear();
    }
}
