//! Writing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka::error::ErrorKind;
use kafka::record::{Header, Record, Slot};
use kafka::sink::{Sink, SinkBounds};
use replisome_tests::admin::Admin;
use replisome_tests::contents;
use replisome_tests::kafka_cluster::shared;

use super::*;

fn header<'a>(name: &'a [u8], value: Option<&'a [u8]>) -> Header<'a> {
    Header { name, value }
}

#[test]
fn a_record_arrives_as_it_was() {
    let (_, cluster) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-fields", 1, &[]);
    let headers = [
        header(b"h", Some(b"1")),
        header(b"h", Some(b"")),
        header(b"h", None),
        header(b"", Some(b"no name")),
        header("ä".as_bytes(), Some(&[0, 255, 0])),
        header(b"nul\0inside", Some(b"x")),
    ];
    let now = 1_700_000_000_123;
    let base = Record {
        offset: 0,
        leader_epoch: None,
        timestamp_ms: Some(now),
        key: Some(b"key"),
        value: Some(b"value"),
        headers: &[],
    };
    let mut records = vec![
        base,
        Record { key: None, ..base },
        Record { key: Some(b""), ..base },
        Record { value: None, ..base },
        Record { value: Some(b""), ..base },
        Record { key: None, value: None, ..base },
        Record { headers: &headers, ..base },
        Record { timestamp_ms: Some(1), ..base },
        Record { timestamp_ms: Some(0), ..base },
        Record { timestamp_ms: Some(0), headers: &headers[..2], ..base },
        Record { timestamp_ms: None, ..base },
        base,
    ];
    records.iter_mut().zip(0..).for_each(|(record, offset)| record.offset = offset);
    // One by one, since a batch keeps timestamps as differences, and all in one batch.
    let mut sink =
        sink_with(cluster.bootstrap(), &[("linger.ms", "50")], SinkBounds { queued_bytes: 32 * MIB, batch_bytes: MIB });
    sink.open(Slot(65_535), &place("room-fields", 0)).unwrap();
    for record in &records {
        sink.produce(Slot(65_535), record).unwrap();
        let deliveries = drain(&mut sink);
        assert_eq!(deliveries, [Delivery { slot: Slot(65_535), offset: record.offset, outcome: Ok(()) }]);
    }
    for record in &records {
        sink.produce(Slot(65_535), record).unwrap();
    }
    let deliveries = drain(&mut sink);
    let delivered = |offset| Delivery { slot: Slot(65_535), offset, outcome: Ok(()) };
    assert_eq!(deliveries, (0..12).map(delivered).collect::<Vec<_>>());

    let mut source = source(cluster.bootstrap());
    source.assign(&[at(0, "room-fields", 0, 0)]).unwrap();
    let seen = until_end(&mut source, 0);
    let judged = contents::read(cluster.bootstrap(), "room-fields");
    assert_eq!((seen.len() - 1, judged.len()), (24, 24));
    for (index, record) in records.iter().chain(&records).enumerate() {
        let written = Owned { offset: index as i64, ..Owned::of(record) };
        let Seen::Record(0, read) = &seen[index] else { panic!("{:?}", seen[index]) };
        assert_eq!(Owned { leader_epoch: None, ..read.clone() }, written, "record {index}");
        // The independent reader cuts a header's name at a NUL character and gives −1 for no timestamp.
        let judged = &judged[index];
        let names: Vec<_> = written.headers.iter().map(|(name, _)| name.split(|byte| *byte == 0).next()).collect();
        let judged_names: Vec<_> = judged.headers.iter().map(|(name, _)| Some(name.as_bytes())).collect();
        assert_eq!(judged_names, names, "record {index}");
        let values = |headers: &mut dyn Iterator<Item = Option<Vec<u8>>>| headers.collect::<Vec<_>>();
        assert_eq!(
            values(&mut judged.headers.iter().map(|(_, value)| value.clone())),
            values(&mut written.headers.iter().map(|(_, value)| value.clone())),
        );
        assert_eq!((&judged.key, &judged.value), (&written.key, &written.value), "record {index}");
        assert_eq!(judged.timestamp.filter(|at| *at != -1), written.timestamp_ms, "record {index}");
    }
}

#[test]
fn a_record_too_large_names_its_partition_and_nothing_overtakes_it() {
    let (_, cluster) = shared();
    let admin = Admin::new(cluster.bootstrap());
    admin.create_topic("room-guilty", 1, &[("max.message.bytes", "20000")]);
    admin.create_topic("room-innocent", 2, &[]);
    let bounds = SinkBounds { queued_bytes: 16 * MIB, batch_bytes: 19_000 };
    let mut sink = sink_with(cluster.bootstrap(), &[("linger.ms", "0")], bounds);
    sink.open(Slot(0), &place("room-guilty", 0)).unwrap();
    sink.open(Slot(1), &place("room-innocent", 0)).unwrap();
    sink.open(Slot(2), &place("room-innocent", 1)).unwrap();
    let value = vec![b'x'; 30_000];
    let (mut deliveries, mut next) = (Vec::new(), [0; 3]);
    let started = Instant::now();
    let end = 'produce: loop {
        assert!(started.elapsed() < MINUTE, "the sink goes on for ever");
        for (slot, next) in next.iter_mut().enumerate() {
            let bytes = if slot == 0 && *next == 500 { value.len() } else { 100 };
            match sink.produce(Slot(slot as u16), &plain(*next, &value[..bytes])) {
                Ok(()) => *next += 1,
                Err(error) if error.kind == ErrorKind::QueueFull => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => break 'produce error,
            }
        }
        sink.serve(&mut deliveries);
    };
    assert_eq!(end.kind, ErrorKind::ProducerFatal, "{end}");
    deliveries.extend(drain(&mut sink));
    let mut kinds: BTreeMap<(Slot, String), usize> = BTreeMap::new();
    let mut acknowledged = BTreeMap::new();
    for delivery in &deliveries {
        *kinds.entry((delivery.slot, format!("{:?}", delivery.outcome))).or_default() += 1;
        if delivery.outcome.is_ok() {
            let next = acknowledged.entry(delivery.slot).or_insert(0);
            assert_eq!(delivery.offset, *next, "{:?} acknowledged out of order", delivery.slot);
            *next += 1;
        }
    }
    println!("deliveries by slot and outcome: {kinds:?}");
    let guilty: Vec<_> = kinds.keys().filter(|(_, outcome)| outcome.contains("RecordTooLarge")).collect();
    assert_eq!(guilty.len(), 1, "{kinds:?}");
    assert_eq!(guilty[0].0, Slot(0), "{kinds:?}");
    for (slot, outcome) in kinds.keys().filter(|(slot, _)| *slot != Slot(0)) {
        assert!(["Ok(())", "Err(Purged)", "Err(ProducerFatal)"].contains(&&**outcome), "{slot:?} {outcome}");
    }
    // What lies at the target is a prefix, and holds all that was acknowledged.
    let acknowledged = acknowledged.get(&Slot(0)).copied().unwrap_or(0);
    let lies = contents::read(cluster.bootstrap(), "room-guilty").len() as i64;
    assert!((acknowledged..=500).contains(&lies), "{lies} records, {acknowledged} acknowledged");
    assert_eq!(sink.produce(Slot(1), &plain(next[1], b"x")).unwrap_err().kind, ErrorKind::ProducerFatal);
}

#[test]
fn a_batch_is_refused_as_a_whole_and_two_bad_records_of_it_are_named() {
    let (_, cluster) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-compacted", 1, &[("cleanup.policy", "compact")]);
    let refused = |bad: &[i64]| {
        let bounds = SinkBounds { queued_bytes: MIB, batch_bytes: MIB };
        let mut sink = sink_with(cluster.bootstrap(), &[("linger.ms", "200")], bounds);
        sink.open(Slot(0), &place("room-compacted", 0)).unwrap();
        for offset in 0..10 {
            let key = if bad.contains(&offset) { None } else { Some(&b"k"[..]) };
            sink.produce(Slot(0), &Record { key, ..plain(offset, b"v") }).unwrap();
        }
        drain(&mut sink).iter().map(|delivery| (delivery.offset, delivery.outcome)).collect::<Vec<_>>()
    };
    let all = (0..10).map(|offset| (offset, Err(ErrorKind::InvalidRecord)));
    assert_eq!(refused(&[4]), all.collect::<Vec<_>>(), "of one bad record all get the error");
    let kind = |offset| if [4, 6].contains(&offset) { ErrorKind::InvalidRecord } else { ErrorKind::ProducerFatal };
    assert_eq!(refused(&[4, 6]), (0..10).map(|offset| (offset, Err(kind(offset)))).collect::<Vec<_>>());
    assert!(contents::read(cluster.bootstrap(), "room-compacted").is_empty());
}

#[test]
fn a_missing_topic_fails_its_records_and_ends_the_sink() {
    let (_, cluster) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-one-partition", 1, &[]);
    let mut sink = sink(cluster.bootstrap());
    sink.open(Slot(0), &place("room-missing", 0)).unwrap();
    sink.produce(Slot(0), &plain(7, b"v")).unwrap();
    let deliveries = drain(&mut sink);
    assert_eq!(deliveries, [Delivery { slot: Slot(0), offset: 7, outcome: Err(ErrorKind::UnknownTopic) }]);
    assert_eq!(sink.produce(Slot(0), &plain(8, b"v")).unwrap_err().kind, ErrorKind::ProducerFatal);
}

#[test]
fn a_full_queue_is_said_and_a_record_larger_than_it_goes_alone() {
    let (_, cluster) = shared();
    Admin::new(cluster.bootstrap()).create_topic("room-full", 1, &[]);
    let bounds = SinkBounds { queued_bytes: 10_000, batch_bytes: MIB };
    let mut sink = sink_with(cluster.bootstrap(), &[("linger.ms", "100")], bounds);
    sink.open(Slot(0), &place("room-full", 0)).unwrap();
    let value = vec![b'x'; 100_000];
    sink.produce(Slot(0), &plain(0, &value)).unwrap();
    assert_eq!(sink.produce(Slot(0), &plain(1, b"")).unwrap_err().kind, ErrorKind::QueueFull);
    assert_eq!(drain(&mut sink).len(), 1);
    let fits = (0..1_000).take_while(|offset| sink.produce(Slot(0), &plain(*offset, &value[..1_000])).is_ok()).count();
    assert!((5..10).contains(&fits), "{fits} records of 1,000 bytes");
    assert_eq!(drain(&mut sink).len(), fits);
}

#[test]
fn a_purge_gives_every_record_back_and_dropping_takes_no_time() {
    let mut sink = sink("127.0.0.1:1");
    sink.open(Slot(0), &place("room-nowhere", 0)).unwrap();
    for offset in 0..100 {
        sink.produce(Slot(0), &plain(offset, b"v")).unwrap();
    }
    let mut deliveries = Vec::new();
    sink.serve(&mut deliveries);
    assert_eq!((deliveries.len(), sink.outstanding()), (0, 100));
    sink.purge();
    let deliveries = drain(&mut sink);
    assert!(deliveries.iter().all(|delivery| delivery.outcome == Err(ErrorKind::Purged)), "{deliveries:?}");
    assert_eq!(deliveries.len(), 100);

    let mut sink = super::sink("127.0.0.1:1");
    sink.open(Slot(0), &place("room-nowhere", 0)).unwrap();
    sink.produce(Slot(0), &plain(0, b"v")).unwrap();
    let started = Instant::now();
    drop(sink);
    assert!(started.elapsed() < Duration::from_secs(1), "dropping took {:?}", started.elapsed());
}
