//! Planted bugs: each takes one safeguard away, to see that the simulation misses it. See `docs/design/simulation.md`.
//!
//! Built only with the feature `bugs`, which no binary but the simulation's ever has; `REPLISOME_BUG=no-barrier` then plants
//! one in the process. Without the feature every question here is answered when the code is compiled, and nothing is left of it.

macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident = $name:literal,)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Bug {
            $($(#[$doc])* $bug,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug,)*];

            /// The name it is planted by.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)*
                }
            }
        }
    };
}

bugs! {
    /// An owner does not look who stored the offset that it stores over.
    NoEpochCheck = "no-epoch-check",
    /// A partition is read before its new owner stands in the stored offset.
    NoClaim = "no-claim",
    /// A leader acts on although no quorum acknowledges it.
    LeaseWithoutQuorum = "lease-without-quorum",
    /// A leadership begins without an entry of its own.
    NoBarrier = "no-barrier",
    /// A partition counts as released once its owner has heard of it, given back or not.
    GrantBeforeRelease = "grant-before-release",
    /// An inventory from before a release counts as its confirmation.
    ReleaseByOldInventory = "release-by-old-inventory",
    /// A vote is answered before it is durable.
    VoteNotFlushed = "vote-not-flushed",
    /// Entries are acknowledged before they are durable.
    LogNotFlushed = "log-not-flushed",
    /// What is stored is what was sent, not what arrived.
    CommitsAhead = "commits-ahead",
    /// After a failure a partition goes on behind what was sent.
    NoRewind = "no-rewind",
    /// A plan depends on the order of a hash map.
    UnorderedPlan = "unordered-plan",
    /// A worker obeys whatever snapshot came last.
    OldSnapshot = "old-snapshot",
    /// A new leader gives everything out anew.
    MovesOnElection = "moves-on-election",
    /// What a lost owner stored late is left as it is.
    LateStoreStays = "late-store-stays",
    /// A request that is repeated is done once more.
    NoRequestIds = "no-request-ids",
    /// What Kafka has forgotten begins anew.
    ForgetsWithKafka = "forgets-with-kafka",
}

/// Whether a bug is planted.
#[cfg(feature = "bugs")]
pub fn is(bug: Bug) -> bool {
    use std::sync::OnceLock;

    static PLANTED: OnceLock<Option<Bug>> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| {
        let name = std::env::var("REPLISOME_BUG").ok()?;
        let bug = Bug::ALL.iter().find(|bug| bug.name() == name);
        Some(*bug.unwrap_or_else(|| panic!("REPLISOME_BUG={name} is none of {:?}", Bug::ALL)))
    });
    *planted == Some(bug)
}

/// Mixes items up, another way each time, if a bug is planted.
#[cfg(feature = "bugs")]
pub fn shuffle<T>(items: &mut [T], bug: Bug) {
    use std::hash::{BuildHasher, RandomState};

    if is(bug) {
        items.sort_by_cached_key(|_| RandomState::new().hash_one(()));
    }
}

/// Says no: the feature `bugs` is off.
#[cfg(not(feature = "bugs"))]
#[inline(always)]
pub const fn is(_bug: Bug) -> bool {
    false
}

/// Leaves them as they are: the feature `bugs` is off.
#[cfg(not(feature = "bugs"))]
#[inline(always)]
pub const fn shuffle<T>(_items: &mut [T], _bug: Bug) {}
