//! Who something is done to. Owns the choice; the same seed chooses the same.

use std::collections::BTreeSet;

use replisome_tests::fleet::{Fleet, Place, Table};
use replisome_tests::random::Random;

use crate::scenario::Whom;

/// Workers by id, controllers by index, or a partition.
#[derive(Clone, Debug, Default)]
pub struct Victims {
    /// Ids.
    pub workers: BTreeSet<String>,
    /// Indices in [`Fleet::controllers`].
    pub controllers: BTreeSet<usize>,
    /// For what is done to a partition.
    pub partition: Option<Place>,
}

impl Victims {
    /// Chooses; `before` are those of the step before.
    pub fn choose(whom: Whom, round: usize, fleet: &Fleet, table: &Table, random: &mut Random, before: Self) -> Self {
        let leader = || BTreeSet::from([fleet.leader()]);
        let mut drawn = |count| draw(fleet, count, random);
        match whom {
            Whom::AWorker => Self { workers: drawn(1), ..Self::default() },
            Whom::TwoWorkers => Self { workers: drawn(2), ..Self::default() },
            Whom::ThreeWorkers => Self { workers: drawn(3), ..Self::default() },
            Whom::NextWorker => {
                let next = fleet.workers[round % fleet.workers.len()].name().to_owned();
                Self { workers: BTreeSet::from([next]), ..Self::default() }
            }
            Whom::Leader => Self { controllers: leader(), ..Self::default() },
            Whom::LeaderAndAWorker => Self { workers: drawn(1), controllers: leader(), ..Self::default() },
            Whom::Controllers => Self { controllers: (0..fleet.controllers.len()).collect(), ..Self::default() },
            Whom::APartition => {
                let index = random.below(table.rows.len() as u64) as usize;
                Self { partition: table.rows.keys().nth(index).cloned(), ..Self::default() }
            }
            Whom::Those => before,
        }
    }

    /// The partitions that they have.
    pub fn own(&self, table: &Table) -> BTreeSet<Place> {
        self.workers.iter().flat_map(|worker| table.of(worker)).chain(self.partition.clone()).collect()
    }
}

fn draw(fleet: &Fleet, count: usize, random: &mut Random) -> BTreeSet<String> {
    let mut drawn = BTreeSet::new();
    while drawn.len() < count {
        let index = random.below(fleet.workers.len() as u64) as usize;
        drawn.insert(fleet.workers[index].name().to_owned());
    }
    drawn
}

impl std::fmt::Display for Victims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let controllers = self.controllers.iter().map(|index| format!("controller-{}", index + 1));
        let partition = self.partition.iter().map(|(topic, number)| format!("{topic}-{number}"));
        let names: Vec<String> = self.workers.iter().cloned().chain(controllers).chain(partition).collect();
        f.write_str(&names.join(", "))
    }
}
