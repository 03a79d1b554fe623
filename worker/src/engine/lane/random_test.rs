//! A lane keeps its promises in all troubles at once.

use kafka::memory::Faults;
use proptest::prelude::*;

use super::world_test::*;
use super::*;

#[derive(Clone, Debug)]
enum Event {
    Append { partition: u32, records: u8 },
    Hole { partition: u32, length: u8 },
    Control { partition: u32 },
    Run { millis: u16 },
    Crash,
    Release,
    Stall { seconds: u8 },
    BlinkTarget { seconds: u8 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3u32, 1..60u8).prop_map(|(partition, records)| Event::Append { partition, records }),
        1 => (0..3u32, 1..9u8).prop_map(|(partition, length)| Event::Hole { partition, length }),
        1 => (0..3u32).prop_map(|partition| Event::Control { partition }),
        5 => (1..3_000u16).prop_map(|millis| Event::Run { millis }),
        1 => Just(Event::Crash),
        1 => Just(Event::Release),
        1 => (1..5u8).prop_map(|seconds| Event::Stall { seconds }),
        1 => (1..5u8).prop_map(|seconds| Event::BlinkTarget { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// D1, D2, D3, D6: with refused records, late writes, delayed acknowledgements, lost and unknown commits, crashes and
    /// releases, first arrivals are the source's records in its order, no stored offset is ahead of the target, and in
    /// the end everything is there.
    #[test]
    fn nothing_is_lost_reordered_or_stored_too_early(seed in any::<u64>(), events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::new(3);
        world.source.set_faults(Faults { seed, commit_lost: 100, commit_unknown: 100, ..Faults::none() });
        world.target.set_faults(Faults::rough(seed));
        world.start(3);
        let mut appended = [0u32; 3];
        for event in events {
            match event {
                Event::Append { partition, records } => {
                    let from = &mut appended[partition as usize];
                    fill(&world, partition, *from..*from + u32::from(records));
                    *from += u32::from(records);
                }
                Event::Hole { partition, length } => {
                    let end = world.source.end("t", partition).0 + i64::from(length);
                    world.source.skip_to("t", partition, end);
                }
                Event::Control { partition } => {
                    world.source.append_control("t", partition);
                }
                Event::Run { millis } => world.run_for(Duration::from_millis(millis.into())),
                Event::Crash => {
                    world.process = None;
                    world.start(3);
                }
                Event::Release => {
                    world.stop_all(3, Duration::from_secs(10));
                    world.run_until("all is released", |world| world.process.as_ref().is_some_and(|p| p.lane.is_empty()));
                    world.start(3);
                }
                Event::Stall { seconds } => {
                    world.target.stall();
                    world.run_for(Duration::from_secs(seconds.into()));
                    world.target.unstall();
                }
                Event::BlinkTarget { seconds } => {
                    world.target.set_unreachable(true);
                    world.run_for(Duration::from_secs(seconds.into()));
                    world.target.set_unreachable(false);
                }
            }
            for partition in 0..3 {
                world.check_order(partition);
                world.check_stored(partition);
            }
            let lane = &world.process.as_ref().expect("runs").lane;
            prop_assert!(lane.in_flight_bytes <= BOUNDS.in_flight_bytes);
        }
        // Refusals end, so that what is held can go on.
        world.target.set_faults(Faults { refused: 0, ..Faults::rough(seed) });
        world.run_until("all is copied", |world| (0..3).all(|partition| world.is_copied(partition)));
        for partition in 0..3 {
            world.check_order(partition);
            prop_assert_eq!(world.source.records("t", partition).len(), appended[partition as usize] as usize);
        }
    }
}
