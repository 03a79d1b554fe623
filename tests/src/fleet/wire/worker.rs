//! A worker that copies nothing and says what it is told to. Owns its connection and its heartbeats, which go on by
//! themselves: silence is a thing to be asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::parts::Parts;
use proto::v1::{self, leader_message, worker_message};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use super::super::PATIENCE;
use crate::wait;

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(300);

/// A worker's identity over its connections.
#[derive(Clone, Debug)]
pub struct FakeWorker {
    /// What it says of itself.
    pub hello: v1::Hello,
}

/// One connection; closed when dropped.
#[derive(Debug)]
pub struct Attached {
    up: mpsc::Sender<v1::WorkerMessage>,
    heard: Arc<Mutex<Heard>>,
    tasks: [JoinHandle<()>; 2],
}

/// What came down a connection.
#[derive(Clone, Debug, Default)]
struct Heard {
    snapshot: Option<v1::Snapshot>,
    renewed: Option<u64>,
    refused: Option<v1::Refused>,
    ended: Option<String>,
}

impl FakeWorker {
    /// A worker with a session of its own.
    pub fn new(id: &str) -> Self {
        let (session, address, software) = (super::ulid(), "127.0.0.1".to_owned(), "0.0.0-fake".to_owned());
        let (protocol, worker, fleet) = (super::PROTOCOL, id.to_owned(), String::new());
        let hello = v1::Hello { protocol, worker, session, address, software, weight: 1, fleet, pool: String::new() };
        Self { hello }
    }

    /// Connects to one controller; the first words are its hello and this inventory.
    pub fn attach(&self, address: &str, inventory: v1::Inventory) -> Result<Attached, tonic::Status> {
        super::block_on(self.attach_async(address, inventory))
    }

    /// Connects to whichever of these controllers leads, and waits for its first snapshot.
    #[track_caller]
    pub fn attach_to_leader(&self, addresses: &[String], inventory: &v1::Inventory) -> Attached {
        wait::until("a controller takes the worker", PATIENCE, || {
            addresses.iter().find_map(|address| {
                let attached = self.attach(address, inventory.clone()).ok()?;
                let answered = wait::until_or_none(Duration::from_secs(2), || {
                    let heard = attached.heard();
                    (heard.ended.is_some() || heard.snapshot.is_some()).then_some(heard.snapshot.is_some())
                });
                (answered == Some(true)).then_some(attached)
            })
        })
    }

    async fn attach_async(&self, address: &str, inventory: v1::Inventory) -> Result<Attached, tonic::Status> {
        let channel = super::connect(address).await?;
        let mut client = v1::fleet_client::FleetClient::new(channel);
        let (up, outbox) = mpsc::channel(64);
        for message in
            [worker_message::Message::Hello(self.hello.clone()), worker_message::Message::Inventory(inventory)]
        {
            up.try_send(v1::WorkerMessage { message: Some(message) }).expect("an empty queue has room");
        }
        let mut down = client.attach(ReceiverStream::new(outbox)).await?.into_inner();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let listening = tokio::spawn({
            let heard = Arc::clone(&heard);
            async move {
                let mut snapshot = Parts::<v1::Snapshot>::default();
                let end = loop {
                    match down.message().await {
                        Ok(Some(part)) => match snapshot.join(part) {
                            Ok(message) => message.into_iter().for_each(|message| lock(&heard).take(message)),
                            Err(error) => break error.to_string(),
                        },
                        Ok(None) => break "the stream ended".to_owned(),
                        Err(status) => break format!("{:?}: {}", status.code(), status.message()),
                    }
                };
                lock(&heard).ended = Some(end);
            }
        });
        let beating = tokio::spawn({
            let up = up.clone();
            async move {
                let mut ticks = tokio::time::interval(HEARTBEAT_INTERVAL);
                for number in 1.. {
                    ticks.tick().await;
                    let heartbeat = worker_message::Message::Heartbeat(v1::Heartbeat { number, rss_bytes: 0 });
                    if up.send(v1::WorkerMessage { message: Some(heartbeat) }).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Attached { up, heard, tasks: [listening, beating] })
    }
}

impl Heard {
    fn take(&mut self, message: v1::LeaderMessage) {
        match message.message {
            Some(leader_message::Message::Snapshot(snapshot)) => self.snapshot = Some(snapshot),
            Some(leader_message::Message::Renewed(renewed)) => self.renewed = Some(renewed.heartbeat),
            Some(leader_message::Message::Refused(refused)) => self.refused = Some(refused),
            None => {}
        }
    }
}

impl Attached {
    /// Says which snapshot was applied and what runs.
    pub fn report(&self, inventory: v1::Inventory) {
        // A connection that has ended is what some tests are about.
        let _ = self.up.try_send(v1::WorkerMessage { message: Some(worker_message::Message::Inventory(inventory)) });
    }

    /// Waits for a snapshot that is as wanted.
    #[track_caller]
    pub fn wait_for_snapshot(&self, what: &str, wanted: impl Fn(&v1::Snapshot) -> bool) -> v1::Snapshot {
        let found = wait::until_or_none(PATIENCE, || self.heard().snapshot.clone().filter(&wanted));
        found.unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain until {what}: {:#?}", *self.heard()))
    }

    /// Waits until the leader refuses the session, and says with which words.
    #[track_caller]
    pub fn wait_for_refusal(&self) -> v1::Refused {
        let found = wait::until_or_none(PATIENCE, || self.heard().refused.clone());
        found.unwrap_or_else(|| panic!("no refusal after {PATIENCE:?}: {:#?}", *self.heard()))
    }

    /// Waits until the connection has ended, and says how.
    #[track_caller]
    pub fn wait_for_end(&self, deadline: Duration) -> String {
        let found = wait::until_or_none(deadline, || self.heard().ended.clone());
        found.unwrap_or_else(|| panic!("the connection still stands after {deadline:?}: {:#?}", *self.heard()))
    }

    /// The newest heartbeat that was answered.
    pub fn renewed(&self) -> Option<u64> {
        self.heard().renewed
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        lock(&self.heard)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
