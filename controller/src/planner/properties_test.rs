use std::collections::{BTreeMap, BTreeSet};

use common::ids::{Epoch, Partition, RouteName, RoutePartition, SessionId, TopicName};
use common::reason::Reason;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::state::Vacancy;

const SESSIONS_MAX: usize = 6;

fn session(number: usize) -> SessionId {
    SessionId::from_number(number as u128 + 1)
}

fn partition(topic: usize, partition: usize) -> RoutePartition {
    RoutePartition {
        route: RouteName::new("r").unwrap(),
        topic: TopicName::new(format!("t{topic}")).unwrap(),
        partition: Partition(partition as u32),
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        6 => Just(Wish::Run),
        1 => Just(Wish::Stay(Reason::Waiting { text: "a fact".into() })),
        1 => Just(Wish::Stop(Cause::Paused, Reason::Paused)),
    ]
}

/// Any table, sensible or not, as far as it could come out of `PlanInput::of`.
fn any_input() -> impl Strategy<Value = PlanInput> {
    let attendance =
        prop_oneof![3 => Just(Attendance::Present), 2 => Just(Attendance::Leaving), 1 => Just(Attendance::Missing)];
    let sessions = prop::collection::vec(attendance, 0..=SESSIONS_MAX);
    let destination = prop::option::weighted(0.2, any::<Index>());
    let slot = (0u8..6, any::<Index>(), wish(), 0u64..4, destination);
    let topics = prop::collection::vec(prop::collection::vec(slot, 1..8), 0..4);
    (sessions, topics, 0usize..8).prop_map(|(sessions, topics, budget)| {
        let mut partitions = Vec::new();
        for (number, topic) in topics.into_iter().enumerate() {
            for (index, (place, owner, wish, epoch, destination)) in topic.into_iter().enumerate() {
                let place = match place {
                    0 => Place::Vacant(Vacancy::New),
                    1 => Place::Fencing,
                    2 if !sessions.is_empty() => Place::Leaving(session(owner.index(sessions.len()))),
                    3..=5 if !sessions.is_empty() => Place::On(session(owner.index(sessions.len()))),
                    _ => Place::Vacant(Vacancy::Lost),
                };
                let destination = destination.filter(|_| !matches!(place, Place::On(_)));
                let destination = destination.map(|to| session(to.index(SESSIONS_MAX + 1)));
                let (partition, epoch) = (partition(number, index), Epoch(epoch));
                partitions.push(Candidate { partition, epoch, place, wish, destination });
            }
        }
        let sessions = sessions.into_iter().enumerate().map(|(n, attendance)| (session(n), attendance)).collect();
        PlanInput { sessions, partitions, budget }
    })
}

/// Topics that all run, on so many sessions, as planning from nothing puts them there.
fn settled() -> impl Strategy<Value = PlanInput> {
    (1..=SESSIONS_MAX, prop::collection::vec(1usize..12, 0..5)).prop_map(|(count, topics)| {
        let place = Place::Vacant(Vacancy::New);
        let all =
            topics.iter().enumerate().flat_map(|(topic, size)| (0..*size).map(move |index| partition(topic, index)));
        let candidate = |partition| Candidate { partition, epoch: Epoch(0), place, wish: Wish::Run, destination: None };
        let sessions = (0..count).map(|number| (session(number), Attendance::Present)).collect();
        settle(PlanInput { sessions, partitions: all.map(candidate).collect(), budget: 0 })
    })
}

/// The table after a plan was applied, and its budget spent.
fn applied(input: &PlanInput, plan: &Plan) -> PlanInput {
    let mut after = input.clone();
    let moves: BTreeMap<_, _> = plan.moves.iter().map(|step| (&step.partition, step)).collect();
    assert_eq!(moves.len(), plan.moves.len(), "two moves of one partition in one plan");
    for candidate in &mut after.partitions {
        let Some(step) = moves.get(&candidate.partition) else { continue };
        assert_eq!(step.planned_on, candidate.epoch);
        match (step.step, candidate.place) {
            (Step::Release { from }, Place::On(owner)) if from == owner => candidate.place = Place::Leaving(from),
            (Step::Assign { to }, Place::Vacant(_)) => {
                candidate.place = Place::On(to);
                candidate.epoch = candidate.epoch.next();
                candidate.destination = None;
            }
            (step, place) => panic!("{step:?} of a partition at {place:?}"),
        }
        after.budget -= usize::from(step.cause == Cause::Balance);
    }
    after
}

/// The table once all that is leaving has left.
fn released(mut input: PlanInput) -> PlanInput {
    for candidate in &mut input.partitions {
        if matches!(candidate.place, Place::Leaving(_) | Place::Fencing) {
            candidate.place = Place::Vacant(Vacancy::Released);
        }
    }
    input
}

/// Applies, releases and plans until nothing is left to do.
fn settle(mut input: PlanInput) -> PlanInput {
    for _ in 0..5 {
        let next = plan(&input);
        if next.moves.is_empty() && released(input.clone()) == input {
            return input;
        }
        input = released(applied(&input, &next));
    }
    panic!("does not come to rest: {input:?}");
}

fn counts(input: &PlanInput) -> BTreeMap<SessionId, usize> {
    let mut counts: BTreeMap<_, _> = input.working().map(|session| (session, 0)).collect();
    for candidate in &input.partitions {
        if let Place::On(owner) = candidate.place
            && input.sessions.get(&owner) != Some(&Attendance::Missing)
        {
            *counts.entry(owner).or_default() += 1;
        }
    }
    counts
}

fn spread(input: &PlanInput) -> usize {
    let counts = counts(input);
    counts.values().max().copied().unwrap_or(0) - counts.values().min().copied().unwrap_or(0)
}

proptest! {
    #![proptest_config(crate::seeded_test::cases(10_000))]

    #[test]
    fn p1_only_sessions_that_take_work_get_it(input in any_input()) {
        for step in plan(&input).moves {
            if let Step::Assign { to } = step.step {
                prop_assert_eq!(input.sessions.get(&to), Some(&Attendance::Present), "{}", step);
            }
        }
    }

    #[test]
    fn p2_every_partition_is_assigned_or_waits_with_a_reason(input in any_input()) {
        let plan = plan(&input);
        let waiting: BTreeSet<_> = plan.waiting.iter().map(|waiting| &waiting.partition).collect();
        prop_assert_eq!(waiting.len(), plan.waiting.len(), "a partition waits twice");
        for candidate in applied(&input, &plan).partitions {
            let runs = matches!(candidate.place, Place::On(_));
            prop_assert_eq!(runs, !waiting.contains(&candidate.partition), "{:?}", candidate);
        }
    }

    #[test]
    fn p3_planning_again_from_an_applied_plan_yields_nothing(input in any_input()) {
        let mut after = applied(&input, &plan(&input));
        if input.partitions.iter().any(|candidate| candidate.destination.is_some()) {
            // What operators move may leave it uneven: that is the next budget's to mend, and this one is spent.
            after.budget = 0;
        }
        prop_assert_eq!(plan(&after).moves, vec![]);
        settle(after);
    }

    #[test]
    fn p4_nothing_changed_nothing_moves(input in settled(), budget in 0usize..50) {
        prop_assert_eq!(plan(&PlanInput { budget, ..input }), Plan::default());
    }

    #[test]
    fn p5_a_lost_workers_partitions_move_and_others_stay(input in any_input(), lost in any::<Index>()) {
        let input = settle(input);
        if input.sessions.is_empty() {
            return Ok(());
        }
        let lost = session(lost.index(input.sessions.len()));
        let mut after = input.clone();
        after.sessions.remove(&lost);
        after.budget = 0;
        for candidate in after.partitions.iter_mut().filter(|candidate| candidate.place == Place::On(lost)) {
            candidate.place = Place::Vacant(Vacancy::Lost);
        }
        let its_own = after.partitions.iter().filter(|candidate| candidate.place == Place::Vacant(Vacancy::Lost));
        let its_own: BTreeSet<_> = its_own.map(|candidate| candidate.partition.clone()).collect();
        let before = spread(&input).max(1);
        let plan = plan(&after);
        prop_assert!(plan.moves.iter().all(|step| its_own.contains(&step.partition)), "{}", plan);
        prop_assert!(spread(&applied(&after, &plan)) <= before.max(spread(&after)), "a loss made it less even");
    }

    #[test]
    fn p6_counts_come_within_one_of_even_as_far_as_the_budget_allows(mut input in any_input()) {
        for candidate in &mut input.partitions {
            candidate.wish = Wish::Run;
            candidate.destination = None;
        }
        let unbounded = settle(PlanInput { budget: 1_000, ..input.clone() });
        prop_assert!(spread(&unbounded) <= 1, "{:?}", counts(&unbounded));
        let bounded = plan(&input);
        let spent = bounded.moves.iter().filter(|step| step.cause == Cause::Balance).count();
        prop_assert!(spent <= input.budget);
        prop_assert!(spent == input.budget || spread(&settle(input)) <= 1, "a budget was left");
    }

    #[test]
    fn p7_the_same_input_makes_the_same_plan(input in any_input()) {
        prop_assert_eq!(plan(&input.clone()), plan(&input));
    }

    #[test]
    fn p8_a_join_moves_at_most_its_share(input in settled()) {
        let (partitions, sessions) = (input.partitions.len(), input.sessions.len());
        let mut joined = PlanInput { budget: usize::MAX, ..input };
        joined.sessions.insert(session(sessions), Attendance::Present);
        let plan = plan(&joined);
        prop_assert!(plan.moves.len() <= partitions.div_ceil(sessions + 1), "{}", plan);
        prop_assert!(spread(&settle(joined)) <= 1);
    }

    #[test]
    fn p9_topics_are_spread_where_placement_is_free(input in settled()) {
        let sessions = input.sessions.len();
        let mut of_topic: BTreeMap<_, usize> = BTreeMap::new();
        let mut of_both: BTreeMap<_, usize> = BTreeMap::new();
        for candidate in &input.partitions {
            let Place::On(owner) = candidate.place else { panic!("{candidate:?} waits") };
            *of_topic.entry(&candidate.partition.topic).or_default() += 1;
            *of_both.entry((&candidate.partition.topic, owner)).or_default() += 1;
        }
        for ((topic, owner), count) in of_both {
            prop_assert!(count <= of_topic[topic].div_ceil(sessions) + 1, "{topic} has {count} on {owner}");
        }
    }
}

proptest! {
    #![proptest_config(crate::seeded_test::cases(10_000))]

    #[test]
    fn p10_a_partition_goes_where_an_operator_sent_it_or_anywhere(input in any_input()) {
        let plan = plan(&input);
        let moves: BTreeMap<_, _> = plan.moves.iter().map(|step| (&step.partition, step)).collect();
        for candidate in &input.partitions {
            let (Wish::Run, Place::Vacant(_)) = (&candidate.wish, candidate.place) else { continue };
            let takes_work = |session: &SessionId| input.sessions.get(session) == Some(&Attendance::Present);
            let step = moves.get(&candidate.partition);
            match candidate.destination.filter(takes_work) {
                Some(to) => {
                    let expected = Some((Step::Assign { to }, Cause::Operator));
                    prop_assert_eq!(step.map(|step| (step.step, step.cause)), expected, "{:?}", candidate);
                }
                None => prop_assert_eq!(step.is_some(), input.sessions.keys().any(takes_work), "{:?}", candidate),
            }
        }
    }

    #[test]
    fn p10_an_operators_move_moves_nothing_else(input in settled(), which in any::<Index>(), to in any::<Index>()) {
        if input.partitions.is_empty() {
            return Ok(());
        }
        let (which, to) = (which.index(input.partitions.len()), session(to.index(input.sessions.len())));
        let mut asked = input.clone();
        let Place::On(from) = asked.partitions[which].place else { panic!("{:?} waits", asked.partitions[which]) };
        asked.partitions[which].place = Place::Leaving(from);
        asked.partitions[which].destination = Some(to);
        prop_assert_eq!(plan(&asked).moves, vec![]);
        let done = settle(asked);
        for (before, after) in input.partitions.iter().zip(&done.partitions) {
            let is_it = before.partition == input.partitions[which].partition;
            prop_assert_eq!(after.place, if is_it { Place::On(to) } else { before.place });
        }
    }

    #[test]
    fn p11_who_is_missing_keeps_what_it_has_and_gets_nothing(input in any_input(), missing in any::<[Index; 2]>()) {
        if input.sessions.is_empty() {
            return Ok(());
        }
        let mut input = input;
        let missing: BTreeSet<_> = missing.iter().map(|one| session(one.index(input.sessions.len()))).collect();
        input.miss(&missing);
        for step in plan(&input).moves {
            let (Step::Release { from: of } | Step::Assign { to: of }) = step.step;
            let is_asked = matches!(step.cause, Cause::Paused | Cause::Removed);
            prop_assert!(is_asked || input.sessions.get(&of) != Some(&Attendance::Missing), "{}", step);
        }
    }

    #[test]
    fn a_drained_sessions_partitions_are_spread_evenly_and_no_others_move(
        input in settled(), drained in any::<Index>()
    ) {
        let drained = session(drained.index(input.sessions.len()));
        let mut asked = input.clone();
        asked.sessions.insert(drained, Attendance::Leaving);
        let plan = plan(&asked);
        for step in &plan.moves {
            prop_assert_eq!((step.step, step.cause), (Step::Release { from: drained }, Cause::Drain));
        }
        if input.sessions.len() > 1 {
            let done = settle(asked);
            prop_assert!(spread(&done) <= 1, "{:?}", counts(&done));
            for (before, after) in input.partitions.iter().zip(&done.partitions) {
                prop_assert_eq!(before.place == after.place, before.place != Place::On(drained));
            }
        }
    }
}

#[test]
fn a_plan_reads_as_one_line_a_move() {
    let on = |number| Place::On(session(number));
    let candidate = |index, place| Candidate {
        partition: partition(0, index),
        epoch: Epoch(4),
        place,
        wish: Wish::Run,
        destination: None,
    };
    let input = PlanInput {
        sessions: BTreeMap::from([(session(0), Attendance::Present), (session(1), Attendance::Present)]),
        partitions: vec![
            candidate(0, on(0)),
            candidate(1, on(0)),
            candidate(2, on(0)),
            candidate(3, on(0)),
            candidate(4, Place::Vacant(Vacancy::Lost)),
        ],
        budget: 9,
    };
    let (zero, one) = (session(0), session(1));
    assert_eq!(
        plan(&input).to_string(),
        format!(
            "release r:t0/3 (epoch 4) from {zero}: another session has less to do\n\
             assign r:t0/4 (epoch 5) to {one}: its owner was lost\n"
        )
    );
}

#[test]
fn a_hundred_thousand_partitions_on_a_thousand_sessions_are_planned_in_one_go() {
    let place = Place::Vacant(Vacancy::New);
    let all = (0..10_000).flat_map(|topic| (0..10).map(move |index| partition(topic, index)));
    let candidate = |partition| Candidate { partition, epoch: Epoch(0), place, wish: Wish::Run, destination: None };
    let sessions = (0..1_000).map(|number| (session(number), Attendance::Present)).collect();
    let input = PlanInput { sessions, partitions: all.map(candidate).collect(), budget: 0 };
    let mut placed = applied(&input, &plan(&input));
    assert_eq!(counts(&placed).into_values().collect::<BTreeSet<_>>(), BTreeSet::from([100]));
    placed.sessions.insert(session(1_000), Attendance::Present);
    placed.budget = 100;
    assert_eq!(plan(&placed).moves.len(), 99);
}
