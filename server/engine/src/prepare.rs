//! From a request to tokens and numbers the scheduler can rely on. Runs beside the device.

mod budget;

use mlx_gate_core::{
    Conversation, EndRules, EngineError, MOST_CHOICES, MOST_LOGPROBS, Message, OutputFormat, Prepared,
    Prompt, Request, Sampling, SamplingOverrides, Tokenize, Tokenized, Truncate,
};

use crate::grammar::{self, Plan, Reasoning};
use crate::served::Served;
use crate::text::ChatPrompt;

/// Texts up to this many bytes are tokenized in about a millisecond, so a thread of their own is not worth it.
const QUICK_BYTES: usize = 4096;

/// What a chat template writes around a message, in bytes, about.
const MESSAGE_BYTES: usize = 64;

/// Whether preparing takes so little time that an async thread may do it.
pub(crate) fn is_quick(prompt: &Prompt) -> bool {
    let bytes = match prompt {
        Prompt::Tokens(_) => 0,
        Prompt::Text(text) => text.len(),
        // Both are JSON of unknown size, so they count as large.
        Prompt::Chat(Conversation { tools, template_options, .. })
            if !tools.is_empty() || !template_options.is_empty() =>
        {
            usize::MAX
        }
        Prompt::Chat(conversation) => conversation.messages.iter().map(size).fold(0, usize::saturating_add),
    };
    bytes <= QUICK_BYTES
}

/// Bytes of a message, about.
fn size(message: &Message) -> usize {
    let Message { role: _, content, reasoning, tool_calls, tool_call_id, name } = message;
    let texts = [content, reasoning, tool_call_id, name];
    let calls = if tool_calls.is_empty() { 0 } else { QUICK_BYTES };
    texts.into_iter().flatten().map(String::len).sum::<usize>() + calls + MESSAGE_BYTES
}

/// Renders, tokenizes and checks a request. `most` is the server's limit on output tokens. A plan that comes with it is
/// still to be compiled.
pub(crate) fn prepare(
    served: &Served,
    most: u32,
    request: Request,
) -> Result<(Prepared, Option<Plan>), EngineError> {
    served.check_generates()?;
    let vocabulary = served.facts.vocab_size;
    let sampling = resolve_sampling(served.text.defaults(), request.sampling, vocabulary)?;
    if request.stop.iter().any(String::is_empty) {
        return Err(invalid("stop", "a stop string is empty; leave it out".to_owned()));
    }
    if !(1..=MOST_CHOICES).contains(&request.choices) {
        let message = format!("expected 1 to {MOST_CHOICES} answers, but got {}", request.choices);
        return Err(invalid("choices", message));
    }
    for (field, asked) in [("logprobs", request.logprobs), ("prompt_logprobs", request.prompt_logprobs)] {
        if let Some(logprobs) = asked.filter(|logprobs| *logprobs > MOST_LOGPROBS) {
            let message = format!("{logprobs} alternatives are asked for, but {MOST_LOGPROBS} are the most");
            return Err(invalid(field, message));
        }
    }
    let continues = !matches!(request.prompt, Prompt::Chat(_));
    let conversation = match &request.prompt {
        Prompt::Chat(conversation) => Some(conversation),
        Prompt::Text(_) | Prompt::Tokens(_) => None,
    };
    let tools = conversation.map_or([].as_slice(), Conversation::offered_tools).into();
    let (field, ChatPrompt { mut tokens, format, may_reason }) = encode(served, &request.prompt)?;
    if let Some(truncate) = request.truncate {
        cut(&mut tokens, longest(served, most, truncate, request.max_output_tokens));
    }
    if tokens.is_empty() {
        return Err(invalid(
            field,
            "the prompt is empty; at least one token is needed to continue".to_owned(),
        ));
    }
    check_tokens(served, field, &tokens)?;
    let max_output_tokens = output_tokens(served, most, tokens.len(), request.max_output_tokens)?;
    check_end(&request.end, max_output_tokens, vocabulary)?;
    let reasoning = match format.reasoning {
        Some(syntax) if format.reasoning_open => Reasoning::Open(syntax),
        Some(syntax) if may_reason => Reasoning::Possible(syntax),
        _ => Reasoning::Absent,
    };
    let reasoning_budget = match conversation {
        Some(conversation) => budget::resolve(served, conversation, format)?,
        None => None,
    };
    let plan = grammar::plan(request.grammar, conversation, format, reasoning)?;
    if plan.is_some() && request.end.ignores_model {
        let message = "a grammar or a call that has to be made ends the answer where it is complete; leave out one of them";
        return Err(invalid("ignore_eos", message.to_owned()));
    }
    let prepared = Prepared {
        id: request.id,
        model: served.card.id.clone(),
        prompt: tokens,
        choices: request.choices,
        max_output_tokens,
        sampling,
        stop: request.stop,
        end: request.end,
        special_tokens: request.special_tokens,
        token_ids: request.token_ids,
        logprobs: request.logprobs,
        prompt_logprobs: request.prompt_logprobs,
        format: OutputFormat { text_is_bound: plan.as_ref().is_some_and(Plan::binds_text), ..format },
        reasoning_budget,
        tools,
        continues,
        grammar: None,
    };
    Ok((prepared, plan))
}

/// What ends an answer has to be tokens that there are, and what it has to reach has to be possible.
fn check_end(end: &EndRules, most: u32, vocabulary: u32) -> Result<(), EngineError> {
    if let Some(token) = end.tokens.iter().find(|&&token| token >= vocabulary) {
        let message = format!("token {token} is outside of the vocabulary of {vocabulary}");
        return Err(invalid("stop_token_ids", message));
    }
    if end.min_tokens > most {
        let message =
            format!("the answer is to have at least {} tokens, but can have {most}", end.min_tokens);
        return Err(invalid("min_tokens", message));
    }
    Ok(())
}

/// Where a prompt is cut.
fn longest(served: &Served, most: u32, truncate: Truncate, asked: Option<u32>) -> usize {
    let tokens = match truncate {
        Truncate::To(tokens) => tokens,
        // What the answer may take has to be left, where that is known.
        Truncate::ToModel => {
            served.card.context_length.saturating_sub(asked.map_or(1, |asked| asked.min(most)))
        }
    };
    tokens.max(1) as usize
}

/// Takes away what is too much from the beginning, as vLLM does: the end of a prompt is what the answer follows.
fn cut(tokens: &mut Vec<u32>, longest: usize) {
    tokens.drain(..tokens.len().saturating_sub(longest));
}

fn invalid(field: &'static str, message: String) -> EngineError {
    EngineError::InvalidRequest { field, message }
}

/// A prompt in tokens, for those who only want these.
pub(crate) fn tokenize(served: &Served, asked: Tokenize) -> Result<Tokenized, EngineError> {
    let tokens = match (asked.prompt, asked.add_special_tokens) {
        (Prompt::Text(text), Some(add_special)) => served.text.encode(&text, add_special)?,
        (Prompt::Chat(conversation), Some(true)) => {
            check_conversation(served, &conversation)?;
            served.text.encode(&served.text.render(&conversation)?, true)?
        }
        (prompt, _) => encode(served, &prompt)?.1.tokens,
    };
    check_tokens(served, "prompt", &tokens)?;
    let spelled = || tokens.iter().map(|&token| served.text.spelling(token)).collect();
    let spelled = asked.spelled.then(spelled);
    Ok(Tokenized { model: served.card.id.clone(), tokens, spelled })
}

/// The text of tokens.
pub(crate) fn detokenize(served: &Served, tokens: &[u32]) -> Result<String, EngineError> {
    check_tokens(served, "tokens", tokens)?;
    served.text.decode(tokens)
}

fn check_tokens(served: &Served, field: &'static str, tokens: &[u32]) -> Result<(), EngineError> {
    let vocabulary = served.facts.vocab_size;
    match tokens.iter().find(|&&token| token >= vocabulary) {
        Some(token) => {
            Err(invalid(field, format!("token {token} is outside of the vocabulary of {vocabulary}")))
        }
        None => Ok(()),
    }
}

/// The prompt's tokens, and the field that a complaint about them would name.
fn encode(served: &Served, prompt: &Prompt) -> Result<(&'static str, ChatPrompt), EngineError> {
    let plain =
        |tokens| ("prompt", ChatPrompt { tokens, format: OutputFormat::default(), may_reason: false });
    match prompt {
        Prompt::Chat(conversation) => {
            check_conversation(served, conversation)?;
            Ok(("messages", served.text.encode_chat(conversation)?))
        }
        Prompt::Text(text) => Ok(plain(served.text.encode(text, true)?)),
        Prompt::Tokens(tokens) => Ok(plain(tokens.clone())),
    }
}

fn check_conversation(served: &Served, conversation: &Conversation) -> Result<(), EngineError> {
    if conversation.messages.is_empty() {
        return Err(invalid("messages", "there is no message; send at least one".to_owned()));
    }
    if !conversation.offered_tools().is_empty() && !served.card.capabilities.tools {
        let model = &served.card.id;
        return Err(invalid(
            "tools",
            format!("the model `{model}` cannot call tools; send the request without them"),
        ));
    }
    Ok(())
}

/// The most tokens to generate: what is asked for, at most the server's limit and what the context leaves.
fn output_tokens(served: &Served, most: u32, prompt: usize, asked: Option<u32>) -> Result<u32, EngineError> {
    let context_length = served.card.context_length;
    let prompt_tokens = u32::try_from(prompt).unwrap_or(u32::MAX);
    let left = context_length.saturating_sub(prompt_tokens);
    if left == 0 && (asked != Some(0) || prompt_tokens > context_length) {
        return Err(EngineError::PromptTooLong { prompt_tokens, context_length });
    }
    Ok(asked.unwrap_or(most).min(most).min(left))
}

/// What the client said over what the model's makers recommend.
fn resolve_sampling(
    defaults: &Sampling,
    asked: SamplingOverrides,
    vocabulary: u32,
) -> Result<Sampling, EngineError> {
    check_ranges(&asked)?;
    if let Some((token, _)) = asked.logit_bias.iter().find(|(token, _)| *token >= vocabulary) {
        return Err(invalid(
            "logit_bias",
            format!("token {token} is outside of the vocabulary of {vocabulary}"),
        ));
    }
    Ok(Sampling {
        temperature: asked.temperature.unwrap_or(defaults.temperature),
        top_p: asked.top_p.unwrap_or(defaults.top_p),
        top_k: asked.top_k.unwrap_or(defaults.top_k),
        min_p: asked.min_p.unwrap_or(defaults.min_p),
        seed: asked.seed.or(defaults.seed),
        repetition_penalty: asked.repetition_penalty.unwrap_or(defaults.repetition_penalty),
        presence_penalty: asked.presence_penalty.unwrap_or(defaults.presence_penalty),
        frequency_penalty: asked.frequency_penalty.unwrap_or(defaults.frequency_penalty),
        logit_bias: if asked.logit_bias.is_empty() { defaults.logit_bias.clone() } else { asked.logit_bias },
    })
}

/// APIs check what clients send; this is for callers that are no API, and against NaN.
fn check_ranges(asked: &SamplingOverrides) -> Result<(), EngineError> {
    let positive = f32::MIN_POSITIVE;
    let ranges = [
        ("temperature", asked.temperature, 0.0..=2.0, "from 0 to 2"),
        ("top_p", asked.top_p, positive..=1.0, "above 0, and 1 at the most"),
        ("min_p", asked.min_p, 0.0..=1.0, "from 0 to 1"),
        ("repetition_penalty", asked.repetition_penalty, positive..=f32::MAX, "above 0"),
        ("presence_penalty", asked.presence_penalty, -2.0..=2.0, "from -2 to 2"),
        ("frequency_penalty", asked.frequency_penalty, -2.0..=2.0, "from -2 to 2"),
    ];
    for (field, value, range, allowed) in ranges {
        if let Some(value) = value.filter(|value| !range.contains(value)) {
            return Err(invalid(field, format!("`{field}` is {value}, but has to be {allowed}")));
        }
    }
    let biases = -100.0..=100.0;
    if let Some((token, bias)) = asked.logit_bias.iter().find(|(_, bias)| !biases.contains(bias)) {
        return Err(invalid(
            "logit_bias",
            format!("the bias {bias} of token {token} is outside of -100 to 100"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
