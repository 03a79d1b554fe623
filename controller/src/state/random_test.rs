use std::time::Duration;

use common::config::RouteSettings;
use common::ids::{Epoch, FleetId, FleetIncarnation, Partition, PoolName, Revision, RoutePartition, WorkerId};
use common::offsets::NextOffset;
use common::reason::Reason;
use proptest::prelude::*;

use super::command::{Finding, Release, TopicReport};
use super::state_test::{cluster, done, ready, register_in, route, session, settings, topic, try_do};
use super::*;

/// A command that may or may not make sense, by small numbers.
fn any_command(state: &State, kind: u8, a: u8, b: u8, c: u32) -> Command {
    let (r, t, s) = (route(a % 2), topic(b % 3), session(a % 5));
    let partition = RoutePartition { route: r.clone(), topic: t.clone(), partition: Partition(c % 4) };
    let slot = state.slots.get(&partition);
    let epoch = slot.map_or(Epoch(u64::from(b)), |slot| slot.epoch);
    let owner = slot.and_then(|slot| slot.life.owner());
    let assign =
        |to| Move { partition: partition.clone(), planned_on: epoch, step: Step::Assign { to }, cause: Cause::New };
    match kind {
        0 => Command::BeginLeadership,
        1 => Command::AddRoute { route: r, settings: RouteSettings { pool: pool(c), ..settings() } },
        2 => Command::RemoveRoute { route: r, keep_offsets: c.is_multiple_of(2) },
        3 => Command::PauseRoute { route: r, reason: "test".into() },
        4 => Command::ResumeRoute { route: r },
        5 => Command::AddTopic { route: r, topic: t, target: topic((b + u8::from(c == 9)) % 3), start: None },
        6 => Command::RemoveTopic { route: r, topic: t },
        7 => Command::PauseTopic {
            route: r,
            topic: t,
            partition: (c > 4).then_some(Partition(c % 4)),
            reason: "test".into(),
        },
        8 => Command::ResumeTopic {
            route: r,
            topic: t,
            partition: (c > 4).then_some(Partition(c % 4)),
            accept_foreign_offsets: a > 2,
        },
        9..=13 => ready(state, r, t, 1 + u128::from(c / 8), 1 + c % 4, u64::from(b)),
        14 => {
            let incarnation = state.routes.get(&r).map_or(Revision(0), |route| route.incarnation);
            let finding = Finding::Waiting(Reason::Paused);
            Command::ReportTopics(vec![TopicReport {
                route: r,
                incarnation,
                seen: state.revision,
                target: t.clone(),
                topic: t,
                finding,
            }])
        }
        15..=17 => {
            let replaces = state.session_of(&WorkerId::new(format!("w{}", a % 5)).unwrap());
            register_in(pool(c), a % 5 + 10 * (b % 25), a % 5, replaces)
        }
        18 => Command::DrainSession { session: s },
        19 => {
            let lost = state.sessions().keys().nth(usize::from(a)).copied().unwrap_or(s);
            let to = state.sessions().keys().next().copied().unwrap_or(s);
            Command::ExpireSession { session: lost, reason: "test".into(), moves: vec![assign(to)] }
        }
        20..=25 => Command::Moves(vec![assign(state.sessions().keys().nth(usize::from(a)).copied().unwrap_or(s))]),
        26..=28 => {
            let from = owner.map_or(s, |(owner, _)| owner);
            let step = Step::Release { from };
            Command::Moves(vec![Move { partition, planned_on: epoch, step, cause: Cause::Balance }])
        }
        29..=31 => {
            Command::Released(vec![Release { partition, epoch: owner.map_or(epoch, |(_, epoch)| epoch), clean: a > 0 }])
        }
        33 => Command::RemoveCluster { cluster: cluster(if a.is_multiple_of(2) { "a" } else { "b" }).name },
        34 => Command::AddCluster(cluster(if a.is_multiple_of(2) { "a" } else { "b" })),
        35 => Command::OffsetsDeleted {
            incarnation: state.retired.get(&r).map_or(Revision(0), |retired| retired.incarnation),
            route: r,
        },
        36..=38 => Command::MovePartition { partition, to: WorkerId::new(format!("w{}", b % 5)).unwrap() },
        39 => Command::DrainWorker { worker: WorkerId::new(format!("w{}", b % 5)).unwrap() },
        40 => Command::UndrainWorker { worker: WorkerId::new(format!("w{}", b % 5)).unwrap() },
        41 => {
            let run = state.balance.run().map(|run| run.since);
            Command::Settle { sessions: vec![s], run: run.filter(|_| c.is_multiple_of(2)) }
        }
        42 => Command::HoldMoves { pool: pool(c), lost: 2, registered: 3, lasts: Duration::from_secs(30) },
        43 => Command::EndHold { pool: (c > 4).then(|| pool(c)), reason: "test".into() },
        44..=45 => Command::PinPartition { partition, to: WorkerId::new(format!("w{}", b % 5)).unwrap() },
        46 => Command::UnpinPartition { partition },
        47 => Command::Rebalance { moves_max: (c > 4).then_some(c) },
        48 => Command::Freeze,
        49 => Command::Unfreeze,
        50..=51 => Command::BeginClaims(vec![ClaimBegin { partition, planned_on: epoch }]),
        52 => {
            let outcome = if a > 2 { ClaimOutcome::Stands(NextOffset(7)) } else { ClaimOutcome::GivenUp };
            Command::EndClaims(vec![ClaimEnd { partition, epoch, outcome }])
        }
        53 => Command::RemoveWorker { worker: WorkerId::new(format!("w{}", b % 5)).unwrap() },
        54 => {
            let gives = Given { partition: partition.clone(), planned_on: epoch };
            let from = owner.map_or(s, |(session, _)| session);
            Command::Exchange(vec![Exchange { from, to: session(b % 5), gives, gets: None, rates: (2, 1) }])
        }
        55..=57 => {
            let epoch = owner.map_or(epoch, |(_, epoch)| epoch);
            Command::NoteOffsets(vec![NotedOffset { partition, epoch, stored: NextOffset(i64::from(c)) }])
        }
        _ => {
            let granted = owner.map_or(epoch, |(_, epoch)| epoch);
            Command::RaiseEpoch { partition, granted, stored: Epoch(epoch.0 + u64::from(c % 2)) }
        }
    }
}

/// Most are in the usual one.
fn pool(number: u32) -> PoolName {
    if number.is_multiple_of(4) { PoolName::new("near").unwrap() } else { PoolName::default() }
}

proptest! {
    #![proptest_config(crate::seeded_test::cases(10_000))]

    /// `apply` itself checks the invariants around each command, and that a rejection leaves no trace.
    #[test]
    fn no_order_of_commands_breaks_an_invariant(
        commands in prop::collection::vec((0u8..59, 0u8..6, 0u8..6, 0u32..16), 1..60)
    ) {
        let mut state = State::new(FleetId::new("f").unwrap(), FleetIncarnation(0));
        done(&mut state, Command::AddCluster(cluster("a")));
        done(&mut state, Command::AddCluster(cluster("b")));
        done(&mut state, Command::AddRoute { route: route(0), settings: settings() });
        for (kind, a, b, c) in commands {
            let command = any_command(&state, kind, a, b, c);
            let _either = try_do(&mut state, command);
        }
    }
}
