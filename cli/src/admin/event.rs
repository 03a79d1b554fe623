//! `replisome event …`: what happened, and why.

use std::time::Duration;

use clap::Subcommand;
use proto::v1::{Event, ListEventsRequest};
use serde::Serialize;
use tokio::time::sleep;

use super::attempt::{Trouble, trouble};
use super::print::{self, Format, Row};
use super::reason::ReasonRow;
use super::{Fleet, FleetArgs, units};
use crate::failure::{Exit, Failure};
use crate::output;

/// Events: what happened to the fleet, and why
#[derive(clap::Args)]
pub struct EventCommand {
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List events, the oldest first
    #[command(visible_alias = "ls")]
    List {
        /// Go on with what happens from now on; with -o json one object a line
        #[arg(long, short)]
        follow: bool,
        /// Only events after this revision
        #[arg(long, value_name = "REVISION", default_value_t = 0, hide_default_value = true)]
        after: u64,
    },
}

impl EventCommand {
    /// Runs the verb.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::List { follow: false, after } => self.fleet.run(async |fleet| list(fleet, after).await),
            Verb::List { follow: true, after } => self.fleet.run(async |fleet| follow(fleet, after).await),
        }
    }
}

/// An event as scripts read it.
#[derive(Serialize)]
pub struct EventRow {
    revision: u64,
    time: String,
    kind: String,
    route: Option<String>,
    topic: Option<String>,
    partition: Option<u32>,
    actor: String,
    text: String,
    detail: Option<ReasonRow>,
}

impl From<Event> for EventRow {
    fn from(event: Event) -> Self {
        Self {
            revision: event.revision,
            time: units::time(event.time_ms),
            kind: event.kind,
            route: units::given(event.route),
            topic: units::given(event.topic),
            partition: event.partition,
            actor: event.actor,
            text: event.text,
            detail: event.detail.map(ReasonRow::from),
        }
    }
}

impl Row for EventRow {
    const COLUMNS: &'static [&'static str] = &["REVISION>", "TIME", "KIND", "WHERE", "ACTOR", "WHAT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.revision.to_string(),
            self.second(),
            self.kind.clone(),
            self.place(),
            units::text(&self.actor),
            self.text.clone(),
        ]
    }
}

impl EventRow {
    /// `route/topic/partition`, as far as it goes.
    fn place(&self) -> String {
        let partition = self.partition.map(|partition| partition.to_string());
        let parts: Vec<_> = [self.route.clone(), self.topic.clone(), partition].into_iter().flatten().collect();
        units::text(&parts.join("/"))
    }

    /// The time, as exactly as a person wants it.
    fn second(&self) -> String {
        self.time.split_once('.').map_or_else(|| self.time.clone(), |(second, _)| format!("{second}Z"))
    }

    /// As it comes, without knowing how wide the next ones are.
    fn line(&self) -> String {
        let Self { revision, kind, actor, text, .. } = self;
        let time = self.second();
        format!("{revision:>8}   {time}   {kind:<8}   {:<30}   {:<20}   {text}", self.place(), units::text(actor))
    }
}

async fn list(fleet: Fleet, after: u64) -> Result<(), Failure> {
    let mut cursor = Cursor::after(after);
    let mut rows = Vec::new();
    let mut breaks = 0;
    let mut keep = |row| {
        rows.push(row);
        Ok(true)
    };
    while let Read::Broken(failure) = cursor.read(&fleet, false, &mut keep).await? {
        breaks += 1;
        if breaks > BREAKS_MAX {
            return Err(failure);
        }
    }
    print::list(fleet.format, &rows, "no events")
}

async fn follow(fleet: Fleet, after: u64) -> Result<(), Failure> {
    let mut cursor = Cursor::after(after);
    let (mut began, mut waits) = (false, false);
    loop {
        let is_read = |row: EventRow| match fleet.format {
            Format::Json => output::streamed(serde_json::to_string(&row).expect("rows are plain data")),
            Format::Table => output::streamed(row.line()),
        };
        match cursor.read(&fleet, true, is_read).await {
            Ok(Read::Enough) => return Ok(()),
            Ok(Read::Whole | Read::Broken(_)) => (began, waits) = (true, false),
            // Without a leader nothing is missed: whoever follows wants to see what it does when there is one again.
            Err(failure) if began && failure.exit == Exit::NoController => {
                if !std::mem::replace(&mut waits, true) {
                    output::note(format!("waiting for a leader: {failure}"));
                }
            }
            Err(failure) => return Err(failure),
        }
        sleep(PAUSE).await;
    }
}

/// How often a finite list may break off; each time a leader was found and lost.
const BREAKS_MAX: usize = 10;
/// How long to wait before a stream that ended is asked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// How a stream ended.
enum Read {
    /// With the last event.
    Whole,
    /// With the connection, or with the leadership.
    Broken(Failure),
    /// With whom it is for.
    Enough,
}

/// How far the events were read. A revision can have several, and a stream can break between them.
struct Cursor {
    revision: u64,
    /// How many events of it were read; it may have more unless this is `ALL`.
    seen: usize,
}

/// Whoever named the revision wants what comes after it.
const ALL: usize = usize::MAX;

impl Cursor {
    fn after(revision: u64) -> Self {
        Self { revision, seen: ALL }
    }

    /// Reads one stream to its end, as long as `take` says that it is wanted.
    async fn read(
        &mut self,
        fleet: &Fleet,
        follow: bool,
        mut take: impl FnMut(EventRow) -> Result<bool, Failure>,
    ) -> Result<Read, Failure> {
        let (after_revision, mut skip) =
            if self.seen == ALL { (self.revision, 0) } else { (self.revision.saturating_sub(1), self.seen) };
        let request = ListEventsRequest { follow, after_revision };
        let again = self.revision;
        let mut events = fleet.client.read(async |mut admin| admin.list_events(request).await).await?;
        loop {
            match events.message().await {
                Ok(Some(event)) if skip > 0 && event.revision == again => skip -= 1,
                Ok(Some(event)) => {
                    self.seen = if event.revision == self.revision && self.seen != ALL { self.seen + 1 } else { 1 };
                    self.revision = event.revision;
                    if !take(event.into())? {
                        return Ok(Read::Enough);
                    }
                }
                Ok(None) => return Ok(Read::Whole),
                Err(status) => {
                    return match trouble("a controller", &status) {
                        Trouble::Final(failure) => Err(failure),
                        Trouble::NotLeader { why, .. } | Trouble::Unreachable(why) | Trouble::Unanswered(why) => {
                            Ok(Read::Broken(Failure::failed(format!("the events broke off: {why}"))))
                        }
                    };
                }
            }
        }
    }
}
