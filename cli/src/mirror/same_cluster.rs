//! Whether source and target are one cluster.

use kafka::same_cluster::{Picture, topic_ids};

use super::peer::Peer;
use crate::failure::Failure;

/// Fails when both files lead to one cluster.
pub async fn check(source: &Peer, target: &Peer) -> Result<(), Failure> {
    let (ours, theirs) = (picture(source).await?, picture(target).await?);
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

async fn picture(peer: &Peer) -> Result<Picture, Failure> {
    let cluster_id = peer.ask("asking for the cluster id", |admin| admin.cluster_id()).await?.flatten();
    let topics = peer.ask("describing topics", |admin| topic_ids(admin)).await?.unwrap_or_default();
    Ok(Picture { cluster_id, bootstrap: peer.bootstrap.clone(), topics })
}
