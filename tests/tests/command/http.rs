//! What `--http-listen` serves.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use replisome_tests::admin::Admin;
use replisome_tests::kafka_cluster::shared;
use replisome_tests::mirror::Mirror;
use replisome_tests::produce::{NewRecord, Producer};
use replisome_tests::{ports, wait};

use super::{COPY_DEADLINE, FAILED, assert_no_accident, assert_refused, mirror};

const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Status, head and body; nothing while nobody listens.
fn get(address: &str, path: &str) -> Option<(u16, String, String)> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(ANSWER_DEADLINE)).expect("bound the wait");
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    socket.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_lowercase(), body.to_owned()))
}

/// The value of a metric of one partition, with these further labels.
fn metric(metrics: &str, name: &str, topic: &str, partition: i32, more: &str) -> Option<f64> {
    let wanted = [format!("topic=\"{topic}\""), format!("partition=\"{partition}\""), more.to_owned()];
    let line = metrics.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
            && wanted.iter().all(|text| line.contains(text))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn metrics_say_where_each_partition_is_and_health_and_readiness_answer() {
    let (source, _) = shared();
    let admin = Admin::new(source.bootstrap());
    let topic = "observed";
    admin.create_topic(topic, 3, &[]);
    let records: Vec<_> = (0..300).map(|n| NewRecord::new(n % 2, "key", format!("{n:010}"))).collect();
    Producer::new(source.bootstrap()).send_all(topic, &records);
    let transactional = Producer::transactional(source.bootstrap(), "observed");
    transactional.begin();
    transactional.send_all(topic, &[NewRecord::new(1, "k", "committed")]);
    transactional.commit();
    transactional.begin();
    transactional.send_all(topic, &[NewRecord::new(1, "k", "open"), NewRecord::new(1, "k", "open")]);

    let address = format!("localhost:{}", ports::free());
    let mut replisome = mirror(topic, topic).flags(["--http-listen", &address]).start();
    let ready = || get(&address, "/readyz").is_some_and(|(status, _, body)| status == 200 && body == "ready\n");
    wait::until_true("/readyz says ready", COPY_DEADLINE, ready);
    assert_eq!(get(&address, "/healthz").map(|(status, _, body)| (status, body)), Some((200, "alive\n".to_owned())));
    let ends = [0, 1, 2].map(|partition| admin.offsets(topic, partition, false).1);
    assert_eq!(ends, [150, 152, 0], "the last stable offsets");

    let gauge = |metrics: &str, name: &str, partition| {
        metric(metrics, &format!("replisome_partition_{name}"), topic, partition, "")
    };
    let metrics = wait::until("the metrics show the ends", COPY_DEADLINE, || {
        let (_, head, metrics) = get(&address, "/metrics")?;
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        let at_end = |partition: usize| {
            ["next_offset", "stored_offset"]
                .iter()
                .all(|name| gauge(&metrics, name, partition as i32) == Some(ends[partition] as f64))
        };
        (0..3).all(at_end).then_some(metrics)
    });
    for (partition, (records, bytes)) in
        [(150.0, 150.0 * 13.0), (151.0, 150.0 * 13.0 + 10.0), (0.0, 0.0)].into_iter().enumerate()
    {
        let gauge = |name| gauge(&metrics, name, partition as i32);
        assert_eq!((gauge("lag_records"), gauge("lag_seconds")), (Some(0.0), Some(0.0)), "partition {partition}");
        assert_eq!(
            (gauge("records_total"), gauge("bytes_total")),
            (Some(records), Some(bytes)),
            "partition {partition}"
        );
        let open = if partition == 1 { 2.0 } else { 0.0 };
        assert_eq!(gauge("open_transaction_records"), Some(open), "partition {partition}");
        for (state, value) in [("copying", 1.0), ("held", 0.0), ("claiming", 0.0), ("draining", 0.0)] {
            let label = format!("state=\"{state}\"");
            let found = metric(&metrics, "replisome_partition_state", topic, partition as i32, &label);
            assert_eq!(found, Some(value), "state {state} of partition {partition}");
        }
    }
    for name in ["next_offset", "stored_offset", "lag_records", "lag_seconds", "records_total", "bytes_total", "state"]
    {
        let help = format!("# HELP replisome_partition_{name} ");
        assert!(metrics.contains(&help), "{help}");
    }
    assert_eq!(get(&address, "/nothing").map(|(status, ..)| status), Some(404));
    assert_eq!(replisome.stop(COPY_DEADLINE).code, Some(0), "{}", replisome.tail());
    assert_no_accident(&replisome.stdout(), &replisome.stderr());
    assert!(get(&address, "/healthz").is_none(), "nobody listens afterwards");
}

#[test]
fn a_mirror_that_waits_for_its_source_is_alive_and_not_ready() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().expect("bound").to_string();
    let address = format!("127.0.0.1:{}", ports::free());
    let waiting = Mirror::new(&silent, shared().1.bootstrap(), "waiting", ".*").flags(["--http-listen", &address]);
    let replisome = waiting.start();
    let (status, _, body) = wait::until("/readyz answers", ANSWER_DEADLINE, || get(&address, "/readyz"));
    assert_eq!((status, body.is_empty()), (503, false), "{body}");
    assert_eq!(get(&address, "/healthz").map(|(status, ..)| status), Some(200));
    drop(replisome);
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let mirror = mirror("port", "port.*").flags(["--http-listen", &address]);
    assert_refused(mirror.start(), FAILED, &["--http-listen", &address, "in use", "choose a free"]);
}
