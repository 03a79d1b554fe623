use super::super::audit::Compared;
use super::super::scene;
use super::*;

const OTHER: &str = "w1";
const KILLED: &str = "w2";

fn partitions() -> Vec<TopicPartition> {
    scene::partitions_of("orders", 4).collect()
}

/// The first two partitions with one worker, the last two with the other.
fn owners(first: (&str, u64), last: (&str, u64)) -> Owners {
    let owner = |(worker, epoch): (&str, u64)| Owner { worker: worker.into(), session: format!("s-{worker}"), epoch };
    partitions().into_iter().zip([first, first, last, last]).map(|(name, at)| (name, owner(at))).collect()
}

fn silences(first_ms: u64, last_ms: u64) -> Silences {
    let silences = [first_ms, first_ms, last_ms, last_ms].map(Duration::from_millis);
    partitions().into_iter().zip(silences).collect()
}

/// A play in which everything went as claimed.
fn found() -> Found {
    let contents = Contents { records: 10, repeated: 0, checksum: 7 };
    let compared = Compared { source: contents, target: contents };
    let (before, after) = (owners((OTHER, 1), (KILLED, 1)), owners((OTHER, 1), (OTHER, 2)));
    Found {
        audit: partitions().into_iter().map(|partition| (partition, compared)).collect(),
        produced: 10,
        calm: silences(20, 20),
        worker: WorkerKilled { id: KILLED.into(), before, after: after.clone(), silences: silences(30, 1_500) },
        leader: LeaderKilled { old: 1, new: 2, before: after.clone(), after, silences: silences(30, 40) },
    }
}

/// The only claim that does not hold.
fn untrue(found: &Found) -> String {
    let untrue: Vec<_> = claims(found).into_iter().filter(|claim| !claim.holds).map(|claim| claim.text).collect();
    assert_eq!(untrue.len(), 1, "{untrue:#?}");
    untrue.concat()
}

#[test]
fn all_claims_hold_where_all_went_well() {
    let claims = claims(&found());
    assert!(claims.iter().all(|claim| claim.holds), "{claims:#?}");
    assert!(claims[2].text.contains("2 of its 2 partitions moved") && claims[2].text.contains("0 of the other 2"));
    assert!(claims[3].text.contains("1.50 s at most") && claims[4].text.contains("0.03 s at most"));
}

#[test]
fn a_record_that_differs_is_told_by_its_partition() {
    let mut found = found();
    found.audit.get_mut(&partitions()[1]).expect("there").target.checksum = 8;
    assert!(untrue(&found).contains("orders/1 differ"));
}

#[test]
fn a_record_that_never_reached_the_source_is_no_success() {
    let found = Found { produced: 11, ..found() };
    assert!(untrue(&found).contains("4 partitions of the source lack records"));
}

#[test]
fn records_may_repeat_where_the_killed_worker_was_and_nowhere_else() {
    let mut found = found();
    found.audit.get_mut(&partitions()[3]).expect("there").target.repeated = 5;
    assert!(claims(&found).iter().all(|claim| claim.holds));
    found.audit.get_mut(&partitions()[0]).expect("there").target.repeated = 1;
    assert!(untrue(&found).contains("6 came twice, 1 of them in"));
}

#[test]
fn a_partition_that_another_worker_had_must_keep_session_and_epoch() {
    let mut found = found();
    found.worker.after.get_mut(&partitions()[0]).expect("there").epoch = 2;
    assert!(untrue(&found).contains("1 of the other 2: orders/0"));
}

#[test]
fn a_partition_of_the_killed_worker_must_move_to_its_next_epoch() {
    let mut found = found();
    found.worker.after.get_mut(&partitions()[3]).expect("there").epoch = 3;
    assert!(untrue(&found).contains("1 of its 2 partitions moved"));
    found.worker.after.remove(&partitions()[3]);
    assert!(untrue(&found).contains("1 of its 2 partitions moved"));
}

#[test]
fn an_election_that_moves_something_is_told() {
    let mut found = found();
    found.leader.after.remove(&partitions()[2]);
    assert!(untrue(&found).contains("1 of 4 partitions moved: orders/2"));
}

#[test]
fn a_pause_is_told_by_its_length() {
    let mut found = found();
    found.worker.silences = silences(1_200, 1_500);
    assert!(untrue(&found).contains("never paused: 1.20 s at most"));
    found.worker.silences = silences(20, 3_100);
    assert!(untrue(&found).contains("its partitions were silent for 3.10 s at most"));
    found.worker.silences = silences(20, 1_500);
    found.leader.silences = silences(20, 1_100);
    assert!(untrue(&found).contains("copying never paused: 1.10 s"));
}

#[test]
fn what_is_usual_on_a_busy_machine_is_no_pause() {
    let mut found = Found { calm: silences(700, 800), ..found() };
    found.leader.silences = silences(2_600, 30);
    assert!(claims(&found).iter().all(|claim| claim.holds));
    found.leader.silences = silences(2_601, 30);
    assert!(untrue(&found).contains("limit 2.60 s, calm 0.80 s"));
}

#[test]
fn a_claim_that_holds_fits_a_line() {
    let source = Contents { records: 99_999, repeated: 0, checksum: u64::MAX };
    let compared = Compared { source, target: Contents { repeated: 9_999, ..source } };
    let mut found = Found { produced: source.records, ..found() };
    found.audit = scene::partitions_of("orders", 4)
        .map(|partition| (partition, Compared { target: source, ..compared }))
        .collect();
    found.audit.insert(partitions()[3].clone(), compared);
    for claim in claims(&found) {
        assert!(claim.line().text.chars().count() <= 80, "{}", claim.text);
    }
    for line in table(&found.audit) {
        assert!(line.text.chars().count() <= 80, "{}", line.text);
    }
}
