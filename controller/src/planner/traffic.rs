//! Which partitions are to change places so that what workers copy is closer to even: a pure function of rates.
//!
//! The other balance. `plan` looks at counts and never at rates; this looks at rates and leaves counts as they are: a busy
//! partition goes and a quiet one comes for it, or it goes alone to a session that has fewer. So neither undoes what the
//! other did. It begins only once a session has far more than its share, and then goes on until none has much more, since
//! rates are never still.
//!
//! ```text
//!   rates --leader/traffic--> Traffic --even_out--> Evening { exchanges, .. } --> Command::Exchange --> plan assigns
//! ```
//!
//! Always true, and each a property test; a session's *load* is what it copies by its weight:
//!
//! - T1 counts are as even as they were
//! - T2 of the two that exchange the greater load becomes less, so the greatest of all never grows
//! - T3 with rates that stay, repeating it comes to an end
//! - T4 no more partitions move than the budget says, none twice, and none that is not free
//! - T5 nothing moves until a session has `BEGINS_ABOVE` its share
//! - T6 same input, same exchanges

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use common::ids::{Epoch, RoutePartition, SessionId};
use common::weight::Weight;

use crate::state::{Exchange, Given};

/// It begins when a session copies more than this part of its even share, in percent …
pub const BEGINS_ABOVE: u128 = 150;
/// … and is over once none copies more than this part of it. Between the two nothing begins and nothing ends: what a move
/// leaves behind, or an hour's ups and downs, is not worth another one.
pub const ENDS_BELOW: u128 = 120;
/// A session that copies no more than this beyond its share is not busy, whatever the percentage: bytes a second by weight.
pub const EXCESS_MIN: u64 = 1 << 20;

/// All that the exchanges depend on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// The sessions that take work.
    pub sessions: BTreeMap<SessionId, Weight>,
    /// What they copy.
    pub flows: Vec<Flow>,
    /// Whether it began already.
    pub is_under_way: bool,
    /// How many partitions may move.
    pub budget: usize,
}

/// What one partition brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Which.
    pub partition: RoutePartition,
    /// The epoch it is granted under.
    pub epoch: Epoch,
    /// Who copies it.
    pub session: SessionId,
    /// Bytes a second.
    pub rate: u64,
    /// Whether it may move.
    pub is_free: bool,
}

/// What is to be done about it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evening {
    /// Who exchanges what.
    pub exchanges: Vec<Exchange>,
    /// Whether a session will still have more than it is to end with.
    pub is_under_way: bool,
}

/// What a session copies.
struct Hand {
    id: SessionId,
    weight: Weight,
    /// What it is seen to copy, and what it will copy.
    seen: u64,
    rate: u64,
    count: usize,
    /// What it can give.
    free: BTreeSet<Free>,
}

/// Something that can be given: its rate and its place among the flows.
type Free = (u64, usize);

/// Decides who exchanges what.
pub fn even_out(traffic: &Traffic) -> Evening {
    let mut hands = hands(traffic);
    let share = Share::of(&hands);
    let begins = if traffic.is_under_way { ENDS_BELOW } else { BEGINS_ABOVE };
    if !hands.iter().any(|hand| share.is_exceeded(hand, begins)) {
        return Evening::default();
    }
    let (mut exchanges, mut budget) = (Vec::new(), traffic.budget);
    while let Some((from, to, gives, gets)) = next(&mut hands, share, budget) {
        exchanges.push(exchange(&traffic.flows, &mut hands, (from, to, gives, gets)));
        budget -= 1 + usize::from(gets.is_some());
    }
    let is_under_way = hands.iter().any(|hand| share.is_exceeded(hand, ENDS_BELOW));
    Evening { exchanges, is_under_way }
}

fn hands(traffic: &Traffic) -> Vec<Hand> {
    let hand = |(&id, &weight)| (id, Hand { id, weight, seen: 0, rate: 0, count: 0, free: BTreeSet::new() });
    let mut hands: BTreeMap<SessionId, Hand> = traffic.sessions.iter().map(hand).collect();
    for (place, flow) in traffic.flows.iter().enumerate() {
        let Some(hand) = hands.get_mut(&flow.session) else { continue };
        hand.rate += flow.rate;
        hand.seen = hand.rate;
        hand.count += 1;
        if flow.is_free {
            hand.free.insert((flow.rate, place));
        }
    }
    hands.into_values().collect()
}

/// What is even: all that is copied, by all weights.
#[derive(Clone, Copy)]
struct Share {
    rate: u128,
    weight: u128,
}

impl Share {
    fn of(hands: &[Hand]) -> Self {
        let rate = hands.iter().map(|hand| u128::from(hand.rate)).sum();
        let weight = hands.iter().map(|hand| u128::from(hand.weight.number())).sum();
        Self { rate, weight }
    }

    /// Whether a session has more than so many percent of its share, and not just a little.
    fn is_exceeded(self, hand: &Hand, percent: u128) -> bool {
        let (own, weight) = (u128::from(hand.rate), u128::from(hand.weight.number()));
        let is_ahead = own * self.weight * 100 > self.rate * weight * percent;
        is_ahead && own * self.weight > (self.rate + u128::from(EXCESS_MIN) * self.weight) * weight
    }

    fn is_reached(self, hand: &Hand) -> bool {
        u128::from(hand.rate) * self.weight >= self.rate * u128::from(hand.weight.number())
    }
}

impl Hand {
    /// By load; of equals the older comes first.
    fn by_load(&self, other: &Self) -> Ordering {
        let load = |hand: &Self, weight: Weight| u128::from(hand.rate) * u128::from(weight.number());
        load(self, other.weight).cmp(&load(other, self.weight)).then(self.id.cmp(&other.id))
    }
}

/// Who gives what to whom for what.
type Deal = (usize, usize, Free, Option<Free>);

/// The first deal that the busiest session finds, asking the least busy one first; if it finds none, the next busiest.
fn next(hands: &mut [Hand], share: Share, budget: usize) -> Option<Deal> {
    hands.sort_by(Hand::by_load);
    let mut busy = (0..hands.len()).rev().take_while(|from| share.is_exceeded(&hands[*from], ENDS_BELOW));
    busy.find_map(|from| {
        let mut idle = (0..from).take_while(|to| !share.is_reached(&hands[*to]));
        idle.find_map(|to| {
            let (gives, gets) = deal(&hands[from], &hands[to], budget)?;
            Some((from, to, gives, gets))
        })
    })
}

/// The exchange that brings two sessions closest to each other.
fn deal(from: &Hand, to: &Hand, budget: usize) -> Option<(Free, Option<Free>)> {
    let (give, take) = (u128::from(from.weight.number()), u128::from(to.weight.number()));
    let ahead = (u128::from(from.rate) * take).checked_sub(u128::from(to.rate) * give)?;
    let wanted = u64::try_from(ahead / (give + take)).unwrap_or(u64::MAX);
    // The same counts on other sessions of the same weight are as even as before.
    let goes_alone = from.weight == to.weight && from.count > to.count;
    let mut best: Option<(u64, Free, Option<Free>)> = None;
    for &gives in &from.free {
        let (rate, _) = gives;
        let target = rate.saturating_sub(wanted);
        // Those on either side of it: past them on one side too little is carried over, on the other too much.
        let quieter = to.free.range(..=(target, usize::MAX)).next_back();
        let busier = to.free.range((target, usize::MAX)..).next();
        let for_it = quieter.into_iter().chain(busier).filter(|_| budget >= 2).map(|gets| Some(*gets));
        for gets in for_it.chain((goes_alone && budget >= 1).then_some(None)) {
            let carried = rate.saturating_sub(gets.map_or(0, |(quiet, _)| quiet));
            if is_worth_it(from, carried) && lowers(from, to, carried) {
                let misses = carried.abs_diff(wanted);
                if best.is_none_or(|(least, ..)| misses < least) {
                    best = Some((misses, gives, gets));
                }
            }
        }
    }
    best.map(|(_, gives, gets)| (gives, gets))
}

/// At least half of what one of its partitions copies on average: less is noise, and would go round for ever.
fn is_worth_it(from: &Hand, carried: u64) -> bool {
    carried > 0 && u128::from(carried) * 2 * from.count as u128 >= u128::from(from.rate)
}

/// Whether the greater load of the two falls by at least a quarter of what is carried over: else the other one would be
/// about as busy then as this one is now.
fn lowers(from: &Hand, to: &Hand, carried: u64) -> bool {
    let (before, carried) = (u128::from(from.rate), u128::from(carried));
    let after = u128::from(to.rate) + carried;
    4 * after * u128::from(from.weight.number()) <= (4 * before - carried) * u128::from(to.weight.number())
}

/// Does it on paper. What moved does not move again.
fn exchange(flows: &[Flow], hands: &mut [Hand], (from, to, gives, gets): Deal) -> Exchange {
    let given = |(_, place): Free| {
        let Flow { partition, epoch, .. } = &flows[place];
        Given { partition: partition.clone(), planned_on: *epoch }
    };
    let rates = (hands[from].seen, hands[to].seen);
    let (gives_it, gets_it) = (given(gives), gets.map(given));
    let carried = gives.0 - gets.map_or(0, |(quiet, _)| quiet);
    hands[from].free.remove(&gives);
    hands[from].rate -= carried;
    hands[to].rate += carried;
    match gets {
        Some(gets) => _ = hands[to].free.remove(&gets),
        None => (hands[from].count, hands[to].count) = (hands[from].count - 1, hands[to].count + 1),
    }
    Exchange { from: hands[from].id, to: hands[to].id, gives: gives_it, gets: gets_it, rates }
}
