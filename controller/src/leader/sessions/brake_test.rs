use super::*;

const HEARTBEAT: Duration = Duration::from_secs(1);

fn session(number: usize) -> SessionId {
    SessionId::from_number(number as u128 + 1)
}

/// A brake, and the sessions of a fleet.
struct Scene {
    brake: Brake,
    sight: Sight,
    now: Instant,
}

impl Scene {
    fn new(registered: usize) -> Self {
        let sight = Sight { registered, ..Sight::default() };
        Self { brake: Brake::new(LeaderConfig::default()), sight, now: Instant::now() }
    }

    /// These can't be heard; those of them that are lost by now have been so since now.
    fn miss(&mut self, missing: impl IntoIterator<Item = usize>, lost: impl IntoIterator<Item = usize>) {
        self.sight.missing = missing.into_iter().map(session).collect();
        let lost: BTreeSet<_> = lost.into_iter().map(session).collect();
        self.sight.overdue.retain(|session, _| lost.contains(session));
        for session in lost {
            self.sight.overdue.entry(session).or_insert(self.now);
            self.sight.missing.insert(session);
        }
    }

    fn judge(&mut self) -> Verdict {
        self.brake.judge(&self.sight, self.now)
    }

    /// Ends what is overdue, as `Act` wants it.
    fn act(&mut self) {
        assert_eq!(self.judge(), Verdict::Act);
        for session in std::mem::take(&mut self.sight.overdue).into_keys() {
            self.brake.ended(session, self.now);
            self.sight.missing.remove(&session);
            self.sight.registered -= 1;
        }
    }

    fn hold(&mut self) {
        assert!(matches!(self.judge(), Verdict::Hold { .. }));
        self.brake.hold(self.now);
        self.sight.held = true;
    }
}

#[test]
fn a_loss_is_acted_on_unless_more_than_one_and_more_than_a_third_are_lost() {
    for (registered, lost, acts) in
        [(1, 1, true), (2, 1, true), (3, 1, true), (2, 2, false), (3, 2, false), (4, 2, false), (5, 2, false)]
            .into_iter()
            .chain([(6, 2, true), (6, 3, false), (9, 3, true), (9, 4, false), (10, 3, true), (10, 4, false)])
    {
        let mut scene = Scene::new(registered);
        scene.miss([], 0..lost);
        let expected = if acts { Verdict::Act } else { Verdict::Hold { lost, registered } };
        assert_eq!(scene.judge(), expected, "{lost} of {registered}");
    }
}

#[test]
fn losses_within_one_lease_count_together_and_later_ones_apart() {
    let lease = LeaderConfig::default().lease;
    for (pause, acts) in [(lease / 2, false), (lease, true)] {
        let mut scene = Scene::new(6);
        scene.miss([], 0..2);
        scene.act();
        scene.now += pause;
        scene.miss([], [3]);
        let expected = if acts { Verdict::Act } else { Verdict::Hold { lost: 3, registered: 6 } };
        assert_eq!(scene.judge(), expected, "after {pause:?}");
    }
}

#[test]
fn the_first_of_many_that_are_missing_is_not_given_away_before_the_others_are_decided() {
    let mut scene = Scene::new(6);
    scene.miss(0..4, [0]);
    assert_eq!(scene.judge(), Verdict::Wait);
    scene.now += HEARTBEAT / 2;
    scene.miss(0..4, 0..3);
    assert_eq!(scene.judge(), Verdict::Hold { lost: 3, registered: 6 });
    // They were back before their time.
    scene.miss([0], [0]);
    assert_eq!(scene.judge(), Verdict::Act);
}

#[test]
fn one_loss_waits_for_others_a_little_more_than_a_heartbeat_and_never_two() {
    let mut scene = Scene::new(3);
    scene.miss([0, 1], [0]);
    assert_eq!(scene.judge(), Verdict::Wait);
    scene.now += HEARTBEAT.mul_f64(1.2);
    assert_eq!(scene.judge(), Verdict::Wait, "on a busy machine the last one is noticed that late");
    scene.now += HEARTBEAT.mul_f64(0.8);
    assert_eq!(scene.judge(), Verdict::Act);
}

#[test]
fn a_hold_ends_when_its_time_is_over_and_who_is_missing_then_is_let_go() {
    let mut scene = Scene::new(6);
    scene.miss([], 0..3);
    scene.hold();
    scene.now += LeaderConfig::default().mass_loss_hold - Duration::from_millis(1);
    assert_eq!(scene.judge(), Verdict::Wait);
    scene.now += Duration::from_millis(1);
    assert!(matches!(scene.judge(), Verdict::Release(_)));
    scene.sight.held = false;
    assert_eq!(scene.judge(), Verdict::Act, "they are not counted again, however often they are tried");
    scene.act();
    scene.miss([], [4]);
    assert_eq!(scene.judge(), Verdict::Act, "nor are they once they were ended");
}

#[test]
fn a_hold_ends_when_all_are_back_and_not_before() {
    let mut scene = Scene::new(6);
    scene.miss([], 0..3);
    scene.hold();
    scene.miss([0], []);
    assert_eq!(scene.judge(), Verdict::Wait);
    scene.miss([], []);
    assert!(matches!(scene.judge(), Verdict::Release(_)));
    scene.sight.held = false;
    assert_eq!(scene.judge(), Verdict::Act);
    scene.miss([], 0..3);
    assert!(matches!(scene.judge(), Verdict::Hold { .. }), "who was back is missed anew");
}

#[test]
fn a_hold_that_this_leader_found_is_counted_from_when_it_found_it() {
    let mut scene = Scene::new(6);
    scene.sight.held = true;
    scene.miss(0..6, []);
    assert_eq!(scene.judge(), Verdict::Wait, "nobody has come to it yet");
    scene.now += Duration::from_secs(1);
    scene.brake.extend(Duration::from_secs(1));
    scene.now += LeaderConfig::default().mass_loss_hold - Duration::from_millis(1);
    assert_eq!(scene.judge(), Verdict::Wait);
    scene.now += Duration::from_millis(1);
    assert!(matches!(scene.judge(), Verdict::Release(_)));
}
