use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;

use super::properties_test::{partition, session};
use super::traffic::{BEGINS_ABOVE, ENDS_BELOW};
use super::*;
use crate::state::{Exchange, Given};
use common::ids::Epoch;
use common::weight::Weight;

const MIB: u64 = 1 << 20;

fn weight(number: u32) -> Weight {
    Weight::try_from(number).unwrap()
}

/// Sessions with these weights, each with flows of these rates, which may all move.
fn traffic(hands: &[(u32, &[u64])]) -> Traffic {
    let sessions = hands.iter().enumerate().map(|(number, (weighs, _))| (session(number), weight(*weighs))).collect();
    let flows = hands.iter().enumerate().flat_map(|(number, (_, rates))| {
        rates.iter().enumerate().map(move |(index, rate)| Flow {
            partition: partition(number, index),
            epoch: Epoch(1),
            session: session(number),
            rate: *rate,
            is_free: true,
        })
    });
    Traffic { sessions, flows: flows.collect(), is_under_way: false, budget: 64 }
}

fn any_traffic() -> impl Strategy<Value = Traffic> {
    let rate = prop_oneof![Just(0), 0..100 * MIB, 0..MIB, Just(5 * MIB)];
    let flow = (any::<Index>(), rate, prop::bool::weighted(0.8));
    let sessions = prop::collection::vec(prop_oneof![Just(1u32), 1u32..5], 1..6);
    (sessions, prop::collection::vec(flow, 0..40), any::<bool>(), 0usize..10).prop_map(
        |(weights, flows, is_under_way, budget)| {
            let sessions: BTreeMap<_, _> =
                weights.iter().enumerate().map(|(number, weighs)| (session(number), weight(*weighs))).collect();
            let flow = |(index, (owner, rate, is_free)): (usize, (Index, u64, bool))| {
                let (partition, session) = (partition(0, index), session(owner.index(sessions.len())));
                Flow { partition, epoch: Epoch(1), session, rate, is_free }
            };
            let flows = flows.into_iter().enumerate().map(flow).collect();
            Traffic { sessions, flows, is_under_way, budget }
        },
    )
}

fn given(exchange: &Exchange) -> impl Iterator<Item = (&Given, SessionId, SessionId)> {
    let Exchange { from, to, gives, gets, .. } = exchange;
    [(gives, *from, *to)].into_iter().chain(gets.as_ref().map(|given| (given, *to, *from)))
}

/// The fleet after exchanges, with their budget spent.
fn after(traffic: &Traffic, evening: &Evening) -> Traffic {
    let mut after = traffic.clone();
    after.is_under_way = evening.is_under_way;
    for exchange in &evening.exchanges {
        for (given, from, to) in given(exchange) {
            let flow = after.flows.iter_mut().find(|flow| flow.partition == given.partition).unwrap();
            assert!(flow.is_free && flow.session == from && flow.epoch == given.planned_on, "{flow:?} {exchange:?}");
            flow.session = to;
            after.budget -= 1;
        }
    }
    after
}

/// Rate and count of each session, with its weight.
fn loads(traffic: &Traffic) -> BTreeMap<SessionId, (u64, usize, u64)> {
    let mut loads: BTreeMap<_, _> =
        traffic.sessions.iter().map(|(id, weight)| (*id, (0, 0, u64::from(weight.number())))).collect();
    for flow in &traffic.flows {
        let (rate, count, _) = loads.get_mut(&flow.session).unwrap();
        (*rate, *count) = (*rate + flow.rate, *count + 1);
    }
    loads
}

/// All loads, scaled so that whole numbers compare, the greatest first.
fn ordered(traffic: &Traffic) -> Vec<u64> {
    let scale: u64 = 12;
    let mut all: Vec<_> = loads(traffic).values().map(|(rate, _, weight)| rate * scale / weight).collect();
    all.sort_unstable_by(|one, other| other.cmp(one));
    all
}

/// How uneven counts are: by how much a session is fuller than another one would be with one more, crosswise.
fn unevenness(traffic: &Traffic) -> u64 {
    let counts: Vec<(u64, u64)> = loads(traffic).values().map(|(_, count, weight)| (*count as u64, *weight)).collect();
    let pairs = counts.iter().flat_map(|one| counts.iter().map(move |other| (one, other)));
    let ahead = |((count, weight), (other, others)): (&(u64, u64), &(u64, u64))| {
        (count * others).saturating_sub((other + 1) * weight)
    };
    pairs.map(ahead).max().unwrap_or_default()
}

proptest! {
    #![proptest_config(crate::seeded_test::cases(5_000))]

    #[test]
    fn t1_counts_are_as_even_as_they_were(traffic in any_traffic()) {
        let then = after(&traffic, &even_out(&traffic));
        prop_assert!(unevenness(&then) <= unevenness(&traffic), "{:?} {:?}", loads(&traffic), loads(&then));
    }

    #[test]
    fn t2_the_greatest_load_never_grows(traffic in any_traffic()) {
        let evening = even_out(&traffic);
        let then = after(&traffic, &evening);
        prop_assert!(ordered(&then) <= ordered(&traffic), "{:?} {:?}", loads(&traffic), loads(&then));
        prop_assert_eq!(evening.exchanges.is_empty(), then.flows == traffic.flows);
    }

    #[test]
    fn t3_repeating_it_comes_to_an_end(mut traffic in any_traffic()) {
        let budget = traffic.budget.max(2);
        for _ in 0..200 {
            traffic.budget = budget;
            let evening = even_out(&traffic);
            if evening.exchanges.is_empty() {
                return Ok(());
            }
            traffic = after(&traffic, &evening);
        }
        prop_assert!(false, "no end: {:?}", traffic);
    }

    #[test]
    fn t4_the_budget_and_what_is_not_free_are_respected(traffic in any_traffic()) {
        let evening = even_out(&traffic);
        let moved: Vec<_> = evening.exchanges.iter().flat_map(given).map(|(given, ..)| &given.partition).collect();
        let distinct: BTreeSet<_> = moved.iter().collect();
        prop_assert!(moved.len() <= traffic.budget && distinct.len() == moved.len(), "{:?}", moved);
        after(&traffic, &evening);
    }

    #[test]
    fn t5_nothing_begins_before_somebody_has_far_more_than_its_share(traffic in any_traffic()) {
        let traffic = Traffic { is_under_way: false, ..traffic };
        let loads = loads(&traffic);
        let (rate, weight): (u64, u64) = (loads.values().map(|load| load.0).sum(), loads.values().map(|load| load.2).sum());
        let exceeds = |percent: u128| loads.values().any(|(own, _, weighs)| {
            u128::from(*own) * u128::from(weight) * 100 > u128::from(rate) * u128::from(*weighs) * percent
        });
        let evening = even_out(&traffic);
        if !exceeds(BEGINS_ABOVE) {
            prop_assert_eq!(evening, Evening::default());
        } else if evening.is_under_way {
            prop_assert!(exceeds(ENDS_BELOW));
        }
    }

    #[test]
    fn t6_the_same_input_makes_the_same_exchanges(traffic in any_traffic()) {
        prop_assert_eq!(even_out(&traffic.clone()), even_out(&traffic));
    }
}

/// What each session copies once nothing is left to do, in MiB a second, and how many moves that took.
fn evened(hands: &[(u32, &[u64])]) -> (Vec<u64>, usize) {
    let (mut traffic, mut moves) = (traffic(hands), 0);
    loop {
        let evening = even_out(&traffic);
        if evening.exchanges.is_empty() {
            return (loads(&traffic).values().map(|load| load.0 / MIB).collect(), moves);
        }
        moves += evening.exchanges.iter().flat_map(given).count();
        traffic = Traffic { budget: 64, ..after(&traffic, &evening) };
    }
}

#[test]
fn a_busy_partition_changes_places_with_a_quiet_one() {
    let (busy, quiet) = ([20 * MIB; 4], [MIB; 4]);
    assert_eq!(evened(&[(1, &busy), (1, &quiet)]), (vec![42, 42], 4));
    assert_eq!(evened(&[(1, &busy), (4, &quiet)]).0, vec![23, 61], "by weight");
    let traffic = traffic(&[(1, &busy), (1, &quiet)]);
    let first = &even_out(&traffic).exchanges[0];
    assert_eq!((first.from, first.to, first.rates), (session(0), session(1), (80 * MIB, 4 * MIB)));
}

#[test]
fn a_partition_goes_alone_only_to_a_session_that_has_fewer() {
    assert_eq!(evened(&[(1, &[10 * MIB, 10 * MIB, 10 * MIB]), (1, &[MIB])]), (vec![20, 11], 1));
    assert_eq!(evened(&[(1, &[10 * MIB, 10 * MIB]), (2, &[])]), (vec![20, 0], 0), "the other one weighs more");
}

#[test]
fn one_huge_partition_stays_and_so_does_noise_beside_it() {
    let quiet: Vec<u64> = (0..20).map(|number| MIB / 2 + number).collect();
    let beside: Vec<u64> = quiet.iter().copied().chain([48 * MIB]).collect();
    assert_eq!(evened(&[(1, &beside), (1, &quiet)]).1, 0);
}

#[test]
fn many_small_ones_are_evened_out_in_more_than_one_go() {
    let (busy, quiet) = ([MIB / 20; 1_000], [MIB / 200; 1_000]);
    let (loads, moves) = evened(&[(1, &busy), (1, &quiet)]);
    assert!(loads[0] * 100 <= 27 * 120 && moves > 64, "{loads:?} {moves}");
}

#[test]
fn what_began_goes_on_below_the_threshold_and_what_did_not_does_not_begin() {
    let hands: [(u32, &[u64]); 2] = [(1, &[7 * MIB, 7 * MIB]), (1, &[3 * MIB, 3 * MIB])];
    assert_eq!(even_out(&traffic(&hands)), Evening::default());
    let under_way = Traffic { is_under_way: true, ..traffic(&hands) };
    let evening = even_out(&under_way);
    assert_eq!((evening.exchanges.len(), evening.is_under_way), (1, false));
    let little: [(u32, &[u64]); 2] = [(1, &[MIB / 2, MIB / 2]), (1, &[0, 0])];
    assert_eq!(even_out(&traffic(&little)), Evening::default(), "what is little is not worth it");
}
