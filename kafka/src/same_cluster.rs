//! Whether two descriptions lead to one cluster. Cluster ids alone do not tell: clusters that were formatted by one script,
//! or restored from one image, share theirs. Topic ids are drawn at random, so a shared one settles it.

use std::collections::BTreeMap;

use common::ids::{TopicId, TopicName};

use crate::admin::{ClusterAdmin, TopicDescription};
use crate::error::{Error, ErrorKind};

/// How many topics are compared, in the order of their names.
const TOPICS_COMPARED: usize = 1_000;

/// What of a cluster is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// Its id, where it has one.
    pub cluster_id: Option<String>,
    /// The addresses it is asked at, as `bootstrap.servers` names them.
    pub bootstrap: String,
    /// Its topics, with their ids where it tells them.
    pub topics: BTreeMap<TopicName, TopicId>,
}

/// The ids of a cluster's topics, as many as are compared. Blocks for some seconds if it does not answer.
///
/// # Errors
/// Those of `ClusterAdmin`; `Unsupported` where it has no ids to tell.
pub fn topic_ids(admin: &dyn ClusterAdmin) -> Result<BTreeMap<TopicName, TopicId>, Error> {
    let names: Vec<TopicName> = admin.topics()?.into_keys().take(TOPICS_COMPARED).collect();
    let described = if names.is_empty() { Vec::new() } else { admin.describe_topics(&names)? };
    let id = |found: Result<TopicDescription, Error>| Some(found.ok()?.id);
    Ok(names.into_iter().zip(described).filter_map(|(name, found)| Some((name, id(found)?))).collect())
}

impl Picture {
    /// Asks a cluster at `bootstrap`; what it can't tell is left out. Blocks for some seconds if it does not answer.
    ///
    /// # Errors
    /// Those of `ClusterAdmin`.
    pub fn of(admin: &dyn ClusterAdmin, bootstrap: &str) -> Result<Self, Error> {
        let cluster_id = if_supported(admin.cluster_id())?;
        let topics = if_supported(topic_ids(admin))?;
        Ok(Self { cluster_id, bootstrap: bootstrap.to_owned(), topics })
    }

    /// Whether both show the same cluster.
    pub fn is_same(&self, other: &Self) -> bool {
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

fn if_supported<T: Default>(answer: Result<T, Error>) -> Result<T, Error> {
    match answer {
        Err(error) if error.kind == ErrorKind::Unsupported => Ok(T::default()),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryAdmin, MemoryCluster};

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

    #[test]
    fn a_picture_shows_topic_ids_where_the_cluster_tells_them() {
        let cluster = MemoryCluster::new("c");
        cluster.create_topic("t", 1);
        let admin = MemoryAdmin::new(cluster.clone());
        let seen = Picture::of(&admin, "h1:1").unwrap();
        let expected = BTreeMap::from([(TopicName::new("t").unwrap(), cluster.topic_id("t").unwrap())]);
        assert_eq!((seen.cluster_id.as_deref(), &seen.topics), (Some("c"), &expected));
        cluster.set_admin_calls_missing(true);
        assert_eq!(Picture::of(&admin, "h1:1").unwrap().topics, BTreeMap::new());
        cluster.set_unreachable(true);
        assert_eq!(Picture::of(&admin, "h1:1").unwrap_err().kind, ErrorKind::Unreachable);
    }
}
