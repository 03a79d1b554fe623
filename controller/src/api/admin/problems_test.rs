use std::collections::BTreeMap;
use std::time::Duration;

use common::ids::{Partition, PoolName, Revision, RouteName, TopicName};
use common::offsets::NextOffset;
use common::reason::{Reason, Side};
use proto::v1;

use super::problems::{Standstill, of_controllers, of_holds, of_pools, of_releases, of_standstills, of_workers};
use crate::raft::Standing;
use crate::state::command::FORMAT;
use crate::state::state_test::{done, fleet, id, session, step};
use crate::state::{Command, Envelope, State, Step};

fn controller(id: u64, role: &str) -> v1::Controller {
    v1::Controller {
        id,
        address: format!("host:{id}"),
        role: role.into(),
        votes: role != "learner",
        ..Default::default()
    }
}

fn worker(id: &str, state: &str) -> v1::Worker {
    v1::Worker { id: id.into(), state: state.into(), ..Default::default() }
}

fn standstill(partition: Option<u32>, reason: Reason) -> Standstill {
    let (route, topic) = (RouteName::new("r").unwrap(), TopicName::new("t").unwrap());
    Standstill { route, topic, partition: partition.map(Partition), reason }
}

#[test]
fn a_follower_names_the_leader_and_a_minority_says_how_many_are_needed() {
    let all = [controller(1, "follower"), controller(2, "unreachable"), controller(3, "unreachable")];
    let follows =
        Standing { leader: Some((3, "host:3".into())), initialized: true, has_quorum: true, ..Standing::default() };
    let problems = of_controllers(&all, &follows, 1, false);
    assert!(problems[0].remedy.contains("--controllers host:3"), "{problems:?}");
    let cut_off = Standing { has_quorum: false, ..follows.clone() };
    let problems = of_controllers(&all, &cut_off, 1, false);
    assert!(problems[0].what.contains("no controller leads"), "{problems:?}");
    assert!(problems[0].remedy.contains("2 of the 3"), "{problems:?}");
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[2].what.contains("controller 3 at host:3"), "{problems:?}");
    assert_eq!(of_controllers(&all[..1], &follows, 1, true), []);
}

#[test]
fn a_controller_that_warns_of_its_disk_is_named() {
    let warning = "its data directory has 3 MiB of room left".to_owned();
    let all = [v1::Controller { warning, ..controller(1, "leader") }];
    let problems = of_controllers(&all, &Standing::default(), 1, true);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].what, "controller 1 at host:1: its data directory has 3 MiB of room left");
    assert!(problems[0].remedy.contains("a larger or faster disk"), "{problems:?}");
}

#[test]
fn a_learner_counts_for_no_majority_and_an_even_number_is_told() {
    let all = [controller(1, "leader"), controller(2, "follower"), controller(3, "learner")];
    let problems = of_controllers(&all, &Standing::default(), 1, true);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].what.contains("controller 3 at host:3 is a learner"), "{problems:?}");
    assert!(problems[0].remedy.contains("controller add 3 --address host:3"), "{problems:?}");
    assert!(problems[1].what.contains("2 controllers vote"), "{problems:?}");
}

#[test]
fn workers_are_missed_only_where_their_pool_has_work() {
    let in_pool = |pool: &str, worker| v1::Worker { pool: pool.to_owned(), ..worker };
    let (ours, theirs) = (|worker| in_pool("default", worker), |worker| in_pool("near", worker));
    let unassigned = [(PoolName::default(), 3)].into();
    assert_eq!(of_pools(&BTreeMap::new(), &[]), []);
    assert_eq!(of_pools(&unassigned, &[ours(worker("w1", "live")), theirs(worker("w2", "drained"))]), []);
    let problems = of_pools(&unassigned, &[ours(worker("w1", "drained")), theirs(worker("w2", "live"))]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].what, "no worker of pool default takes work, and 3 partitions wait for one");
}

#[test]
fn of_a_lost_worker_it_is_told_whether_others_of_its_pool_have_its_partitions() {
    let in_pool = |pool: &str, worker| v1::Worker { pool: pool.to_owned(), ..worker };
    assert_eq!(of_workers(&[worker("w1", "live"), worker("w2", "drained")], &BTreeMap::new()), []);
    let all = |lost| [in_pool("near", worker("w1", "live")), in_pool(lost, worker("w2", "lost"))];
    let problems = of_workers(&all("near"), &BTreeMap::new());
    assert!(problems[0].what.ends_with("and others have its partitions"), "{problems:?}");
    assert!(problems[0].remedy.contains("worker remove w2"), "{problems:?}");
    assert!(!of_workers(&all("far"), &BTreeMap::new())[0].what.contains("others"));
}

#[test]
fn a_hold_says_what_waits_for_whom_and_how_to_end_it() {
    let mut state = State::unfounded();
    let suspects = [("w1", 3), ("w2", 4)].map(|(id, partitions)| v1::Worker {
        partitions,
        pool: "default".into(),
        ..worker(id, "suspect")
    });
    assert_eq!(of_holds(&state, &suspects), []);
    let command =
        Command::HoldMoves { pool: PoolName::default(), lost: 2, registered: 5, lasts: Duration::from_secs(30) };
    let hold = Envelope { format: FORMAT, request: None, actor: "test".into(), time_ms: 0, command };
    state.apply(Revision(1), hold).unwrap();
    let problem = &of_holds(&state, &suspects)[0];
    assert!(
        problem.what.starts_with("2 of 5 workers of pool default were lost at once: 7 partitions stay"),
        "{problem:?}"
    );
    assert!(problem.remedy.contains("replisome worker release-hold"), "{problem:?}");
    let problems = of_workers(&suspects, state.holds());
    assert!(problems[0].remedy.contains("keeps them"), "{problems:?}");
}

#[test]
fn a_release_that_lasts_is_a_problem_of_its_worker_while_that_is_there() {
    let mut state = fleet();
    for partition in [0, 1] {
        let assign = step(&state, partition, Step::Assign { to: session(1) });
        done(&mut state, assign);
        let release = step(&state, partition, Step::Release { from: session(1) });
        done(&mut state, release);
    }
    let overdue: BTreeMap<_, _> = [(id(0), Duration::from_secs(14)), (id(1), Duration::from_secs(11))].into();
    assert_eq!(of_releases(&state, |_| false, overdue.clone()), []);
    let problems = of_releases(&state, |other| other == session(1), overdue);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let expected = "worker w1 was to give back 2 partitions 14 s ago and has not, such as r0:t0/0";
    assert_eq!(problems[0].what, expected);
}

#[test]
fn what_is_alike_is_one_problem_and_what_needs_a_decision_comes_first() {
    let gone = || Reason::OutOfRange { next: NextOffset(3), log_start: NextOffset(5), log_end: NextOffset(9) };
    let denied = || Reason::Denied { side: Side::Target };
    let problems = of_standstills(vec![
        standstill(Some(0), denied()),
        standstill(Some(1), gone()),
        standstill(Some(2), gone()),
        standstill(None, denied()),
    ]);
    let whats: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
    assert!(
        whats[0].starts_with("2 partitions have failed (out-of-range): such as r:t/1: the source deleted"),
        "{whats:?}"
    );
    assert!(whats[1].starts_with("1 partition waits (denied): r:t/0: the target denies"), "{whats:?}");
    assert!(whats[2].starts_with("1 topic waits (denied): r:t: the target denies"), "{whats:?}");
    assert!(problems[0].remedy.contains("replisome topic resume --route r t --partition 1 --continue"), "{problems:?}");
}
