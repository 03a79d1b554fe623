//! Exchanges: a busy partition goes to a session that copies less, and a quiet one comes for it, so that counts stay even.
//! Each is released with its destination; the next plan assigns it there.

use common::ids::SessionId;

use super::State;
use super::command::{Cause, Exchange, Given, Move, Step};
use super::events::Stamp;
use super::outcome::Rejection;

impl State {
    /// Checks an exchange against the table as it is, then begins it.
    pub(super) fn apply_exchange(&mut self, stamp: &Stamp, exchange: &Exchange) -> Result<(), Rejection> {
        let Exchange { from, to, gives, gets, .. } = exchange;
        let gets = gets.as_ref().map(|given| (given, *to, *from));
        let both = || [(gives, *from, *to)].into_iter().chain(gets);
        for (given, from, to) in both() {
            self.check_given(given, from, to)?;
        }
        let why = self.why_exchanged(exchange);
        for (given, _, to) in both() {
            self.send(stamp, &given.partition, to, Cause::Load, why.clone());
        }
        Ok(())
    }

    fn check_given(&self, given: &Given, from: SessionId, to: SessionId) -> Result<(), Rejection> {
        let Given { partition, planned_on } = given.clone();
        self.check_takes(to, &partition)?;
        self.check_move(&Move { partition, planned_on, step: Step::Release { from }, cause: Cause::Load }).map(drop)
    }

    fn why_exchanged(&self, Exchange { from, to, rates, .. }: &Exchange) -> String {
        let at = |session: &SessionId, rate| format!("{} at {}", self.sessions[session].worker, mebibytes(rate));
        format!("load: {}, {}", at(from, rates.0), at(to, rates.1))
    }
}

/// A rate, for people.
fn mebibytes(rate: u64) -> String {
    let tenths = (u128::from(rate) * 10) >> 20;
    format!("{}.{} MiB/s", tenths / 10, tenths % 10)
}
