//! Whether source and target are one cluster. Cluster ids alone do not tell: clusters that were formatted by one script,
//! or restored from one image, share theirs. Topic ids are drawn at random, so a shared one settles it.

use std::collections::BTreeMap;

use common::ids::{TopicId, TopicName};
use kafka::admin::TopicDescription;
use kafka::error::Error;

use super::peer::Peer;
use crate::failure::Failure;

/// How many topics are compared, in the order of their names.
const TOPICS_COMPARED: usize = 1_000;

/// Fails when both files lead to one cluster.
pub async fn check(source: &Peer, target: &Peer) -> Result<(), Failure> {
    let (ours, theirs) = (Picture::of(source).await?, Picture::of(target).await?);
    if !ours.is_same(&theirs) {
        return Ok(());
    }
    let id = ours.cluster_id.unwrap_or_default();
    Err(Failure::conflict(format!(
        "source ({}) and target ({}) are the same cluster, id {id}: a mirror would copy its own copies; set \
         bootstrap.servers in {} to the other cluster",
        source.bootstrap, target.bootstrap, target.file
    )))
}

/// What of a cluster is compared.
struct Picture {
    /// Its id, where it has one.
    cluster_id: Option<String>,
    /// The addresses it was asked at.
    bootstrap: String,
    /// Its topics, with their ids where it tells them.
    topics: BTreeMap<TopicName, TopicId>,
}

impl Picture {
    async fn of(peer: &Peer) -> Result<Self, Failure> {
        let cluster_id = peer.ask("asking for the cluster id", |admin| admin.cluster_id()).await?.flatten();
        let topics = peer.ask("describing topics", |admin| {
            let names: Vec<TopicName> = admin.topics()?.into_keys().take(TOPICS_COMPARED).collect();
            let described = if names.is_empty() { Vec::new() } else { admin.describe_topics(&names)? };
            let id = |found: Result<TopicDescription, Error>| Some(found.ok()?.id);
            Ok(names.into_iter().zip(described).filter_map(|(name, found)| Some((name, id(found)?))).collect())
        });
        Ok(Self { cluster_id, bootstrap: peer.bootstrap.clone(), topics: topics.await?.unwrap_or_default() })
    }

    /// Whether both show the same cluster.
    fn is_same(&self, other: &Self) -> bool {
        if self.cluster_id.is_none() || self.cluster_id != other.cluster_id {
            return false;
        }
        if self.shares_an_address(other) {
            return true;
        }
        let shared = |(name, id): (&TopicName, &TopicId)| *id != TopicId::NONE && other.topics.get(name) == Some(id);
        self.topics.iter().any(shared)
    }

    fn shares_an_address(&self, other: &Self) -> bool {
        let addresses = |bootstrap: &str| bootstrap.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>();
        let others = addresses(&other.bootstrap);
        addresses(&self.bootstrap).iter().any(|address| others.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(cluster_id: Option<&str>, bootstrap: &str, topic_id: u128) -> Picture {
        let topics = BTreeMap::from([(TopicName::new("t").unwrap(), TopicId(uuid::Uuid::from_u128(topic_id)))]);
        Picture { cluster_id: cluster_id.map(str::to_owned), bootstrap: bootstrap.to_owned(), topics }
    }

    #[test]
    fn one_cluster_is_recognised_at_one_address_and_at_two() {
        let source = picture(Some("a"), "h1:1, h2:1", 7);
        assert!(source.is_same(&picture(Some("a"), "h3:1,h2:1", 8)));
        assert!(source.is_same(&picture(Some("a"), "elsewhere:1", 7)));
    }

    #[test]
    fn clusters_that_share_only_their_id_are_two() {
        assert!(!picture(Some("a"), "h1:1", 7).is_same(&picture(Some("a"), "h2:1", 8)));
        assert!(!picture(Some("a"), "h1:1", 0).is_same(&picture(Some("a"), "h2:1", 0)));
    }

    #[test]
    fn clusters_with_other_ids_or_none_are_two() {
        assert!(!picture(Some("a"), "h1:1", 7).is_same(&picture(Some("b"), "h1:1", 7)));
        assert!(!picture(None, "h1:1", 7).is_same(&picture(None, "h1:1", 7)));
    }
}
