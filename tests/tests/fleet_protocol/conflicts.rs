//! Workers that a leader does not take.

use std::time::Duration;

use replisome_tests::fleet::wire::{self, FakeWorker};
use replisome_tests::fleet::{Fleet, Node};

use super::alone;

/// A lease and what a busy machine takes to notice it.
const GIVE_UP_DEADLINE: Duration = Duration::from_secs(20);
const CONFLICT: i32 = 4;

#[test]
fn a_second_worker_with_the_same_id_tries_for_a_lease_and_exits_4_while_the_first_goes_on() {
    let _alone = alone();
    let mut fleet = Fleet::start(1, 1);
    let before = fleet.json(&["worker", "list"]);
    let mut second = Node::worker("w1", &fleet.addresses(), "");
    second.start();
    let started = std::time::Instant::now();
    second.process().wait_for_code(CONFLICT, GIVE_UP_DEADLINE);
    let took = started.elapsed();
    let said = second.process().stderr();
    let address = before[0]["address"].as_str().expect("an address").to_owned();
    eprintln!("gave up after {took:?}: {}", said.lines().last().unwrap_or_default());
    assert!(said.contains("in use") && said.contains("w1") && said.contains(&address), "{said}");
    assert!(took >= Duration::from_secs(4), "it tries for a lease of 5 s: {took:?}");
    let after = fleet.json(&["worker", "list"]);
    assert_eq!((&after[0]["session"], &after[0]["state"]), (&before[0]["session"], &"live".into()));
    assert!(fleet.worker("w1").is_running());
}

#[test]
fn a_worker_of_another_protocol_version_is_refused_with_both_versions() {
    let _alone = alone();
    let fleet = Fleet::start(1, 0);
    let mut fake = FakeWorker::new("from-the-future");
    fake.hello.protocol = 999;
    let attached = fake.attach(fleet.controllers[0].address(), wire::nothing()).expect("the stream opens");
    let refused = attached.wait_for_refusal();
    eprintln!("{}", refused.text);
    assert_eq!(refused.kind(), proto::v1::RefusalKind::Fatal);
    assert!(refused.text.contains("999") && refused.text.contains(&wire::PROTOCOL.to_string()), "{}", refused.text);
    attached.wait_for_end(GIVE_UP_DEADLINE);
    let workers = fleet.json(&["worker", "list"]);
    assert_eq!(workers.as_array().map(Vec::len), Some(0), "{workers}");
}
