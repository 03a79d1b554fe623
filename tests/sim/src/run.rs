//! One run.

use std::sync::Arc;
use std::time::Duration;

use kafka::memory::MemoryClients;

use crate::checks::controllers::Controllers;
use crate::hosts::controller;
use crate::site::Site;
use crate::world::World;

const TICK: Duration = Duration::from_millis(5);

/// Runs a seed.
pub fn run(seed: u64, prints: bool) {
    let world = Arc::new(World::new(seed, prints));
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(3_600))
        .min_message_latency(Duration::from_millis(0))
        .max_message_latency(Duration::from_millis(15))
        .tcp_capacity(65_536)
        .epoch(std::time::SystemTime::UNIX_EPOCH)
        .build();
    let site = Site::new(&world, 3);
    let clusters = Arc::new(MemoryClients::default());
    for (index, name) in site.controllers.iter().enumerate() {
        let (site, clusters, dice) = (site.clone(), clusters.clone(), world.dice(&format!("starts of {name}")));
        let dice = std::cell::RefCell::new(dice);
        sim.host(name.as_str(), move || {
            let dice = crate::dice::Dice::new(dice.borrow_mut().draw(), "start");
            controller::run(site.clone(), index + 1, clusters.clone(), dice)
        });
    }
    let mut checks = Controllers::default();
    let mut dice = world.dice("faults");
    let mut down: Option<(String, Duration)> = None;
    while world.now() < Duration::from_secs(60) {
        sim.step().expect("no host fails");
        world.set_now(sim.elapsed());
        checks.look(&site);
        match &down {
            Some((name, until)) if *until <= world.now() => {
                sim.bounce(name.as_str());
                down = None;
            }
            None if dice.hits(2) => {
                let name = dice.pick(&site.controllers).expect("some");
                world.note("fault", format_args!("{name} dies"));
                site.ended(&name);
                sim.crash(name.as_str());
                site.disk(&name).crash();
                world.bit("controller-crash");
                down = Some((name, world.now() + dice.millis(100, 5_000)));
            }
            _ => {}
        }
        if let Some(violation) = world.violation() {
            println!("seed {seed}: {violation}");
            return;
        }
    }
    println!("seed {seed}: {:016x} {} elections, {:?}", world.hash(), checks.elections(), world.bites());
}
