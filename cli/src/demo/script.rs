//! What the demo does, in order, and how it is told.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::mirror_child::{COMMIT_INTERVAL, Files, MirrorChild};
use super::scene::{PARTITIONS, RECORD_BYTES, RECORDS, Scene, TOPIC};
use super::tell;
use super::verdict::Verdict;
use crate::failure::Failure;
use crate::output::{self, LiveLine, grouped};

/// How long a mirror may take for its part.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at the target.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Plays it.
pub async fn play() -> Result<(), Failure> {
    let started = Instant::now();
    let all = grouped(RECORDS);
    tell("replisome demo", ": two Kafka clusters inside this process, a mirror between them, and a kill -9");
    output::result("");

    let scene = Scene::build()?;
    let files = Files::write(&scene)?;
    let (source, target) = (scene.source.bootstrap_servers(), scene.target.bootstrap_servers());
    let what = format!("  topic {TOPIC}: {PARTITIONS} partitions, {all} records of {RECORD_BYTES} bytes on {source}");
    tell("1 source  ", &what);
    tell("2 target  ", &format!("  the same topic, empty, on {target}"));
    output::result(
        "            (a mirror makes missing topics with the source's partition count; these small brokers let no client\n\
         \x20            make one, so the demo did. MirrorMaker 1 leaves the count to the broker, whose own default is 1)",
    );

    let mut first = MirrorChild::start(&files)?;
    tell("3 mirror  ", &format!("  replisome mirror --whitelist {TOPIC} …, process {}", first.id()));
    watch(&scene, &files, &mut first, RECORDS / 2).await?;
    let first_id = first.id();
    first.kill()?;
    let (copied, stored) = settled(&scene).await?;
    let (copied_sum, stored_sum) = (copied.iter().sum(), stored.iter().sum());
    tell(
        "4 kill -9 ",
        &format!(
            "  process {first_id} is gone; {} of {all} records were copied, stored offsets say {}",
            grouped(copied_sum),
            grouped(stored_sum)
        ),
    );

    let mut second = MirrorChild::start(&files)?;
    tell("5 again   ", &format!("  the same command, process {}, until the end", second.id()));
    watch(&scene, &files, &mut second, u64::MAX).await?;

    scene.source.delay_answers(Duration::ZERO)?;
    tell("6 check   ", "  both clusters read by a plain Kafka consumer that knows nothing of the mirror");
    let at_most = copied.iter().zip(&stored).map(|(copied, stored)| copied.saturating_sub(*stored)).collect();
    let verdict = Verdict::find(&scene, at_most)?;
    output::result("");
    for line in verdict.table() {
        output::result(line);
    }
    output::result("");
    let interval = COMMIT_INTERVAL.as_millis();
    verdict.judge(interval)?;
    tell(
        "true",
        &format!(
            ": every record is at the target, unchanged and in order; {} came twice, all of them copied before the kill\n      \
             but not yet stored (offsets are stored every {interval} ms; {:.1} s in all)",
            grouped(verdict.repeated()),
            started.elapsed().as_secs_f64()
        ),
    );
    Ok(())
}

/// Waits until the target holds `records`, or, if that never comes, until the mirror ended well.
async fn watch(scene: &Scene, files: &Files, mirror: &mut MirrorChild, records: u64) -> Result<(), Failure> {
    let mut live = output::stderr_is_terminal().then(LiveLine::default);
    let waiting = async {
        loop {
            if let Some(status) = mirror.ended()? {
                if status.success() && records == u64::MAX {
                    return Ok(());
                }
                let text = format!("the mirror ended too early or badly ({status}):{}", files.last_lines());
                return Err(Failure::failed(text));
            }
            let copied: u64 = scene.copied()?.iter().sum();
            if copied >= records {
                return Ok(());
            }
            if let Some(line) = &mut live {
                line.show(&format!("            {} of {} records", grouped(copied), grouped(RECORDS)));
            }
            sleep(LOOK_INTERVAL).await;
        }
    };
    match timeout(PATIENCE, waiting).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::failed(format!(
            "the mirror did not get there in {} s:{}",
            PATIENCE.as_secs(),
            files.last_lines()
        ))),
    }
}

/// What is at the target and what is stored once nothing of the killed mirror is on its way any more.
async fn settled(scene: &Scene) -> Result<(Vec<u64>, Vec<u64>), Failure> {
    let mut before = (scene.copied()?, scene.stored()?);
    loop {
        // Longer than an answer of either broker takes.
        sleep(Duration::from_millis(100)).await;
        let now = (scene.copied()?, scene.stored()?);
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}
