//! What the demo does, in order.

use std::time::Duration;

use common::ids::TopicPartition;
use tokio::time::{Instant, sleep, sleep_until};

use super::audit::{Audit, audit};
use super::fleet::{CONTROLLERS, WORKERS, controller_name, worker_name};
use super::producer::RECORDS_PER_SECOND;
use super::scene::{self, ADDED, FILTERED, ROUTE, SOURCE, TARGET};
use super::stage::Stage;
use super::verdict::{Found, LeaderKilled, Owners, Silences, WorkerKilled};
use crate::failure::Failure;
use crate::output::grouped;

/// How long nothing happens before anything is killed: what a silence is compared with.
const CALM: Duration = Duration::from_secs(5);
/// How long what was added is shown before the next thing happens.
const SHOWN: Duration = Duration::from_secs(4);
/// How long is watched what a kill does. Longer than a lease (5 s): what the dead leader had promised is over.
const WATCHED: Duration = Duration::from_secs(10);
/// A partition lags by less while it is copied as fast as it is written: a second's records.
const LAG_MAX: u64 = RECORDS_PER_SECOND as u64;

/// Plays it and says what was found.
pub async fn play(stage: &Stage) -> Result<Found, Failure> {
    begin_fleet(stage).await?;
    add_route(stage).await?;
    add_topic(stage).await?;
    let calm = be_calm(stage).await?;
    let worker = kill_worker(stage).await?;
    let leader = kill_leader(stage).await?;
    let (audit, produced) = drain(stage).await?;
    Ok(Found { audit, produced, calm, worker, leader })
}

async fn begin_fleet(stage: &Stage) -> Result<(), Failure> {
    stage.begin(format!("{CONTROLLERS} controllers and {WORKERS} workers, as processes of their own"));
    let leader = stage.until("electing a leader", async || leader(stage).await).await?;
    let live = async || (stage.fleet.live_workers().await.ok()? as u64 == WORKERS).then_some(());
    stage.until("registering all workers", live).await?;
    stage.done(format!("{CONTROLLERS} controllers, {leader} leads; {WORKERS} workers, none has anything to do"));
    Ok(())
}

async fn add_route(stage: &Stage) -> Result<(), Failure> {
    for (name, address) in stage.scene.addresses() {
        stage.fleet.command(&["cluster", "add", name, "--bootstrap", &address]).await?;
    }
    let include = FILTERED.map(|(topic, _)| topic).join("|");
    let line = format!("replisome route add {ROUTE} --include …");
    stage.begin(line.as_str());
    let route = ["route", "add", ROUTE, "--source", SOURCE, "--target", TARGET, "--include", &include];
    // The embedded brokers let no client create a topic.
    let added = Instant::now();
    stage.fleet.command(&[&route[..], &["--manage-topics", "off"]].concat()).await?;
    let partitions: u32 = FILTERED.iter().map(|(_, partitions)| partitions).sum();
    copied(stage, "copying the route's topics", |partition| partition.topic.as_str() != ADDED.0).await?;
    let after = seconds(added.elapsed());
    stage.done(format!("{line}: {partitions} partitions copied after {after}"));
    sleep(SHOWN).await;
    Ok(())
}

async fn add_topic(stage: &Stage) -> Result<(), Failure> {
    let (topic, partitions) = ADDED;
    let line = format!("replisome topic add --route {ROUTE} {topic}");
    stage.begin(line.as_str());
    let (added, backlog) = (Instant::now(), stage.producer.borrow().records() * u64::from(partitions));
    stage.fleet.command(&["topic", "add", "--route", ROUTE, topic]).await?;
    copied(stage, "copying the added topic", |_| true).await?;
    let (backlog, after) = (grouped(backlog), seconds(added.elapsed()));
    stage.done(format!("{line}: {backlog} records copied, {after}"));
    sleep(SHOWN).await;
    Ok(())
}

async fn be_calm(stage: &Stage) -> Result<Silences, Failure> {
    stage.begin(format!("{} seconds in which nothing happens", CALM.as_secs()));
    let from = Instant::now();
    sleep(CALM).await;
    let silences = stage.silences(from);
    let longest = seconds(silences.values().copied().max().unwrap_or_default());
    stage.done(format!("{} seconds in which nothing happens: no partition silent for over {longest}", CALM.as_secs()));
    Ok(silences)
}

async fn kill_worker(stage: &Stage) -> Result<WorkerKilled, Failure> {
    let (id, before) = (worker_name(2), stage.fleet.owners().await?);
    let had = before.values().filter(|owner| owner.worker == id).count();
    stage.begin(format!("kill -9 of worker {id}, which copies {had} partitions"));
    let killed = Instant::now();
    stage.fleet.children.kill(&id)?;
    let taken_over = async || {
        let owners = stage.fleet.owners().await.ok()?;
        is_complete(&owners, |_| true).then_some(())?;
        owners.values().all(|owner| owner.worker != id).then_some(killed.elapsed())
    };
    let after = seconds(stage.until("giving the killed worker's partitions to others", taken_over).await?);
    copied(stage, "copying what the killed worker had", |_| true).await?;
    sleep_until(killed + WATCHED).await;
    let silences = stage.silences(killed);
    stage.done(format!("kill -9 of worker {id}: others have its {had} partitions after {after}"));
    Ok(WorkerKilled { id, before, after: stage.fleet.owners().await?, silences })
}

async fn kill_leader(stage: &Stage) -> Result<LeaderKilled, Failure> {
    let old = stage.until("finding the leader", async || leader(stage).await).await?;
    let before = stage.fleet.owners().await?;
    stage.begin(format!("kill -9 of controller {old}, the leader"));
    let killed = Instant::now();
    stage.fleet.children.kill(&controller_name(old))?;
    let elected = async || leader(stage).await.filter(|new| *new != old).map(|new| (new, killed.elapsed()));
    let (new, after) = stage.until("electing another leader", elected).await?;
    let answering = async || stage.fleet.owners().await.ok().map(drop);
    stage.until("the new leader's first answer", answering).await?;
    sleep_until(killed + WATCHED).await;
    copied(stage, "copying under the new leader", |_| true).await?;
    let silences = stage.silences(killed);
    stage.done(format!("kill -9 of controller {old}, the leader: {new} leads after {}", seconds(after)));
    Ok(LeaderKilled { old, new, before, after: stage.fleet.owners().await?, silences })
}

async fn drain(stage: &Stage) -> Result<(Audit, u64), Failure> {
    stage.begin("the producer stops, the rest is copied, both sides are read and compared");
    stage.producer.borrow_mut().stop()?;
    stage.until("copying the rest", async || (stage.lag_max(|_| true)? == 0).then_some(())).await?;
    let (source, target) = (stage.scene.source_reader()?, stage.scene.target_reader()?);
    let compared = tokio::task::spawn_blocking(move || audit(&source, &target)).await.expect("auditing panics not")?;
    stage.done("the producer has stopped, the rest is copied, both sides are compared");
    Ok((compared, stage.producer.borrow().records()))
}

/// Waits until these partitions have owners and are copied as fast as they are written.
async fn copied(stage: &Stage, what: &str, counts: impl Fn(&TopicPartition) -> bool) -> Result<(), Failure> {
    let owned = async || is_complete(&stage.fleet.owners().await.ok()?, &counts).then_some(());
    stage.until(what, owned).await?;
    stage.until(what, async || (stage.lag_max(&counts)? < LAG_MAX).then_some(())).await
}

/// Whether all of these partitions have an owner.
fn is_complete(owners: &Owners, counts: impl Fn(&TopicPartition) -> bool) -> bool {
    scene::partitions().iter().filter(|partition| counts(partition)).all(|partition| owners.contains_key(partition))
}

async fn leader(stage: &Stage) -> Option<u64> {
    let controllers = stage.fleet.controllers().await.ok()?;
    controllers.iter().find(|controller| controller.role == "leader").map(|leader| leader.id)
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
