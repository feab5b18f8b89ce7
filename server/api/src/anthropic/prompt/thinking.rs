//! `thinking`.

use mlx_gate_core::{Effort, ReasoningOptions};

use crate::error::Error;
use crate::fields::Fields;
use crate::openai::options;

/// What `thinking` says.
pub(super) struct Thinking {
    pub(super) reasoning: ReasoningOptions,
    /// The client wants to read it.
    pub(super) shown: bool,
}

/// Reads `thinking`. Both `enabled` and `adaptive` are leave to think, not a demand: a model that cannot answers without.
/// `effort` says how much, where there is thinking at all.
pub(super) fn read(fields: &mut Fields, effort: Option<Effort>) -> Result<Thinking, Error> {
    let off = ReasoningOptions { enabled: Some(false), ..ReasoningOptions::default() };
    let Some(mut thinking) = fields.object("thinking")? else {
        return Ok(Thinking { reasoning: off, shown: true });
    };
    let kind = thinking.choice("type", &["enabled", "adaptive", "disabled"])?;
    let kind = thinking.required("type", kind)?;
    let mut shown = true;
    let reasoning = if kind == "disabled" {
        off
    } else {
        let budget = match kind {
            "enabled" => {
                let budget = options::max_tokens(&mut thinking, "budget_tokens")?;
                Some(thinking.required("budget_tokens", budget)?)
            }
            _ => None,
        };
        shown = thinking.choice("display", &["summarized", "omitted"])? != Some("omitted");
        ReasoningOptions { enabled: Some(true), effort, max_tokens: budget }
    };
    thinking.finish()?;
    Ok(Thinking { reasoning, shown })
}
