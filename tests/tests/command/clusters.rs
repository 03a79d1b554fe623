//! Clusters that do not answer, or are not what the command needs.

use std::net::TcpListener;

use replisome_tests::admin::Admin;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::mirror::Mirror;
use replisome_tests::ports;
use replisome_tests::produce::{NewRecord, Producer};

use super::{CANARY, CONFLICT, FAILED, assert_refused, mirror};

/// Both ways round at the same time: the source does not answer, the target does not.
#[track_caller]
fn assert_unreachable(address: &str, texts: &[&str]) {
    let (source, target) = shared();
    let started = [
        ("source", "consumer.properties", Mirror::new(address, target.bootstrap(), "unreachable", ".*")),
        ("target", "producer.properties", Mirror::new(source.bootstrap(), address, "unreachable", ".*")),
    ]
    .map(|(side, file, mirror)| (side, file, mirror.consumer("client.id", CANARY).start()));
    for (side, file, replisome) in started {
        assert_refused(replisome, FAILED, &[&[side, address, file, "bootstrap.servers"], texts].concat());
    }
}

#[test]
fn a_port_that_nobody_listens_on_is_named_with_its_side_and_file() {
    assert_unreachable(&format!("127.0.0.1:{}", ports::free()), &["Connection refused"]);
}

#[test]
fn a_host_that_has_no_address_is_named_with_its_side_and_file() {
    assert_unreachable("no-such-host.invalid:9092", &["resolve"]);
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_not_waited_for_without_end() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    assert_unreachable(&silent.local_addr().expect("bound").to_string(), &[]);
}

#[test]
fn a_broker_that_speaks_another_protocol_is_named_with_the_setting() {
    let (source, _) = shared();
    let encrypted = mirror("protocol", ".*").consumer("security.protocol", "SSL");
    assert_refused(encrypted.start(), FAILED, &["source", source.bootstrap(), "security.protocol"]);
}

#[test]
fn one_cluster_as_source_and_target_is_a_conflict_by_whatever_address() {
    let (source, _) = shared();
    let other_name = source.bootstrap().replace("127.0.0.1", "localhost");
    for address in [source.bootstrap(), &other_name] {
        let mirror = Mirror::new(source.bootstrap(), address, "round", ".*");
        let texts = ["same cluster", source.bootstrap(), address, "bootstrap.servers", "producer.properties"];
        assert_refused(mirror.start(), CONFLICT, &texts);
    }
}

#[test]
fn a_whitelist_that_matches_no_topic_cannot_come_to_an_end() {
    let (source, target) = shared();
    Admin::new(source.bootstrap()).create_topic("my-test-2", 1, &[]);
    let whole = mirror("nothing", "test").flags(["--until-end"]);
    assert_refused(whole.start(), FAILED, &["no topic matches", "\"test\"", "whole name", "the source has"]);
    let internal = mirror("nothing", "__consumer_offsets").flags(["--until-end"]);
    assert_refused(internal.start(), FAILED, &["no topic matches", "\"__consumer_offsets\""]);
    assert_eq!(Admin::new(target.bootstrap()).partitions("my-test-2"), 0);
}

#[test]
fn a_group_without_offsets_and_without_a_reset_has_no_place_to_begin() {
    let (source, target) = shared();
    Admin::new(source.bootstrap()).create_topic("no-place", 1, &[]);
    Producer::new(source.bootstrap()).send_all("no-place", &[NewRecord::new(0, "k", "v")]);
    let mirror = mirror("no-place", "no-place").consumer("auto.offset.reset", "none");
    let texts = ["group no-place", "auto.offset.reset", "earliest", "consumer.properties"];
    assert_refused(mirror.start(), FAILED, &texts);
    assert_eq!(Admin::new(target.bootstrap()).partitions("no-place"), 0, "nothing is copied");
}
