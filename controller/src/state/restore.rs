//! A table that is brought back from a backup. What was decided after it was made is lost, and must not be mistaken for
//! what is decided from now on: so nothing that is counted is counted twice.

use common::ids::{FleetIncarnation, Revision};

use super::State;
use super::events::{EventKind, NewEvent, Stamp};

/// How much of anything the lost fleet can have counted at most since its backup: ten a second for three years.
const LOST_MAX: u64 = 1_000_000_000;

/// Where a restored fleet goes on counting its revisions, terms and incarnations: at the milliseconds since 1970, which pass
/// faster than anything here is counted. So each restore goes on beyond all that was counted by any fleet before it, of
/// whichever backup it is made. A clock that stands far behind is not believed.
pub(crate) fn beyond(counted: u64, time_ms: i64) -> u64 {
    let clock = u64::try_from(time_ms).unwrap_or_default();
    if clock > counted { clock.max(LOST_MAX) } else { counted + LOST_MAX }
}

impl State {
    /// Makes this the table of a restored fleet. It is a later incarnation, whose pushes beat all earlier ones; sessions end,
    /// since nobody knows what they were given meanwhile.
    ///
    /// Its routes are later incarnations too. They may have been removed and added again since, which this table does not
    /// know: what they find stored is gone on from, under whatever incarnation and epoch it stands. And it is left where it
    /// is: who is removed here may be wanted by now.
    pub fn restore(&mut self, time_ms: i64, actor: &str) {
        let revision = Revision(beyond(self.revision.0, time_ms));
        let stamp = Stamp { revision, time_ms, actor: actor.to_owned() };
        let text = format!("the fleet was restored from a backup of revision {}", self.revision);
        self.events.record(&stamp, NewEvent::new(EventKind::Admin, text));
        self.leave_offsets(&stamp);
        let sessions: Vec<_> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.end_session(&stamp, session, "the fleet was restored from a backup");
        }
        self.routes.values_mut().for_each(|route| route.incarnation = revision);
        self.incarnation = FleetIncarnation(beyond(self.incarnation.0, time_ms));
        self.revision = revision;
    }

    /// Has the offsets of removed routes stay on their sources.
    fn leave_offsets(&mut self, stamp: &Stamp) {
        let leaving = self.routes.iter_mut().filter(|(_, route)| route.leaving && !route.keep_offsets);
        let leaving = leaving.map(|(name, route)| {
            route.keep_offsets = true;
            (name.clone(), route.retired())
        });
        let left: Vec<_> = leaving.chain(std::mem::take(&mut self.retired)).collect();
        for (name, retired) in left {
            self.tell_of_offsets(stamp, &name, &retired, "are left");
        }
    }
}
