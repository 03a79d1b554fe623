//! What a leader knows of its workers and never replicates: who is connected, who was heard when, what they run, how
//! far they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use common::assignment::{Down, Heartbeat, Inventory, Progress, Refusal, RefusalKind, Renewal, Running, Snapshot};
use common::ids::{Revision, RoutePartition, SessionId};
use common::net::ToWorker;
use tokio::sync::watch;
use tokio::time::Instant;

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
    /// What it runs, in the order of partitions.
    inventory: Inventory,
    progress: BTreeMap<RoutePartition, Progress>,
}

#[derive(Debug)]
struct Link {
    number: u64,
    down: ToWorker,
    sent: Option<Arc<Snapshot>>,
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
        let number = live.links;
        (live.deadline, live.heard) = (deadline, Instant::now());
        live.link = Some(Link { number, down, sent: None });
        drop(all);
        self.announce();
        number
    }

    /// A session has come back and is about to be served: it is not lost before `deadline`.
    pub fn hold(&self, session: SessionId, deadline: Instant) {
        if let Some(live) = self.live().get_mut(&session) {
            live.deadline = live.deadline.max(deadline);
        }
    }

    /// A connection broke: its session has until `deadline` to come back.
    pub fn detach(&self, session: SessionId, number: u64, deadline: Instant) {
        if let Some(live) = self.live().get_mut(&session).filter(|live| live.has(number)) {
            live.link = None;
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

    /// Takes over an inventory.
    pub fn set_inventory(&self, session: SessionId, mut inventory: Inventory) {
        inventory.running.sort_unstable_by(|one, other| one.partition.cmp(&other.partition));
        if let Some(live) = self.live().get_mut(&session) {
            live.inventory = inventory;
        }
        self.announce();
    }

    /// Takes over progress. The first under a grant also says whether it could be claimed.
    pub fn add_progress(&self, session: SessionId, progress: Vec<Progress>) {
        let mut is_first = false;
        if let Some(live) = self.live().get_mut(&session) {
            for progress in progress {
                let known = live.progress.get(&progress.partition);
                is_first |= known.is_none_or(|known| known.epoch != progress.epoch);
                live.progress.insert(progress.partition.clone(), progress);
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

    /// Whether a session is connected.
    pub fn is_attached(&self, session: SessionId) -> bool {
        self.live().get(&session).is_some_and(|live| live.link.is_some())
    }

    /// The connected sessions, and the revision of what each was sent last.
    pub fn attached(&self) -> BTreeMap<SessionId, Option<Revision>> {
        let sent = |link: &Link| link.sent.as_ref().map(|sent| sent.version.revision);
        let all = self.live();
        all.iter().filter_map(|(session, live)| Some((*session, sent(live.link.as_ref()?)))).collect()
    }

    /// Sends a snapshot if it says something new, or if the session must confirm a later revision than it can.
    /// Returns whether it was sent.
    pub fn push(&self, snapshot: Snapshot, confirm: Option<Revision>) -> bool {
        let mut all = self.live();
        let Some(link) = all.get_mut(&snapshot.session).and_then(|live| live.link.as_mut()) else { return false };
        let says_nothing_new = link.sent.as_ref().is_some_and(|sent| {
            sent.routes == snapshot.routes && sent.grants == snapshot.grants && Some(sent.version.revision) >= confirm
        });
        if says_nothing_new {
            return false;
        }
        let snapshot = Arc::new(snapshot);
        link.sent = Some(snapshot.clone());
        link.down.send(Down::Snapshot(snapshot));
        true
    }

    /// The sessions whose deadline has passed, and when that was.
    pub fn overdue(&self, now: Instant) -> BTreeMap<SessionId, Instant> {
        let all = self.live();
        all.iter().filter(|(_, live)| live.deadline <= now).map(|(session, live)| (*session, live.deadline)).collect()
    }

    /// The sessions that have no connection or were not heard for `missing_after`.
    pub fn missing(&self, now: Instant, missing_after: Duration) -> BTreeSet<SessionId> {
        let is_missing = |live: &Live| live.link.is_none() || now.saturating_duration_since(live.heard) > missing_after;
        self.live().iter().filter(|(_, live)| is_missing(live)).map(|(session, _)| *session).collect()
    }

    /// The sessions that have not connected to this leader yet.
    pub fn awaited(&self) -> BTreeSet<SessionId> {
        self.live().iter().filter(|(_, live)| live.links == 0).map(|(session, _)| *session).collect()
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
            Some(live) if live.links == 0 => "it did not come to the new leader",
            _ => "its stream broke and did not come back",
        }
    }

    /// Whether a session's deadline has passed.
    pub fn is_overdue(&self, session: SessionId, now: Instant) -> bool {
        self.live().get(&session).is_some_and(|live| live.deadline <= now)
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
        self.live().values_mut().for_each(|live| live.deadline += by);
    }

    /// Whether a session confirmed that it applied `release` and runs the partition no more.
    pub fn has_released(&self, session: SessionId, partition: &RoutePartition, release: Revision) -> bool {
        self.live().get(&session).is_some_and(|live| {
            live.inventory.applied.revision >= release
                && live.inventory.running.binary_search_by(|running| running.partition.cmp(partition)).is_err()
        })
    }

    /// Whether a session runs nothing, by its latest inventory.
    pub fn runs_nothing(&self, session: SessionId) -> bool {
        self.live().get(&session).is_some_and(|live| live.inventory.running.is_empty())
    }

    /// What runs, by the latest inventories.
    pub fn running(&self) -> BTreeMap<RoutePartition, (SessionId, Running)> {
        let mut latest = BTreeMap::<RoutePartition, (SessionId, Running)>::new();
        for (session, live) in self.live().iter() {
            for running in &live.inventory.running {
                let newer = latest.get(&running.partition).is_none_or(|(_, known)| known.epoch <= running.epoch);
                if newer {
                    latest.insert(running.partition.clone(), (*session, running.clone()));
                }
            }
        }
        latest
    }

    /// How far each partition is, by the latest owner that reported it.
    pub fn progress(&self) -> BTreeMap<RoutePartition, Progress> {
        let mut latest = BTreeMap::<RoutePartition, Progress>::new();
        for progress in self.live().values().flat_map(|live| live.progress.values()) {
            let newer = latest.get(&progress.partition).is_none_or(|known| known.epoch <= progress.epoch);
            if newer {
                latest.insert(progress.partition.clone(), progress.clone());
            }
        }
        latest
    }

    /// Forgets the progress of partitions that are gone.
    pub fn retain_progress(&self, exists: impl Fn(&RoutePartition) -> bool) {
        for live in self.live().values_mut() {
            live.progress.retain(|partition, _| exists(partition));
        }
    }
}

impl Live {
    fn until(deadline: Instant) -> Self {
        let (link, links, inventory, progress, rss_bytes) = Default::default();
        Self { deadline, heard: Instant::now(), rss_bytes, link, links, inventory, progress }
    }

    fn has(&self, number: u64) -> bool {
        self.link.as_ref().is_some_and(|link| link.number == number)
    }
}
