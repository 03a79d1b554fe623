//! What an operator can say wrongly to a running fleet: the text names what is wrong, the code tells a script what to do.

use replisome_tests::admin::Admin;
use replisome_tests::child::Signal;
use replisome_tests::fleet::{Fleet, Output};
use replisome_tests::kafka_cluster::shared;
use replisome_tests::load::fill;
use replisome_tests::ports;

use super::alone;

const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const CONFLICT: i32 = 4;
const UNKNOWN: i32 = 5;
const NO_LEADER: i32 = 6;

/// A password, wherever one is given; must never be seen again.
const CANARY: &str = "canary-d41d8cd98f";

#[track_caller]
fn refused(output: &Output, code: i32, texts: &[&str]) {
    eprintln!("`{}`: {} after {:?} {}", output.command, output.code, output.took, output.stderr.trim_end());
    output.expect(code, texts);
    assert_eq!(output.stdout, "", "results");
    assert!(!output.stderr.contains(CANARY), "the secret is shown");
}

#[test]
fn an_operator_is_told_what_is_wrong_and_scripts_are_told_by_the_code() {
    let _alone = alone();
    let (source, target) = shared();
    let fleet = Fleet::start(1, 0);
    let try_it = |code: i32, texts: &[&str], args: &[&str]| refused(&fleet.cli(args), code, texts);
    let nobody = format!("127.0.0.1:{}", ports::free());

    // Clusters.
    // It may be up later, or answer workers alone: named all the same, with a word about it.
    let unreachable = fleet.ok(&["cluster", "add", "elsewhere", "--bootstrap", &nobody]);
    unreachable.expect(0, &["elsewhere", "can't be reached"]);
    let listed = fleet.json(&["cluster", "list"]);
    assert_eq!((&listed[0]["name"], &listed[0]["reachable"]), (&"elsewhere".into(), &false.into()), "{listed}");
    let literal = format!("sasl.password={CANARY}");
    let bootstrap = ["--bootstrap", source.bootstrap()];
    let add =
        |property: &str| fleet.cli(&[&["cluster", "add", "west"], &bootstrap[..], &["--property", property]].concat());
    refused(&add(&literal), USAGE, &["sasl.password", "${file:", "${env:"]);
    refused(&add("plugin.library.paths=/tmp/x.so"), USAGE, &["plugin.library.paths"]);
    refused(&add("no.such.property=1"), USAGE, &["no.such.property"]);
    refused(&add("no-equals-sign"), USAGE, &["--property", "KEY=VALUE"]);
    try_it(USAGE, &["a b"], &["cluster", "add", "a b", "--bootstrap", source.bootstrap()]);
    fleet.ok(&["cluster", "add", "west", "--bootstrap", source.bootstrap()]);
    fleet.ok(&["cluster", "add", "east", "--bootstrap", target.bootstrap()]);
    let again = fleet.ok(&["cluster", "add", "west", "--bootstrap", source.bootstrap()]);
    assert!(again.to_string().contains("exists"), "{again}");
    try_it(CONFLICT, &["west"], &["cluster", "add", "west", "--bootstrap", target.bootstrap()]);
    try_it(NOT_FOUND, &["nowhere"], &["cluster", "remove", "nowhere"]);

    // Routes.
    let route = |more: &[&str]| fleet.cli(&[&["route", "add", "r"], more].concat());
    let ends = ["--source", "west", "--target", "east"];
    refused(&route(&["--source", "west", "--target", "west"]), USAGE, &["west", "both"]);
    // Clusters are told apart by their topics, so there must be one.
    Admin::new(source.bootstrap()).create_topic("refusals", 1, &[]);
    let other_name = source.bootstrap().replace("127.0.0.1", "localhost");
    fleet.ok(&["cluster", "add", "west-too", "--bootstrap", &other_name]);
    refused(
        &route(&["--source", "west", "--target", "west-too"]),
        CONFLICT,
        &["west", "west-too", "one Kafka cluster"],
    );
    refused(&route(&["--source", "west", "--target", "nowhere"]), NOT_FOUND, &["nowhere"]);
    refused(&route(&[&ends[..], &["--include", "a(b"]].concat()), USAGE, &["a(b"]);
    refused(&route(&[&ends[..], &["--start", "sometime"]].concat()), USAGE, &["sometime"]);
    refused(&route(&[&ends[..], &["--delivery", "exactly-twice"]].concat()), USAGE, &["exactly-twice"]);
    refused(&route(&[]), USAGE, &["--source"]);
    fleet.ok(&[&["route", "add", "r"], &ends[..]].concat());
    try_it(CONFLICT, &["west", "r"], &["cluster", "remove", "west"]);
    try_it(NOT_FOUND, &["nowhere"], &["route", "remove", "nowhere"]);
    try_it(NOT_FOUND, &["nowhere"], &["route", "describe", "nowhere"]);

    // Topics, assignments, workers.
    try_it(NOT_FOUND, &["nowhere"], &["topic", "add", "--route", "nowhere", "t"]);
    try_it(NOT_FOUND, &["no-such-topic"], &["topic", "remove", "--route", "r", "no-such-topic"]);
    try_it(NOT_FOUND, &["no-such-topic"], &["topic", "pause", "--route", "r", "no-such-topic"]);
    try_it(USAGE, &["a b"], &["topic", "add", "--route", "r", "a b"]);
    try_it(NOT_FOUND, &["w9"], &["worker", "drain", "w9"]);
    try_it(NOT_FOUND, &["w9"], &["worker", "describe", "w9"]);
    try_it(NOT_FOUND, &["nowhere"], &["assignment", "list", "--route", "nowhere"]);
    let place = ["assignment", "move", "--route", "r", "--topic", "no-such-topic", "--partition", "0", "--to", "w9"];
    try_it(NOT_FOUND, &[], &place);
    try_it(USAGE, &["no-such-verb"], &["topic", "no-such-verb"]);

    // Where to find it.
    refused(&fleet.cli_at(&nobody, &["status", "--timeout", "2s"]), NO_LEADER, &[&nobody]);
    refused(&fleet.cli_at("nonsense", &["worker", "list"]), USAGE, &["nonsense"]);
    let kafka = source.bootstrap();
    refused(&fleet.cli_at(kafka, &["worker", "list", "--timeout", "2s"]), NO_LEADER, &[kafka]);
    let some = format!("{nobody},{}", fleet.controllers[0].address());
    assert_eq!(fleet.cli_at(&some, &["worker", "list"]).code, 0, "one of the addresses answers");
}

#[test]
fn topics_that_cannot_be_copied_wait_with_their_reason_and_the_line_that_mends_it() {
    let _alone = alone();
    let (source, target) = shared();
    let fleet = Fleet::start(1, 1);
    Admin::new(source.bootstrap()).create_topic("narrow", 4, &[]);
    Admin::new(target.bootstrap()).create_topic("narrow", 2, &[]);
    fill(source.bootstrap(), "narrow", 4, 10, 0);
    fleet.add_route("waits", source, target, &[]);
    fleet.ok(&["topic", "add", "--route", "waits", "narrow"]);
    let row = fleet.wait_for_topic("waits", "narrow", "waiting", Some("too-few-partitions"));
    let text = row["reason"]["text"].as_str().unwrap_or_default();
    assert!(text.contains("kafka-topics") && text.contains("--alter") && text.contains("--partitions 4"), "{text}");
    eprintln!("narrow: {text}");
    // What it says mends it.
    Admin::new(target.bootstrap()).grow_topic("narrow", 4);
    fleet.wait_for_topic("waits", "narrow", "replicating", None);
    fleet.wait_until_copying(4);

    fleet.ok(&["topic", "add", "--route", "waits", "not-there-yet"]);
    let row = fleet.wait_for_topic("waits", "not-there-yet", "waiting", None);
    eprintln!("not-there-yet: {}", row["reason"]["text"]);
    assert_eq!((&row["reason"]["kind"], &row["reason"]["heals"]), (&"topic-missing".into(), &true.into()), "{row}");
}

#[test]
fn without_a_quorum_nothing_is_promised_and_what_was_not_answered_is_unknown() {
    let _alone = alone();
    let mut fleet = Fleet::start(3, 0);
    let leader = fleet.leader();
    let others: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
    let cluster = ["cluster", "add", "west", "--bootstrap", shared().0.bootstrap()];
    let impatient = [&cluster[..], &["--timeout", "2s"]].concat();
    for index in &others {
        fleet.controllers[*index].kill();
    }
    // It may be on its way while the quorum goes: then nobody knows.
    let first = fleet.cli(&impatient);
    eprintln!("{first}");
    assert!([UNKNOWN, NO_LEADER].contains(&first.code), "{first}");
    refused(&fleet.cli(&impatient), NO_LEADER, &["no controller leads"]);
    refused(&fleet.cli(&["worker", "list", "--timeout", "2s"]), NO_LEADER, &["no controller leads"]);
    let roles = fleet.json(&["controller", "list"]);
    let is_gone = |node: &&serde_json::Value| node["role"] == "unreachable";
    assert_eq!(roles.as_array().map_or(0, |nodes| nodes.iter().filter(is_gone).count()), 2, "{roles}");
    fleet.start_controllers();
    let leader = fleet.leader();
    assert_eq!(fleet.cli(&cluster).code, 0, "with a quorum it is done, once or already");

    // One that accepts connections and says nothing may have done what it was asked.
    fleet.controllers[leader].signal(Signal::Stop);
    let asked = fleet.cli_at(fleet.controllers[leader].address(), &impatient);
    refused(&asked, UNKNOWN, &["unknown", "find out with: replisome cluster describe west"]);
    fleet.controllers[leader].signal(Signal::Continue);
    fleet.leader();
    assert_eq!(fleet.cli(&cluster).code, 0, "it was there already");
}
