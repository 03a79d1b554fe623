//! One step of one round: the undisturbed flow is watched, something is done, and what comes of it is waited for, measured
//! and judged.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use replisome_tests::fleet::{Change, PATIENCE, Place, Table};
use replisome_tests::random::Random;
use replisome_tests::wait;

use crate::act::act;
use crate::report::Outcome;
use crate::scenario::{Moves, Scenario, Step};
use crate::scene::{ROWS, Scene};
use crate::victims::Victims;

/// What one step leaves to the next.
#[derive(Debug)]
pub struct Past {
    /// Draws the victims.
    pub random: Random,
    /// The victims of the step before.
    pub victims: Victims,
    /// When that was done.
    pub done: Instant,
    /// The assignments after it.
    pub table: Table,
}

/// Takes it.
///
/// # Panics
/// When a promise is broken.
#[track_caller]
pub fn take(step: &Step, round: usize, scenario: &Scenario, scene: &mut Scene, past: &mut Past) -> Outcome {
    let before = std::mem::take(&mut past.table);
    let earlier = std::mem::take(&mut past.victims);
    let victims = &Victims::choose(step.whom, round, &scene.fleet, &before, &mut past.random, earlier);
    let own = victims.own(&before);
    let twice_before = scene.flow.twice();
    // A victim that is down already leaves no undisturbed flow to wait for: all others are one.
    let from = scene.flow.wait_for_baseline();
    wait::pass(Duration::from_secs(step.after_s).saturating_sub(past.done.elapsed()));

    let fault = Instant::now();
    past.done = fault;
    act(step.act, victims, &mut scene.fleet, &scene.route, &before);
    let after = settle(step.moves, scene, victims, &before);
    let settled = fault.elapsed();
    wait::pass(Duration::from_secs(step.lasts_s).saturating_sub(fault.elapsed()));
    if let Some(after) = &after {
        // Of those that can't be heard nobody knows how far they are.
        if step.moves != Moves::Held {
            scene.wait_until_caught_up();
        }
        // Nothing goes on moving.
        after.assert_unmoved(&scene.fleet.table());
    }

    let until = Instant::now();
    // While nobody can be asked, what becomes of the assignments is judged by the next step.
    let after = after.unwrap_or_else(|| before.clone());
    let changed = changed(step.moves, scene, victims, &before, &own, &after);
    let concerned: BTreeSet<Place> = own.union(&changed).cloned().collect();
    let silences = scene.flow.silences(from, fault, until, &concerned);
    let twice = scene.flow.twice().values().sum::<u64>() - twice_before.values().sum::<u64>();
    let outcome = Outcome { silences, moved: changed.len(), twice, settled };
    let what = || format!("{} ({victims}): {outcome}", step.title());
    silences.assert_others_undisturbed(&what());
    if let Some(most) = step.silence_ms {
        let silence = silences.concerned.saturating_sub(silences.load);
        assert!(silence <= Duration::from_millis(most), "silence of more than {most} ms: {}", what());
    }
    if let Some(most) = step.twice_ms {
        let most = concerned.len() as u64 * most * scenario.records_per_second / 1_000;
        assert!(twice <= most, "more than {most} records came twice: {}", what());
    }
    past.victims = victims.clone();
    past.table = after;
    outcome
}

/// Waits until the assignments are what they must become; `None` when nobody can be asked.
#[track_caller]
fn settle(moves: Moves, scene: &mut Scene, victims: &Victims, before: &Table) -> Option<Table> {
    if !scene.fleet.controllers.iter_mut().any(|node| node.is_running()) {
        return None;
    }
    let own = victims.own(before);
    let fleet = &scene.fleet;
    let wait = |what: &str, wanted: &dyn Fn(&Table) -> bool| fleet.wait_for_table(what, PATIENCE, wanted);
    Some(match moves {
        Moves::None => fleet.wait_until_copying(ROWS),
        Moves::ToThem => scene.wait_until_spread(),
        Moves::Theirs => wait("others copy what the victims had", &|table| {
            let is_elsewhere = |place: &Place| table.rows[place].owner.worker != before.rows[place].owner.worker;
            table.is_copying(ROWS) && own.iter().all(is_elsewhere)
        }),
        Moves::Again => wait("the victims copy again what they had", &|table| {
            table.is_copying(ROWS)
                && own.iter().all(|place| table.rows[place].owner.epoch > before.rows[place].owner.epoch)
        }),
        Moves::Held => {
            victims.workers.iter().for_each(|worker| fleet.wait_for_worker(worker, "suspect"));
            fleet.table()
        }
    })
}

/// The places whose owner or epoch changed: those that must have.
#[track_caller]
fn changed(
    moves: Moves,
    scene: &Scene,
    victims: &Victims,
    before: &Table,
    own: &BTreeSet<Place>,
    after: &Table,
) -> BTreeSet<Place> {
    let changes = before.changes(after);
    let places: BTreeSet<Place> = changes.iter().map(|change| change.place.clone()).collect();
    let is_theirs =
        |change: &Change| change.after.as_ref().is_some_and(|after| victims.workers.contains(&after.worker));
    match moves {
        Moves::None | Moves::Held => before.assert_unmoved(after),
        Moves::Theirs => {
            assert_eq!(&places, own, "what moved, and what they had");
            assert!(changes.iter().all(Change::is_one_move), "{changes:#?}");
        }
        Moves::Again => {
            assert_eq!(&places, own, "what changed, and what they had");
            assert!(changes.iter().all(is_theirs), "{changes:#?}");
        }
        Moves::ToThem => {
            // Of several the first to come may pass on to the next what it was just given.
            let is_fine = |change: &Change| is_theirs(change) && (change.is_one_move() || victims.workers.len() > 1);
            assert!(changes.iter().all(is_fine), "{changes:#?}");
            let share = victims.workers.len() * ROWS.div_ceil(scene.fleet.workers.len());
            assert!(changes.len() <= share, "{} moves for a share of {share}", changes.len());
        }
    }
    places
}
