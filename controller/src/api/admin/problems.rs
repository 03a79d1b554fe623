//! What is wrong with a fleet, and what to do about it, in words for people. Pure: what was seen in, problems out, the
//! worst first. What is alike is one problem, with a count and an example.

use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::{FleetId, Partition, PoolName, RouteName, RoutePartition, SessionId, TopicName, WorkerId};
use common::reason::Reason;
use kafka::error::ErrorKind;
use proto::v1;
use proto::v1::Problem;

use super::routes::Troubles;
use crate::raft::Standing;
use crate::state::{Balance, Hold, Retired, State};

/// Something that stands still.
pub struct Standstill {
    /// On which route.
    pub route: RouteName,
    /// Which topic.
    pub topic: TopicName,
    /// Which partition of it, if it is not the topic as a whole.
    pub partition: Option<Partition>,
    /// Why.
    pub reason: Reason,
}

/// What stands still for like reasons: those that nobody needs to decide come last.
type Alike = (bool, &'static str, bool);

fn problem(what: impl Into<String>, remedy: impl Into<String>) -> Problem {
    Problem { what: what.into(), remedy: remedy.into() }
}

/// What is wrong with the controllers, as controller `node` sees it.
pub fn of_controllers(controllers: &[v1::Controller], standing: &Standing, node: u64, is_led: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let all = controllers.iter().filter(|controller| controller.votes).count();
    let majority = all / 2 + 1;
    match &standing.leader {
        _ if is_led => {}
        Some((leader, address)) if *leader != node && standing.has_quorum => problems.push(problem(
            format!("controller {node} does not lead and sees only a part"),
            format!("ask controller {leader}, which leads: replisome status --controllers {address}"),
        )),
        // It waits to be taken in: its trouble says so.
        _ if !standing.initialized && controllers.is_empty() => {}
        _ if !standing.initialized => problems.push(problem(
            "the fleet is not founded yet",
            "start every controller that initial-members names; the one with the lowest id founds the fleet then",
        )),
        _ => problems.push(problem(
            "no controller leads: nothing is decided until one does; workers go on with what they have",
            format!(
                "see that {majority} of the {all} controllers run, with the directories they had, and reach each other; if a \
                 majority is lost for good: replisome controller backup FILE from one that lives, then replisome controller \
                 restore FILE"
            ),
        )),
    }
    if let Some(trouble) = &standing.trouble {
        problems.push(problem(format!("controller {node} can't take part"), trouble.clone()));
    }
    for controller in controllers.iter().filter(|controller| controller.role == "unreachable") {
        let v1::Controller { id, address, .. } = controller;
        problems.push(problem(
            format!("controller {id} at {address} does not answer"),
            format!("start it, or see to the network; the fleet goes on while {majority} of {all} answer"),
        ));
    }
    for v1::Controller { id, address, trouble, .. } in controllers.iter().filter(|one| !one.trouble.is_empty()) {
        problems.push(problem(format!("controller {id} at {address} can't take part"), trouble.clone()));
    }
    for v1::Controller { id, address, warning, .. } in controllers.iter().filter(|one| !one.warning.is_empty()) {
        problems.push(problem(
            format!("controller {id} at {address}: {warning}"),
            "give its data directory a larger or faster disk, or one that it need not share",
        ));
    }
    for v1::Controller { id, address, .. } in controllers.iter().filter(|controller| !controller.votes) {
        problems.push(problem(
            format!("controller {id} at {address} is a learner: it has no vote"),
            format!(
                "take it in wholly with: replisome controller add {id} --address {address}; or out, with: replisome \
                 controller remove {id}"
            ),
        ));
    }
    if all > 0 && all.is_multiple_of(2) {
        problems.push(problem(
            format!("{all} controllers vote, and they survive no more losses than {} do", all - 1),
            "replisome controller add ID --address HOST:PORT, or: replisome controller remove ID",
        ));
    }
    problems
}

/// Many workers of a pool are missing, and keep what they have.
pub fn of_holds(state: &State, workers: &[v1::Worker]) -> Vec<Problem> {
    let tell = |(pool, hold): (&PoolName, &Hold)| {
        let Hold { lost, registered, lasts, .. } = hold;
        let missing = named(workers, "suspect").filter(|worker| worker.pool == pool.as_str());
        let waiting: u32 = missing.map(|worker| worker.partitions).sum();
        problem(
            format!(
                "{lost} of {registered} workers of pool {pool} were lost at once: {waiting} partitions stay with those that \
                 are missing, for {lasts:?} or until they are back"
            ),
            format!(
                "see to their hosts and to the network between them and the controllers; if they will not come back: \
                 replisome worker release-hold --pool {pool}"
            ),
        )
    };
    state.holds().iter().map(tell).collect()
}

/// Pools with partitions that wait for a worker, of which nobody takes work.
pub fn of_pools(unassigned: &BTreeMap<PoolName, u32>, workers: &[v1::Worker]) -> Vec<Problem> {
    let is_served = |pool: &PoolName| named(workers, "live").any(|worker| worker.pool == pool.as_str());
    let tell = |(pool, partitions): (&PoolName, &u32)| {
        problem(
            format!("no worker of pool {pool} takes work, and {partitions} partitions wait for one"),
            format!(
                "start one (replisome worker run, with pool = \"{pool}\"), or end a drain (replisome worker undrain ID)"
            ),
        )
    };
    unassigned.iter().filter(|(pool, _)| !is_served(pool)).map(tell).collect()
}

/// What is wrong with the workers.
pub fn of_workers(workers: &[v1::Worker], holds: &BTreeMap<PoolName, Hold>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for v1::Worker { id, address, pool, .. } in named(workers, "lost") {
        let is_served = named(workers, "live").any(|worker| worker.pool == *pool);
        let others_have_them = if is_served { ", and others have its partitions" } else { "" };
        problems.push(problem(
            format!("worker {id} is lost; it ran at {address}{others_have_them}"),
            format!("start it again, or forget it: replisome worker remove {id}"),
        ));
    }
    for v1::Worker { id, address, partitions, pool, .. } in named(workers, "suspect") {
        let remedy = match holds.keys().any(|held| held.as_str() == pool) {
            true => "it keeps them until it is back or the hold is over",
            false => "nothing yet: it comes back or is replaced within seconds; else see to its host and the network",
        };
        problems
            .push(problem(format!("worker {id} at {address} is not heard, and has {partitions} partitions"), remedy));
    }
    problems
}

/// Workers that are there and do not give back what they were asked for.
pub fn of_releases(
    state: &State,
    is_there: impl Fn(SessionId) -> bool,
    overdue: BTreeMap<RoutePartition, Duration>,
) -> Vec<Problem> {
    let mut of_worker = BTreeMap::<&WorkerId, (usize, RoutePartition, Duration)>::new();
    for (partition, waited) in overdue {
        let owner = state.slots().get(&partition).and_then(|slot| slot.life.owner());
        let Some((session, _)) = owner.filter(|(session, _)| is_there(*session)) else { continue };
        let Some(session) = state.sessions().get(&session) else { continue };
        let (count, _, longest) = of_worker.entry(&session.worker).or_insert((0, partition, waited));
        *count += 1;
        *longest = waited.max(*longest);
    }
    let describe = |(id, (count, example, waited)): (&WorkerId, (usize, RoutePartition, Duration))| {
        let seconds = waited.as_secs();
        problem(
            format!("worker {id} was to give back {count} partitions {seconds} s ago and has not, such as {example}"),
            "see in its log what holds it up; if it hangs, end its process: others get them then, and copy again what it \
             copied since it last stored",
        )
    };
    of_worker.into_iter().map(describe).collect()
}

/// Workers that start anew again and again.
pub fn of_flapping(flapping: Vec<WorkerId>) -> impl Iterator<Item = Problem> {
    flapping.into_iter().map(|id| {
        problem(
            format!("worker {id} was started anew three times or more within a minute"),
            "see in its log why it ends; while that goes on, others get what it had at each further start",
        )
    })
}

/// Workers of another fleet, whose controllers these may have been.
pub fn of_strangers(state: &State, strangers: &BTreeMap<WorkerId, FleetId>) -> Option<Problem> {
    let (worker, fleet) = strangers.first_key_value()?;
    let (others, verb) = match strangers.len() {
        1 => (String::new(), "copies"),
        count => (format!(" and {} more", count - 1), "copy"),
    };
    let what = format!(
        "worker {worker}{others} {verb} for fleet {fleet} and {verb} on: this is fleet {}, and not theirs",
        state.fleet()
    );
    Some(problem(
        what,
        "if the controllers of that fleet lost their data directories, and so founded this one: stop them, and restore a \
         backup (replisome controller restore); if this one is meant: start those workers anew",
    ))
}

fn named<'a>(workers: &'a [v1::Worker], state: &'static str) -> impl Iterator<Item = &'a v1::Worker> {
    workers.iter().filter(move |worker| worker.state == state)
}

/// What is wrong with the routes: topics that can't be looked at.
pub fn of_routes(state: &State, troubles: &Troubles) -> Vec<Problem> {
    let describe = |(route, error): (&RouteName, &kafka::error::Error)| {
        let settings = &state.routes().get(route)?.settings;
        let (source, target) = (&settings.source, &settings.target);
        let remedy = match error.kind {
            ErrorKind::Unreachable => {
                format!(
                    "see that the brokers of clusters {source} and {target} run and that the controllers reach them"
                )
            }
            ErrorKind::Authentication | ErrorKind::Config => {
                format!("mend the client properties of clusters {source} and {target}, or the files they refer to")
            }
            ErrorKind::TopicDenied | ErrorKind::GroupDenied | ErrorKind::ClusterDenied => {
                format!("grant the missing right to the users of clusters {source} and {target}")
            }
            _ => format!("mend it on clusters {source} and {target}"),
        };
        let remedy = format!("{remedy}; what is assigned goes on meanwhile");
        Some(problem(format!("route {route}: its topics can't be looked at: {error}"), remedy))
    };
    troubles.iter().filter_map(describe).collect()
}

/// What stands still.
pub fn of_standstills(standstills: Vec<Standstill>) -> Vec<Problem> {
    let mut alike = BTreeMap::<Alike, (usize, Standstill)>::new();
    for standstill in standstills {
        let key = (standstill.reason.heals(), standstill.reason.kind(), standstill.partition.is_none());
        alike.entry(key).or_insert((0, standstill)).0 += 1;
    }
    let describe = |((heals, kind, is_topic), (count, example)): (Alike, (usize, Standstill))| {
        let thing = match (is_topic, count) {
            (true, 1) => "topic",
            (true, _) => "topics",
            (false, 1) => "partition",
            (false, _) => "partitions",
        };
        let verb = match (heals, count) {
            (true, 1) => "waits",
            (true, _) => "wait",
            (false, 1) => "has failed",
            (false, _) => "have failed",
        };
        let such_as = if count == 1 { "" } else { "such as " };
        let text = format!("{count} {thing} {verb} ({kind}): {such_as}{}: {}", example.name(), example.reason);
        problem(text, remedy(&example))
    };
    alike.into_iter().map(describe).collect()
}

/// The topics that are not copied, or not wholly, though nobody paused or removed them.
pub fn standing_topics(state: &State) -> impl Iterator<Item = Standstill> {
    state.waiting_topics().map(|(route, topic, reason)| Standstill {
        route: route.clone(),
        topic: topic.clone(),
        partition: None,
        reason: reason.clone(),
    })
}

/// What was lost and can't be claimed.
pub fn of_claims(state: &State, troubles: &Troubles) -> Vec<Problem> {
    let describe = |(route, error): (&RouteName, &kafka::error::Error)| {
        let claimed = state.slots().iter().filter(|(id, slot)| id.route == *route && slot.owes_claim());
        let source = &state.routes().get(route)?.settings.source;
        let what = format!(
            "route {route}: {} partitions lost their owner and can't be claimed, so that a worker that is cut off may \
             still copy them: {error}",
            claimed.filter(|(_, slot)| slot.leader_claim.is_some()).count()
        );
        Some(problem(what, format!("see that the controllers reach cluster {source} and may commit offsets there")))
    };
    troubles.iter().filter_map(describe).collect()
}

/// What removed routes left behind and can't be cleared away.
pub fn of_retired(state: &State, troubles: &Troubles) -> Vec<Problem> {
    let describe = |(route, Retired { source, group, .. }): (&RouteName, &Retired)| {
        let error = troubles.get(route)?;
        let what = format!("removed route {route}: its offsets (group {group} on cluster {source}) can't be deleted");
        let leave = format!("replisome route remove {route} --keep-offsets");
        Some(problem(format!("{what}: {error}"), format!("mend it on cluster {source}, or leave them there: {leave}")))
    };
    state.retired().iter().filter_map(describe).collect()
}

/// A freeze that somebody may have forgotten.
pub fn of_balance(balance: Balance) -> Option<Problem> {
    let Balance::Frozen { since } = balance else { return None };
    let what = format!(
        "moves for balance are frozen since revision {since}: a worker that joins gets only what has no owner, and pins wait"
    );
    Some(problem(what, "once that is no longer wanted: replisome rebalance unfreeze"))
}

impl Standstill {
    fn name(&self) -> String {
        let Self { route, topic, partition, .. } = self;
        partition.map_or_else(|| format!("{route}:{topic}"), |partition| format!("{route}:{topic}/{partition}"))
    }
}

/// What to do about what stands still.
fn remedy(standstill: &Standstill) -> String {
    let Standstill { route, topic, partition, reason } = standstill;
    let partition = partition.map(|partition| format!(" --partition {partition}")).unwrap_or_default();
    let resume = format!("replisome topic resume --route {route} {topic}{partition}");
    match reason {
        Reason::TopicRecreated { .. } | Reason::ForeignOffset { .. } => {
            format!("if what is there now is what you want: {resume} --continue")
        }
        Reason::OutOfRange { .. } | Reason::Truncated { .. } => format!(
            "decide where to read on: set the offset with kafka-consumer-groups --reset-offsets on the source, for the group \
             that replisome route describe {route} names; then {resume} --continue"
        ),
        Reason::Superseded { .. } => format!("see who else copies it, and stop one of them; then {resume} --continue"),
        _ => "do what the text says; it goes on by itself then".to_owned(),
    }
}
