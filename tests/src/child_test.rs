use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

fn shell(script: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    spawn(command).expect("start a shell")
}

#[test]
fn the_exit_code_and_the_cpu_time_are_reported() {
    let mut child = shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 3");
    let exit = child.wait(DEADLINE).expect("it ends");
    assert_eq!((exit.code, exit.signal), (Some(3), None));
    assert!(exit.cpu > Duration::from_millis(10), "{exit:?}");
    assert!(exit.rss_peak_bytes > 0, "{exit:?}");
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it() {
    let mut child = std::thread::spawn(|| shell("sleep 60")).join().expect("the thread ends");
    assert_eq!(child.wait(Duration::from_millis(200)), None);
    assert_eq!(child.kill().signal, Some(libc::SIGKILL));
}

#[test]
fn a_stopped_child_stands_still_and_can_be_killed() {
    let mut child = shell("while :; do :; done");
    wait::until_true("it has used its first CPU time", DEADLINE, || child.cpu() > Duration::ZERO);
    child.signal(Signal::Stop);
    child.signal(Signal::Stop);
    let before = child.cpu();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).expect("its state");
    assert!(stat.contains(") T "), "{stat}");
    assert_eq!(child.wait(Duration::from_millis(100)), None);
    assert_eq!(child.cpu(), before);
    assert!(child.kill().cpu >= before);
}

#[test]
fn a_dropped_child_is_gone() {
    let child = shell("sleep 60");
    let pid = child.pid();
    drop(child);
    assert!(!exists(pid));
}
