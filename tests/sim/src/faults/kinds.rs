//! The kinds of faults, how each begins and ends.

use std::time::Duration;

use controller::state::{Life, Vacancy};
use kafka::error::ErrorKind;
use kafka::memory::Faults as Roughness;
use turmoil::Sim;

use super::Faults;
use super::outage::Outage;
use crate::brokers::{SOURCE, TARGET};
use crate::hosts::operator;
use crate::site::Site;
use crate::world::lock;

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    ControllerDies,
    LeaderDies,
    WorkerDies,
    WorkerShutDown,
    /// A worker's host stands still.
    WorkerStops,
    /// Some links of a host lose all.
    Partition,
    /// They lose what the host says, or what it hears.
    OneWay,
    /// They carry nothing for a while, and then all.
    Delay,
    SlowDisk,
    /// A host can't reach a cluster.
    KafkaCut,
    /// No host can.
    KafkaDown,
    CommitsFail,
    /// The source forgets the offsets of what nobody has, as if it had been so for a week.
    OffsetsForgotten,
    /// The leader of a target partition answers nothing.
    TargetStalls,
    RecordsRefused,
    TopicDenied,
    /// All controllers die.
    Outage,
}

/// The names under which it is counted that a fault made a difference.
pub const BITES: &[&str] = &[
    "commit-fault",
    "controller-dies",
    "delay",
    "fast-clock",
    "forgotten-offset",
    "kafka-cut",
    "kafka-down",
    "late-store",
    "lost-write",
    "old-snapshot",
    "one-way-partition",
    "outage",
    "partition",
    "refused-record",
    "slow-disk",
    "stop",
    "target-stall",
    "topic-denied",
    "worker-dies",
    "worker-shut-down",
];

/// How a fault ends.
pub enum Undo {
    /// By itself.
    Nothing,
    Restart(String),
    /// These links carry again what the first says to the second.
    Mend(Vec<(String, String)>),
    /// These links carry all that was held.
    Release(Vec<(String, String)>),
    Reach(Vec<String>, &'static str),
    CommitsWork,
    TargetGoesOn(String, u32),
    RecordsTaken,
    TopicAllowed(&'static str),
    Outage(Outage),
}

impl Kind {
    /// What may happen, as often as it stands here.
    pub const ALL: &[Self] = &[
        Self::ControllerDies,
        Self::LeaderDies,
        Self::WorkerDies,
        Self::WorkerDies,
        Self::WorkerShutDown,
        Self::WorkerStops,
        Self::WorkerStops,
        Self::Partition,
        Self::Partition,
        Self::OneWay,
        Self::OneWay,
        Self::Delay,
        Self::SlowDisk,
        Self::KafkaCut,
        Self::KafkaCut,
        Self::KafkaDown,
        Self::CommitsFail,
        Self::CommitsFail,
        Self::OffsetsForgotten,
        Self::OffsetsForgotten,
        Self::TargetStalls,
        Self::RecordsRefused,
        Self::TopicDenied,
        Self::Outage,
    ];
}

impl Faults {
    /// Begins a fault. Returns how long it lasts and how it ends; `None` if there is nobody it could happen to.
    pub(super) fn begin(&mut self, sim: &mut Sim<'_>, kind: Kind) -> Option<(Duration, Undo)> {
        let (site, now) = (self.site.clone(), self.site.world.now());
        let alive = |names: &[String], down: &std::collections::BTreeSet<String>| {
            names.iter().filter(|name| !down.contains(*name)).cloned().collect::<Vec<String>>()
        };
        let (controllers, workers) = (alive(&site.controllers, &self.down), alive(&site.workers, &self.down));
        site.world.note("fault", format_args!("{kind:?}"));
        match kind {
            Kind::ControllerDies | Kind::LeaderDies => {
                let leads = |name: &String| site.running().get(name).is_some_and(|it| it.seat.leading().is_some());
                let leader = controllers.iter().find(|name| kind == Kind::LeaderDies && leads(name)).cloned();
                let victim = leader.or_else(|| self.dice.pick(&controllers))?;
                self.kill(sim, &victim);
                site.world.bit("controller-dies");
                Some((self.dice.millis(50, 8_000), Undo::Restart(victim)))
            }
            Kind::WorkerDies => {
                let victim = self.dice.pick(&workers)?;
                self.kill(sim, &victim);
                site.world.bit("worker-dies");
                Some((self.dice.millis(50, 9_000), Undo::Restart(victim)))
            }
            Kind::WorkerShutDown => {
                let victim = self.dice.pick(&workers)?;
                if site.shut_down(&victim) {
                    site.world.bit("worker-shut-down");
                }
                Some((Duration::from_secs(1), Undo::Nothing))
            }
            Kind::WorkerStops => {
                let (victim, lasts) = (self.dice.pick(&workers)?, self.dice.millis(300, 12_000));
                site.stops.stop(&victim, now + lasts);
                lock(&site.brokers.copies).stands_still(&victim, now + lasts);
                Some((lasts, Undo::Nothing))
            }
            Kind::Partition => {
                let links = self.some_links()?;
                let mut cut = Vec::new();
                for (a, b) in links {
                    sim.partition(a.as_str(), b.as_str());
                    cut.extend([(a.clone(), b.clone()), (b, a)]);
                }
                cut.iter().for_each(|(from, to)| site.links.trouble("partition", from, to));
                Some((self.dice.millis(500, 12_000), Undo::Mend(cut)))
            }
            Kind::OneWay => {
                let (links, hears) = (self.some_links()?, self.dice.hits(500));
                let turn = |(a, b): (String, String)| if hears { (b, a) } else { (a, b) };
                let cut: Vec<_> = links.into_iter().map(turn).collect();
                for (from, to) in &cut {
                    sim.partition_oneway(from.as_str(), to.as_str());
                    site.links.trouble("one-way-partition", from, to);
                }
                Some((self.dice.millis(500, 12_000), Undo::Mend(cut)))
            }
            Kind::Delay => {
                let links = self.some_links()?;
                for (a, b) in &links {
                    sim.hold(a.as_str(), b.as_str());
                    site.links.trouble("delay", a, b);
                    site.links.trouble("delay", b, a);
                }
                Some((self.dice.millis(200, 4_000), Undo::Release(links)))
            }
            Kind::SlowDisk => {
                let (victim, lasts) = (self.dice.pick(&controllers)?, self.dice.millis(500, 6_000));
                site.disk(&victim).slow_down(now + lasts);
                Some((lasts, Undo::Nothing))
            }
            Kind::KafkaCut | Kind::KafkaDown => {
                let cluster = self.dice.pick(&[SOURCE, TARGET])?;
                let all: Vec<String> = site.controllers.iter().chain(&site.workers).cloned().collect();
                let hosts = if kind == Kind::KafkaDown { all } else { vec![self.dice.pick(&workers)?] };
                let name = if kind == Kind::KafkaDown { "kafka-down" } else { "kafka-cut" };
                hosts.iter().for_each(|host| site.brokers.set_cut(host, cluster, Some(name)));
                Some((self.dice.millis(500, 9_000), Undo::Reach(hosts, cluster)))
            }
            Kind::CommitsFail => {
                site.brokers.set_commit_faults(self.dice.between(100, 600));
                Some((self.dice.millis(2_000, 15_000), Undo::CommitsWork))
            }
            Kind::OffsetsForgotten => {
                forget_offsets(&site)?;
                Some((Duration::ZERO, Undo::Nothing))
            }
            Kind::TargetStalls => {
                let topic = self.dice.pick(&["t0", "t1", "u0"])?;
                site.brokers.target.topic_id(topic)?;
                site.brokers.stall(topic, 0);
                Some((self.dice.millis(300, 8_000), Undo::TargetGoesOn(topic.to_owned(), 0)))
            }
            Kind::RecordsRefused => {
                let refusals = vec![ErrorKind::InvalidRecord, ErrorKind::RecordTooLarge];
                let refused = u32::try_from(self.dice.between(5, 40)).expect("small");
                site.brokers.target.set_faults(Roughness { refused, refusals, ..site.brokers.roughness() });
                Some((self.dice.millis(300, 3_000), Undo::RecordsTaken))
            }
            Kind::TopicDenied => {
                let topic = self.dice.pick(&["t0", "t1", "u0"])?;
                site.brokers.source.set_denied(topic, true, false);
                Some((self.dice.millis(500, 6_000), Undo::TopicAllowed(topic)))
            }
            Kind::Outage => {
                self.end(sim);
                let outage = Outage::begin(&site);
                for controller in &site.controllers {
                    if !self.down.contains(controller) {
                        self.kill(sim, controller);
                    }
                }
                Some((self.dice.millis(7_000, 12_000), Undo::Outage(outage)))
            }
        }
    }

    /// Ends a fault.
    pub(super) fn undo(&mut self, sim: &mut Sim<'_>, undo: Undo) {
        let site = self.site.clone();
        match undo {
            Undo::Nothing => {}
            Undo::Restart(host) => self.restart(sim, &host),
            Undo::Mend(links) => {
                for (from, to) in links {
                    sim.repair_oneway(from.as_str(), to.as_str());
                    site.links.mend(&from, &to);
                }
            }
            Undo::Release(links) => {
                for (a, b) in links {
                    sim.release(a.as_str(), b.as_str());
                    site.links.mend(&a, &b);
                    site.links.mend(&b, &a);
                }
            }
            Undo::Reach(hosts, cluster) => {
                hosts.iter().for_each(|host| site.brokers.set_cut(host, cluster, None));
            }
            Undo::CommitsWork => site.brokers.set_commit_faults(0),
            Undo::TargetGoesOn(topic, partition) => site.brokers.unstall(&topic, partition),
            Undo::RecordsTaken => site.brokers.target.set_faults(site.brokers.roughness()),
            Undo::TopicAllowed(topic) => site.brokers.source.set_denied(topic, false, false),
            Undo::Outage(outage) => {
                outage.end(&site);
                for controller in site.controllers.clone() {
                    self.restart(sim, &controller);
                }
            }
        }
        site.world.note("fault", "one is over");
    }

    /// Some links of one host that are not in trouble yet.
    fn some_links(&mut self) -> Option<Vec<(String, String)>> {
        let mut hosts: Vec<String> = self.site.controllers.iter().chain(&self.site.workers).cloned().collect();
        hosts.push(operator::NAME.to_owned());
        let victim = self.dice.pick(&hosts)?;
        let is_free = |other: &&String| {
            let links = &self.site.links;
            **other != victim && !links.is_troubled(&victim, other) && !links.is_troubled(other, &victim)
        };
        let free: Vec<String> = hosts.iter().filter(is_free).cloned().collect();
        let rate = self.dice.pick(&[200, 500, 1_000])?;
        let some: Vec<_> =
            free.into_iter().filter(|_| self.dice.hits(rate)).map(|other| (victim.clone(), other)).collect();
        (!some.is_empty()).then_some(some)
    }
}

/// Has the source forget what was given back and noted, if something was. The first offset of each topic stays: of a topic that
/// is neither in the table nor in a group nobody knows that it was mirrored before, and its target is not grown.
fn forget_offsets(site: &Site) -> Option<()> {
    let leading = site.running().into_values().find_map(|it| it.seat.leading())?;
    let (state, source) = (leading.handle.state(), &site.brokers.source);
    let mut is_any = false;
    for (id, slot) in state.slots().iter().filter(|(_, slot)| slot.life == Life::Unassigned(Vacancy::Released)) {
        let (group, topic) = (&state.routes()[&id.route].settings.group, id.topic.as_str());
        let is_stored = |partition| source.group_offset(group, topic, partition).is_some();
        if let Some(noted) = slot.noted_offset.get().filter(|_| (0..id.partition.0).any(is_stored)) {
            source.forget_group_offset(group, topic, id.partition.0);
            lock(&site.brokers.copies).forgotten(id.source(), noted);
            is_any = true;
        }
    }
    is_any.then_some(())
}
