//! What a lane asks of the place where offsets are stored, and the answers. A lane never waits for one: it sends its
//! questions, copies on, and hears the answers later.

use std::sync::Arc;

use common::assignment::Grant;
use common::offsets::{NextOffset, Position};
use common::reason::Reason;
use kafka::record::Slot;

use crate::engine::limits::Limits;

/// Where a lane's claims are made and its offsets are stored.
pub trait Ledger: Send {
    /// Asks. A lane has one set of questions open at a time.
    fn ask(&mut self, questions: Vec<Question>);

    /// The answers to the open questions, once they are there, in the order asked.
    fn answers(&mut self) -> Option<Vec<Answer>>;
}

/// One question about one partition.
#[derive(Clone, PartialEq, Debug)]
pub struct Question {
    /// The partition's place in the lane.
    pub slot: Slot,
    /// Under which grant.
    pub grant: Arc<Grant>,
    /// What is wanted.
    pub ask: Ask,
    /// Whether the answer is worth waiting for: the target topic's settings are read anew rather than taken from a recent
    /// look, and what the source holds is looked up even if that takes long.
    pub closely: bool,
}

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Ask {
    /// Find the start and store it under this grant's epoch. Nothing may be read before the answer.
    Claim,
    /// Look whether all is well: the topics are the same, nobody took over.
    Keep {
        /// How far everything has arrived.
        floor: Position,
        /// Whether it is time to store it.
        store: bool,
    },
    /// The same for a partition of which a person is to say where it goes on: what he stores stays.
    Yield {
        /// How far everything has arrived. It is stored.
        floor: Position,
    },
}

/// One answer about one partition.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// The partition's place in the lane.
    pub slot: Slot,
    /// The grant that was asked about: the slot may be another partition's by now.
    pub grant: Arc<Grant>,
    /// What came of it.
    pub verdict: Verdict,
    /// What the target topic refuses, where it was looked up.
    pub limits: Option<Limits>,
    /// What the source holds, where it was looked up.
    pub range: Option<SourceRange>,
}

/// What came of a question.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// The claim stands: read from here.
    Claimed(Position),
    /// All is well, and this offset is durable.
    Stored(NextOffset),
    /// Something stands in the way; nothing was stored.
    Obstacle(Reason),
    /// It could not be found out. Whether the offset was stored is unknown; asking again is harmless.
    Unanswered(Reason),
}

/// What the source holds of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceRange {
    /// The first offset.
    pub start: NextOffset,
    /// One past the last offset that a reader of committed records can see.
    pub last_stable: NextOffset,
    /// One past the last offset.
    pub high_watermark: NextOffset,
}
