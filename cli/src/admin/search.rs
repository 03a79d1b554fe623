//! Whom to ask next, and what each said so far.

use std::collections::{BTreeMap, VecDeque};

use super::attempt::Trouble;

/// What asking one controller has shown.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    /// It answers, and does not lead.
    NotLeader(String),
    /// Nothing was sent to it.
    Unreachable(String),
    /// It was asked and did not answer.
    Unanswered(String),
}

/// A search for the leader: rounds over all controllers, those named by others first.
pub struct Search {
    given: Vec<String>,
    left: VecDeque<String>,
    asked: Vec<String>,
    seen: BTreeMap<String, Seen>,
    /// A controller that was asked and gave no answer: if a change was asked for, it may have been made.
    pub unanswered: Option<String>,
}

impl Search {
    /// A search that begins with the first of `given`.
    pub fn new(given: &[String]) -> Self {
        let left = given.iter().cloned().collect();
        Self { given: given.to_vec(), left, asked: Vec::new(), seen: BTreeMap::new(), unanswered: None }
    }

    /// The next one to ask; nothing once all were asked in this round.
    pub fn next(&mut self) -> Option<String> {
        loop {
            let address = self.left.pop_front()?;
            if !self.asked.contains(&address) {
                self.asked.push(address.clone());
                return Some(address);
            }
        }
    }

    /// Asks the one that was named next, unless it was asked in this round.
    pub fn ask_next(&mut self, leader: Option<String>) {
        if let Some(leader) = leader.filter(|leader| !leader.is_empty()) {
            self.left.push_front(leader);
        }
    }

    /// Takes in what came of asking `address`.
    pub fn saw(&mut self, address: &str, trouble: Trouble) {
        let seen = match trouble {
            Trouble::Final(_) => return,
            Trouble::NotLeader { leader, why } => {
                self.ask_next(leader);
                Seen::NotLeader(why)
            }
            Trouble::Unreachable(why) => Seen::Unreachable(why),
            Trouble::Unanswered(why) => {
                self.unanswered = Some(address.to_owned());
                Seen::Unanswered(why)
            }
        };
        self.seen.insert(address.to_owned(), seen);
    }

    /// Whether another round can bring more: somebody is there, or something was asked that nobody answered.
    pub fn is_worth_another_round(&self) -> bool {
        self.unanswered.is_some() || self.seen.values().any(|seen| !matches!(seen, Seen::Unreachable(_)))
    }

    /// Begins again with those that were given.
    pub fn another_round(&mut self) {
        self.left = self.given.iter().cloned().collect();
        self.asked.clear();
    }

    /// One line for each controller that was asked.
    pub fn report(&self) -> String {
        let line = |(address, seen): (&String, &Seen)| {
            let (Seen::NotLeader(why) | Seen::Unreachable(why) | Seen::Unanswered(why)) = seen;
            format!("  {address}: {why}\n")
        };
        self.seen.iter().map(line).collect()
    }

    /// Whether anybody answered at all.
    pub fn somebody_answered(&self) -> bool {
        self.seen.values().any(|seen| matches!(seen, Seen::NotLeader(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> Search {
        Search::new(&["a:1".to_owned(), "b:1".to_owned()])
    }

    fn not_leader(leader: Option<&str>) -> Trouble {
        Trouble::NotLeader { leader: leader.map(str::to_owned), why: "does not lead".to_owned() }
    }

    #[test]
    fn the_leader_that_is_named_is_asked_next_and_nobody_twice_in_a_round() {
        let mut search = search();
        assert_eq!(search.next().as_deref(), Some("a:1"));
        search.saw("a:1", not_leader(Some("c:1")));
        assert_eq!(search.next().as_deref(), Some("c:1"));
        search.saw("c:1", not_leader(Some("a:1")));
        assert_eq!(search.next().as_deref(), Some("b:1"));
        search.saw("b:1", not_leader(Some("c:1")));
        assert_eq!(search.next(), None);
        search.another_round();
        assert_eq!(search.next().as_deref(), Some("a:1"));
    }

    #[test]
    fn a_round_in_which_nobody_was_reached_is_the_last() {
        let mut search = search();
        for address in ["a:1", "b:1"] {
            search.saw(address, Trouble::Unreachable("connection refused".to_owned()));
        }
        assert!(!search.is_worth_another_round() && !search.somebody_answered());
        assert_eq!(search.report(), "  a:1: connection refused\n  b:1: connection refused\n");
        search.saw("b:1", not_leader(None));
        assert!(search.is_worth_another_round() && search.somebody_answered());
    }

    #[test]
    fn what_was_asked_and_not_answered_is_asked_again() {
        let mut search = search();
        search.saw("a:1", Trouble::Unanswered("the connection broke".to_owned()));
        search.saw("a:1", Trouble::Unreachable("connection refused".to_owned()));
        assert!(search.is_worth_another_round());
        assert_eq!(search.unanswered.as_deref(), Some("a:1"));
    }
}
