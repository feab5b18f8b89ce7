//! What a benchmark asks: the first case, or a request about nothing in particular.

use std::path::Path;

use mlx_gate_core::{Api, Ended, Operation, Phase, Principal, RequestHead, Usage};
use mlx_gate_lifecycle::workbench::Ask;
use mlx_gate_lifecycle::{Inspection, PluginSpec, Source};

use super::case::{Case, CaseFile};
use super::configuration;
use crate::kit::Error;

/// A plugin's configuration and the questions to it.
pub(crate) struct Subject {
    pub(crate) spec: PluginSpec,
    head: RequestHead,
    principal: Option<Principal>,
    operation: Operation,
    used: Usage,
    ended: Ended,
}

/// Takes the first case of the files given, or of those beside the component where the command line says no options.
pub(crate) fn subject(
    spec: &PluginSpec,
    cases: Option<&Path>,
    inspection: &Inspection,
) -> Result<Subject, Error> {
    let beside = match &spec.source {
        Source::File(path) if spec.options.is_empty() => Some(path.with_file_name("cases")),
        _ => None,
    };
    let Some(path) = cases.map(Path::to_owned).or(beside.filter(|path| path.is_dir())) else {
        return Subject::of(spec.clone(), &Case::default());
    };
    for path in CaseFile::find(&path)? {
        let file = CaseFile::read(&path)?;
        if let Some(case) = file.cases.first() {
            let stand_in = super::stand_in::serve(&file.http)?;
            let spec = configuration::apply(spec, &file, &path, inspection, stand_in.origin())?;
            return Subject::of(spec, case);
        }
    }
    Err(Error::Malformed { path, problem: "none of its files has a case to measure".into() })
}

impl Subject {
    fn of(spec: PluginSpec, case: &Case) -> Result<Self, Error> {
        let malformed = |problem| Error::Malformed { path: case.name.clone().into(), problem };
        Ok(Self {
            spec,
            head: case.head(),
            principal: case.principal(),
            operation: case.operation().map_err(malformed)?.unwrap_or(Operation::new(Api::Chat)),
            used: case.usage(),
            ended: case.ended(),
        })
    }

    /// The question of a phase.
    pub(crate) fn ask(&self, phase: Phase) -> Ask<'_> {
        let who = self.principal.as_ref();
        match phase {
            Phase::Authenticate => Ask::Authenticate(&self.head),
            Phase::Authorize => Ask::Authorize(who, &self.operation),
            Phase::RateLimit => Ask::Admit(who, &self.operation),
            Phase::Tag => Ask::Tag(who, &self.operation),
            Phase::Log => Ask::Log { ended: &self.ended, who, what: Some(&self.operation) },
        }
    }

    /// The end of what a rate limiter reserved.
    pub(crate) fn settle(&self, ticket: u64) -> Ask<'_> {
        let who = self.principal.as_ref();
        Ask::Settle { who, what: &self.operation, ticket, ran: true, used: self.used }
    }
}
