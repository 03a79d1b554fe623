//! The fleet's beginning: once, by the lowest initial member, when every initial member answered that it is empty.
//!
//! A lowest member that lost its directory is empty too; but its peers are not, so it founds nothing. A node without
//! initial members founds nothing either: it waits until a fleet takes it in.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::v1::ProbeReply;
use tokio::time::sleep;
use tracing::info;

use super::data_dir::lost;
use super::node::Inner;
use super::standing::Absence;
use super::types::Member;

/// How often it is tried.
const INTERVAL: Duration = Duration::from_millis(300);

/// What the initial members' answers amount to.
#[derive(PartialEq, Debug)]
enum Verdict {
    Found(BTreeMap<u64, Member>),
    Trouble(String),
}

/// Waits until this node belongs to a fleet, and founds it if that is its part.
pub(super) async fn found(node: &Inner) {
    let initial = &node.settings.initial_members;
    let founds = initial.keys().next() == Some(&node.own.node);
    loop {
        match node.service.who(&node.asker()).await {
            Ok(own) if !own.empty => break,
            Ok(_) if founds => {
                node.absence.send_replace(try_to_found(node).await.map(absent));
            }
            Ok(_) if initial.is_empty() => {
                node.absence.send_replace(Some(absent(waits(node.own.node, &node.settings.advertise))));
            }
            // Another one founds it; or the log has stopped, which ends more than this.
            Ok(_) | Err(_) => {}
        }
        sleep(INTERVAL).await;
    }
    node.absence.send_replace(None);
}

fn absent(why: String) -> Absence {
    Absence { why, referral: None }
}

fn waits(node: u64, address: &str) -> String {
    format!(
        "controller {node} waits until a fleet takes it in: replisome controller add {node} --address {address}; to found \
         a new fleet instead, set initial-members"
    )
}

async fn try_to_found(node: &Inner) -> Option<String> {
    let answers = node.ask(&node.settings.initial_members).await;
    let members = match judge(node.own.node, &node.settings.initial_members, &answers) {
        Verdict::Found(members) => members,
        Verdict::Trouble(trouble) => return Some(trouble),
    };
    match node.raft.initialize(members).await {
        Ok(()) => {
            info!(controller = node.own.node, "fleet founded");
            None
        }
        Err(error) => Some(format!("the fleet can't be founded: {error}")),
    }
}

fn judge(own: u64, initial: &BTreeMap<u64, String>, answers: &BTreeMap<u64, Result<ProbeReply, String>>) -> Verdict {
    let mut members = BTreeMap::new();
    let (mut silent, mut taken) = (Vec::new(), Vec::new());
    for (id, address) in initial {
        match answers.get(id) {
            Some(Ok(reply)) if reply.node != *id => {
                return Verdict::Trouble(format!(
                    "{address} answers as controller {}, but initial-members has it as {id}: correct that",
                    reply.node
                ));
            }
            Some(Ok(reply)) if !reply.empty => taken.push(format!("{id} ({address})")),
            Some(Ok(reply)) => {
                members.insert(*id, Member { address: address.clone(), store: reply.store.clone() });
            }
            Some(Err(error)) => silent.push(format!("{id} ({address}): {error}")),
            None => silent.push(format!("{id} ({address})")),
        }
    }
    if !taken.is_empty() {
        Verdict::Trouble(format!(
            "this data directory is empty, but controller {} has a log already: controller {own} lost its directory or \
             was given another one, so no fleet is founded. Put the old directory back; {}. If this fleet never ran, \
             empty the data directories of all its controllers",
            taken.join(", "),
            lost(own)
        ))
    } else if !silent.is_empty() {
        Verdict::Trouble(format!(
            "the fleet is founded once all its initial members answer; still silent: {}",
            silent.join(", ")
        ))
    } else {
        Verdict::Found(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initial() -> BTreeMap<u64, String> {
        BTreeMap::from([1, 2, 3].map(|id| (id, format!("host:{id}"))))
    }

    fn empty(node: u64) -> ProbeReply {
        ProbeReply { node, store: format!("store{node}"), empty: true, ..ProbeReply::default() }
    }

    fn verdict(of: [(u64, Result<ProbeReply, String>); 3]) -> Verdict {
        judge(1, &initial(), &BTreeMap::from(of))
    }

    #[test]
    fn a_fleet_is_founded_only_when_all_initial_members_are_empty() {
        let all = verdict([(1, Ok(empty(1))), (2, Ok(empty(2))), (3, Ok(empty(3)))]);
        let member = |id| (id, Member { address: format!("host:{id}"), store: format!("store{id}") });
        assert_eq!(all, Verdict::Found(BTreeMap::from([1, 2, 3].map(member))));

        let silent = verdict([(1, Ok(empty(1))), (2, Err("refused".into())), (3, Ok(empty(3)))]);
        assert!(matches!(silent, Verdict::Trouble(text) if text.contains("2 (host:2): refused")));

        let taken = ProbeReply { empty: false, ..empty(3) };
        let lost = verdict([(1, Ok(empty(1))), (2, Err("refused".into())), (3, Ok(taken))]);
        assert!(matches!(lost, Verdict::Trouble(text) if text.contains("controller 1 lost its directory")));
    }

    #[test]
    fn an_address_of_another_controller_is_named() {
        let crossed = verdict([(1, Ok(empty(1))), (2, Ok(empty(3))), (3, Ok(empty(3)))]);
        assert!(matches!(crossed, Verdict::Trouble(text) if text.contains("host:2 answers as controller 3")));
    }
}
