//! The one way from an operation to leave to carry it out: authorize, admit, tag. Nothing else makes a [`Permit`], and
//! without one neither a generation starts nor an answer leaves a handler.

use axum::response::Response;
use mlx_gate_core::{Constraints, Operation, Prepared, PreparedEncode, Refusal, Request, Tags};

use crate::error::Error;
use crate::log::Record;
use crate::routes::Call;

/// An operation that the authorizers allow, within their bounds.
pub(crate) struct Authorized<'a> {
    call: &'a Call,
    operation: Operation,
    constraints: Constraints,
}

/// Leave to carry out one operation.
pub(crate) struct Permit {
    tags: Tags,
    record: Record,
}

/// An answer to a request that went through all phases.
pub(crate) struct Permitted(Response);

impl<'a> Authorized<'a> {
    /// Asks whether the caller may do this. Until here nothing about the operation has been held against what is served,
    /// so a refusal does not tell what is.
    pub(crate) async fn ask(call: &'a Call, operation: Operation) -> Result<Self, Error> {
        let constraints = call.deadline.within(call.passage.authorize(&operation)).await?.map_err(refused)?;
        Ok(Self { call, operation, constraints })
    }

    /// Whether the caller may use and see a model.
    pub(crate) fn allows_model(&self, name: &str) -> bool {
        self.constraints.allows_model(name)
    }

    /// The operation is about no model that there is for this caller. Limits count by model, and would begin to for every name.
    pub(crate) fn forget_model(&mut self) {
        self.operation.model = None;
    }

    /// The model that answers, which the caller may use.
    pub(crate) fn model(&mut self) -> Result<Option<String>, Error> {
        if let Some(model) = self.constraints.model.take() {
            self.operation.model = Some(model);
        }
        match &self.operation.model {
            Some(model) if !self.allows_model(model) => Err(Error::ModelNotAllowed { model: model.clone() }),
            model => Ok(model.clone()),
        }
    }

    /// Puts the bounds into a request: the model that answers, and how long the answer may be.
    pub(crate) fn bound(&mut self, request: &mut Request) -> Result<(), Error> {
        request.model = self.model()?;
        self.check_adapter(self.operation.adapter.as_deref())?;
        if let Some(most) = self.constraints.max_output_tokens {
            if most == 0 {
                return Err(Error::NothingAllowed);
            }
            request.max_output_tokens = Some(request.max_output_tokens.map_or(most, |asked| asked.min(most)));
        }
        Ok(())
    }

    /// Replaces what was estimated by what the engine found out, about all prompts and the answers to each.
    pub(crate) fn measured(mut self, prepared: &[Prepared]) -> Self {
        let sum = |tokens: fn(&Prepared) -> u32| prepared.iter().map(tokens).fold(0, u32::saturating_add);
        if let Some(first) = prepared.first() {
            self.operation.model = Some(first.model.clone());
        }
        self.operation.input_tokens = sum(|one| u32::try_from(one.prompt.len()).unwrap_or(u32::MAX));
        self.operation.max_output_tokens = Some(sum(|one| one.max_output_tokens.saturating_mul(one.choices)));
        self
    }

    /// The same for texts that are read whole, of which nothing is generated.
    pub(crate) fn measured_encode(mut self, prepared: &PreparedEncode) -> Self {
        self.operation.model = Some(prepared.model.clone());
        self.operation.input_tokens = prepared.tokens();
        self.operation.max_output_tokens = Some(0);
        self
    }

    /// Asks whether the caller may do it now, and on whose account.
    pub(crate) async fn admit(self) -> Result<Permit, Error> {
        let Call { passage, record, deadline, .. } = self.call;
        let admission = deadline.within(passage.admit(&self.operation)).await?.map_err(refused)?;
        record.admitted(&admission);
        let mut tags = deadline.within(passage.tag(&self.operation)).await?.map_err(refused)?;
        if tags.adapter.is_none() {
            tags.adapter.clone_from(&self.operation.adapter);
        }
        self.check_adapter(tags.adapter.as_deref())?;
        record.tagged(&tags);
        Ok(Permit { tags, record: record.clone() })
    }

    fn check_adapter(&self, adapter: Option<&str>) -> Result<(), Error> {
        match (adapter, &self.constraints.adapters) {
            (Some(adapter), Some(allowed)) if !allowed.iter().any(|name| name == adapter) => {
                Err(Error::AdapterNotAllowed { adapter: adapter.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

impl Permit {
    /// How the operation is to be treated.
    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }

    /// The operation is carried out, whatever comes of it.
    pub(crate) fn begin(&self) {
        self.record.answering();
    }

    /// The answer to the operation.
    pub(crate) fn answer(self, response: Response) -> Permitted {
        self.record.answering();
        Permitted(response)
    }
}

impl Permitted {
    pub(crate) fn into_response(self) -> Response {
        self.0
    }
}

fn refused(refusal: Refusal) -> Error {
    Error::Refused(Box::new(refusal))
}
