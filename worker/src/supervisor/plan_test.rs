//! Behaviour of `WorkPlan`.

use common::ids::{Partition, RouteName, TopicId, TopicName};
use common::offsets::StartPosition;
use proptest::prelude::*;

use super::*;

fn partition(number: u32) -> RoutePartition {
    RoutePartition {
        route: RouteName::new("r").expect("legal"),
        topic: TopicName::new("t").expect("legal"),
        partition: Partition(number),
    }
}

fn grant(number: u32, epoch: u64) -> Grant {
    Grant {
        partition: partition(number),
        epoch: Epoch(epoch),
        target_topic: TopicName::new("t").expect("legal"),
        source_topic_id: TopicId::NONE,
        target_topic_id: TopicId::NONE,
        start: StartPosition::Earliest,
        noted_offset: None,
        accept_foreign_offset: false,
    }
}

fn wanted(grants: impl IntoIterator<Item = (u32, u64)>) -> BTreeMap<RoutePartition, Grant> {
    grants.into_iter().map(|(number, epoch)| (partition(number), grant(number, epoch))).collect()
}

fn running(states: impl IntoIterator<Item = (u32, u64, bool)>) -> BTreeMap<RoutePartition, RunningState> {
    let state = |(number, epoch, stopping)| (partition(number), RunningState { epoch: Epoch(epoch), stopping });
    states.into_iter().map(state).collect()
}

#[test]
fn a_new_epoch_stops_the_old_grant_and_starts_the_new_one_only_after_its_release() {
    let wanted = wanted([(0, 2)]);
    let first = WorkPlan::build(&running([(0, 1, false)]), &wanted);
    assert_eq!((first.stops.len(), first.starts.len()), (1, 0));
    assert!(WorkPlan::build(&running([(0, 1, true)]), &wanted).is_empty(), "the stop is under way");
    let last = WorkPlan::build(&running([]), &wanted);
    assert_eq!((last.stops.len(), last.starts.len()), (0, 1));
}

#[test]
fn the_text_names_each_stop_with_its_reason_and_each_start() {
    let plan =
        WorkPlan::build(&running([(0, 1, false), (1, 1, false), (2, 1, false)]), &wanted([(0, 1), (1, 4), (3, 1)]));
    assert_eq!(
        plan.to_string(),
        "stop 2, start 1, keep 1\n  stop r:t/1: runs under epoch 1, wanted under 4\n  stop r:t/2: not wanted here\n  \
         start r:t/3 under epoch 1"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Carrying a plan out and planning again reaches exactly what is wanted in two rounds, and what is wanted already
    /// is never touched.
    #[test]
    fn carrying_plans_out_reaches_what_is_wanted(
        now in prop::collection::btree_map(0..12u32, (1..4u64, any::<bool>()), 0..12),
        then in prop::collection::btree_map(0..12u32, 1..4u64, 0..12),
    ) {
        let mut state = running(now.into_iter().map(|(number, (epoch, stopping))| (number, epoch, stopping)));
        let wanted = wanted(then);
        for _ in 0..2 {
            let plan = WorkPlan::build(&state, &wanted);
            for (partition, _) in &plan.stops {
                let right = wanted.get(partition).is_some_and(|grant| grant.epoch == state[partition].epoch);
                prop_assert!(!right, "{} is wanted as it runs", partition);
                state.get_mut(partition).expect("planned from it").stopping = true;
            }
            for grant in plan.starts {
                let started = RunningState { epoch: grant.epoch, stopping: false };
                prop_assert!(state.insert(grant.partition.clone(), started).is_none(), "started twice");
            }
            state.retain(|_, state| !state.stopping);
        }
        prop_assert!(WorkPlan::build(&state, &wanted).starts.is_empty());
        let reached: BTreeMap<_, _> = state.iter().map(|(partition, state)| (partition.clone(), state.epoch)).collect();
        prop_assert_eq!(reached, wanted.into_iter().map(|(partition, grant)| (partition, grant.epoch)).collect());
    }
}
