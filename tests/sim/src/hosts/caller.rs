//! One of several who pause and resume the same routes at the same time, and look whether they are paused. All calls and
//! answers are put down, to be judged together (`checks::history`). Nothing is on these routes.
//!
//! A change is asked for under one request id until it is answered, by whichever controller: so it happens once. Only what is
//! still asked when the trouble ends has no answer.

use std::sync::Arc;
use std::time::Duration;

use proto::v1;
use proto::v1::RequestContext;
use tokio::time::sleep;

use crate::checks::history::{Call, Found};
use crate::dice::Dice;
use crate::hosts::asker::{Answer, Asker};
use crate::hosts::operator::NAME;
use crate::hosts::requests::Request;
use crate::site::{Phase, Site};
use crate::workload::FLAGS;
use crate::world::lock;

/// How long something is asked before it is asked again.
const PATIENCE: Duration = Duration::from_secs(6);

/// One caller.
pub struct Caller {
    site: Arc<Site>,
    number: usize,
    asker: Asker,
}

impl Caller {
    /// One who has not called yet.
    pub fn new(site: &Arc<Site>, number: usize, dice: Dice) -> Self {
        Self { site: site.clone(), number, asker: Asker::new(site, dice) }
    }

    /// Calls while there is trouble.
    pub async fn run(mut self) {
        loop {
            sleep(self.asker.dice.millis(300, 2_500)).await;
            match self.site.phase() {
                Phase::Found => {}
                Phase::Trouble => self.call().await,
                _ => return,
            }
        }
    }

    async fn call(&mut self) {
        let flag = self.asker.dice.pick(&FLAGS).expect("there are flags");
        let call = self.asker.dice.pick(&[Call::Set(true), Call::Set(false), Call::Look]).expect("there are calls");
        lock(&self.site.history).called(flag, self.number, call);
        let found = match call {
            Call::Look => self.look(flag).await,
            Call::Set(paused) => self.set(flag, paused).await,
        };
        if let Some(found) = found
            && self.site.phase() == Phase::Trouble
        {
            self.site.world.note(NAME, format_args!("{} asks {flag}: {call:?}, {found:?}", self.number));
            lock(&self.site.history).answered(flag, self.number, found);
        }
    }

    async fn look(&mut self, flag: &str) -> Option<Found> {
        while self.site.phase() == Phase::Trouble {
            let asked = v1::ListRoutesRequest { name: flag.to_owned() };
            let call = |mut admin: v1::admin_client::AdminClient<_>| {
                let asked = asked.clone();
                async move { admin.list_routes(asked).await }
            };
            if let Answer::Given(reply) = self.asker.ask(PATIENCE, call).await {
                return Some(Found(reply.routes.iter().any(|route| route.state == "paused")));
            }
        }
        None
    }

    async fn set(&mut self, flag: &str, paused: bool) -> Option<Found> {
        let route = flag.to_owned();
        let request = if paused { Request::PauseRoute { route } } else { Request::ResumeRoute { route } };
        let context = RequestContext { request_id: ulid::Ulid::generate().to_string(), actor: NAME.to_owned() };
        while self.site.phase() == Phase::Trouble {
            let call = |admin| request.clone().ask(admin, context.clone());
            if let Answer::Given(reply) = self.asker.ask(PATIENCE, call).await {
                return Some(Found(if reply.existed { paused } else { !paused }));
            }
        }
        None
    }
}
