//! What the operator is to do in each phase.

use std::sync::Mutex;

use common::ids::{Partition, RoutePartition, TopicPartition};
use common::reason::Reason;
use controller::state::{Slot, State};

use crate::dice::Dice;
use crate::hosts::requests::Request;
use crate::pools::Pools;
use crate::site::Site;
use crate::workload::{FLAGS, ROUTES};
use crate::world::lock;

/// What the operator knows of the fleet.
#[derive(Debug, Default)]
pub struct Orders {
    /// The newest table.
    table: Mutex<Option<State>>,
}

impl Orders {
    /// A newer table was seen.
    pub fn set_table(&self, table: State) {
        *lock(&self.table) = Some(table);
    }

    /// What makes a fleet of controllers and workers.
    pub fn found(&self, pools: Pools) -> Vec<Request> {
        let clusters = [crate::brokers::SOURCE, crate::brokers::TARGET];
        let clusters = clusters.into_iter().map(|name| Request::AddCluster { name });
        let route = |name, include| Request::AddRoute { name, include, pool: pools.of_route(name) };
        let routes = ROUTES.iter().map(|(name, include)| route(name, include));
        let flags = FLAGS.iter().map(|name| route(name, "nothing"));
        clusters.chain(routes).chain(flags).collect()
    }

    /// What undoes all that the operator may have done.
    pub fn restore(&self) -> Vec<Request> {
        let table = lock(&self.table);
        let Some(table) = table.as_ref() else { return Vec::new() };
        let mut requests = Vec::new();
        for (name, route) in table.routes() {
            let route_name = name.to_string();
            requests.push(Request::ResumeRoute { route: route_name.clone() });
            for topic in &route.removed_topics {
                requests.push(Request::AddTopic { route: route_name.clone(), topic: topic.to_string() });
            }
        }
        for ((route, topic), row) in table.topics() {
            let (route, topic) = (route.to_string(), topic.to_string());
            for partition in &row.paused_partitions {
                let (route, topic, partition) = (route.clone(), topic.clone(), Some(partition.0));
                requests.push(Request::ResumeTopic { route, topic, partition });
            }
            requests.push(Request::ResumeTopic { route, topic, partition: None });
        }
        requests.extend(table.workers().keys().map(|worker| Request::Undrain { worker: worker.to_string() }));
        let pinned = table.slots().iter().filter(|(_, slot)| slot.pin.is_some());
        requests.extend(pinned.map(|(id, _)| Request::Unpin { partition: id.clone() }));
        requests.push(Request::Unfreeze);
        requests
    }

    /// Gives target topics the partitions that they lack, where nothing was ever copied: the fleet leaves those to the operator.
    pub fn grow_targets(&self, site: &Site) {
        let (table, copies) = (lock(&self.table), lock(&site.brokers.copies));
        for ((_, topic), row) in table.iter().flat_map(|table| table.topics()) {
            let Some(Reason::TooFewPartitions { source, .. }) = row.waiting else { continue };
            let place = |partition| TopicPartition::new(topic.clone(), Partition(partition));
            if (0..source).all(|partition| copies.greatest(&place(partition)).is_none()) {
                site.brokers.target.grow_topic(row.target.as_str(), source);
            }
        }
    }

    /// Planned moves, one after the other; in the end all is even.
    pub fn moves(&self, site: &Site, dice: &mut Dice) -> Vec<Request> {
        let moved = (0..4).filter_map(|_| self.move_one(site, dice));
        let mut requests: Vec<Request> = moved.collect();
        let worker = dice.pick(&site.workers).expect("there are workers");
        requests.push(Request::Drain { worker: worker.clone() });
        requests.push(Request::Undrain { worker });
        requests.push(Request::Rebalance { moves_max: None });
        requests
    }

    /// Anything.
    pub fn random(&self, site: &Site, dice: &mut Dice) -> Option<Request> {
        let worker = dice.pick(&site.workers)?;
        let topics = {
            let table = lock(&self.table);
            let keys = table.as_ref()?.topics().iter();
            keys.map(|((route, topic), row)| {
                let partitions = row.facts.map_or(0, |facts| facts.partitions);
                (route.to_string(), topic.to_string(), partitions)
            })
            .collect::<Vec<_>>()
        };
        let (route, topic, partitions) = dice.pick(&topics)?;
        let partition = (partitions > 0 && dice.hits(600))
            .then(|| u32::try_from(dice.below(partitions.into())).expect("below a u32"));
        Some(match dice.below(20) {
            0 => Request::PauseRoute { route },
            1 => Request::ResumeRoute { route },
            2 => Request::RemoveTopic { route, topic },
            3 | 4 => Request::PauseTopic { route, topic, partition },
            5 | 6 => Request::ResumeTopic { route, topic, partition },
            7 => Request::Drain { worker },
            8 => Request::Undrain { worker },
            9 => self.removed(dice)?,
            10 | 11 => Request::Pin { partition: self.any(dice, |_| true)?, worker: dice.pick(&site.workers)? },
            12 => Request::Unpin { partition: self.any(dice, |slot| slot.pin.is_some())? },
            13 => Request::Rebalance { moves_max: dice.hits(500).then_some(2) },
            14 => Request::Freeze,
            15 | 16 => Request::Unfreeze,
            17 => Request::RemoveWorker { worker },
            18 => Request::ReleaseHold,
            _ => self.move_one(site, dice)?,
        })
    }

    fn move_one(&self, site: &Site, dice: &mut Dice) -> Option<Request> {
        Some(Request::Move { partition: self.any(dice, |_| true)?, worker: dice.pick(&site.workers)? })
    }

    /// One of the partitions that are so.
    fn any(&self, dice: &mut Dice, is_so: impl Fn(&Slot) -> bool) -> Option<RoutePartition> {
        let table = lock(&self.table);
        let are_so = table.as_ref()?.slots().iter().filter(|(_, slot)| is_so(slot));
        dice.pick(&are_so.map(|(id, _)| id.clone()).collect::<Vec<_>>())
    }

    /// Adds a topic again that was removed.
    fn removed(&self, dice: &mut Dice) -> Option<Request> {
        let table = lock(&self.table);
        let removed = |(name, route): (&common::ids::RouteName, &controller::state::Route)| {
            let topics = route.removed_topics.iter();
            topics.map(|topic| (name.to_string(), topic.to_string())).collect::<Vec<_>>()
        };
        let removed: Vec<_> = table.as_ref()?.routes().iter().flat_map(removed).collect();
        dice.pick(&removed).map(|(route, topic)| Request::AddTopic { route, topic })
    }
}
