//! Whether and how much a model is to reason, in the words of several APIs: OpenAI's `reasoning_effort`, vLLM's
//! `thinking_token_budget`, OpenRouter's `reasoning`, and variables of the chat template.

use mlx_gate_core::{Effort, ReasoningOptions};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::openai::fields::{self, Fields};

/// Template variables that belong to the server: a client that could set them would replace the checked conversation.
const RESERVED_VARIABLES: [&str; 6] =
    ["messages", "tools", "add_generation_prompt", "continue_final_message", "bos_token", "eos_token"];

/// Template variable that Qwen3 and others switch their reasoning by.
const ENABLE_THINKING: &str = "enable_thinking";

/// A field that says something about reasoning, and what it says.
struct Said<T>(&'static str, Option<T>);

/// `chat_template_kwargs` and the fields about reasoning, which may not contradict each other.
pub(crate) fn read(fields: &mut Fields) -> Result<(Map<String, Value>, ReasoningOptions), Error> {
    let variables = fields.object("chat_template_kwargs")?.map(Fields::into_map).unwrap_or_default();
    if let Some(name) = RESERVED_VARIABLES.iter().find(|name| variables.contains_key(**name)) {
        let path = format!("chat_template_kwargs.{name}");
        return Err(fields::invalid(path, "this template variable is set by the server"));
    }
    let effort = Said("reasoning_effort", effort(fields, "reasoning_effort")?);
    // -1 is how vLLM's clients write "no bound".
    let budget = fields.integer("thinking_token_budget", -1..)?.and_then(tokens);
    let budget = Said("thinking_token_budget", budget);
    let (effort, budget, enabled) = match fields.object("reasoning")? {
        None => (effort, budget, Said("reasoning.enabled", None)),
        Some(mut reasoning) => {
            let enabled = Said("reasoning.enabled", reasoning.boolean("enabled")?);
            let named = Said("reasoning.effort", self::effort(&mut reasoning, "effort")?);
            let tokens = Said("reasoning.max_tokens", reasoning.integer("max_tokens", 0..)?.and_then(tokens));
            reasoning.only("exclude", &[json!(false)])?;
            reasoning.finish()?;
            (one_of(effort, named)?, one_of(budget, tokens)?, enabled)
        }
    };
    let variable = variables.get(ENABLE_THINKING).and_then(Value::as_bool);
    let switch = Said("chat_template_kwargs.enable_thinking", variable);
    let given = ReasoningOptions { effort: effort.1, max_tokens: budget.1, ..ReasoningOptions::default() };
    let meant = Said(if effort.1.is_some() { effort.0 } else { budget.0 }, given.wanted());
    one_of(one_of(meant, Said(enabled.0, enabled.1))?, switch)?;
    Ok((variables, ReasoningOptions { enabled: enabled.1, ..given }))
}

fn effort(fields: &mut Fields, key: &str) -> Result<Option<Effort>, Error> {
    let named = fields.choice(key, &Effort::ALL.map(Effort::as_str))?;
    Ok(Effort::ALL.into_iter().find(|effort| named == Some(effort.as_str())))
}

/// More than any context holds is as good as no bound.
fn tokens(tokens: i64) -> Option<u32> {
    u32::try_from(tokens).ok()
}

/// What two fields say, of which the first is complained about where they differ.
fn one_of<T: PartialEq>(one: Said<T>, other: Said<T>) -> Result<Said<T>, Error> {
    match (&one.1, &other.1) {
        (Some(said), Some(also)) if said != also => {
            let problem = format!("it contradicts `{}`; send one of them", other.0);
            Err(fields::invalid(one.0.to_owned(), problem))
        }
        (Some(_), _) => Ok(one),
        (None, _) => Ok(other),
    }
}
