//! `mlx-gate plugin bench`: what a plugin's phases take, each by itself, in a fresh instance and in one that has served
//! before.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use mlx_gate_core::Phase;
use mlx_gate_lifecycle::workbench::{
    Admission, Answer, Ask, Authentication, Authorization, Workbench, Workshop,
};
use mlx_gate_lifecycle::{Failure, Isolation, PluginSpec};
use serde_json::{Map, Value, json};

use super::Error;
use super::inspect::size;
use super::test::{self, Subject};

/// Calls that are made before any is measured.
const WARM_UP: usize = 20;
/// Calls that are enough, however long they take.
const MOST: usize = 200_000;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Report {
    plugin: String,
    digest: String,
    bytes: usize,
    snapshot: Option<usize>,
    load: Duration,
    rows: Vec<Row>,
}

/// One function, in both ways of running it.
#[derive(Debug)]
struct Row {
    function: &'static str,
    /// What it answered: a refusal may take less than a grant.
    verdict: &'static str,
    fresh: Times,
    warm: Times,
}

/// In microseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    p50: f64,
    p99: f64,
    calls: usize,
}

/// Loads the plugin twice and measures each phase for `time`, in both.
pub(crate) async fn bench(
    spec: &PluginSpec,
    cases: Option<&Path>,
    time: Duration,
    workshop: &Workshop,
) -> Result<Report, Error> {
    // What a start takes: the code is compiled here, and configured further down.
    let started = Instant::now();
    let inspection = workshop.inspect(&spec.source).await?;
    let compiled = started.elapsed();
    let subject = test::subject(spec, cases, &inspection)?;
    let started = Instant::now();
    let fresh = load(&subject.spec, Isolation::Fresh, workshop).await?;
    let load_time = compiled + started.elapsed();
    let warm = load(&subject.spec, Isolation::Reuse, workshop).await?;
    let (fresh_rows, warm_rows) =
        (measure(&fresh, &subject, time).await?, measure(&warm, &subject, time).await?);
    let rows = fresh_rows.into_iter().zip(warm_rows).map(|(fresh, warm)| Row {
        function: fresh.function,
        verdict: fresh.verdict,
        fresh: fresh.times,
        warm: warm.times,
    });
    Ok(Report {
        plugin: inspection.name,
        digest: inspection.sha256,
        bytes: inspection.bytes,
        snapshot: fresh.snapshot_bytes(),
        load: load_time,
        rows: rows.collect(),
    })
}

async fn load(spec: &PluginSpec, isolation: Isolation, workshop: &Workshop) -> Result<Workbench, Error> {
    let mut spec = spec.clone();
    spec.host.isolation = Some(isolation);
    Ok(workshop.load(&spec).await?)
}

struct Measured {
    function: &'static str,
    verdict: &'static str,
    times: Times,
}

async fn measure(workbench: &Workbench, subject: &Subject, time: Duration) -> Result<Vec<Measured>, Error> {
    let mut measured = Vec::new();
    for phase in workbench.phases() {
        measured.extend(measure_phase(workbench, *phase, subject, time).await?);
    }
    Ok(measured)
}

/// Calls a phase until the time is over. Rate limiters settle what they reserve, which is a function of its own.
async fn measure_phase(
    workbench: &Workbench,
    phase: Phase,
    subject: &Subject,
    time: Duration,
) -> Result<Vec<Measured>, Error> {
    let (mut asked, mut settled) = (Vec::new(), Vec::new());
    let mut verdict = "";
    let started = Instant::now();
    while asked.len() < WARM_UP * 2 || (started.elapsed() < time && asked.len() < MOST) {
        let (answer, took) = timed(workbench, subject.ask(phase)).await?;
        asked.push(took);
        verdict = word(&answer);
        if let Answer::Admission(Admission::Reserve(reservation)) = answer {
            let (_, took) = timed(workbench, subject.settle(reservation.ticket)).await?;
            settled.push(took);
        }
    }
    let function = match phase {
        Phase::RateLimit => "admit",
        phase => phase.as_str(),
    };
    let mut measured = vec![Measured { function, verdict, times: times(asked) }];
    if settled.len() > WARM_UP {
        measured.push(Measured { function: "settle", verdict: "done", times: times(settled) });
    }
    Ok(measured)
}

async fn timed(workbench: &Workbench, ask: Ask<'_>) -> Result<(Answer, f64), Failure> {
    let started = Instant::now();
    let answer = workbench.ask(ask).await?;
    Ok((answer, started.elapsed().as_secs_f64() * 1e6))
}

fn times(mut samples: Vec<f64>) -> Times {
    samples.drain(..WARM_UP.min(samples.len() - 1));
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[((samples.len() - 1) as f64 * share).round() as usize];
    Times { p50: at(0.5), p99: at(0.99), calls: samples.len() }
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Authentication(Authentication::Abstain(_)) => "abstain",
        Answer::Authentication(Authentication::Allow(_)) | Answer::Authorization(Authorization::Allow(_)) => {
            "allow"
        }
        Answer::Authentication(Authentication::Deny(_))
        | Answer::Authorization(Authorization::Deny(_))
        | Answer::Admission(Admission::Deny(_)) => "deny",
        Answer::Authorization(Authorization::NoOpinion) => "no-opinion",
        Answer::Admission(Admission::Pass) => "pass",
        Answer::Admission(Admission::Reserve(_)) => "reserve",
        Answer::Tags(_) => "tags",
        Answer::Done => "done",
    }
}

impl Report {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}: component {}", self.plugin, size(self.bytes));
        if let Some(snapshot) = self.snapshot {
            write!(text, ", configured {}", size(snapshot)).expect("a string takes it");
        }
        writeln!(text, ", loaded in {} ms", self.load.as_millis()).expect("a string takes it");
        writeln!(text, "\n{:28}{:>22}{:>22}", "microseconds", "fresh p50     p99", "warm p50     p99")
            .expect("a string takes it");
        for row in &self.rows {
            let name = format!("{} ({})", row.function, row.verdict);
            let (fresh, warm) = (row.fresh, row.warm);
            writeln!(
                text,
                "{name:28}{:>14.1}{:>8.1}{:>14.1}{:>8.1}",
                fresh.p50, fresh.p99, warm.p50, warm.p99
            )
            .expect("a string takes it");
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let times = |times: Times| json!({"p50_us": times.p50, "p99_us": times.p99, "calls": times.calls});
        let phases: Map<String, Value> = self
            .rows
            .iter()
            .map(|row| {
                let both =
                    json!({"verdict": row.verdict, "fresh": times(row.fresh), "warm": times(row.warm)});
                (row.function.to_owned(), both)
            })
            .collect();
        json!({
            "plugin": self.plugin,
            "sha256": self.digest,
            "bytes": self.bytes,
            "snapshot_bytes": self.snapshot,
            "load_ms": self.load.as_secs_f64() * 1e3,
            "phases": phases,
        })
    }
}
