//! What fails at a route's clusters, until it succeeds: kept for people to see, and logged once per change.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use common::ids::RouteName;
use kafka::error::Error;
use tracing::{info, warn};

/// The last failure of each route whose last attempt failed.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<BTreeMap<RouteName, Error>>);

impl Troubles {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RouteName, Error>> {
        self.0.lock().expect("nothing panics while it is locked")
    }

    /// Something failed. Its words may differ each time, so that only another kind of failure is news.
    pub fn note(&self, route: &RouteName, doing: &str, error: Error) {
        let kind = error.kind;
        let text = error.to_string();
        let before = self.lock().insert(route.clone(), error);
        if before.is_none_or(|before| before.kind != kind) {
            warn!(%route, error = text, "{doing} failed; what is known goes on, and it is tried again");
        }
    }

    /// It succeeded, or nobody tries any more.
    pub fn clear(&self, route: &RouteName) {
        if self.lock().remove(route).is_some() {
            info!(%route, "what had failed does no more");
        }
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<RouteName, Error> {
        self.lock().clone()
    }
}
