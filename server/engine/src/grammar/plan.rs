use std::fmt::Write as _;

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use llguidance::regex_to_lark;
use mlx_gate_core::{Conversation, EngineError, Grammar, OutputFormat, ReasoningSyntax};
use serde_json::{Value, json};

use super::calls;
use super::compile::invalid;
use super::schema::schema;
use super::tame;
use crate::output::{reasoning_tags, speaks_harmony};

/// Name of the client's grammar where another one encloses it.
const ENCLOSED: &str = "mlx-gate-answer";

/// What an answer has to look like, ready to be compiled.
pub(crate) struct Plan {
    /// The answer follows one of these. There is at least one.
    pub(super) alternatives: Vec<Alternative>,
}

impl Plan {
    /// Whether a grammar says what the text of the answer is.
    pub(crate) fn binds_text(&self) -> bool {
        self.alternatives.iter().any(|alternative| alternative.field == "grammar")
    }
}

/// One of the grammars that an answer may follow.
pub(super) struct Alternative {
    /// The field of the request that a complaint names.
    pub(super) field: &'static str,
    pub(super) grammar: TopLevelGrammar,
    /// Whether it compiles in a time that its size tells.
    pub(super) is_tame: bool,
    /// The schemas in it, by the names of their functions, to find the one at fault.
    pub(super) schemas: Vec<(String, Value)>,
    /// What it is instead where that does not compile.
    pub(super) otherwise: Option<TopLevelGrammar>,
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
}

/// Calls of functions.
pub(super) struct Calls {
    /// Rules of Lark, among them one for `body`.
    pub(super) rules: String,
    /// The functions' schemas, by their names.
    pub(super) schemas: Vec<(String, Value)>,
    /// Whether the schemas compile in a time that their size tells.
    pub(super) are_tame: bool,
    /// Rules for the same functions with any arguments where no client relies on their schemas, in case these do not compile.
    pub(super) otherwise: Option<String>,
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
    let text = grammar.filter(|_| !forced);
    let text_is_tame = text.as_ref().is_none_or(is_tame);
    let text = text.map(body).transpose()?;
    let mut alternatives = Vec::new();
    for opening in openings(reasoning) {
        let opening = opening.as_deref();
        if let Some(calls) = &calls {
            let enclosed = |rules: &String| enclosed(opening, "", &Body::Rules(rules.clone()));
            alternatives.push(Alternative {
                field: "tools",
                grammar: enclosed(&calls.rules),
                is_tame: calls.are_tame,
                schemas: calls.schemas.clone(),
                otherwise: calls.otherwise.as_ref().map(enclosed),
            });
        }
        if let Some(body) = &text {
            let lead = if speaks_harmony(format) { calls::harmony_answer() } else { "" };
            let grammar = enclosed(opening, lead, body);
            let (is_tame, schemas, otherwise) = (text_is_tame, Vec::new(), None);
            alternatives.push(Alternative { field: "grammar", grammar, is_tame, schemas, otherwise });
        }
    }
    Ok((!alternatives.is_empty()).then_some(Plan { alternatives }))
}

fn is_tame(grammar: &Grammar) -> bool {
    match grammar {
        Grammar::JsonObject | Grammar::Regex(_) | Grammar::Choice(_) => true,
        Grammar::JsonSchema(schema) => tame::schema(schema),
        Grammar::Lark(text) => tame::lark(text),
    }
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
        Body::Rules(rules) => (format!("body\n{opening}{rules}"), None),
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
