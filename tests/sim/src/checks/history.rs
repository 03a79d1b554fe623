//! Whether what many callers were answered can be put into one order that fits what each saw, with no call before it was
//! made or after it was answered (C7). stateright searches for the order.
//!
//! The search takes long where much overlaps, so that a history is cut where nothing is under way: what was asked before is
//! judged there, and only the values that the flag may have by then are kept. A call without an answer may be anywhere after
//! it was made, or nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use crate::world::World;

/// What a caller does with a flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    Set(bool),
    Look,
}

/// How a caller found the flag, before he set it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found(pub bool);

/// A flag as one caller alone would see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Flag(bool);

impl SequentialSpec for Flag {
    type Op = Call;
    type Ret = Found;

    fn invoke(&mut self, call: &Call) -> Found {
        let found = Found(self.0);
        if let Call::Set(value) = call {
            self.0 = *value;
        }
        found
    }
}

/// What was asked and answered, of all flags.
#[derive(Debug)]
pub struct History {
    world: Arc<World>,
    flags: BTreeMap<&'static str, Stretch>,
    answers: u64,
}

/// What was asked and answered of one flag since nothing was under way.
#[derive(Debug)]
struct Stretch {
    /// By what the flag may have been at the beginning.
    testers: BTreeMap<bool, LinearizabilityTester<usize, Flag>>,
    under_way: BTreeSet<usize>,
}

impl Stretch {
    fn from(values: impl IntoIterator<Item = bool>) -> Self {
        let tester = |value| (value, LinearizabilityTester::new(Flag(value)));
        Self { testers: values.into_iter().map(tester).collect(), under_way: BTreeSet::new() }
    }

    /// What the flag may be now.
    fn values(&self) -> BTreeSet<bool> {
        let may_be = |value: &bool| {
            self.testers.values().any(|tester| {
                let mut tester = tester.clone();
                tester.on_invret(usize::MAX, Call::Look, Found(*value)).is_ok() && tester.is_consistent()
            })
        };
        [false, true].into_iter().filter(may_be).collect()
    }
}

impl History {
    /// Nothing was asked yet, and each flag is off.
    pub fn new(world: &Arc<World>) -> Self {
        Self { world: world.clone(), flags: BTreeMap::new(), answers: 0 }
    }

    /// A caller begins to ask.
    pub fn called(&mut self, flag: &'static str, caller: usize, call: Call) {
        let stretch = self.flags.entry(flag).or_insert_with(|| Stretch::from([false]));
        stretch.under_way.insert(caller);
        for tester in stretch.testers.values_mut() {
            tester.on_invoke(caller, call).expect("a caller asks one thing at a time");
        }
    }

    /// A caller has his answer.
    pub fn answered(&mut self, flag: &'static str, caller: usize, found: Found) {
        let stretch = self.flags.get_mut(flag).expect("he asked");
        stretch.under_way.remove(&caller);
        for tester in stretch.testers.values_mut() {
            tester.on_return(caller, found).expect("he asked");
        }
        self.answers += 1;
        if stretch.under_way.is_empty() {
            self.judge(flag);
        }
    }

    /// Judges what is left: what is still asked may have happened or not.
    pub fn finish(&mut self) {
        let open: Vec<&'static str> = self.flags.keys().copied().collect();
        open.into_iter().for_each(|flag| self.judge(flag));
    }

    /// How many calls were answered.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    fn judge(&mut self, flag: &'static str) {
        let stretch = self.flags.get_mut(flag).expect("it was asked about");
        let values = stretch.values();
        if values.is_empty() {
            let found = format!("{flag}: {:?}", stretch.testers);
            self.world.violated("C7", "all answers fit into one order of calls", found);
        }
        *stretch = Stretch::from(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(steps: &[(usize, Result<Call, bool>)]) -> bool {
        let world = Arc::new(World::new(1, false));
        let mut history = History::new(&world);
        for (caller, step) in steps {
            match step {
                Ok(call) => history.called("f", *caller, *call),
                Err(found) => history.answered("f", *caller, Found(*found)),
            }
        }
        history.finish();
        world.violation().is_none()
    }

    const ON: Result<Call, bool> = Ok(Call::Set(true));
    const LOOK: Result<Call, bool> = Ok(Call::Look);

    #[test]
    fn answers_of_calls_that_overlap_may_come_in_any_order() {
        assert!(judged(&[(0, ON), (1, LOOK), (1, Err(true)), (2, LOOK), (2, Err(true)), (0, Err(false))]));
        assert!(judged(&[(0, ON), (1, ON), (0, Err(true)), (1, Err(false))]));
    }

    #[test]
    fn an_answer_from_before_a_change_that_was_answered_is_found() {
        assert!(!judged(&[(0, ON), (0, Err(false)), (1, LOOK), (1, Err(false))]));
        assert!(!judged(&[(0, ON), (1, LOOK), (1, Err(true)), (2, LOOK), (2, Err(false)), (0, Err(false))]));
        assert!(!judged(&[(0, ON), (1, ON), (0, Err(false)), (1, Err(false))]), "it was set twice");
    }

    #[test]
    fn a_call_without_an_answer_may_have_happened_or_not() {
        for found in [false, true] {
            assert!(judged(&[(0, ON), (1, LOOK), (1, Err(found))]));
        }
        assert!(!judged(&[(0, ON), (1, LOOK), (1, Err(true)), (1, LOOK), (1, Err(false))]), "but not undone");
    }
}
