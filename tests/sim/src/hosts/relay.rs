//! A worker's way to its leader, with somebody listening: what a worker reports is told to the checks, and now and then it
//! hears an old snapshot again, as if a leader of long ago had spoken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::assignment::{Down, Inventory, Snapshot, Up, Version};
use common::ids::SessionId;
use common::net::{Closed, LeaderLink, in_process};
use tokio::sync::mpsc;
use tokio::time::sleep;
use worker::dial::{Controllers, Dial};

use crate::brokers::{Brokers, Process};
use crate::dice::Dice;
use crate::world::lock;

/// How long a worker has to hear the old snapshot before the newest comes again.
const HEARS_WITHIN: Duration = Duration::from_millis(20);
/// What may be under way to a leader: more than a worker says while a connection stalls, so that nothing waits unheard.
const UNDER_WAY_MAX: usize = 4_096;
/// How many of a thousand snapshots are followed by an old one.
const OLD_SNAPSHOTS: u64 = 60;

/// Dials as the worker does, and listens.
pub struct Relay {
    ear: Ear,
    controllers: Controllers,
}

/// What is heard of one process, over all its connections.
#[derive(Clone)]
struct Ear {
    brokers: Arc<Brokers>,
    process: Process,
    heard: Arc<Mutex<Heard>>,
}

struct Heard {
    dice: Dice,
    snapshots: Vec<Arc<Snapshot>>,
    /// What each session said it applied last.
    applied: BTreeMap<SessionId, Version>,
}

impl Relay {
    /// The way of one process.
    pub fn new(brokers: &Arc<Brokers>, process: &Process, controllers: Controllers, dice: Dice) -> Self {
        let heard = Heard { dice, snapshots: Vec::new(), applied: BTreeMap::new() };
        let (brokers, heard) = (brokers.clone(), Arc::new(Mutex::new(heard)));
        Self { ear: Ear { brokers, process: process.clone(), heard }, controllers }
    }
}

impl Dial for Relay {
    async fn dial(&mut self) -> Result<LeaderLink, Closed> {
        let mut leader = self.controllers.dial().await?;
        let (worker_end, worker) = in_process();
        let (mut up, down) = worker.split();
        // What a worker reports is heard at once, however long it is under way: what waited in a queue would be heard as news.
        let (forward, mut forwarded) = mpsc::channel(UNDER_WAY_MAX);
        let ear = self.ear.clone();
        tokio::spawn(async move {
            let mut session = None;
            while let Some(up) = up.recv().await {
                match &up {
                    Up::Hello(hello) => session = Some(hello.session),
                    Up::Inventory(inventory) => ear.reports(session, inventory),
                    _ => {}
                }
                if forward.send(up).await.is_err() {
                    return;
                }
            }
        });
        let ear = self.ear.clone();
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    up = forwarded.recv() => {
                        let Some(up) = up else { return };
                        if leader.send(up).await.is_err() {
                            return;
                        }
                        continue;
                    }
                    message = leader.receive() => message,
                    () = down.closed() => return,
                };
                let Ok(message) = message else { return };
                let old = ear.old(&message);
                down.send(message.clone());
                if let Some(old) = old {
                    sleep(HEARS_WITHIN).await;
                    ear.brokers.world.bit("old-snapshot");
                    down.send(Down::Snapshot(old));
                    sleep(HEARS_WITHIN).await;
                    down.send(message);
                }
            }
        });
        Ok(worker_end)
    }
}

impl Ear {
    fn reports(&self, session: Option<SessionId>, inventory: &Inventory) {
        let applied = inventory.applied;
        let known = session.and_then(|session| lock(&self.heard).applied.insert(session, applied));
        if let Some(known) = known.filter(|known| applied < *known) {
            let found = format!("{} went from {known:?} back to {applied:?}", self.process);
            self.brokers.world.violated("C8", "a worker applies no older snapshot", found);
        }
        let running: BTreeSet<_> = inventory.running.iter().map(|running| running.partition.source()).collect();
        lock(&self.brokers.copies).reported(&self.process, &running);
    }

    /// An old snapshot to be heard again, now that this one is.
    fn old(&self, down: &Down) -> Option<Arc<Snapshot>> {
        let Down::Snapshot(snapshot) = down else { return None };
        let mut heard = lock(&self.heard);
        let Heard { dice, snapshots, .. } = &mut *heard;
        let old = dice.pick(snapshots).filter(|_| dice.hits(OLD_SNAPSHOTS));
        snapshots.push(snapshot.clone());
        old
    }
}
