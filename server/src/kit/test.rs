//! `mlx-gate plugin test`: a plugin's verdicts on requests from JSON files, from the sandbox that `serve` has, with its
//! limits.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mlx_gate_core::{Operation, Phase, Principal};
use mlx_gate_lifecycle::workbench::{
    Admission, Answer, Ask, Authentication, Authorization, Workbench, Workshop,
};
use mlx_gate_lifecycle::{Inspection, PluginSpec, Source};
use serde_json::{Map, Value, json};

use super::Error;

mod case;
mod compare;
mod configuration;
mod stand_in;
mod subject;
mod verdict;

use case::{Case, CaseFile};
pub(super) use subject::{Subject, subject};

/// What all cases came to.
#[derive(Debug)]
pub(crate) struct Report {
    plugin: String,
    digest: String,
    outcomes: Vec<Outcome>,
}

/// What one case came to.
#[derive(Debug)]
struct Outcome {
    file: PathBuf,
    name: String,
    /// What each phase answered.
    verdicts: Map<String, Value>,
    /// Empty where everything is as expected.
    differences: Vec<String>,
}

/// Runs the cases at `cases`, or those beside the plugin's file.
pub(crate) async fn test(
    spec: &PluginSpec,
    cases: Option<&Path>,
    workshop: &Workshop,
) -> Result<Report, Error> {
    let inspection = workshop.inspect(&spec.source).await?;
    let files = CaseFile::find(&beside(&spec.source, cases)?)?;
    let mut outcomes = Vec::new();
    for path in files {
        let file = CaseFile::read(&path)?;
        run_file(&path, &file, spec, &inspection, workshop, &mut outcomes).await?;
    }
    Ok(Report { plugin: inspection.name, digest: inspection.sha256, outcomes })
}

/// Where the cases are: as said, or in the folder `cases` beside the component.
fn beside(source: &Source, cases: Option<&Path>) -> Result<PathBuf, Error> {
    match (cases, source) {
        (Some(cases), _) => Ok(cases.to_owned()),
        (None, Source::File(path)) => Ok(path.with_file_name("cases")),
        (None, Source::Bundled(name)) => Err(Error::Missing {
            what: "the option --cases",
            remedy: format!(
                "the cases of bundled plugins are in the repository: --cases plugins/{name}/cases"
            ),
        }),
    }
}

async fn run_file(
    path: &Path,
    file: &CaseFile,
    spec: &PluginSpec,
    inspection: &Inspection,
    workshop: &Workshop,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), Error> {
    let stand_in = stand_in::serve(&file.http)?;
    let spec = configuration::apply(spec, file, path, inspection, stand_in.origin())?;
    let mut outcome = |name: &str, verdicts, differences| {
        outcomes.push(Outcome { file: path.to_owned(), name: name.to_owned(), verdicts, differences });
    };
    let workbench = match (workshop.load(&spec).await, &file.rejected) {
        (Ok(workbench), None) => workbench,
        (Ok(_), Some(expected)) => {
            let difference = format!("expected a message with {expected:?}, found that it was accepted");
            outcome("the configuration is rejected", Map::new(), vec![difference]);
            return Ok(());
        }
        (Err(error), expected) => {
            let message = error.to_string();
            let found = json!({"rejected": message}).as_object().cloned().unwrap_or_default();
            match expected {
                Some(text) if message.contains(text) => {
                    outcome("the configuration is rejected", found, Vec::new());
                }
                Some(text) => {
                    let difference = format!("expected a message with {text:?}, found: {message}");
                    outcome("the configuration is rejected", found, vec![difference]);
                }
                None => outcome("the plugin loads", found, vec![message]),
            }
            return Ok(());
        }
    };
    for case in &file.cases {
        let operation = case.operation().map_err(|problem| Error::Malformed {
            path: path.to_owned(),
            problem: format!("`{}`: {problem}", case.name),
        })?;
        let passage = Passage::new(&workbench, case).run(operation).await;
        outcome(&case.name, passage.verdicts, passage.differences);
    }
    Ok(())
}

/// One request's way through the plugin, as the gate would take it.
struct Passage<'a> {
    workbench: &'a Workbench,
    case: &'a Case,
    verdicts: Map<String, Value>,
    differences: Vec<String>,
}

impl<'a> Passage<'a> {
    fn new(workbench: &'a Workbench, case: &'a Case) -> Self {
        Self { workbench, case, verdicts: Map::new(), differences: Vec::new() }
    }

    async fn run(mut self, operation: Option<Operation>) -> Self {
        self.phases(operation).await;
        for (phase, expected) in &self.case.expect {
            match self.verdicts.get(phase) {
                Some(found) => self.differences.extend(compare::differences(phase, expected, found)),
                None => self
                    .differences
                    .push(format!("{phase}: expected {expected}, was not asked: {}", self.why_not(phase))),
            }
        }
        self
    }

    async fn phases(&mut self, operation: Option<Operation>) {
        let mut principal = self.case.principal();
        if self.case.request.is_some() {
            let head = self.case.head();
            match self.ask("authenticate", Phase::Authenticate, Ask::Authenticate(&head)).await {
                Ok(Some(Answer::Authentication(Authentication::Allow(grant)))) => {
                    principal = Some(grant.principal);
                }
                Ok(None) => {}
                _ if principal.is_none() => return,
                _ => {}
            }
        }
        let Some(operation) = operation else { return };
        self.decide(principal.as_ref(), &operation).await;
    }

    /// The phases after authentication, as far as they let the request go.
    async fn decide(&mut self, who: Option<&Principal>, what: &Operation) {
        let authorized = self.ask("authorize", Phase::Authorize, Ask::Authorize(who, what)).await;
        if !matches!(authorized, Ok(None | Some(Answer::Authorization(Authorization::Allow(_))))) {
            return;
        }
        let ticket = match self.ask("admit", Phase::RateLimit, Ask::Admit(who, what)).await {
            Ok(Some(Answer::Admission(Admission::Reserve(reservation)))) => Some(reservation.ticket),
            Ok(None | Some(Answer::Admission(Admission::Pass))) => None,
            _ => return,
        };
        // A failure is in the verdicts; whatever is reserved is settled all the same.
        let tagged = self.ask("tag", Phase::Tag, Ask::Tag(who, what)).await;
        if let Some(ticket) = ticket {
            let (ran, used) = (self.case.ended.ran, self.case.usage());
            let _ = self.ask("settle", Phase::RateLimit, Ask::Settle { who, what, ticket, ran, used }).await;
        }
        if tagged.is_ok() {
            let ended = self.case.ended();
            let _ = self.ask("log", Phase::Log, Ask::Log { ended: &ended, who, what: Some(what) }).await;
        }
    }

    /// Asks where the plugin has the phase, and takes note of the answer.
    async fn ask(&mut self, name: &str, phase: Phase, ask: Ask<'_>) -> Result<Option<Answer>, ()> {
        if !self.workbench.phases().contains(&phase) {
            return Ok(None);
        }
        let answer = self.workbench.ask(ask).await;
        let (verdict, answer) = match answer {
            Ok(answer) => (verdict::json(&answer), Ok(Some(answer))),
            Err(failure) => (json!({ compare::FAILURE: failure.to_string() }), Err(())),
        };
        if answer.is_err() && !self.case.expect.contains_key(name) {
            self.differences
                .push(format!("{name}: {}", verdict[compare::FAILURE].as_str().unwrap_or_default()));
        }
        self.verdicts.insert(name.to_owned(), verdict);
        answer
    }

    fn why_not(&self, phase: &str) -> String {
        let known = ["authenticate", "authorize", "admit", "settle", "tag", "log"];
        if !known.contains(&phase) {
            return format!("there is no such phase; there are {}", known.join(", "));
        }
        match self.verdicts.iter().next_back() {
            Some((name, verdict)) => format!("before it, {name} answered {verdict}"),
            None if phase == "authenticate" => {
                "the case has no `request`, or the plugin no such phase".into()
            }
            None => "the case has no `operation`, or the plugin no such phase".into(),
        }
    }
}

impl Report {
    /// Whether all is as expected.
    pub(crate) fn passed(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.differences.is_empty())
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let failed = self.outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count();
        for outcome in &self.outcomes {
            let verdict = if outcome.differences.is_empty() { "ok    " } else { "FAILED" };
            let file = outcome.file.file_name().unwrap_or_default().display();
            writeln!(text, "{verdict} {file}: {}", outcome.name).expect("a string takes it");
            for difference in &outcome.differences {
                writeln!(text, "         {difference}").expect("a string takes it");
            }
        }
        let total = self.outcomes.len();
        writeln!(text, "{}: {} cases passed, {failed} failed", self.plugin, total - failed)
            .expect("a string takes it");
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let cases = self.outcomes.iter().map(|outcome| {
            json!({
                "file": outcome.file.display().to_string(),
                "name": outcome.name,
                "passed": outcome.differences.is_empty(),
                "verdicts": outcome.verdicts,
                "differences": outcome.differences,
            })
        });
        json!({
            "plugin": self.plugin,
            "sha256": self.digest,
            "passed": self.passed(),
            "cases": cases.collect::<Vec<_>>(),
        })
    }
}
