//! The assignment table, looked at all the while. Owns what must be so at every moment: an epoch never falls (C1), and
//! under one epoch a partition has one owner (C2). Never asks when nobody answers: a fleet without a leader has no table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use replisome_tests::fleet::{Owner, Place, Table, run_cli};
use replisome_tests::wait;

/// Often enough to see each owner that a partition has had for a moment.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// A watch over the table; ends when it is asked for what it has seen, or dropped.
#[derive(Debug)]
pub struct History {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<usize, String>>>,
}

impl History {
    /// Looks from now on, at whichever controller leads.
    pub fn watch(controllers: &[String]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (controllers, ends) = (controllers.join(","), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut known = BTreeMap::new();
            let mut looks = 0;
            while !ends.load(Ordering::Relaxed) {
                let list = ["assignment", "list", "-o", "json", "--timeout", "2s", "--controllers", &controllers];
                let output = run_cli(&list, &[]);
                if output.code == 0 {
                    looks += 1;
                    compare(&mut known, &Table::from_json(&output.json()))?;
                }
                wait::pass(LOOK_INTERVAL);
            }
            Ok(looks)
        });
        Self { stop, thread: Some(thread) }
    }

    /// How many looks there were.
    ///
    /// # Panics
    /// When one of them saw what must not be.
    #[track_caller]
    pub fn judge(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is judged once");
        let seen = thread.join().expect("the table can be read");
        seen.unwrap_or_else(|violation| panic!("the assignments: {violation}"))
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The scenario is broken already, and has said why.
        self.thread.take().map(JoinHandle::join);
    }
}

fn compare(known: &mut BTreeMap<Place, Owner>, table: &Table) -> Result<(), String> {
    for (place, row) in &table.rows {
        if let Some(before) = known.insert(place.clone(), row.owner.clone()) {
            let after = &row.owner;
            let both = !before.worker.is_empty() && !after.worker.is_empty();
            let is_other = both && (&before.worker, &before.session) != (&after.worker, &after.session);
            if after.epoch < before.epoch || (after.epoch == before.epoch && is_other) {
                return Err(format!("{place:?} was with {before:?} and then with {after:?}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use replisome_tests::fleet::Row;

    use super::*;

    fn table(worker: &str, epoch: u64) -> Table {
        let owner = Owner { worker: worker.into(), session: format!("session of {worker}"), epoch };
        let row = Row {
            route: "r".into(),
            target_topic: "t".into(),
            state: "assigned".into(),
            owner,
            next_offset: None,
            stored_offset: None,
            reason: serde_json::Value::Null,
        };
        Table { rows: BTreeMap::from([(("t".to_owned(), 0), row)]) }
    }

    #[test]
    fn an_epoch_that_falls_and_two_owners_of_one_epoch_are_found() {
        let after = |first, second| {
            let mut known = BTreeMap::new();
            compare(&mut known, &first).and_then(|()| compare(&mut known, &second))
        };
        assert!(after(table("w1", 3), table("w2", 4)).is_ok());
        assert!(after(table("w1", 3), table("", 3)).is_ok(), "it is lost");
        assert!(after(table("w1", 3), table("w1", 2)).is_err());
        assert!(after(table("w1", 3), table("w2", 3)).is_err());
    }
}
