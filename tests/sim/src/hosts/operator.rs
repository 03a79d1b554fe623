//! The operator: changes through the controllers' own gRPC service, by way of a network that is in trouble too. What was
//! acknowledged is asked again at the end, under its request id (C7).

use std::sync::Arc;
use std::time::Duration;

use proto::v1::{ChangeReply, RequestContext};
use tokio::time::sleep;

use crate::dice::Dice;
use crate::hosts::asker::{Answer, Asker};
use crate::hosts::caller::Caller;
use crate::hosts::requests::Request;
use crate::site::{Phase, Site};

/// The operator's host.
pub const NAME: &str = "operator";
/// How many others call at the same time.
const CALLERS: usize = 3;
/// How long a change is asked for while there is trouble.
const PATIENCE: Duration = Duration::from_secs(6);
/// How many acknowledged changes are asked again at the end.
const REPEATED: usize = 40;

/// The operator.
pub struct Operator {
    site: Arc<Site>,
    asker: Asker,
    acknowledged: Vec<(Request, String, u64)>,
}

impl Operator {
    /// An operator who has done nothing yet.
    pub fn new(site: &Arc<Site>, dice: Dice) -> Self {
        Self { site: site.clone(), asker: Asker::new(site, dice), acknowledged: Vec::new() }
    }

    /// Does what the phase of the run asks for, to the end.
    pub async fn run(mut self) -> turmoil::Result {
        for number in 0..CALLERS {
            let caller = Caller::new(&self.site, number, self.site.world.dice(&format!("caller {number}")));
            tokio::spawn(caller.run());
        }
        let mut done = None;
        loop {
            let phase = self.site.phase();
            if phase > Phase::Trouble {
                self.site.orders.grow_targets(&self.site);
            }
            match phase {
                Phase::Trouble => self.meddle().await,
                _ if done == Some(phase) => {}
                Phase::Found => _ = self.insist(self.site.orders.found(self.site.pools)).await,
                Phase::Heal => {
                    // What was never answered may be done yet: then something is refused, and what is so now is looked at.
                    while !self.insist(self.site.orders.restore()).await {
                        sleep(Duration::from_millis(500)).await;
                    }
                    self.repeat().await;
                }
                Phase::Moves => {
                    let moves = self.site.orders.moves(&self.site, &mut self.asker.dice);
                    for request in moves {
                        self.change(request, PATIENCE).await;
                        sleep(self.asker.dice.millis(300, 900)).await;
                    }
                }
                Phase::Election | Phase::Over => {}
            }
            done = Some(phase);
            self.site.operator_did(phase);
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Something at random.
    async fn meddle(&mut self) {
        sleep(self.asker.dice.millis(200, 2_500)).await;
        if let Some(request) = self.site.orders.random(&self.site, &mut self.asker.dice) {
            self.change(request, PATIENCE).await;
        }
    }

    /// Asks until each change is answered. Whether none was refused.
    async fn insist(&mut self, requests: Vec<Request>) -> bool {
        let mut all_given = true;
        for request in requests {
            let answer = loop {
                match self.change(request.clone(), PATIENCE).await {
                    Answer::Unknown => {}
                    answer => break answer,
                }
            };
            all_given &= matches!(answer, Answer::Given(_));
        }
        all_given
    }

    /// Asks for what was acknowledged once more: it must be known.
    async fn repeat(&mut self) {
        let from = self.acknowledged.len().saturating_sub(REPEATED);
        let latest: Vec<_> = self.acknowledged.iter().skip(from).cloned().collect();
        for (request, id, revision) in latest {
            loop {
                match self.ask(&request, &id, PATIENCE).await {
                    Answer::Given(again) if again.revision == revision => break,
                    Answer::Unknown => {}
                    Answer::Given(again) => {
                        return self.lost(&request, revision, &format!("it is {} now", again.revision));
                    }
                    Answer::Refused => return self.lost(&request, revision, "it is refused now"),
                }
            }
        }
    }

    fn lost(&self, request: &Request, revision: u64, found: &str) {
        let found = format!("{request:?} was revision {revision}, {found}");
        self.site.world.violated("C7", "an acknowledged command survives", found);
    }

    /// Asks for a change, under a new request id.
    async fn change(&mut self, request: Request, patience: Duration) -> Answer<ChangeReply> {
        let id = ulid::Ulid::generate().to_string();
        let answer = self.ask(&request, &id, patience).await;
        let world = &self.site.world;
        match &answer {
            // One with nothing to move is no change, and finds what there is each time it is asked for.
            Answer::Given(reply) if reply.existed && matches!(request, Request::Rebalance { .. }) => {
                world.note(NAME, format_args!("{request:?}: nothing to do"));
            }
            Answer::Given(ChangeReply { revision, .. }) => {
                let revision = *revision;
                world.note(NAME, format_args!("{request:?}: revision {revision}"));
                if let Some((before, _, last)) = self.acknowledged.last().filter(|(_, _, last)| *last >= revision) {
                    let found = format!("{request:?} is revision {revision}, {before:?} before it was {last}");
                    world.violated("C7", "changes stand in the order in which they were answered", found);
                }
                self.acknowledged.push((request, id, revision));
            }
            Answer::Refused => world.note(NAME, format_args!("{request:?}: refused")),
            Answer::Unknown => world.note(NAME, format_args!("{request:?}: unknown")),
        }
        answer
    }

    /// Asks for a change under a request id.
    async fn ask(&mut self, request: &Request, id: &str, patience: Duration) -> Answer<ChangeReply> {
        let context = RequestContext { request_id: id.to_owned(), actor: NAME.to_owned() };
        self.asker.ask(patience, |admin| request.clone().ask(admin, context.clone())).await
    }
}
