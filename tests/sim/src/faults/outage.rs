//! All controllers are gone: what is assigned goes on (C9).

use std::collections::BTreeMap;
use std::time::Duration;

use common::assignment::Phase;
use common::ids::TopicPartition;
use controller::state::Life;

use crate::brokers::Process;
use crate::site::Site;
use crate::world::lock;

/// How long one lasts at least, unless it is cut short.
pub const LASTS_MIN: Duration = Duration::from_secs(7);

/// An outage of all controllers.
pub struct Outage {
    began: Duration,
    /// What was being copied, by whom, and how many records its source had.
    copied: BTreeMap<TopicPartition, (Process, usize)>,
}

impl Outage {
    /// Notes what is being copied.
    pub fn begin(site: &Site) -> Self {
        let began = site.world.now();
        let running = site.running();
        let Some(leading) = running.values().find_map(|it| it.seat.leading()) else {
            return Self { began, copied: BTreeMap::new() };
        };
        let copies = lock(&site.brokers.copies);
        let state = leading.handle.state();
        let copied = state.slots().iter().filter_map(|(id, slot)| {
            let Life::Assigned { session, epoch } = slot.life else { return None };
            let (phase, _) = leading.handle.reported((session, epoch), id);
            let place = id.source();
            let process = copies.owner(&place, session, epoch)?;
            // A refusal the leader may not have heard of.
            let is_copied = phase == Some(Phase::Copying) && !copies.is_refused(&place);
            is_copied.then(|| (place.clone(), (process, copies.written(&place))))
        });
        Self { began, copied: copied.collect() }
    }

    /// What was being copied must have gone on, if it is still there. One that the end of all trouble cut short says nothing: what
    /// a partition was behind takes time.
    pub fn end(self, site: &Site) {
        if site.world.now() < self.began + LASTS_MIN {
            return;
        }
        let copies = lock(&site.brokers.copies);
        for (place, (process, written)) in &self.copied {
            site.world.bit("outage");
            let arrived = copies.arrived_of(place);
            if site.worker(&process.host).as_ref() == Some(process) && arrived < *written {
                let found = format!("{place} of {process}: {arrived} of {written} since {:?}", self.began);
                site.world.violated("C9", "what is assigned goes on without controllers", found);
            }
        }
    }
}
