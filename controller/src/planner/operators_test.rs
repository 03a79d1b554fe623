use std::collections::{BTreeMap, BTreeSet};

use common::ids::SessionId;
use proptest::prelude::*;
use proptest::sample::Index;

use super::properties_test::{
    PRESENT, any_input, counts, is_even, session, settle, settled_by_weight, settled_with_pins,
};
use super::*;
use crate::state::Vacancy;

proptest! {
    #![proptest_config(crate::seeded_test::cases(10_000))]

    #[test]
    fn p10_a_partition_goes_where_an_operator_sent_it_or_anywhere(input in any_input()) {
        let plan = plan(&input);
        let moves: BTreeMap<_, _> = plan.moves.iter().map(|step| (&step.partition, step)).collect();
        for candidate in &input.partitions {
            let (Wish::Run, Place::Vacant(_)) = (&candidate.wish, candidate.place) else { continue };
            let takes_work = |session: &SessionId| input.working().any(|(working, _)| working == *session);
            let step = moves.get(&candidate.partition);
            let pinned = candidate.pin.filter(takes_work).map(|to| (to, Cause::Pinned));
            match pinned.or(candidate.destination.filter(|(to, _)| takes_work(to))) {
                Some((to, cause)) => {
                    let expected = Some((Step::Assign { to }, cause));
                    prop_assert_eq!(step.map(|step| (step.step, step.cause)), expected, "{:?}", candidate);
                }
                None => prop_assert_eq!(step.is_some(), input.sessions.keys().any(takes_work), "{:?}", candidate),
            }
        }
    }

    #[test]
    fn p10_an_operators_move_moves_nothing_else(input in settled_by_weight(), which in any::<Index>(), to in any::<Index>()) {
        if input.partitions.is_empty() {
            return Ok(());
        }
        let (which, to) = (which.index(input.partitions.len()), session(to.index(input.sessions.len())));
        let mut asked = input.clone();
        let Place::On(from) = asked.partitions[which].place else { panic!("{:?} waits", asked.partitions[which]) };
        asked.partitions[which].place = Place::Leaving(from);
        asked.partitions[which].destination = Some((to, Cause::Operator));
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
        input in settled_by_weight(), drained in any::<Index>()
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
            prop_assert!(is_even(&done), "{:?}", counts(&done));
            for (before, after) in input.partitions.iter().zip(&done.partitions) {
                prop_assert_eq!(before.place == after.place, before.place != Place::On(drained));
            }
        }
    }

    #[test]
    fn p12_a_pinned_partition_is_with_its_worker_while_that_takes_work(mut input in any_input()) {
        input.wave += input.partitions.len();
        let plan = plan(&input);
        let moves: BTreeMap<_, _> = plan.moves.iter().map(|step| (&step.partition, (step.step, step.cause))).collect();
        let takes_work = |session: &SessionId| input.working().any(|(working, _)| working == *session);
        for candidate in input.partitions.iter().filter(|candidate| candidate.wish == Wish::Run) {
            let Some(pin) = candidate.pin.filter(takes_work) else { continue };
            let expected = match candidate.place {
                Place::Vacant(_) => Some((Step::Assign { to: pin }, Cause::Pinned)),
                Place::On(from) if from == pin => None,
                Place::On(from) if takes_work(&from) => Some((Step::Release { from }, Cause::Pinned)),
                Place::On(from) if input.sessions.get(&from) == Some(&Attendance::Missing) => None,
                Place::On(from) => Some((Step::Release { from }, Cause::Drain)),
                Place::Leaving(_) | Place::Fencing => None,
            };
            prop_assert_eq!(moves.get(&candidate.partition).copied(), expected, "{:?}", candidate);
        }
        for candidate in settle(PlanInput { budget: 1_000, ..input.clone() }).partitions {
            if let Some(pin) = candidate.pin.filter(takes_work).filter(|_| candidate.wish == Wish::Run) {
                let is_missed =
                    matches!(candidate.place, Place::On(at) if input.sessions.get(&at) == Some(&Attendance::Missing));
                prop_assert!(is_missed || candidate.place == Place::On(pin), "whatever there is to balance: {candidate:?}");
            }
        }
    }

    #[test]
    fn p13_a_wave_is_the_most_that_is_released_by_choice_and_pins_come_first(input in any_input()) {
        let unbounded = PlanInput { budget: 1_000, wave: 1_000, ..input.clone() };
        let by_choice = |plan: &Plan, cause| {
            let releases = plan.moves.iter().filter(|step| matches!(step.step, Step::Release { .. }));
            releases.filter(|step| step.cause == cause).count()
        };
        let (wanted, planned) = (by_choice(&plan(&unbounded), Cause::Pinned), plan(&input));
        let (pinned, balance) = (by_choice(&planned, Cause::Pinned), by_choice(&planned, Cause::Balance));
        prop_assert_eq!(pinned, wanted.min(input.wave));
        prop_assert!(pinned + balance <= input.wave);
    }

    #[test]
    fn a_preview_tells_what_then_moves_and_where_to(input in settled_with_pins(), joins in 1usize..3) {
        let mut asked = PlanInput { budget: usize::MAX, wave: usize::MAX, ..input };
        let sessions = asked.sessions.len();
        asked.sessions.extend((sessions..sessions + joins).map(|number| (session(number), PRESENT)));
        let told = preview(&asked, usize::MAX);
        let told: Vec<_> = told.iter().map(|shift| (&shift.partition, Place::On(shift.from), Place::On(shift.to))).collect();
        let done = settle(asked.clone());
        let moved = asked.partitions.iter().zip(&done.partitions).filter(|(before, after)| before.place != after.place);
        let moved: Vec<_> = moved.map(|(before, after)| (&before.partition, before.place, after.place)).collect();
        prop_assert_eq!(told, moved);
    }

    #[test]
    fn p12_a_pin_to_a_worker_that_takes_no_work_is_as_none(input in any_input()) {
        let mut unpinned = input.clone();
        for candidate in &mut unpinned.partitions {
            candidate.pin = candidate.pin.filter(|session| input.working().any(|(working, _)| working == *session));
        }
        prop_assert_eq!(plan(&unpinned), plan(&input));
    }

    #[test]
    fn p12_what_is_pinned_comes_back_with_its_worker_and_others_stay_even_around_it(
        input in settled_with_pins(), back in any::<Index>(), budget in 0usize..50, wave in 1usize..50
    ) {
        let back = session(back.index(input.sessions.len()));
        let mut gone = input.clone();
        gone.sessions.remove(&back);
        for candidate in gone.partitions.iter_mut().filter(|candidate| candidate.place == Place::On(back)) {
            candidate.place = Place::Vacant(Vacancy::Lost);
        }
        let gone = settle(gone);
        let again = PlanInput { sessions: input.sessions.clone(), budget, wave, ..gone };
        for step in plan(&again).moves {
            let candidate = again.partitions.iter().find(|candidate| candidate.partition == step.partition).unwrap();
            let (pin, cause) = (candidate.pin.filter(|session| input.sessions.contains_key(session)), step.cause);
            prop_assert_eq!(cause == Cause::Pinned, pin.is_some(), "{}", step);
            prop_assert!(pin.is_none_or(|pin| pin == back), "{}", step);
        }
        let done = settle(again);
        for candidate in &done.partitions {
            if let Some(pin) = candidate.pin.filter(|session| input.sessions.contains_key(session)) {
                prop_assert_eq!(candidate.place, Place::On(pin));
            }
        }
    }
}
