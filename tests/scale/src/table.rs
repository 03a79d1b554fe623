//! The table in memory, and the plans made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use anyhow::{Result, ensure};
use common::config::{ClientProperties, ClusterConfig, Delivery, RouteSettings, TopicFilter};
use common::ids::{Epoch, FleetId, FleetIncarnation, Partition, PoolName, RoutePartition, SessionId, TopicId};
use common::offsets::{NextOffset, StartPosition};
use common::weight::Weight;
use controller::planner::{PlanInput, WAVE_MAX, plan};
use controller::state::command::{FORMAT, Finding, TopicReport};
use controller::state::topics::{PartitionFacts, TopicFacts};
use controller::state::{Cause, Command, Effect, Envelope, NotedOffset, Slot, State};
use std::time::Duration;

use crate::measure::median;
use crate::report::{Figures, Unit};
use crate::shape::{self, Shape};

/// How often each is measured; the median counts.
const RUNS: usize = 9;

/// Measures all of it.
pub fn measure(shape: Shape, figures: &mut impl Figures) -> Result<()> {
    let mut state = build(shape)?;
    let of = format!("{} partitions", shape.partitions);
    let lost = session(shape.workers / 2);
    let gone = BTreeSet::from([lost]);

    let plan_death = || plan(&PlanInput::of(&state, &PoolName::default(), &gone));
    let moves = plan_death().moves;
    ensure!(moves.len() == held(&state, lost), "a death moves what it had, not {}", moves.len());
    ensure!(moves.iter().all(|step| step.cause == Cause::SessionLost), "a death moves nothing else");
    figures.time("plan a worker's death", &of, median(RUNS, plan_death), Some(Duration::from_millis(50)));

    let expire = Command::ExpireSession { session: lost, reason: "measured".to_owned(), moves };
    let mut copies: Vec<State> = std::iter::repeat_n(state.clone(), RUNS).collect();
    let apply = || {
        let mut copy = copies.pop().expect("one for each run");
        let outcome = try_do(&mut copy, expire.clone());
        (copy, outcome)
    };
    figures.time("apply it", &of, median(RUNS, apply), None);

    done(&mut state, register(shape.workers))?;
    let wave = WAVE_MAX.min(shape.partitions / (shape.workers + 1));
    let plan_join = || plan(&now(&state));
    let moves = plan_join().moves.len();
    ensure!(moves == wave, "a join moves {moves} at first, not {wave}");
    figures.time("plan a join", &of, median(RUNS, plan_join), None);

    let encode = || postcard::to_stdvec(&state).expect("a table has a form");
    let bytes = encode();
    figures.time("encode a snapshot", &of, median(RUNS, encode), None);
    let decode = || postcard::from_bytes::<State>(black_box(&bytes)).expect("as it was encoded");
    ensure!(decode() == state, "a snapshot is the table");
    figures.time("decode a snapshot", &of, median(RUNS, decode), None);
    figures.add("snapshot, of each partition", &of, bytes.len() as f64 / shape.partitions as f64, Unit::Bytes, None);
    Ok(())
}

/// A table in which everything is assigned evenly.
fn build(shape: Shape) -> Result<State> {
    let mut state = State::new(FleetId::new("scale")?, FleetIncarnation(0));
    let cluster = |name| Command::AddCluster(ClusterConfig { name, properties: ClientProperties::default() });
    let settings = RouteSettings {
        source: shape::source(),
        target: shape::target(),
        pool: PoolName::default(),
        group: "replisome.scale.west-east".to_owned(),
        delivery: Delivery::AtLeastOnce,
        filter: TopicFilter::default(),
        start: StartPosition::Earliest,
        manage_topics: true,
        accept_foreign_offsets: false,
        commit_interval: Duration::from_secs(1),
    };
    let route = shape::route();
    done(&mut state, Command::BeginLeadership)?;
    done(&mut state, cluster(shape::source()))?;
    done(&mut state, cluster(shape::target()))?;
    done(&mut state, Command::AddRoute { route: route.clone(), settings })?;
    let incarnation = state.routes()[&route].incarnation;
    for (number, (topic, partitions)) in (1..).zip(shape.topics()) {
        let [source_topic_id, target_topic_id] = [0, 1 << 64].map(|side| TopicId(uuid::Uuid::from_u128(side + number)));
        let facts = TopicFacts { source_topic_id, target_topic_id, partitions };
        let new = PartitionFacts { stored_epoch: Epoch(0), start: StartPosition::Earliest };
        let new_partitions: BTreeMap<_, _> = (0..partitions).map(|number| (Partition(number), new)).collect();
        let finding = Finding::Ready { facts, new_partitions, beyond: None };
        let (seen, route, target) = (state.revision(), route.clone(), topic.clone());
        done(
            &mut state,
            Command::ReportTopics(vec![TopicReport { route, incarnation, seen, topic, target, finding }]),
        )?;
    }
    for number in 0..shape.workers {
        done(&mut state, register(number))?;
    }
    let moves = plan(&now(&state)).moves;
    ensure!(moves.len() == shape.partitions, "everything is assigned");
    done(&mut state, Command::Moves(moves))?;
    let stored = |(id, slot): (&RoutePartition, &Slot)| NotedOffset {
        partition: id.clone(),
        epoch: slot.epoch,
        stored: NextOffset(1_000_000),
    };
    let stored = state.slots().iter().map(stored).collect();
    done(&mut state, Command::NoteOffsets(stored))?;
    done(&mut state, Command::Settle { sessions: (0..shape.workers).map(session).collect(), run: None })?;
    Ok(state)
}

/// The input of the one pool there is.
fn now(state: &State) -> PlanInput {
    PlanInput::now(state).pop().expect("a pool")
}

fn session(number: usize) -> SessionId {
    SessionId::from_number(number as u128 + 1)
}

fn register(number: usize) -> Command {
    let (address, software) = ("10.0.0.1:7421".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    Command::RegisterSession {
        session: session(number),
        worker: shape::worker(number),
        address,
        software,
        weight: Weight::default(),
        pool: PoolName::default(),
        replaces: None,
    }
}

fn held(state: &State, session: SessionId) -> usize {
    state.slots().values().filter(|slot| slot.life.owner().is_some_and(|(owner, _)| owner == session)).count()
}

fn try_do(state: &mut State, command: Command) -> Result<Effect> {
    let revision = state.revision().next();
    let envelope = Envelope { format: FORMAT, request: None, actor: "scale".to_owned(), time_ms: 0, command };
    Ok(state.apply(revision, envelope).map_err(|rejection| anyhow::anyhow!("{rejection}"))?.effect)
}

fn done(state: &mut State, command: Command) -> Result<()> {
    if let Effect::Batch { refused, .. } = try_do(state, command)? {
        ensure!(refused.is_empty(), "{refused:?}");
    }
    Ok(())
}
