use std::fmt::Write as _;

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use llguidance::regex_to_lark;
use mlx_gate_core::{Conversation, EngineError, Grammar, OutputFormat, ReasoningSyntax};
use serde_json::{Value, json};

use super::calls;
use super::compile::invalid;
use super::schema::schema;
use crate::output::{reasoning_tags, speaks_harmony};

/// Name of the client's grammar where another one encloses it.
const ENCLOSED: &str = "mlx-gate-answer";

/// What an answer has to look like, ready to be compiled.
pub(crate) struct Plan {
    /// The answer follows one of these. There is at least one.
    pub(super) alternatives: Vec<Alternative>,
}

/// One of the grammars that an answer may follow.
pub(super) struct Alternative {
    /// The field of the request that a complaint names.
    pub(super) field: &'static str,
    pub(super) grammar: TopLevelGrammar,
    /// The schemas in it, by the names of their functions, to find the one at fault.
    pub(super) schemas: Vec<(String, Value)>,
}

/// Where a model's reasoning stands in an answer. It is free, so grammars begin behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reasoning {
    /// There is none.
    Absent,
    /// The answer begins inside.
    Open(ReasoningSyntax),
    /// The model may begin with it.
    Possible(ReasoningSyntax),
}

/// What follows the reasoning.
pub(super) enum Body {
    Json(Value),
    Lark(String),
    /// Rules of Lark, among them one for `body`.
    Rules(String),
    /// The same, for calls of functions, whose schemas these are.
    Calls(String, Vec<(String, Value)>),
}

/// What the answer to a request has to look like. `None` where it is free.
pub(crate) fn plan(
    grammar: Option<Grammar>,
    conversation: Option<&Conversation>,
    format: OutputFormat,
    reasoning: Reasoning,
) -> Result<Option<Plan>, EngineError> {
    let calls = match conversation {
        Some(conversation) => calls::body(conversation, format, grammar.is_some())?,
        None => None,
    };
    // A forced call is all there is to the answer; otherwise the model chooses between calls and text.
    let forced = conversation.is_some_and(|conversation| calls::are_forced(&conversation.tool_choice));
    let text = grammar.filter(|_| !forced).map(body).transpose()?;
    let mut alternatives = Vec::new();
    for (field, body) in [("tools", calls), ("grammar", text)] {
        let Some(body) = body else { continue };
        for opening in openings(reasoning) {
            let grammar = enclosed(opening.as_deref(), lead(format, &body), &body);
            let schemas = if let Body::Calls(_, schemas) = &body { schemas.clone() } else { Vec::new() };
            alternatives.push(Alternative { field, grammar, schemas });
        }
    }
    Ok((!alternatives.is_empty()).then_some(Plan { alternatives }))
}

fn body(grammar: Grammar) -> Result<Body, EngineError> {
    Ok(match grammar {
        Grammar::JsonObject => Body::Json(schema("grammar", json!({ "type": "object" }))?),
        Grammar::JsonSchema(json) => Body::Json(schema("grammar", json)?),
        Grammar::Lark(grammar) => Body::Lark(grammar),
        Grammar::Regex(regex) => Body::Rules(format!("body: /{}/\n", regex_to_lark(unanchored(&regex), ""))),
        Grammar::Choice(texts) => Body::Rules(choice(&texts)?),
    })
}

/// A regular expression without anchors at its ends: it has to match everything anyway.
fn unanchored(regex: &str) -> &str {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    let escapes = |text: &str| text.bytes().rev().take_while(|&byte| byte == b'\\').count();
    match regex.strip_suffix('$') {
        Some(rest) if escapes(rest).is_multiple_of(2) => rest,
        _ => regex,
    }
}

fn choice(texts: &[String]) -> Result<String, EngineError> {
    if texts.is_empty() || texts.iter().any(String::is_empty) {
        return Err(invalid(
            "grammar",
            "a choice needs texts to choose from, and none may be empty".to_owned(),
        ));
    }
    let texts: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    Ok(format!("body: CHOICE\nCHOICE: {}\n", texts.join(" | ")))
}

/// A text as Lark writes it.
pub(super) fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

/// A text as a regular expression has it.
pub(super) fn escaped(text: &str) -> String {
    const SPECIAL: &str = r"\.+*?()|[]{}^$#&-~";
    text.chars().fold(String::new(), |mut escaped, character| {
        if SPECIAL.contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
        escaped
    })
}

/// A terminal for any text that has none of these in it and is `also` of these forms, which are regular expressions.
pub(super) fn without(texts: &[&str], also: &[String]) -> String {
    let mut terminal = "/(?s:.*)/".to_owned();
    if !texts.is_empty() {
        let texts: Vec<String> = texts.iter().map(|text| escaped(text)).collect();
        let any = regex_to_lark(&texts.join("|"), "");
        let _ = write!(terminal, " & ~/(?s:.*)(?:{any})(?s:.*)/");
    }
    for form in also {
        // Classes are those of JSON Schema's patterns.
        let _ = write!(terminal, " & /{}/", regex_to_lark(form, "dw"));
    }
    terminal
}

/// The rules with which an answer may begin before its body, each as a definition of `reasoning`; `None` is none.
fn openings(reasoning: Reasoning) -> Vec<Option<String>> {
    match reasoning {
        Reasoning::Absent => vec![None],
        Reasoning::Open(syntax) => vec![Some(block(syntax, false))],
        Reasoning::Possible(syntax) => vec![None, Some(block(syntax, true))],
    }
}

/// Anything up to the closing tag, and the white space behind it, which is not shown either.
fn block(syntax: ReasoningSyntax, begins: bool) -> String {
    let Some([open, close]) = reasoning_tags(syntax) else { return calls::harmony_reasoning() };
    let (opening, closing) = (if begins { literal(open) } else { String::new() }, literal(close));
    let text = without(&[close], &[]);
    format!("reasoning: REASONING\nREASONING: {opening} ({text}) {closing} /[ \\t\\r\\n]{{0,8}}/\n")
}

/// What stands between reasoning and body.
fn lead(format: OutputFormat, body: &Body) -> &'static str {
    let is_call = matches!(body, Body::Calls(..));
    if speaks_harmony(format) && !is_call { calls::harmony_answer() } else { "" }
}

fn enclosed(opening: Option<&str>, lead: &str, body: &Body) -> TopLevelGrammar {
    if let (None, "", Body::Json(schema)) = (opening, lead, body) {
        return TopLevelGrammar::from_json_schema(schema.clone());
    }
    if let (None, "", Body::Lark(grammar)) = (opening, lead, body) {
        return TopLevelGrammar::from_lark(grammar.clone());
    }
    let reasoning = if opening.is_some() { "reasoning" } else { "" };
    let (opening, lead) = (opening.unwrap_or_default(), literal(lead));
    let (inner, enclosed) = match body {
        Body::Rules(rules) | Body::Calls(rules, _) => (format!("body\n{opening}{rules}"), None),
        Body::Json(schema) => {
            (format!("@{ENCLOSED}\n{opening}"), Some(GrammarWithLexer::from_json_schema(schema.clone())))
        }
        Body::Lark(grammar) => {
            (format!("@{ENCLOSED}\n{opening}"), Some(GrammarWithLexer::from_lark(grammar.clone())))
        }
    };
    let mut grammars = vec![GrammarWithLexer::from_lark(format!("start: {reasoning} {lead} {inner}"))];
    if let Some(mut enclosed) = enclosed {
        enclosed.name = Some(ENCLOSED.to_owned());
        grammars.push(enclosed);
    }
    TopLevelGrammar { grammars, max_tokens: None }
}
