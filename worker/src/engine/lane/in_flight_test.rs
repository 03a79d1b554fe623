//! Behaviour of `InFlight`, alone and against a model that forgets nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn from_zero() -> InFlight {
    InFlight::new(Position::at(NextOffset::ZERO))
}

#[test]
fn the_floor_waits_for_the_first_gap() {
    let mut flight = from_zero();
    for offset in 0..3 {
        flight.begin(offset, None, 10);
    }
    flight.ack(1);
    flight.ack(2);
    assert_eq!((flight.floor().next_offset, flight.outstanding(), flight.bytes()), (NextOffset(0), 1, 10));
    flight.ack(0);
    assert_eq!((flight.floor().next_offset, flight.outstanding(), flight.bytes()), (NextOffset(3), 0, 0));
}

#[test]
fn a_failed_record_holds_the_floor_until_it_is_read_again() {
    let mut flight = from_zero();
    flight.begin(0, None, 1);
    flight.begin(1, None, 1);
    flight.fail(0);
    flight.ack(1);
    assert_eq!(flight.floor().next_offset, NextOffset(0));
    assert_eq!(flight.rewind(), Position::at(NextOffset(0)));
    flight.begin(0, None, 1);
    flight.ack(0);
    assert_eq!(flight.floor().next_offset, NextOffset(1));
}

#[test]
fn holes_are_passed_only_after_the_records_before_them() {
    let mut flight = from_zero();
    flight.begin(0, None, 1);
    flight.pass(NextOffset(5));
    assert_eq!(flight.floor().next_offset, NextOffset(0));
    flight.ack(0);
    assert_eq!(flight.floor().next_offset, NextOffset(5));
    flight.pass(NextOffset(9));
    assert_eq!(flight.floor().next_offset, NextOffset(9));
    flight.pass(NextOffset(3));
    assert_eq!(flight.floor().next_offset, NextOffset(9));
}

#[test]
fn the_floor_carries_the_leader_epoch_of_the_last_record_below_it() {
    let mut flight = from_zero();
    flight.begin(0, Some(LeaderEpoch(4)), 1);
    flight.begin(1, Some(LeaderEpoch(5)), 1);
    flight.pass(NextOffset(7));
    flight.ack(0);
    assert_eq!(flight.floor(), Position { next_offset: NextOffset(1), leader_epoch: Some(LeaderEpoch(4)) });
    flight.ack(1);
    assert_eq!(flight.floor(), Position { next_offset: NextOffset(7), leader_epoch: Some(LeaderEpoch(5)) });
}

#[test]
#[should_panic(expected = "settled, which is not in flight")]
fn an_unknown_acknowledgement_is_a_programming_error() {
    from_zero().ack(3);
}

#[derive(Clone, Debug)]
enum Op {
    Begin { hole: i64, weight: u32 },
    Pass { hole: i64 },
    Settle { pick: usize, acked: bool },
    Rewind,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (0..3i64, 1..100u32).prop_map(|(hole, weight)| Op::Begin { hole, weight }),
        1 => (0..4i64).prop_map(|hole| Op::Pass { hole }),
        5 => (any::<usize>(), prop::bool::weighted(0.9)).prop_map(|(pick, acked)| Op::Settle { pick, acked }),
        1 => Just(Op::Rewind),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// D6: whatever the order of acknowledgements, failures, holes and rewinds, the floor is exactly the first offset
    /// that has not arrived, and memory is what is outstanding.
    #[test]
    fn the_floor_is_the_first_offset_that_has_not_arrived(ops in prop::collection::vec(op(), 0..80)) {
        let mut flight = from_zero();
        let mut head = 0i64;
        // offset -> arrived? for all begun since the last rewind; `None` while outstanding
        let mut begun: BTreeMap<i64, Option<bool>> = BTreeMap::new();
        let mut weights: BTreeMap<i64, usize> = BTreeMap::new();
        for op in ops {
            match op {
                Op::Begin { hole, weight } => {
                    let offset = head + hole;
                    flight.begin(offset, None, weight);
                    begun.insert(offset, None);
                    weights.insert(offset, weight as usize);
                    head = offset + 1;
                }
                Op::Pass { hole } => {
                    head += hole;
                    flight.pass(NextOffset(head));
                }
                Op::Settle { pick, acked } => {
                    let open: Vec<i64> = begun.iter().filter(|(_, state)| state.is_none()).map(|(o, _)| *o).collect();
                    if let Some(offset) = open.get(pick % open.len().max(1)) {
                        if acked { flight.ack(*offset) } else { flight.fail(*offset) }
                        begun.insert(*offset, Some(acked));
                        weights.remove(offset);
                    }
                }
                Op::Rewind if flight.outstanding() == 0 => {
                    head = flight.rewind().next_offset.0;
                    begun.retain(|offset, _| *offset < head);
                }
                Op::Rewind => {}
            }
            let first_missing = begun.iter().find(|(_, state)| **state != Some(true)).map(|(offset, _)| *offset);
            let floor = flight.floor().next_offset.0;
            match first_missing {
                Some(missing) => {
                    prop_assert!(floor <= missing);
                    prop_assert!(begun.range(floor..missing).next().is_none(), "floor {} lags {}", floor, missing);
                }
                None => prop_assert_eq!(floor, head),
            }
            prop_assert_eq!(flight.outstanding(), weights.len());
            prop_assert_eq!(flight.bytes(), weights.values().sum::<usize>());
        }
    }
}
