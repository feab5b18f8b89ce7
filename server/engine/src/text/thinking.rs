//! How a request's wishes about reasoning reach a chat template: by the variables that it reads.

use minijinja::Value;
use mlx_gate_core::{Conversation, Effort, EngineError, ReasoningOptions, ReasoningSyntax};

use super::template::ChatTemplate;
use crate::output::reasoning_tags;

/// Variables that switch reasoning on and off: Qwen, GLM, SmolLM and Gemma 4 read the first, DeepSeek V3.1 and Granite the
/// second.
const SWITCHES: [&str; 2] = ["enable_thinking", "thinking"];
const EFFORT: &str = "reasoning_effort";
/// Seed-OSS: 0 is none, -1 any number of tokens.
const BUDGET: &str = "thinking_budget";

/// The template variables of a request, or why the template cannot express what is asked for.
pub(super) fn variables(
    asked: ReasoningOptions,
    template: &ChatTemplate,
    syntax: Option<ReasoningSyntax>,
    model: &str,
) -> Result<Vec<(&'static str, Value)>, EngineError> {
    let refused = |message: String| Err(EngineError::InvalidRequest { field: "reasoning", message });
    let wanted = asked.wanted();
    let mut variables = Vec::new();
    for switch in SWITCHES.into_iter().filter(|switch| template.reads(switch)) {
        // Switched off where nobody asks for it: a template's own default is usually on, which a client that does not
        // know about reasoning pays for in time and tokens.
        variables.push((switch, wanted.unwrap_or(false).into()));
    }
    if template.reads(BUDGET) {
        let unbounded = || if wanted.unwrap_or(false) { -1 } else { 0 };
        variables.push((BUDGET, budget(asked, template).map_or_else(unbounded, i64::from).into()));
    }
    let has_switch = !variables.is_empty();
    if template.reads(EFFORT)
        && let Some(effort) = asked.effort
    {
        let Some(name) = effort_name(effort, syntax) else {
            return refused(format!(
                "the model `{model}` reasons in every answer; its least effort is `low`"
            ));
        };
        variables.push((EFFORT, name.into()));
    }
    match wanted {
        Some(true) if syntax.is_none() && variables.is_empty() && !asked.optional => {
            refused(format!("the model `{model}` does not reason; send the request without asking for it"))
        }
        // A budget of no tokens does without a switch.
        Some(false)
            if syntax.is_some()
                && !has_switch
                && asked.max_tokens.is_none()
                && !variables.iter().any(|(name, _)| *name == EFFORT) =>
        {
            refused(format!(
                "the model `{model}` reasons in every answer; its chat template cannot switch that off"
            ))
        }
        _ => Ok(variables),
    }
}

/// The most tokens of reasoning that a request wants. A template that knows efforts decides by itself what they are; where
/// there is none, they are those of Gemini's API (`reasoning_effort` in its OpenAI compatibility), and the highest effort
/// has no bound.
pub(super) fn budget(asked: ReasoningOptions, template: &ChatTemplate) -> Option<u32> {
    let by_effort = || match asked.effort.filter(|_| !template.reads(EFFORT))? {
        Effort::Low => Some(1024),
        Effort::Medium => Some(8192),
        Effort::High => Some(24_576),
        Effort::None | Effort::Minimal | Effort::XHigh => None,
    };
    asked.max_tokens.or_else(by_effort)
}

/// What a template calls an effort. gpt-oss was trained with three of them, and none is not among these.
fn effort_name(effort: Effort, syntax: Option<ReasoningSyntax>) -> Option<&'static str> {
    if syntax != Some(ReasoningSyntax::Harmony) {
        return Some(effort.as_str());
    }
    match effort {
        Effort::None => None,
        Effort::Minimal | Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High | Effort::XHigh => Some("high"),
    }
}

/// Whether an answer to a prompt may begin with reasoning: not where the template has closed it already, nor where it is
/// switched off.
pub(super) fn may_begin(
    syntax: ReasoningSyntax,
    conversation: &Conversation,
    template: &ChatTemplate,
    prompt: &str,
) -> bool {
    // Without tags there is nothing by which a prompt could show it.
    let Some([open, close]) = reasoning_tags(syntax) else { return true };
    let mut switches = SWITCHES.into_iter().filter(|switch| template.reads(switch)).peekable();
    let switchable = switches.peek().is_some();
    let set = switches.find_map(|switch| conversation.template_options.get(switch)?.as_bool());
    let wanted = set.or(conversation.reasoning.wanted()).unwrap_or(!switchable);
    is_open(prompt, open) || wanted && !prompt.trim_end().ends_with(close)
}

/// Whether a prompt opens a reasoning block and leaves it to the model to go on inside.
pub(super) fn is_open(prompt: &str, tag: &str) -> bool {
    // Where Seed-OSS is to think for no time at all, the prompt goes one tag further.
    let prompt = prompt.trim_end();
    prompt.strip_suffix("<seed:cot_budget_reflect>").unwrap_or(prompt).trim_end().ends_with(tag)
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn only_an_open_block_at_the_very_end_counts() {
        assert!(is_open("<|im_start|>assistant\n<think>\n", "<think>"));
        assert!(is_open("<｜Assistant｜><think>", "<think>"));
        assert!(is_open("<seed:think><seed:cot_budget_reflect>\n", "<seed:think>"));
        assert!(!is_open("<|im_start|>assistant\n<think>\n\n</think>\n\n", "<think>"));
        assert!(!is_open("user: what does <think> mean?\nassistant:", "<think>"));
    }
}
