//! A request's way through five plugins, one for each phase, and through one authenticator.

use std::time::{Duration, Instant};

use mlx_gate_core::{Lifecycle as _, RequestHead};
use mlx_gate_lifecycle::Gate;

use crate::report::Report;
use crate::requests::{self, Times};
use crate::setting::{Isolation, Setting};
use crate::{Only, Result};

const WARM_UP: usize = 2_000;

/// What a request goes through.
const STEPS: [&str; 5] = ["authenticate", "authorize", "admit", "tag", "finish"];

pub(crate) async fn measure(setting: &Setting, only: &Only, report: &mut Report) -> Result<()> {
    for (isolation, name) in [(Isolation::Fresh, "chain5"), (Isolation::Reuse, "warm5")] {
        if !only.includes(name) {
            continue;
        }
        let gate = Setting::gate(&setting.chain(isolation, false)).await?;
        let (times, cpu) = all_phases(&gate, setting, only.requests).await?;
        report.times(name, &Times::of(times.iter().map(|laps| laps.iter().sum()).collect()));
        for (step, what) in STEPS.iter().enumerate() {
            let times = Times::of(times.iter().map(|laps| laps[step]).collect());
            report.add(&format!("{name}_{what}_p50_us"), times.percentile(50));
        }
        report.add(&format!("{name}_cpu_us"), cpu);
    }
    for (caches, isolation, name) in [
        (true, Isolation::Fresh, "cached"),
        (false, Isolation::Fresh, "authenticate"),
        (false, Isolation::Reuse, "authenticate_warm"),
    ] {
        if !only.includes(name) {
            continue;
        }
        let gate = Setting::gate(&[setting.static_keys(isolation, caches)]).await?;
        report.times(name, &authenticate(&gate, heads(setting, caches), only.requests).await?);
    }
    Ok(())
}

/// The time plugins add to a request: from its beginning to the tags, and `finish`. Settling and logging go on beside the
/// requests that follow, and their part is in the second figure, the process's processor time for each request.
async fn all_phases(
    gate: &Gate,
    setting: &Setting,
    count: usize,
) -> Result<(Vec<[Duration; STEPS.len()]>, f64)> {
    let mut times = Vec::with_capacity(count);
    let operation = requests::operation();
    let mut cpu = Duration::ZERO;
    for (number, head) in heads(setting, false).take(WARM_UP + count).enumerate() {
        if number == WARM_UP {
            gate.drain().await;
            times.clear();
            cpu = processor_time()?;
        }
        let passage = gate.begin();
        let failed = |refusal| format!("request {number} was refused: {refusal:?}");
        let mut clock = Clock::start();
        passage.authenticate(&head).await.map_err(failed)?;
        clock.lap(0);
        passage.authorize(&operation).await.map_err(failed)?;
        clock.lap(1);
        passage.admit(&operation).await.map_err(failed)?;
        clock.lap(2);
        passage.tag(&operation).await.map_err(failed)?;
        clock.lap(3);
        // The answer is generated, and the thread does something else.
        tokio::task::yield_now().await;
        let ended = requests::ended(&head);
        clock.last = Instant::now();
        passage.finish(ended);
        drop(passage);
        clock.lap(4);
        times.push(clock.laps);
        tokio::task::yield_now().await;
    }
    gate.drain().await;
    let cpu = processor_time()?.saturating_sub(cpu);
    Ok((times, cpu.as_secs_f64() * 1e6 / count as f64))
}

/// Where the time of one request goes.
struct Clock {
    last: Instant,
    laps: [Duration; STEPS.len()],
}

impl Clock {
    fn start() -> Self {
        Self { last: Instant::now(), laps: [Duration::ZERO; STEPS.len()] }
    }

    fn lap(&mut self, step: usize) {
        let now = Instant::now();
        self.laps[step] = now - self.last;
        self.last = now;
    }
}

/// From the beginning of a request to the principal.
pub(crate) async fn authenticate(
    gate: &Gate,
    heads: impl Iterator<Item = RequestHead>,
    count: usize,
) -> Result<Times> {
    let mut times = Vec::with_capacity(count);
    for (number, head) in heads.take(WARM_UP + count).enumerate() {
        let started = Instant::now();
        let answer = gate.begin().authenticate(&head).await;
        let took = started.elapsed();
        answer.map_err(|refusal| format!("request {number} was refused: {refusal:?}"))?;
        if number >= WARM_UP {
            times.push(took);
        }
        tokio::task::yield_now().await;
    }
    Ok(Times::of(times))
}

/// Requests of many callers, or, where answers are to be found in a cache, of as many as it holds for sure.
fn heads(setting: &Setting, few_callers: bool) -> impl Iterator<Item = RequestHead> {
    // A stride that visits keys in no order a processor's cache would like.
    let callers = if few_callers { 500 } else { setting.keys.len() };
    (0..).map(move |number: usize| requests::head(number, &setting.keys[number * 7919 % callers]))
}

/// Of this process, all threads.
fn processor_time() -> Result<Duration> {
    // The second and third fields after the name, which is in parentheses, count 10 ms each: proc_pid_stat(5).
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<u64> = after_name.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}
