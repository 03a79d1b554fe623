use common::ids::{TopicId, TopicName};
use common::reason::Reason;
use kafka::admin::TopicDescription;

use super::decide::{Decision, Sight, StoredIds, decide};
use crate::state::topics::TopicFacts;

fn id(number: u128) -> TopicId {
    TopicId(uuid::Uuid::from_u128(number))
}

fn topic(id: TopicId, partitions: u32) -> TopicDescription {
    TopicDescription { id, partitions, may_read: true, may_write: true }
}

fn facts(source: u128, target: u128, partitions: u32) -> TopicFacts {
    TopicFacts { source_topic_id: id(source), target_topic_id: id(target), partitions }
}

fn stored(source: &[u128], target: &[u128]) -> StoredIds {
    let ids = |numbers: &[u128]| numbers.iter().map(|number| id(*number)).collect();
    StoredIds { source: ids(source), target: ids(target) }
}

/// What is decided, in one word and its text.
fn word(decision: &Decision) -> String {
    match decision {
        Decision::Copy { partitions, beyond: None } => format!("copy {partitions}"),
        Decision::Copy { partitions, beyond: Some(reason) } => format!("copy {partitions}, {}", reason.kind()),
        Decision::Create => "create".into(),
        Decision::Grow => "grow".into(),
        Decision::Wait(Reason::TopicRecreated { side, .. }) => format!("wait: {side} re-created"),
        Decision::Wait(Reason::Waiting { text }) if text.contains("was deleted at the target") => {
            "wait: deleted".into()
        }
        Decision::Wait(Reason::Waiting { text }) if text.contains("--create --topic t --partitions 4") => {
            "wait: create it".into()
        }
        Decision::Wait(reason) => format!("wait: {}", reason.kind()),
    }
}

#[test]
fn each_sight_of_a_topic_has_its_decision() {
    #[derive(Clone)]
    struct Case {
        source: TopicDescription,
        target: Option<TopicDescription>,
        known: Option<TopicFacts>,
        stored: StoredIds,
        created: bool,
        manage: bool,
        accept: bool,
        once: bool,
    }
    let base = Case {
        source: topic(id(1), 4),
        target: Some(topic(id(2), 4)),
        known: None,
        stored: StoredIds::default(),
        created: false,
        manage: true,
        accept: false,
        once: false,
    };
    let none = TopicId::NONE;
    let cases: Vec<(&str, Case, &str)> = vec![
        ("both are there", base.clone(), "copy 4"),
        ("the target has more", Case { target: Some(topic(id(2), 9)), ..base.clone() }, "copy 4"),
        ("the target is the source", Case { target: Some(topic(id(1), 4)), ..base.clone() }, "wait: waiting"),
        ("the target is missing", Case { target: None, ..base.clone() }, "create"),
        ("… and not managed", Case { target: None, manage: false, ..base.clone() }, "wait: create it"),
        ("… though copied before", Case { target: None, stored: stored(&[1], &[2]), ..base.clone() }, "wait: deleted"),
        ("… though known", Case { target: None, known: Some(facts(1, 2, 4)), ..base.clone() }, "wait: deleted"),
        ("… and accepted", Case { target: None, stored: stored(&[1], &[2]), accept: true, ..base.clone() }, "create"),
        (
            "… though copied before, without ids",
            Case { target: None, stored: StoredIds { source: [none].into(), target: [none].into() }, ..base.clone() },
            "wait: deleted",
        ),
        ("the target is another", Case { stored: stored(&[1], &[7]), ..base.clone() }, "wait: target re-created"),
        ("… and accepted", Case { stored: stored(&[1], &[7]), accept: true, ..base.clone() }, "copy 4"),
        ("the source is another", Case { stored: stored(&[7], &[2]), ..base.clone() }, "wait: source re-created"),
        ("… and accepted", Case { stored: stored(&[7], &[2]), accept: true, ..base.clone() }, "copy 4"),
        (
            "… while it is copied",
            Case { known: Some(facts(7, 2, 4)), accept: true, ..base.clone() },
            "wait: source re-created",
        ),
        (
            "… while it is copied, accepted this once",
            Case { known: Some(facts(7, 9, 4)), stored: stored(&[7], &[9]), once: true, ..base.clone() },
            "copy 4",
        ),
        (
            "… and the target is missing",
            Case { known: Some(facts(7, 9, 4)), target: None, once: true, ..base.clone() },
            "create",
        ),
        ("too few at first sight", Case { target: Some(topic(id(2), 1)), ..base.clone() }, "wait: too-few-partitions"),
        (
            "too few without ids",
            Case {
                target: Some(topic(none, 1)),
                stored: StoredIds { source: [none].into(), target: [none].into() },
                ..base.clone()
            },
            "wait: too-few-partitions",
        ),
        (
            "too few, copied before",
            Case { target: Some(topic(id(2), 1)), stored: stored(&[1], &[2]), ..base.clone() },
            "grow",
        ),
        ("too few, known", Case { target: Some(topic(id(2), 3)), known: Some(facts(1, 2, 3)), ..base.clone() }, "grow"),
        ("too few, just created", Case { target: Some(topic(id(2), 3)), created: true, ..base.clone() }, "grow"),
        (
            "too few, known, not managed",
            Case { target: Some(topic(id(2), 3)), known: Some(facts(1, 2, 3)), manage: false, ..base.clone() },
            "copy 3, too-few-partitions",
        ),
    ];
    let target_name = TopicName::new("t").unwrap();
    for (name, case, expected) in cases {
        let sight = Sight {
            target_name: &target_name,
            source: &case.source,
            target: case.target.as_ref(),
            known: case.known,
            stored: &case.stored,
            is_created_by_us: case.created,
            manage: case.manage,
            accept_foreign: case.accept,
            accept_recreated: case.once,
        };
        assert_eq!(word(&decide(&sight)), expected, "{name}");
    }
}
