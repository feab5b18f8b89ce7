//! Chat templates render byte for byte as transformers renders them. `../templates/render.py` made what is compared with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlx_gate_core::{Conversation, EngineError, Message, Role, ToolCall};
use mlx_gate_engine::text::{Assets, Clock, ModelText};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Family {
    tokens: Map<String, Value>,
}

#[derive(Deserialize)]
struct Feature {
    template: String,
    #[serde(default)]
    variables: Map<String, Value>,
    /// Why we render this in another way. Then the test holds us to that, so that the list stays true.
    differs: Option<String>,
}

#[derive(Deserialize)]
struct Expected {
    cases: BTreeMap<String, Outcome>,
}

/// What transformers makes of a template and a conversation.
#[derive(Deserialize)]
enum Outcome {
    #[serde(rename = "text")]
    Text(String),
    /// The template's own refusal.
    #[serde(rename = "raises")]
    Raises(String),
    /// An error of Python or Jinja2; ours is worded in another way.
    #[serde(rename = "fails")]
    Fails(String),
    #[serde(rename = "does not compile")]
    DoesNotCompile(String),
}

#[test]
fn families_render_as_in_transformers() {
    let mut mismatches = Mismatches::default();
    let conversations: BTreeMap<String, Value> = read("conversations.json");
    for (name, family) in read::<BTreeMap<String, Family>>("families.json") {
        let template =
            fs::read_to_string(folder().join("families").join(format!("{name}.jinja"))).expect("a template");
        let expected: Expected = read(&format!("expected/{name}.json"));
        assert_eq!(expected.cases.len(), conversations.len(), "{name}: run render.py");
        for (conversation, expected) in &expected.cases {
            let actual = render(&template, &family.tokens, &chat(&conversations[conversation]));
            mismatches.compare(&format!("{name}: {conversation}"), expected, actual);
        }
    }
    mismatches.assert_none();
}

#[test]
fn features_of_jinja2_render_as_in_transformers() {
    let mut mismatches = Mismatches::default();
    let expected: Expected = read("expected/features.json");
    let features: BTreeMap<String, Feature> = read("features.json");
    assert_eq!(expected.cases.len(), features.len(), "run render.py");
    for (name, feature) in features {
        let conversation = Conversation {
            template_options: feature.variables,
            ..chat(&json!({"messages": [{"role": "user", "content": "Hi"}]}))
        };
        let actual = render(&feature.template, &Map::new(), &conversation);
        if let Some(reason) = feature.differs {
            let mut difference = Mismatches::default();
            difference.compare(&name, &expected.cases[&name], actual);
            assert!(!difference.0.is_empty(), "{name}: no longer differs ({reason})");
        } else {
            mismatches.compare(&name, &expected.cases[&name], actual);
        }
    }
    mismatches.assert_none();
}

/// What we make of a template and a conversation: the text, or an error's.
enum Rendered {
    Text(String),
    Refused(String),
    NotCompiled(String),
    Broken(EngineError),
}

fn render(template: &str, tokens: &Map<String, Value>, conversation: &Conversation) -> Rendered {
    let assets = Assets {
        tokenizer: json!({"model": {"type": "BPE", "vocab": {}, "merges": []}, "decoder": {"type": "Fuse"}})
            .to_string()
            .into_bytes(),
        tokenizer_config: Some(serde_json::to_vec(tokens).expect("JSON")),
        chat_template: Some(template.as_bytes().to_vec()),
        ..Assets::default()
    };
    let text = match ModelText::load_with_clock("model", &assets, fixed_clock()) {
        Ok(text) => text,
        Err(error) => return Rendered::NotCompiled(error.to_string()),
    };
    match text.render(conversation) {
        Ok(text) => Rendered::Text(text),
        Err(EngineError::InvalidRequest { message, .. }) => Rendered::Refused(message),
        Err(error) => Rendered::Broken(error),
    }
}

/// The clock of `render.py`.
fn fixed_clock() -> Clock {
    let now =
        jiff::civil::date(2026, 3, 5).at(14, 7, 9, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("a time");
    Arc::new(move || now.clone())
}

#[derive(Default)]
struct Mismatches(Vec<String>);

impl Mismatches {
    fn compare(&mut self, name: &str, expected: &Outcome, actual: Rendered) {
        let difference = match (expected, actual) {
            (Outcome::Text(expected), Rendered::Text(actual)) if *expected == actual => return,
            (Outcome::Raises(expected), Rendered::Refused(actual)) if *expected == actual => return,
            (Outcome::Fails(_), Rendered::Refused(_))
            | (Outcome::DoesNotCompile(_), Rendered::NotCompiled(_)) => return,
            (Outcome::Text(expected), Rendered::Text(actual)) => diff(expected, &actual),
            (expected, actual) => {
                let expected = match expected {
                    Outcome::Text(text) => format!("text {text:?}"),
                    Outcome::Raises(message) => format!("refusal {message:?}"),
                    Outcome::Fails(error) => format!("failure {error:?}"),
                    Outcome::DoesNotCompile(error) => format!("syntax error {error:?}"),
                };
                let actual = match actual {
                    Rendered::Text(text) => format!("text {text:?}"),
                    Rendered::Refused(message) => format!("refusal {message:?}"),
                    Rendered::NotCompiled(error) => format!("syntax error {error:?}"),
                    Rendered::Broken(error) => format!("internal error {error:?}"),
                };
                format!("  expected {expected}\n  but got  {actual}\n")
            }
        };
        self.0.push(format!("{name}\n{difference}"));
    }

    fn assert_none(&self) {
        assert!(self.0.is_empty(), "{} mismatches\n\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// The lines that differ, expected and actual, white space visible.
fn diff(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<&str>, Vec<&str>) =
        (expected.split_inclusive('\n').collect(), actual.split_inclusive('\n').collect());
    let same = expected.iter().zip(&actual).take_while(|(left, right)| left == right).count();
    let same_end = expected[same..].iter().rev().zip(actual[same..].iter().rev());
    let same_end = same_end.take_while(|(left, right)| left == right).count();
    let mut lines = format!("  from line {}\n", same + 1);
    for (sign, side) in [('-', &expected), ('+', &actual)] {
        for line in &side[same..side.len() - same_end] {
            writeln!(lines, "  {sign} {line:?}").expect("writes to a string");
        }
    }
    lines
}

/// A conversation from OpenAI's wire format.
fn chat(content: &Value) -> Conversation {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    Conversation {
        messages: list(&content["messages"]).iter().map(message).collect(),
        tools: list(&content["tools"]),
        template_options: content["options"].as_object().cloned().unwrap_or_default(),
        ..Conversation::default()
    }
}

fn message(message: &Value) -> Message {
    let text = |key: &str| message[key].as_str().map(str::to_owned);
    Message {
        role: match message["role"].as_str() {
            Some("system") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("tool") => Role::Tool,
            other => panic!("role {other:?}"),
        },
        content: text("content"),
        reasoning: text("reasoning_content"),
        tool_calls: message["tool_calls"].as_array().into_iter().flatten().map(tool_call).collect(),
        tool_call_id: text("tool_call_id"),
        name: text("name"),
    }
}

fn tool_call(call: &Value) -> ToolCall {
    ToolCall {
        id: call["id"].as_str().expect("an id").to_owned(),
        name: call["function"]["name"].as_str().expect("a name").to_owned(),
        arguments: call["function"]["arguments"].clone(),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates")
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = folder().join(name);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
