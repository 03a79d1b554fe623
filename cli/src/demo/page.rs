//! The page: who does what, how fast, and what has happened so far. Pure.

use std::time::Duration;

use super::scene::{ROUTE, SOURCE, TARGET};
use super::screen::{Line, Style};
use crate::output::grouped;

/// All that the page shows.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Since the start.
    pub elapsed: Duration,
    /// The controllers.
    pub controllers: Vec<ControllerRow>,
    /// The workers.
    pub workers: Vec<WorkerRow>,
    /// The topics.
    pub topics: Vec<TopicRow>,
    /// What has happened, and what is happening.
    pub steps: Vec<Step>,
}

/// A controller.
#[derive(Clone, Debug)]
pub struct ControllerRow {
    /// Its node id.
    pub id: u64,
    /// Its process id.
    pub process: u32,
    /// What it is.
    pub role: String,
}

/// A worker.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    /// Its id.
    pub id: String,
    /// Its process id.
    pub process: u32,
    /// Whether it was killed.
    pub killed: bool,
    /// Its partitions, as they were copied to the target within the last second.
    pub copied: Copied,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct TopicRow {
    /// Its name.
    pub name: &'static str,
    /// Records at the source.
    pub produced: u64,
    /// Its partitions that somebody copies.
    pub copied: Copied,
}

/// Some partitions, as an independent consumer of the target sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many.
    pub partitions: u64,
    /// New records a second.
    pub rate: u64,
    /// Records of the source that have not arrived.
    pub lag: u64,
}

impl Copied {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self { partitions: self.partitions + other.partitions, rate: self.rate + other.rate, lag: self.lag + other.lag }
    }
}

/// Something that happens.
#[derive(Clone, Debug)]
pub struct Step {
    /// What.
    pub text: String,
    /// Whether it is done.
    pub is_done: bool,
}

impl Page {
    /// The lines of the page.
    pub fn lines(&self) -> Vec<Line> {
        let all = self.topics.iter().fold(Copied::default(), |sum, topic| sum.and(topic.copied));
        let title = format!("replisome demo {:>64}", format!("{:.0} s", self.elapsed.as_secs_f64()));
        let route = format!(
            "route {ROUTE}: {SOURCE} ──> {TARGET}   {} partitions   {} records/s   lag {}",
            all.partitions,
            grouped(all.rate),
            grouped(all.lag)
        );
        let mut lines = vec![Line::new(Style::Bold, title), Line::new(Style::Plain, route), blank()];
        lines.extend(self.processes());
        lines.push(blank());
        lines.extend(self.topics());
        lines.push(blank());
        lines.extend(self.steps.iter().map(Step::line));
        lines
    }

    /// What is said of the workers where there is no page.
    pub fn summary(&self) -> String {
        let of = |worker: &WorkerRow| match worker.copied {
            _ if worker.killed => format!("{} killed", worker.id),
            Copied { partitions, rate, lag } => {
                format!("{} {partitions} partitions {}/s lag {}", worker.id, grouped(rate), grouped(lag))
            }
        };
        self.workers.iter().map(of).collect::<Vec<_>>().join(", ")
    }

    fn processes(&self) -> Vec<Line> {
        let heading = "CONTROLLER  PROCESS  ROLE         WORKER  PROCESS  PARTITIONS  RECORDS/S     LAG";
        let row = |index: usize| {
            let controller = self.controllers.get(index).map_or(String::new(), |controller| {
                format!("{:<10}  {:>7}  {:<11}", controller.id, controller.process, controller.role)
            });
            let worker = self.workers.get(index).map_or(String::new(), |worker| match worker.copied {
                _ if worker.killed => format!("{:<6}  {:>7}  killed", worker.id, worker.process),
                Copied { partitions, rate, lag } => format!(
                    "{:<6}  {:>7}  {partitions:>10}  {:>9}  {:>6}",
                    worker.id,
                    worker.process,
                    grouped(rate),
                    grouped(lag)
                ),
            });
            Line::new(Style::Plain, format!("{controller:<31}  {worker}").trim_end())
        };
        let rows = (0..self.controllers.len().max(self.workers.len())).map(row);
        std::iter::once(Line::new(Style::Faint, heading)).chain(rows).collect()
    }

    fn topics(&self) -> Vec<Line> {
        let heading = format!(
            "{:<10}  {:>20}  {:>11}  {:>10}  {:>9}  {:>7}",
            "TOPIC",
            format!("RECORDS AT {}", SOURCE.to_uppercase()),
            format!("AT {}", TARGET.to_uppercase()),
            "PARTITIONS",
            "RECORDS/S",
            "LAG"
        );
        let row = |topic: &TopicRow| {
            let Copied { partitions, rate, lag } = topic.copied;
            let produced = grouped(topic.produced);
            Line::new(
                Style::Plain,
                if partitions == 0 {
                    format!("{:<10}  {produced:>20}  {:>11}", topic.name, "not copied")
                } else {
                    format!(
                        "{:<10}  {produced:>20}  {:>11}  {partitions:>10}  {:>9}  {:>7}",
                        topic.name,
                        grouped(topic.produced.saturating_sub(lag)),
                        grouped(rate),
                        grouped(lag)
                    )
                },
            )
        };
        std::iter::once(Line::new(Style::Faint, heading)).chain(self.topics.iter().map(row)).collect()
    }
}

impl Step {
    fn line(&self) -> Line {
        let (mark, style) = if self.is_done { ('✓', Style::Plain) } else { ('…', Style::Bold) };
        Line::new(style, format!("{mark} {}", self.text))
    }
}

fn blank() -> Line {
    Line::new(Style::Plain, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_fits_the_smallest_usual_terminal() {
        let copied = Copied { partitions: 24, rate: 123_456, lag: 99_999 };
        let worker = |id: &str| WorkerRow { id: id.into(), process: 4_194_304, killed: id == "w2", copied };
        let controller = |id| ControllerRow { id, process: 4_194_304, role: "unreachable".into() };
        let topic = |name| TopicRow { name, produced: 12_345_678, copied };
        let step = Step { text: "x".repeat(78), is_done: true };
        let page = Page {
            elapsed: Duration::from_secs(40),
            controllers: [1, 2, 3].map(controller).into(),
            workers: ["w1", "w2", "w3"].map(worker).into(),
            topics: ["orders", "payments", "clicks"].map(topic).into(),
            steps: vec![step; 8],
        };
        let lines = page.lines();
        assert!(lines.len() <= 23, "{} lines", lines.len());
        for line in &lines {
            assert!(line.text.chars().count() <= 80, "{}", line.text);
        }
        assert!(lines[5].text.contains("killed") && !lines[5].text.contains("123,456"), "{}", lines[5].text);
    }
}
