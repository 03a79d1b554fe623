//! Keeps the standing fresh and says when it changes.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use super::data_dir::mistaken_for;
use super::node::Inner;
use super::standing::{Absence, Standing, judge, lapses_after};

/// How often the standing is judged anew while openraft shows nothing.
const INTERVAL: Duration = Duration::from_millis(100);

impl Inner {
    /// Judges whenever openraft shows something, and in between. Ends with openraft.
    pub async fn keep_standing(&self) {
        let (mut shown, acts_for) = (self.raft.metrics(), self.acts_for);
        let mut taken = Instant::now();
        let mut tick = interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let metrics = shown.borrow_and_update().clone();
            let standing = judge(&metrics, (taken.elapsed(), acts_for), self.heard.recent_leader(), self.absence());
            let lapses = standing.leads.and_then(|_| lapses_after(&metrics, acts_for));
            let lapses = lapses.map(|after| taken + after).filter(|at| *at > Instant::now());
            self.announce(standing);
            tokio::select! {
                // To the moment: another one may act right after it.
                () = sleep_until(lapses.unwrap_or(taken)), if lapses.is_some() => {}
                changed = shown.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    taken = Instant::now();
                }
                _ = tick.tick() => {}
            }
        }
    }

    fn announce(&self, standing: Standing) {
        self.standing.send_if_modified(|known| {
            if known.leads != standing.leads {
                match standing.leads {
                    Some(term) => info!(controller = self.own.node, term, "leads"),
                    None => info!(controller = self.own.node, "leads no more"),
                }
            }
            if known.trouble != standing.trouble
                && let Some(trouble) = &standing.trouble
            {
                warn!(controller = self.own.node, trouble, "this controller can't take part");
            }
            let changed = *known != standing;
            *known = standing;
            changed
        });
    }

    /// What keeps this node from taking part.
    fn absence(&self) -> Option<Absence> {
        let mistaken = self.heard.recent_mistake().map(|known| {
            let why = mistaken_for(self.own.node, &known, &self.own.store);
            Absence { why, referral: None }
        });
        mistaken.or_else(|| self.absence.borrow().clone())
    }
}
