//! A disk in memory, behind the controllers' `Medium`: what was not synced when its process dies is gone, but for as many
//! of the first writes as the dice say. It survives the process; each start opens it anew.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::blocking::{Blocking, Call, Made};
use controller::raft::{Medium, Pairs, Tree};

use crate::dice::Dice;
use crate::world::{World, lock};

/// Changes of one tree that are written together.
type Write = (Tree, Vec<(Vec<u8>, Option<Vec<u8>>)>);
type Bytes = BTreeMap<(Tree, Vec<u8>), Vec<u8>>;

/// The disk of one controller.
#[derive(Clone)]
pub struct Disk {
    world: Arc<World>,
    platters: Arc<Mutex<Platters>>,
}

struct Platters {
    /// What the process reads.
    current: Bytes,
    /// What is there after a crash, at least.
    durable: Bytes,
    /// What was written since the last sync.
    unsynced: Vec<Write>,
    files: BTreeMap<String, Vec<u8>>,
    dice: Dice,
    slow_until: Duration,
}

/// The disk, opened by one process.
struct Opened(Disk);

impl Disk {
    /// An empty disk.
    pub fn new(world: &Arc<World>, name: &str) -> Self {
        let (current, durable, unsynced, files, slow_until) = Default::default();
        let dice = world.dice(&format!("disk of {name}"));
        let platters = Platters { current, durable, unsynced, files, dice, slow_until };
        Self { world: world.clone(), platters: Arc::new(Mutex::new(platters)) }
    }

    /// Opens it.
    pub fn open(&self) -> Arc<dyn Medium> {
        Arc::new(Opened(self.clone()))
    }

    /// Its process died.
    pub fn crash(&self) {
        let mut platters = lock(&self.platters);
        let Platters { current, durable, unsynced, dice, .. } = &mut *platters;
        let written = std::mem::take(unsynced);
        let kept = dice.below(written.len() as u64 + 1);
        if kept < written.len() as u64 {
            self.world.bit("lost-write");
        }
        for write in written.into_iter().take(usize::try_from(kept).expect("it was counted")) {
            apply(durable, write);
        }
        *current = durable.clone();
    }

    /// Each access takes long until then.
    pub fn slow_down(&self, until: Duration) {
        lock(&self.platters).slow_until = until;
    }
}

fn apply(bytes: &mut Bytes, (tree, changes): Write) {
    for (key, value) in changes {
        match value {
            Some(value) => bytes.insert((tree, key), value),
            None => bytes.remove(&(tree, key)),
        };
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a disk in memory")
    }
}

impl Blocking for Opened {
    fn run(&self, call: Call) -> Made {
        let now = self.0.world.now();
        let mut platters = lock(&self.0.platters);
        let latency = if now < platters.slow_until {
            self.0.world.bit("slow-disk");
            platters.dice.millis(20, 400)
        } else {
            platters.dice.millis(0, 3).saturating_sub(Duration::from_millis(2))
        };
        drop(platters);
        // The access goes on when nobody waits for it any more, but not when its process is dead.
        let made = tokio::spawn(async move {
            tokio::time::sleep(latency).await;
            call();
        });
        Box::pin(async {
            let _ = made.await;
        })
    }
}

impl Medium for Opened {
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(lock(&self.0.platters).current.get(&(tree, key.to_vec())).cloned())
    }

    fn range(&self, tree: Tree, range: RangeInclusive<&[u8]>) -> Pairs<'_> {
        let range = (tree, range.start().to_vec())..=(tree, range.end().to_vec());
        let platters = lock(&self.0.platters);
        let pairs = platters.current.range(range).map(|((_, key), value)| Ok((key.clone(), value.clone())));
        Box::new(pairs.collect::<Vec<_>>().into_iter())
    }

    fn write(&self, tree: Tree, changes: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> io::Result<()> {
        let mut platters = lock(&self.0.platters);
        apply(&mut platters.current, (tree, changes.clone()));
        platters.unsynced.push((tree, changes));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut platters = lock(&self.0.platters);
        for write in std::mem::take(&mut platters.unsynced) {
            apply(&mut platters.durable, write);
        }
        Ok(())
    }

    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(lock(&self.0.platters).files.get(name).cloned())
    }

    fn replace_file(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        lock(&self.0.platters).files.insert(name.to_owned(), parts.concat());
        Ok(())
    }
}
