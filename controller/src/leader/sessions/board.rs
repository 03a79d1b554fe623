//! What a leader knows of its workers and never replicates: who is connected, who was heard when, what they were told, what
//! they reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use common::assignment::{Down, Heartbeat, Inventory, Phase, Progress, Refusal, RefusalKind, Renewal, Snapshot};
use common::bug::{self, Bug};
use common::ids::{Epoch, Revision, RoutePartition, SessionId};
use common::net::ToWorker;
use tokio::sync::watch;
use tokio::time::Instant;

use super::reports::Reports;

/// What a leader knows of its workers. Locked for moments only.
#[derive(Debug)]
pub(crate) struct Board {
    live: Mutex<BTreeMap<SessionId, Live>>,
    changed: watch::Sender<u64>,
    reported: watch::Sender<u64>,
}

#[derive(Debug)]
struct Live {
    /// When the session is lost, if nothing is heard of it before.
    deadline: Instant,
    /// When something was last heard of it, or when it began to be expected.
    heard: Instant,
    rss_bytes: u64,
    link: Option<Link>,
    /// How many connections it had.
    links: u64,
    /// While it has come back and is not served yet: it is not lost before.
    held_until: Option<Instant>,
    /// Whether it has come to this leader, served yet or not.
    has_come: bool,
    /// Whether its deadline had passed when all were looked at last.
    was_overdue: bool,
    reports: Reports,
}

#[derive(Debug)]
struct Link {
    number: u64,
    down: ToWorker,
    told: Option<Told>,
}

/// What a session was told last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// The table's revision that it was built from.
    pub revision: Revision,
    /// A digest of what it says.
    pub digest: u64,
}

/// A grant that could not be claimed, since a pair as great is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Superseded {
    /// Who could not claim it.
    pub session: SessionId,
    /// Of which partition.
    pub partition: RoutePartition,
    /// Under which epoch it was granted.
    pub granted: Epoch,
    /// Which epoch is stored.
    pub stored: Epoch,
}

/// How alive a session looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Liveness {
    /// Whether it has a connection.
    pub connected: bool,
    /// How long nothing was heard of it.
    pub silent_for: Duration,
    /// Resident memory of its process in bytes; 0 until it has told.
    pub rss_bytes: u64,
}

impl Default for Board {
    fn default() -> Self {
        let (changed, reported) = (watch::channel(0).0, watch::channel(0).0);
        Self { live: Mutex::default(), changed, reported }
    }
}

impl Board {
    fn live(&self) -> MutexGuard<'_, BTreeMap<SessionId, Live>> {
        self.live.lock().expect("nothing panics while it is locked")
    }

    /// Changes when a session comes, goes, or reports another inventory.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Changes when progress is reported.
    pub fn reports(&self) -> watch::Receiver<u64> {
        self.reported.subscribe()
    }

    fn announce(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// How alive each session looks.
    pub fn liveness(&self, now: Instant) -> BTreeMap<SessionId, Liveness> {
        let look = |live: &Live| Liveness {
            connected: live.link.is_some(),
            silent_for: now.saturating_duration_since(live.heard),
            rss_bytes: live.rss_bytes,
        };
        self.live().iter().map(|(session, live)| (*session, look(live))).collect()
    }

    /// Connects a session; the connection before, if there is one, is cut. Returns the connection's number.
    pub fn attach(&self, session: SessionId, down: ToWorker, deadline: Instant) -> u64 {
        let mut all = self.live();
        let live = all.entry(session).or_insert_with(|| Live::until(deadline));
        live.links += 1;
        live.has_come = true;
        let number = live.links;
        (live.deadline, live.heard, live.held_until) = (deadline, Instant::now(), None);
        live.link = Some(Link { number, down, told: None });
        drop(all);
        self.announce();
        number
    }

    /// A session has come back and is about to be served: it is not lost before `deadline`.
    pub fn hold(&self, session: SessionId, deadline: Instant) {
        if let Some(live) = self.live().get_mut(&session) {
            live.deadline = live.deadline.max(deadline);
            live.held_until = Some(deadline);
            live.has_come = true;
        }
    }

    /// A connection broke: its session has until `deadline` to come back, if it has not done so already.
    pub fn detach(&self, session: SessionId, number: u64, deadline: Instant) {
        if let Some(live) = self.live().get_mut(&session).filter(|live| live.has(number)) {
            live.link = None;
            let deadline = live.held_until.map_or(deadline, |held| held.max(deadline));
            live.deadline = live.deadline.min(deadline);
        }
        self.announce();
    }

    /// Something was heard over a connection. False if it is no longer the session's.
    pub fn renew(&self, session: SessionId, number: u64, deadline: Instant) -> bool {
        let mut all = self.live();
        let Some(live) = all.get_mut(&session).filter(|live| live.has(number)) else { return false };
        (live.deadline, live.heard) = (deadline, Instant::now());
        true
    }

    /// Answers a heartbeat.
    pub fn answer(&self, session: SessionId, heartbeat: Heartbeat, renewal: Renewal) {
        if let Some(live) = self.live().get_mut(&session) {
            live.rss_bytes = heartbeat.rss_bytes;
            if let Some(link) = &live.link {
                link.down.send(Down::Renewed(renewal));
            }
        }
    }

    /// Whether an inventory says something else than the one before.
    pub fn is_news(&self, session: SessionId, inventory: &Inventory) -> bool {
        self.live().get(&session).is_some_and(|live| live.reports.is_news(inventory))
    }

    /// Takes over an inventory.
    pub fn set_inventory(&self, session: SessionId, inventory: Inventory) {
        let mut all = self.live();
        let Some(live) = all.get_mut(&session) else { return };
        live.reports.set_inventory(inventory);
        drop(all);
        self.announce();
    }

    /// Takes over progress. The first under a grant also says whether it could be claimed.
    pub fn add_progress(&self, session: SessionId, progress: Vec<Progress>) {
        let mut is_first = false;
        if let Some(live) = self.live().get_mut(&session) {
            for progress in progress {
                is_first |= live.reports.add_progress(progress);
            }
        }
        self.reported.send_modify(|count| *count += 1);
        if is_first {
            self.announce();
        }
    }

    /// Forgets a session that ended, and tells it so if it is connected.
    pub fn remove(&self, session: SessionId, why: &str) {
        let link = self.live().remove(&session).and_then(|live| live.link);
        if let Some(link) = link {
            let (kind, lease) = (RefusalKind::SessionEnded, Duration::ZERO);
            link.down.send(Down::Refused(Refusal { kind, lease, text: why.to_owned() }));
        }
        self.announce();
    }

    /// Whether a session is connected, as far as anybody knows.
    pub fn is_attached(&self, session: SessionId) -> bool {
        self.live().get(&session).is_some_and(|live| live.link.is_some())
    }

    /// The connected sessions, and what each was told last.
    pub fn told(&self) -> BTreeMap<SessionId, Option<Told>> {
        let all = self.live();
        all.iter().filter_map(|(session, live)| Some((*session, live.link.as_ref()?.told))).collect()
    }

    /// Sends a snapshot with this digest, if its session is connected. Returns whether it is.
    pub fn push(&self, snapshot: Snapshot, digest: u64) -> bool {
        let mut all = self.live();
        let Some(link) = all.get_mut(&snapshot.session).and_then(|live| live.link.as_mut()) else { return false };
        link.told = Some(Told { revision: snapshot.version.revision, digest });
        link.down.send(Down::Snapshot(Arc::new(snapshot)));
        true
    }

    /// Looks at all deadlines: the sessions whose one has passed, and when that was.
    pub fn overdue(&self, now: Instant) -> BTreeMap<SessionId, Instant> {
        let mut all = self.live();
        all.values_mut().for_each(|live| live.was_overdue = live.deadline <= now);
        all.iter().filter(|(_, live)| live.was_overdue).map(|(session, live)| (*session, live.deadline)).collect()
    }

    /// The sessions that have no connection or were not heard for `missing_after`.
    pub fn missing(&self, now: Instant, missing_after: Duration) -> BTreeSet<SessionId> {
        let is_missing = |live: &Live| live.link.is_none() || now.saturating_duration_since(live.heard) > missing_after;
        self.live().iter().filter(|(_, live)| is_missing(live)).map(|(session, _)| *session).collect()
    }

    /// The sessions that have not come to this leader yet.
    pub fn awaited(&self) -> BTreeSet<SessionId> {
        self.live().iter().filter(|(_, live)| !live.has_come).map(|(session, _)| *session).collect()
    }

    /// Waits for sessions no longer than until `deadline`.
    pub fn hasten(&self, sessions: &BTreeSet<SessionId>, deadline: Instant) {
        let mut all = self.live();
        for live in all.iter_mut().filter(|(session, _)| sessions.contains(session)).map(|(_, live)| live) {
            live.deadline = live.deadline.min(deadline);
        }
    }

    /// Why a session whose deadline has passed is taken for lost.
    pub fn why_lost(&self, session: SessionId) -> &'static str {
        match self.live().get(&session) {
            Some(live) if live.link.is_some() => "its lease ran out",
            Some(live) if !live.has_come => "it did not come to the new leader",
            _ => "its stream broke and did not come back",
        }
    }

    /// Whether a session's deadline has passed.
    pub fn is_overdue(&self, session: SessionId, now: Instant) -> bool {
        self.live().get(&session).is_some_and(|live| live.deadline <= now)
    }

    /// Whether a session's deadline has passed, and had when all were looked at last. A leader that stood still puts the deadlines
    /// off first: until then they say nothing.
    pub fn was_overdue(&self, session: SessionId, now: Instant) -> bool {
        self.live().get(&session).is_some_and(|live| live.was_overdue && live.deadline <= now)
    }

    /// Compares the board with the sessions of the table: one that is new here has until `deadline` to connect. A proposal
    /// of unknown outcome may have registered or ended one behind the board's back. Returns those that are not in the table
    /// any more.
    pub fn align<'a>(&self, sessions: impl Iterator<Item = &'a SessionId>, deadline: Instant) -> Vec<SessionId> {
        let sessions: BTreeSet<SessionId> = sessions.copied().collect();
        let mut all = self.live();
        for session in &sessions {
            all.entry(*session).or_insert_with(|| Live::until(deadline));
        }
        all.keys().filter(|session| !sessions.contains(session)).copied().collect()
    }

    /// Puts all deadlines off.
    pub fn extend(&self, by: Duration) {
        for live in self.live().values_mut() {
            live.deadline += by;
            live.held_until.iter_mut().for_each(|held| *held += by);
        }
    }

    /// Whether a session confirmed that it applied the release of `since` and runs the partition no more, and whether it
    /// gave it back cleanly.
    pub fn released(
        &self,
        session: SessionId,
        (partition, epoch): (&RoutePartition, Epoch),
        since: Revision,
    ) -> Option<bool> {
        let all = self.live();
        let reports = &all.get(&session)?.reports;
        let runs = reports.runs(partition) && !bug::is(Bug::GrantBeforeRelease);
        let is_current = reports.applied().revision >= since || bug::is(Bug::ReleaseByOldInventory);
        (is_current && !runs).then(|| !reports.is_unclean(partition, epoch))
    }

    /// Whether a session runs nothing, by its latest inventory.
    pub fn runs_nothing(&self, session: SessionId) -> bool {
        self.live().get(&session).is_some_and(|live| live.reports.runs_nothing())
    }

    /// The grants that could not be claimed since a greater pair is stored.
    pub fn superseded(&self) -> Vec<Superseded> {
        let all = self.live();
        let of = |(session, live): (&SessionId, &Live)| {
            let superseded = |(partition, granted, stored): (&RoutePartition, Epoch, Epoch)| Superseded {
                session: *session,
                partition: partition.clone(),
                granted,
                stored,
            };
            live.reports.superseded().map(superseded).collect::<Vec<_>>()
        };
        all.iter().flat_map(of).collect()
    }

    /// In which phase a partition is and how far, as its owner last said of what it was granted.
    pub fn reported(
        &self,
        (session, epoch): (SessionId, Epoch),
        partition: &RoutePartition,
    ) -> (Option<Phase>, Option<Progress>) {
        self.live().get(&session).map(|live| live.reports.of(partition, epoch)).unwrap_or_default()
    }

    /// What each session copies, in the order of partitions.
    pub fn copying(&self) -> BTreeMap<SessionId, Vec<RoutePartition>> {
        self.live().iter().map(|(session, live)| (*session, live.reports.copying())).collect()
    }

    /// How many sessions are known.
    pub fn registered(&self) -> u32 {
        u32::try_from(self.live().len()).unwrap_or(u32::MAX)
    }

    /// The sessions that are known.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.live().keys().copied().collect()
    }

    /// How far a session is with what it runs.
    pub fn progress_of(&self, session: SessionId) -> Vec<Progress> {
        self.live().get(&session).map(|live| live.reports.progress()).unwrap_or_default()
    }
}

impl Live {
    fn until(deadline: Instant) -> Self {
        let (link, links, held_until, has_come, was_overdue, reports, rss_bytes) = Default::default();
        Self { deadline, heard: Instant::now(), rss_bytes, link, links, held_until, has_come, was_overdue, reports }
    }

    fn has(&self, number: u64) -> bool {
        self.link.as_ref().is_some_and(|link| link.number == number)
    }
}

#[cfg(test)]
mod tests {
    use common::net::in_process;

    use super::*;

    #[test]
    fn who_is_back_before_its_old_connection_is_seen_to_end_is_not_lost_for_that() {
        let (board, session) = (Board::default(), SessionId::from_number(1));
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        let (_up, down) = in_process();
        let number = board.attach(session, down.split().1, begun + second * 5);
        board.hold(session, begun + second * 5);
        board.detach(session, number, begun + second);
        assert!(!board.is_overdue(session, begun + second * 4), "its registration may take as long as a lease");
        assert!(board.is_overdue(session, begun + second * 5));
        let (_up, down) = in_process();
        let number = board.attach(session, down.split().1, begun + second * 9);
        board.detach(session, number, begun + second * 7);
        assert!(board.is_overdue(session, begun + second * 7), "it was served and went again");
    }

    #[test]
    fn after_a_standstill_of_the_leader_nobody_is_overdue_before_all_deadlines_were_put_off() {
        let (board, session) = (Board::default(), SessionId::from_number(1));
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        let (_up, down) = in_process();
        board.attach(session, down.split().1, begun + second * 5);
        board.overdue(begun);
        let woke = begun + second * 60;
        assert!(!board.was_overdue(session, woke), "its words may wait to be read");
        board.extend(second * 60);
        assert!(board.overdue(woke).is_empty());
        let later = begun + second * 65;
        assert!(board.overdue(later).contains_key(&session) && board.was_overdue(session, later));
    }
}
