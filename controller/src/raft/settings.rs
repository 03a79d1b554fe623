//! What a node of the log must be told, and why it may refuse to start.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::watched::remedy;

/// How many controllers a fleet may begin with: an even number survives no more losses than the odd one below it.
const MEMBERS_ALLOWED: [usize; 3] = [1, 3, MEMBERS_MAX];
/// How many may vote: each entry costs one more acknowledgement, and more would survive more losses than machines have.
pub(super) const MEMBERS_MAX: usize = 5;

/// What a node of the log must be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RaftSettings {
    /// This node's id; not 0.
    pub node: u64,
    /// Where its log, votes and snapshot are kept. Made if it isn't there.
    pub dir: PathBuf,
    /// Where its peers reach it: `HOST:PORT`.
    pub advertise: String,
    /// The members the fleet begins with, this one among them: node id to `HOST:PORT`. None: this node waits until a fleet
    /// takes it in. Not looked at any more once it belongs to one.
    pub initial_members: BTreeMap<u64, String>,
}

impl RaftSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// `OpenError::Settings`, with the key and what to do.
    pub fn validate(&self) -> Result<(), OpenError> {
        let members = &self.initial_members;
        let refuse = |text| Err(OpenError::Settings(text));
        if self.node == 0 || members.contains_key(&0) {
            return refuse("node id 0 stands for no node: count from 1".to_owned());
        }
        if members.is_empty() {
            return Ok(());
        }
        if !MEMBERS_ALLOWED.contains(&members.len()) {
            return refuse(format!("initial-members names {} controllers: it must be 1, 3 or 5", members.len()));
        }
        match members.get(&self.node) {
            None => refuse(format!("initial-members does not name node-id {}, which is this controller", self.node)),
            Some(address) if *address != self.advertise => refuse(format!(
                "initial-members says that controller {} is at {address}, but it advertises {}",
                self.node, self.advertise
            )),
            Some(_) => Ok(()),
        }
    }
}

/// What no operator need think of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RaftTuning {
    /// After how many entries a snapshot is made. It costs one write of the whole table.
    pub snapshot_entries: u64,
    /// How many entries before it are kept, so that a node that was away for a moment needs no snapshot.
    pub keep_entries: u64,
    /// How long a follower waits for a leader before it asks for votes, beyond the leader's lease, in milliseconds. Each
    /// node draws its own at its start.
    pub election_ms: Range<u64>,
    /// How long a leader acts that no quorum acknowledges. Who asks for votes has not heard it for a second and a half, but who
    /// gives one may have heard it one lease ago, which for openraft is the end of `election_ms`: so it is shorter than that of
    /// any node, by more than it takes to stop acting.
    pub acts_for: Duration,
    /// Whether the table's invariants are checked around each entry in release builds, too. For simulations: it costs a copy of
    /// the table each time.
    pub checks_entries: bool,
}

impl Default for RaftTuning {
    fn default() -> Self {
        Self {
            snapshot_entries: 2_000,
            keep_entries: 500,
            election_ms: 500..1_000,
            acts_for: Duration::from_millis(950),
            checks_entries: false,
        }
    }
}

/// Why a node of the log did not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings contradict themselves.
    #[error("{0}")]
    Settings(String),
    /// Another process has the directory open.
    #[error("the data directory {0} is in use by another process: stop it, or give this controller its own directory", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory is not this node's, or not whole.
    #[error("the data directory {0} can't be used: {problem}", dir.display())]
    Refused {
        /// The directory.
        dir: PathBuf,
        /// What is wrong, and what to do about it.
        problem: String,
    },
    /// Sled does not open the log.
    #[error(
        "the log in the data directory {0} is damaged ({what}): what can be done about it is found and done, and nothing \
         deleted, by: replisome controller repair --config FILE, with this controller's file", dir.display()
    )]
    Damaged {
        /// The directory.
        dir: PathBuf,
        /// What sled said.
        what: String,
    },
    /// The directory could not be read or written.
    #[error("the data directory {0}: {doing}: {error}{1}", dir.display(), remedy(error.kind()))]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// A backup could not be restored into the directory, which is as empty as before.
    #[error(
        "the data directory {0} can't be made: {doing}: {error}; nothing is left of this attempt: mend that, then restore \
         again", dir.display()
    )]
    NotMade {
        /// The directory.
        dir: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// The log did not start for another reason.
    #[error("the data directory {0}: the log does not start: {text}", dir.display())]
    Log {
        /// The directory.
        dir: PathBuf,
        /// What was said.
        text: String,
    },
}
