//! Calls in every syntax there is: what a grammar lets through, the parser of that syntax reads as calls with arguments
//! that are valid, whatever the model would like to say.

use futures_util::future::join_all;
use mlx_gate_core::{Conversation, FinishReason, Grammar, ReasoningSyntax, Request, ToolChoice, ToolSyntax};
use mlx_gate_engine::fake::{self, FakeDecoder, Reply};
use mlx_gate_engine::text::{ParserChoice, Parsers};
use mlx_gate_engine::{Config, LocalEngine};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::{Value, json};

use crate::setting::{Answer, answer, chat, refusal};

/// A model that writes calls, and reasoning, in these ways.
fn writing(syntax: ToolSyntax, decoder: FakeDecoder) -> LocalEngine {
    let reasoning = match syntax {
        ToolSyntax::Harmony => ParserChoice::Named(ReasoningSyntax::Harmony),
        _ => ParserChoice::Off,
    };
    let parsers = Parsers { tools: ParserChoice::Named(syntax), reasoning };
    let mut spec = fake::model("fake", decoder);
    spec.text = fake::text("fake").with_parsers(parsers);
    LocalEngine::spawn(Config::default(), vec![spec]).expect("the fake model loads")
}

/// A model that says this, and afterwards anything.
fn saying(beginning: &str, seed: u64) -> FakeDecoder {
    let said = fake::tokens(beginning);
    FakeDecoder::new(move |row| {
        if let Some(&token) = said.get(row.answer.len()) {
            return Reply::Token(token);
        }
        let mut random = ChaCha12Rng::seed_from_u64(seed ^ row.answer.len() as u64);
        Reply::Logits((0..257).map(|_| random.random_range(-2.0..2.0)).collect())
    })
}

/// A bit of everything.
fn everything() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": { "type": "string", "minLength": 1, "maxLength": 12 },
            "unit": { "$ref": "#/$defs/unit" },
            "days": { "type": "integer", "minimum": -5, "maximum": 20 },
            "share": { "type": "number", "minimum": 0, "maximum": 2 },
            "metric": { "type": "boolean" },
            "tags": { "type": "array", "items": { "enum": ["a", "b\"c", 3] }, "maxItems": 3 },
            "place": {
                "type": "object",
                "properties": {
                    "lat": { "type": "integer", "minimum": 0, "maximum": 90 },
                    "name": { "type": "string", "maxLength": 5 },
                },
                "required": ["lat"],
                "additionalProperties": false,
            },
            "note": { "anyOf": [{ "type": "string", "maxLength": 6 }, { "type": "null" }] },
            "id": { "type": ["integer", "string"], "maxLength": 4, "minimum": 0, "maximum": 9 },
            "code": { "type": "string", "pattern": "^[A-Z]{2}\\d$" },
            "level": { "enum": ["low", "high", 3, null, true] },
        },
        "required": ["city", "tags", "note", "code"],
        "additionalProperties": false,
        "$defs": { "unit": { "enum": ["C", "F"] } },
    })
}

fn tools(strict: bool) -> Vec<Value> {
    vec![
        json!({ "type": "function", "function": { "name": "weather", "parameters": everything(), "strict": strict } }),
        json!({ "type": "function", "function": { "name": "now", "strict": strict } }),
    ]
}

/// Each call is one of the tools', with arguments that are valid; or what is wrong.
fn check(syntax: ToolSyntax, answer: &Answer) -> Vec<String> {
    let wrong = |what: &str| format!("{syntax:?}: {what}: {answer:?}");
    let mut mistakes = Vec::new();
    if answer.error.is_some() || answer.reason != Some(FinishReason::ToolCalls) || answer.calls.is_empty() {
        mistakes.push(wrong("no calls"));
    }
    for (name, arguments) in &answer.calls {
        let schema = match name.as_str() {
            "weather" => everything(),
            "now" => json!({ "type": "object", "maxProperties": 0 }),
            _ => json!(false),
        };
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let valid = serde_json::from_str::<Value>(arguments).map_err(|error| error.to_string());
        let valid = valid.and_then(|value| validator.validate(&value).map_err(|error| error.to_string()));
        mistakes.extend(valid.err().map(|problem| wrong(&problem)));
    }
    mistakes
}

/// A model that calls at once, where it would reason without an end otherwise.
fn calling(syntax: ToolSyntax, seed: u64) -> FakeDecoder {
    if syntax == ToolSyntax::Harmony { saying("<|channel|>c", seed) } else { fake::rambles(seed) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forced_calls_are_read_as_what_they_are() {
    let mut mistakes = Vec::new();
    for syntax in ToolSyntax::ALL {
        let engine = writing(syntax, calling(syntax, 41));
        let answers = join_all((0..16_u64).map(|seed| {
            let tool_choice = match seed % 4 {
                0 => ToolChoice::Function("weather".to_owned()),
                _ => ToolChoice::Required,
            };
            let conversation = Conversation { tools: tools(false), tool_choice, ..Conversation::default() };
            answer(&engine, Request { max_output_tokens: Some(3000), ..chat(conversation, seed) })
        }))
        .await;
        // A model without sense may go on calling for ever.
        let ended = answers.iter().filter(|answer| answer.reason != Some(FinishReason::Length));
        mistakes.extend(ended.clone().flat_map(|answer| check(syntax, answer)));
        mistakes.extend(
            ended.clone().filter(|answer| !answer.text.is_empty()).map(|answer| format!("{answer:?}")),
        );
        let (ended, several) = (ended.count(), answers.iter().any(|answer| answer.calls.len() > 1));
        let named =
            answers.iter().step_by(4).flat_map(|answer| &answer.calls).all(|(name, _)| name == "weather");
        if ended < 12 || !named || several == (syntax == ToolSyntax::Harmony) {
            mistakes.push(format!("{syntax:?}: {ended} ended, several: {several}, named: {named}"));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_is_one_call_in_every_syntax() {
    let mut mistakes = Vec::new();
    for syntax in ToolSyntax::ALL {
        let engine = writing(syntax, calling(syntax, 42));
        for seed in 0..6 {
            let conversation = Conversation {
                tools: tools(false),
                tool_choice: ToolChoice::Required,
                parallel_tool_calls: false,
                ..Conversation::default()
            };
            let answer = answer(&engine, chat(conversation, seed)).await;
            mistakes.extend(check(syntax, &answer));
            if answer.calls.len() != 1 {
                mistakes.push(format!("{syntax:?}: not one call: {answer:?}"));
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// What opens a call in the middle of a text, or all of the answer where nothing marks calls.
fn opening(syntax: ToolSyntax) -> (&'static str, &'static str) {
    match syntax {
        ToolSyntax::Hermes => ("Let me <b>look</b>.\n", "<tool_call>\n{\"name\": \"weather\""),
        ToolSyntax::Qwen3Coder => ("Let me <b>look</b>.\n", "<tool_call>\n<function=weather>"),
        ToolSyntax::Glm => ("Let me <b>look</b>.\n", "<tool_call>weather"),
        ToolSyntax::SeedOss => ("Let me <b>look</b>.\n", "<seed:tool_call>\n<function=weather>"),
        ToolSyntax::MiniMaxM2 => ("Let me <b>look</b>.\n", "<minimax:tool_call>\n<invoke name=\"weather\">"),
        ToolSyntax::Llama3Json => ("", "{\"name\": \"weather\""),
        ToolSyntax::Json => ("", "[{\"name\": \"weather\""),
        ToolSyntax::Pythonic => ("", "[weather("),
        ToolSyntax::Mistral => ("I look.", "[TOOL_CALLS] [{\"name\": \"weather\""),
        ToolSyntax::MistralArgs => ("I look.", "[TOOL_CALLS]weather[ARGS]"),
        ToolSyntax::DeepSeekV3 => {
            ("I look.", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather")
        }
        ToolSyntax::DeepSeekV31 => ("I look.", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather"),
        ToolSyntax::KimiK2 => {
            ("I look.", "<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:")
        }
        ToolSyntax::Harmony => ("", "<|channel|>commentary to=functions.weather"),
        ToolSyntax::FunctionGemma => ("I look.", "<start_function_call>call:weather{"),
        ToolSyntax::Gemma4 => ("I look.", "<|tool_call>call:weather{"),
        ToolSyntax::ToolCode => ("I look.\n", "```tool_code\nweather("),
        ToolSyntax::Granite => ("I look.", "<|tool_call|>[{\"name\": \"weather\""),
        ToolSyntax::Lfm2 => ("I look.", "<|tool_call_start|>[weather("),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_tools_are_called_rightly_where_calling_is_free() {
    let mut mistakes = Vec::new();
    for syntax in ToolSyntax::ALL {
        let (before, call) = opening(syntax);
        for seed in 0..4 {
            let conversation = Conversation {
                tools: tools(true),
                // So that a model without sense comes to an end.
                parallel_tool_calls: false,
                ..Conversation::default()
            };
            let request = Request { max_output_tokens: Some(1200), ..chat(conversation, seed) };
            let engine = writing(syntax, saying(&format!("{before}{call}"), seed));
            let answer = answer(&engine, request).await;
            if !answer.text.starts_with(before.trim_end()) || answer.calls.len() != 1 {
                mistakes.push(format!("{syntax:?}: not one call in a text: {answer:?}"));
            }
            // What follows the call is text, mostly without an end.
            mistakes.extend(check(syntax, &Answer { reason: Some(FinishReason::ToolCalls), ..answer }));
        }
        let text = "No call <at> all: ] } [1] {\"a\": 1}.";
        let header = if syntax == ToolSyntax::Harmony { "<|channel|>final<|message|>" } else { "" };
        let conversation = Conversation { tools: tools(true), ..Conversation::default() };
        let engine = writing(syntax, fake::says(&format!("{header}{text}")));
        let answer = answer(&engine, chat(conversation, 1)).await;
        if (answer.text.as_str(), answer.reason) != (text, Some(FinishReason::Stop)) {
            mistakes.push(format!("{syntax:?}: not a text: {answer:?}"));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[tokio::test]
async fn tools_without_a_schema_take_what_the_model_gives() {
    for (syntax, said, arguments) in [
        (
            ToolSyntax::Qwen3Coder,
            "<tool_call>\n<function=f>\n<parameter=any>\nx < y\n</parameter>\n<parameter=n>\n3\n</parameter>\n</function>\n</tool_call>",
            json!({ "any": "x < y", "n": 3 }),
        ),
        (
            ToolSyntax::Pythonic,
            "[f(any=[1, {\"k\": null}], n=\"x\")]",
            json!({ "any": [1, { "k": null }], "n": "x" }),
        ),
        (ToolSyntax::Llama3Json, "{\"name\": \"f\", \"parameters\": {\"any\": [1]}}", json!({ "any": [1] })),
    ] {
        let tools = vec![
            json!({ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }),
        ];
        let conversation =
            Conversation { tools, tool_choice: ToolChoice::Required, ..Conversation::default() };
        let answer = answer(&writing(syntax, fake::says(said)), chat(conversation, 1)).await;
        assert_eq!(answer.calls.len(), 1, "{answer:?}");
        assert_eq!(serde_json::from_str::<Value>(&answer.calls[0].1).expect("JSON"), arguments, "{syntax:?}");
    }
}

#[tokio::test]
async fn what_has_no_place_between_tags_is_refused_by_name() {
    let tool = |parameters: Value| {
        vec![
            json!({ "type": "function", "function": { "name": "f", "strict": true, "parameters": parameters } }),
        ]
    };
    let property = |schema: Value| tool(json!({ "properties": { "p": schema } }));
    for (syntax, tools, reason) in [
        (ToolSyntax::Glm, property(json!({ "type": "string", "format": "date" })), "format"),
        (ToolSyntax::Glm, tool(json!({ "properties": { "a b": {} } })), "`a b`"),
        (ToolSyntax::Glm, tool(json!({ "minProperties": 1 })), "minProperties"),
        (ToolSyntax::Pythonic, tool(json!({ "properties": { "a.b": {} } })), "`a.b`"),
        (
            ToolSyntax::Qwen3Coder,
            property(json!({ "anyOf": [{ "type": "string" }], "maxLength": 3 })),
            "anyOf",
        ),
        (ToolSyntax::Qwen3Coder, property(json!(false)), "allows nothing"),
        (ToolSyntax::Qwen3Coder, property(json!({ "$ref": "#/$defs/none" })), "#/$defs/none"),
        (ToolSyntax::Qwen3Coder, property(json!({ "type": "array", "uniqueItems": true })), "uniqueItems"),
    ] {
        let conversation =
            Conversation { tools, tool_choice: ToolChoice::Required, ..Conversation::default() };
        let (field, message) = refusal(&writing(syntax, fake::says("")), chat(conversation, 0)).await;
        assert!(field == "tools" && message.contains(reason), "{field} {message}");
    }
}

#[tokio::test]
async fn grammars_begin_behind_reasoning_of_every_kind() {
    for syntax in ReasoningSyntax::ALL {
        let thought = match mlx_gate_engine::output::reasoning_tags(syntax) {
            Some([open, close]) => format!("{open}Hm, 12?{close}"),
            None => "<|channel|>analysis<|message|>Hm, 12?<|end|><|start|>assistant<|channel|>f".to_owned(),
        };
        let mut spec = fake::model("fake", saying(&thought, 3));
        let parsers = Parsers { tools: ParserChoice::Off, reasoning: ParserChoice::Named(syntax) };
        spec.text = fake::text("fake").with_parsers(parsers);
        let engine = LocalEngine::spawn(Config::default(), vec![spec]).expect("the fake model loads");
        let mut conversation = Conversation::default();
        // The fake model's template opens the first kind itself.
        conversation
            .template_options
            .insert("enable_thinking".to_owned(), (syntax != ReasoningSyntax::Think).into());
        if syntax == ReasoningSyntax::Think {
            conversation.template_options.clear();
            conversation.reasoning.enabled = Some(true);
        }
        let grammar = Some(Grammar::Regex("[0-9]{3}".to_owned()));
        let answer = answer(&engine, Request { grammar, ..chat(conversation, 1) }).await;
        assert_eq!(answer.reasoning, "Hm, 12?", "{syntax:?} {answer:?}");
        assert_eq!(
            (answer.text.len(), answer.reason),
            (3, Some(FinishReason::Stop)),
            "{syntax:?} {answer:?}"
        );
    }
}
