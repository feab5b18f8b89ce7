//! `thinking`.

use mlx_gate_core::{Effort, ReasoningOptions};

use crate::error::Error;
use crate::fields::Fields;

/// What `thinking` says.
pub(super) struct Thinking {
    pub(super) reasoning: ReasoningOptions,
    /// The client wants to read it.
    pub(super) shown: bool,
}

/// The least budget, by Anthropic's documentation of `thinking.budget_tokens`.
const LEAST_BUDGET: i64 = 1024;

/// Reads `thinking`. Both `enabled` and `adaptive` are leave to think, not a demand: a model that cannot answers without.
/// `effort` says how much, where there is thinking at all. Where nothing is said, a model thinks only if it always does.
pub(super) fn read(fields: &mut Fields, effort: Option<Effort>) -> Result<Thinking, Error> {
    let Some(mut thinking) = fields.object("thinking")? else {
        return Ok(Thinking { reasoning: ReasoningOptions::default(), shown: true });
    };
    let kind = thinking.choice("type", &["enabled", "adaptive", "disabled"])?;
    let kind = thinking.required("type", kind)?;
    if kind == "disabled" {
        thinking.finish()?;
        let reasoning = ReasoningOptions { enabled: Some(false), ..ReasoningOptions::default() };
        return Ok(Thinking { reasoning, shown: true });
    }
    let max_tokens = if kind == "enabled" {
        let budget = thinking.integer("budget_tokens", LEAST_BUDGET..)?;
        Some(u32::try_from(thinking.required("budget_tokens", budget)?).unwrap_or(u32::MAX))
    } else {
        None
    };
    let shown = thinking.choice("display", &["summarized", "omitted"])? != Some("omitted");
    thinking.finish()?;
    Ok(Thinking {
        reasoning: ReasoningOptions { enabled: Some(true), effort, max_tokens, optional: true },
        shown,
    })
}
