//! Finds the leader and asks it, again and again until the time is up. A change carries the same request id each time,
//! so that asking again does not do it twice; one that was sent and never answered has an unknown outcome, which is
//! neither success nor failure.

use std::cell::Cell;
use std::time::Duration;

use proto::v1::{ChangeReply, ControllerChangeReply, RequestContext};
use tokio::time::{Instant, sleep_until};
use tonic::{Response, Status};

use super::actor::actor;
use super::attempt::{self, Admin, Trouble};
use super::search::Search;
use crate::failure::{Exit, Failure};
use crate::output;

/// How long to wait between two rounds over all controllers: an election takes a few of these.
const ROUND_PAUSE: Duration = Duration::from_millis(200);

/// How long a person looks at nothing before wondering what goes on.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// A client of a fleet.
pub struct Client {
    controllers: Vec<String>,
    timeout: Duration,
    /// Whether it was said that a leader is waited for: once is enough.
    is_wait_told: Cell<bool>,
}

/// Why nothing came of asking.
enum Lost {
    /// The leader has judged.
    Judged(Failure),
    /// The time is up, or nobody is there.
    Nobody(Search),
}

impl Client {
    /// A client that tries each of `controllers`, for `timeout` in all.
    pub fn new(controllers: Vec<String>, timeout: Duration) -> Self {
        Self { controllers, timeout, is_wait_told: Cell::new(false) }
    }

    /// Asks the leader something that changes nothing.
    pub async fn read<R>(&self, call: impl AsyncFn(Admin) -> Result<Response<R>, Status>) -> Result<R, Failure> {
        self.ask(call).await.map_err(|lost| match lost {
            Lost::Judged(failure) => failure,
            Lost::Nobody(search) => self.nobody(&search),
        })
    }

    /// Asks the leader for a change. `find_out` is the command that shows whether it was made.
    pub async fn change(
        &self,
        find_out: &str,
        call: impl AsyncFn(Admin, RequestContext) -> Result<Response<ChangeReply>, Status>,
    ) -> Result<ChangeReply, Failure> {
        let context = context();
        let asked = self.ask(async |admin| call(admin, context.clone()).await).await;
        asked.map_err(|lost| self.unchanged(lost, find_out))
    }

    /// Asks the leader for a change that takes many steps, each time whoever leads by then, until it is done. What is so
    /// after each step is told. The time is up when nothing new is told for that long.
    pub async fn change_by_steps(
        &self,
        find_out: &str,
        call: impl AsyncFn(Admin, RequestContext) -> Result<Response<ControllerChangeReply>, Status>,
        tell: impl Fn(&str),
    ) -> Result<ChangeReply, Failure> {
        let (context, mut told, mut since) = (context(), String::new(), Instant::now());
        loop {
            let asked = self.ask(async |admin| call(admin, context.clone()).await).await;
            let reply = asked.map_err(|lost| self.unchanged(lost, find_out))?;
            if let Some(done) = reply.done {
                return Ok(done);
            }
            if told != reply.progress {
                (told, since) = (reply.progress, Instant::now());
                tell(&told);
            } else if since.elapsed() >= self.timeout {
                return Err(Failure::failed(format!(
                    "not done yet, and nothing new for {:?}: {told}; the same command goes on from here, and --timeout \
                     makes it wait longer",
                    self.timeout
                )));
            }
        }
    }

    /// Why a change was not answered.
    fn unchanged(&self, lost: Lost, find_out: &str) -> Failure {
        match lost {
            Lost::Judged(failure) => failure,
            Lost::Nobody(search) => match &search.unanswered {
                Some(address) => Failure {
                    exit: Exit::Unknown,
                    text: format!(
                        "outcome unknown: {address} was asked and gave no answer within {:?}, so it may have happened \
                         or not\n{}find out with: {find_out}",
                        self.timeout,
                        search.report()
                    ),
                },
                None => self.nobody(&search),
            },
        }
    }

    /// Asks for what every controller answers, each once, until an answer `is_best`; else the first of those with the
    /// greatest `worth`. `leader` is whom an answer names.
    pub async fn survey<R>(
        &self,
        call: impl AsyncFn(Admin) -> Result<Response<R>, Status>,
        is_best: impl Fn(&R) -> bool,
        worth: impl Fn(&R) -> u64,
        leader: impl Fn(&R) -> Option<String>,
    ) -> Result<R, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut search = Search::new(&self.controllers);
        let mut found: Option<R> = None;
        while let Some(address) = search.next() {
            match once(&address, deadline, &call).await {
                Ok(reply) if is_best(&reply) => return Ok(reply),
                Ok(reply) => {
                    search.ask_next(leader(&reply));
                    if found.as_ref().is_none_or(|found| worth(&reply) > worth(found)) {
                        found = Some(reply);
                    }
                }
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(trouble) => search.saw(&address, trouble),
            }
        }
        found.ok_or_else(|| self.nobody(&search))
    }

    async fn ask<R>(&self, call: impl AsyncFn(Admin) -> Result<Response<R>, Status>) -> Result<R, Lost> {
        let started = Instant::now();
        let deadline = started + self.timeout;
        let mut search = Search::new(&self.controllers);
        loop {
            while let Some(address) = search.next() {
                match once(&address, deadline, &call).await {
                    Ok(reply) => return Ok(reply),
                    Err(Trouble::Final(failure)) => return Err(Lost::Judged(failure)),
                    Err(trouble) => search.saw(&address, trouble),
                }
                if Instant::now() >= deadline {
                    return Err(Lost::Nobody(search));
                }
            }
            let next = Instant::now() + ROUND_PAUSE;
            if next >= deadline || !search.is_worth_another_round() {
                return Err(Lost::Nobody(search));
            }
            if started.elapsed() >= SILENCE_MAX {
                self.tell_wait();
            }
            sleep_until(next).await;
            search.another_round();
        }
    }

    /// Says what is waited for, the first time.
    fn tell_wait(&self) {
        if !self.is_wait_told.replace(true) {
            output::note(format!("waiting for a controller that leads (at most {:?})", self.timeout));
        }
    }

    fn nobody(&self, search: &Search) -> Failure {
        let (what, remedy) = if search.somebody_answered() {
            (format!("no controller leads, after {:?}", self.timeout), "start enough controllers for a majority")
        } else {
            ("no controller can be reached".to_owned(), "start one, or name others with --controllers")
        };
        Failure { exit: Exit::NoController, text: format!("{what}:\n{}{remedy}", search.report()) }
    }
}

/// Names a new request.
fn context() -> RequestContext {
    RequestContext { request_id: ulid::Ulid::generate().to_string(), actor: actor() }
}

/// Asks one controller.
async fn once<R>(
    address: &str,
    deadline: Instant,
    call: &impl AsyncFn(Admin) -> Result<Response<R>, Status>,
) -> Result<R, Trouble> {
    let admin = attempt::connect(address, deadline).await?;
    attempt::answer(address, deadline, call(admin)).await
}
