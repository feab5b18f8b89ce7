//! Budgets of reasoning: when it has to end, and in which words.

use mlx_gate_core::{Conversation, EngineError, OutputFormat, ReasoningBudget, ReasoningSyntax};

use crate::output::reasoning_tags;
use crate::served::Served;

/// What Qwen's documentation on thinking budgets puts at the end when one is spent (Qwen3's technical report, section 4.3, says why a
/// model that was not trained for it answers behind these words).
const QWEN: &str = "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking \
                    directly now.\n";

/// The same in Seed-OSS's model card. The model has read the budget in its prompt, and keeps to it by itself mostly.
const SEED: &str = "<seed:cot_budget_reflect>I have exhausted my token budget, and now I will start answering the \
                    question.</seed:cot_budget_reflect>\n";

/// What ends reasoning: last words, which belong to it, and the mark behind them.
struct Ending {
    words: &'static str,
    mark: String,
}

/// The budget that a conversation sets, if it does and the model reasons.
///
/// The last words count. Where they would take more than half of the budget, the model is cut short without any.
pub(super) fn resolve(
    served: &Served,
    conversation: &Conversation,
    format: OutputFormat,
) -> Result<Option<ReasoningBudget>, EngineError> {
    let text = &served.text;
    let (Some(syntax), Some(tokens)) = (format.reasoning, text.reasoning_budget(conversation.reasoning))
    else {
        return Ok(None);
    };
    let mut left = tokens;
    let mut endings = Vec::new();
    for Ending { words, mark } in endings_of(syntax, &served.card.architecture, format.tools.is_some()) {
        let mut ending = text.encode(words, false)?;
        let length = u32::try_from(ending.len()).unwrap_or(u32::MAX);
        if length > tokens / 2 {
            ending.clear();
        } else {
            left = tokens - length;
        }
        ending.extend(text.encode(&mark, false)?);
        endings.push(ending);
    }
    Ok(Some(ReasoningBudget { tokens: left, endings: endings.into() }))
}

fn endings_of(syntax: ReasoningSyntax, architecture: &str, tools: bool) -> Vec<Ending> {
    let ending = |words, mark: &str| vec![Ending { words, mark: mark.to_owned() }];
    match reasoning_tags(syntax) {
        Some([_, close]) if syntax == ReasoningSyntax::Think && architecture.starts_with("qwen3") => {
            ending(QWEN, &format!("{close}\n\n"))
        }
        Some([_, close]) if syntax == ReasoningSyntax::SeedOss => ending(SEED, close),
        // A special token, behind which these families write no line break.
        Some([_, close]) if matches!(syntax, ReasoningSyntax::Mistral | ReasoningSyntax::Gemma4) => {
            ending("", close)
        }
        Some([_, close]) => ending("\n", &format!("{close}\n\n")),
        // With tools, the channel that follows is left to the model, unless it goes on reasoning.
        None => {
            let marks = ["<|end|><|start|>assistant", "<|end|><|start|>assistant<|channel|>final<|message|>"];
            marks[usize::from(!tools)..].iter().flat_map(|mark| ending("", mark)).collect()
        }
    }
}
