//! The command line of `replisome mirror`: MirrorMaker 1's flags with its spelling, and ours beside them.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;

use crate::failure::Failure;
use crate::values::{LogFormatArg, Switch, host_and_port, memory_bytes};

/// Copies topics from one cluster to another, as MirrorMaker 1 does: same flags, same files, same consumer group.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "A mirror that MirrorMaker 1 began is continued where it stopped: offsets are read and stored \
under the group.id of the consumer's file.\n\nExit codes: 0 done; 1 failed; 2 wrong command line or file; 4 conflict \
(a live group, the same cluster twice, a target topic with too few partitions, a newer mirror).")]
pub struct MirrorArgs {
    /// Properties of the consumer: bootstrap.servers of the source and group.id, and what else the source needs
    #[arg(long = "consumer.config", value_name = "FILE")]
    pub consumer_config: PathBuf,

    /// Properties of the producer: bootstrap.servers of the target, and what else the target needs
    #[arg(long = "producer.config", value_name = "FILE")]
    pub producer_config: PathBuf,

    /// Threads that copy, each with a consumer and a producer of its own
    #[arg(long = "num.streams", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub num_streams: u16,

    /// Java regular expression for the topics to copy, matched whole; commas separate alternatives
    #[arg(long, value_name = "REGEX", required_unless_present = "include", conflicts_with = "include")]
    pub whitelist: Option<String>,

    /// The same as --whitelist
    #[arg(long, value_name = "REGEX")]
    pub include: Option<String>,

    /// How often offsets are stored, in milliseconds
    #[arg(long = "offset.commit.interval.ms", value_name = "MS", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub offset_commit_interval_ms: u64,

    /// End with exit code 1 at the first record the target refuses; without it that partition alone pauses
    #[arg(long = "abort.on.send.failure", value_name = "true|false", value_parser = clap::value_parser!(bool))]
    pub abort_on_send_failure: Option<bool>,

    /// Stop with a summary once all that was there at the start is copied
    #[arg(long)]
    pub until_end: bool,

    /// Serve /metrics, /healthz and /readyz here; without it no port is opened
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub http_listen: Option<String>,

    /// Create missing target topics and grow mirrored ones as the source grows
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub manage_topics: Switch,

    /// Accept stored offsets that speak of another topic (re-created since) or were stored by another fleet
    #[arg(long = "continue")]
    pub accept_foreign_offsets: bool,

    /// What all streams together may hold in memory (KiB, MiB or GiB)
    #[arg(long, value_name = "SIZE", default_value = "96MiB", value_parser = memory_bytes)]
    pub memory: usize,

    /// How log lines are written
    #[arg(long, value_name = "text|json", default_value = "text")]
    pub log_format: LogFormatArg,

    #[arg(long = "new.consumer", hide = true, action = ArgAction::SetTrue)]
    new_consumer: bool,
    #[arg(long = "message.handler", hide = true, value_name = "CLASS")]
    message_handler: Option<String>,
    #[arg(long = "message.handler.args", hide = true, value_name = "ARGS")]
    message_handler_args: Option<String>,
    #[arg(long = "consumer.rebalance.listener", hide = true, value_name = "CLASS")]
    consumer_rebalance_listener: Option<String>,
    #[arg(long = "rebalance.listener.args", hide = true, value_name = "ARGS")]
    rebalance_listener_args: Option<String>,
}

impl MirrorArgs {
    /// Refuses what a process without a JVM can't do, and returns notes on what is taken without effect.
    pub fn check(&self) -> Result<Vec<&'static str>, Failure> {
        let java = [
            ("--message.handler", &self.message_handler, "records are copied unchanged"),
            ("--message.handler.args", &self.message_handler_args, "records are copied unchanged"),
            ("--consumer.rebalance.listener", &self.consumer_rebalance_listener, "there are no rebalances"),
            ("--rebalance.listener.args", &self.rebalance_listener_args, "there are no rebalances"),
        ];
        for (flag, value, instead) in java {
            if let Some(value) = value {
                return Err(Failure::usage(format!(
                    "{flag} {value}: it names Java code, which can't be loaded here, and ignoring it would change what \
                     is copied; {instead}: remove the flag"
                )));
            }
        }
        let mut notes = Vec::new();
        if self.new_consumer {
            notes.push("--new.consumer has no effect: there is only one kind of consumer");
        }
        Ok(notes)
    }

    /// The whitelist as it was given.
    pub fn topics(&self) -> &str {
        self.whitelist.as_deref().or(self.include.as_deref()).unwrap_or_default()
    }

    /// The flag it was given by.
    pub fn topics_flag(&self) -> &'static str {
        if self.include.is_some() { "--include" } else { "--whitelist" }
    }

    /// How often offsets are stored.
    pub fn commit_interval(&self) -> Duration {
        Duration::from_millis(self.offset_commit_interval_ms)
    }

    /// Whether the first refused record ends the mirror.
    pub fn aborts_on_refused_record(&self) -> bool {
        self.abort_on_send_failure == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MirrorArgs,
    }

    fn parse(flags: &[&str]) -> Result<MirrorArgs, clap::Error> {
        let base = ["mirror", "--consumer.config", "c", "--producer.config", "p"];
        Line::try_parse_from(base.iter().chain(flags)).map(|line| line.args)
    }

    #[test]
    fn mirror_makers_own_command_line_is_taken() {
        let args = parse(&["--num.streams", "8", "--whitelist", ".*"]).expect("legal");
        assert_eq!((args.num_streams, args.topics(), args.commit_interval()), (8, ".*", Duration::from_secs(1)));
        assert!(!args.aborts_on_refused_record() && args.check().expect("fine").is_empty());
        assert_eq!((args.memory, args.manage_topics), (96 << 20, Switch::On));
    }

    #[test]
    fn a_value_may_follow_an_equals_sign() {
        let args = parse(&["--include=a|b", "--num.streams=2", "--offset.commit.interval.ms=60000"]).expect("legal");
        assert_eq!((args.topics(), args.num_streams), ("a|b", 2));
        assert_eq!(args.commit_interval(), Duration::from_secs(60));
    }

    #[test]
    fn only_true_aborts_on_a_refused_record() {
        for (flags, aborts) in [(vec![], false), (vec!["false"], false), (vec!["true"], true)] {
            let mut line = vec!["--whitelist", "a"];
            line.extend(flags.iter().flat_map(|value| ["--abort.on.send.failure", *value]));
            assert_eq!(parse(&line).expect("legal").aborts_on_refused_record(), aborts);
        }
    }

    #[test]
    fn java_classes_are_refused_with_the_reason() {
        for flag in [
            "--message.handler",
            "--message.handler.args",
            "--consumer.rebalance.listener",
            "--rebalance.listener.args",
        ] {
            let failure = parse(&["--whitelist", "a", flag, "x.Y"]).expect("parsed").check().expect_err("refused");
            assert!(failure.text.contains(flag) && failure.text.contains("Java"), "{failure}");
            assert_eq!(failure.exit, crate::failure::Exit::Usage);
        }
    }

    #[test]
    fn what_has_no_effect_is_noted() {
        let args = parse(&["--whitelist", "a", "--new.consumer"]).expect("legal");
        assert_eq!(args.check().expect("fine").len(), 1);
    }

    #[test]
    fn a_whitelist_is_needed_once() {
        assert!(parse(&[]).is_err());
        assert!(parse(&["--whitelist", "a", "--include", "b"]).is_err());
    }
}
