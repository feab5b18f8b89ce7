//! A request's way through five plugins, one for each phase, and through one authenticator.

use std::time::{Duration, Instant};

use mlx_gate_core::{Lifecycle as _, RequestHead};
use mlx_gate_lifecycle::Gate;

use crate::Result;
use crate::report::Report;
use crate::requests::{self, Times};
use crate::setting::{Isolation, Setting};

const WARM_UP: usize = 2_000;
const REQUESTS: usize = 20_000;

pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    for (isolation, name) in [(Isolation::Fresh, "chain5"), (Isolation::Reuse, "warm5")] {
        let gate = Setting::gate(&setting.chain(isolation)).await?;
        let (times, cpu) = all_phases(&gate, setting).await?;
        report.times(name, &times);
        report.add(&format!("{name}_cpu_us"), cpu);
    }
    for (caches, isolation, name) in [
        (true, Isolation::Fresh, "cached"),
        (false, Isolation::Fresh, "authenticate"),
        (false, Isolation::Reuse, "authenticate_warm"),
    ] {
        let gate = Setting::gate(&[setting.static_keys(isolation, caches)]).await?;
        report.times(name, &authenticate(&gate, heads(setting, caches)).await?);
    }
    Ok(())
}

/// The time plugins add to a request: from its beginning to the tags, and `finish`. Settling and logging go on beside the
/// requests that follow, and their part is in the second figure, the process's processor time for each request.
async fn all_phases(gate: &Gate, setting: &Setting) -> Result<(Times, f64)> {
    let mut times = Vec::with_capacity(REQUESTS);
    let operation = requests::operation();
    let mut cpu = Duration::ZERO;
    for (number, head) in heads(setting, false).take(WARM_UP + REQUESTS).enumerate() {
        if number == WARM_UP {
            gate.drain().await;
            times.clear();
            cpu = processor_time()?;
        }
        let started = Instant::now();
        let passage = gate.begin();
        let failed = |refusal| format!("request {number} was refused: {refusal:?}");
        passage.authenticate(&head).await.map_err(failed)?;
        passage.authorize(&operation).await.map_err(failed)?;
        passage.admit(&operation).await.map_err(failed)?;
        passage.tag(&operation).await.map_err(failed)?;
        let before_the_answer = started.elapsed();
        // The answer is generated, and the thread does something else.
        tokio::task::yield_now().await;
        let ended = requests::ended(&head);
        let started = Instant::now();
        passage.finish(ended);
        drop(passage);
        times.push(before_the_answer + started.elapsed());
        tokio::task::yield_now().await;
    }
    gate.drain().await;
    let cpu = processor_time()? - cpu;
    Ok((Times::of(times), cpu.as_secs_f64() * 1e6 / REQUESTS as f64))
}

/// From the beginning of a request to the principal.
pub(crate) async fn authenticate(gate: &Gate, heads: impl Iterator<Item = RequestHead>) -> Result<Times> {
    let mut times = Vec::with_capacity(REQUESTS);
    for (number, head) in heads.take(WARM_UP + REQUESTS).enumerate() {
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
