use std::fmt::Write as _;

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use llguidance::regex_to_lark;
use mlx_gate_core::{Conversation, EngineError, Grammar, OutputFormat, ReasoningSyntax};
use serde_json::{Map, Value, json};

use super::compile::invalid;
use super::{calls, formats};

/// White space between the tokens of JSON: one line break, and indentation. Without a bound, a model that has lost its
/// way could go on with spaces for ever.
const JSON_SPACE: &str = r"[ \t]{1,64}|\r?\n[ \t]{0,64}";

/// Options of llguidance at the root of a schema. They belong to the server.
const OPTIONS: &str = "x-guidance";

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
        for opening in openings(reasoning)? {
            let grammar = enclosed(opening.as_deref(), &body);
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

/// A schema ready for llguidance, with the server's own options.
pub(super) fn schema(field: &'static str, schema: Value) -> Result<Value, EngineError> {
    let mut keywords = match schema {
        Value::Object(keywords) => keywords,
        Value::Bool(true) => Map::new(),
        _ => return Err(invalid(field, "the JSON schema is neither an object nor `true`".to_owned())),
    };
    formats::tighten(&mut keywords);
    let options = json!({ "whitespace_pattern": JSON_SPACE });
    if keywords.insert(OPTIONS.to_owned(), options).is_some() {
        return Err(invalid(field, format!("`{OPTIONS}` in a JSON schema is not supported; leave it out")));
    }
    Ok(keywords.into())
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

/// The terminals with which an answer may begin before its body, each as a definition of `REASONING`; `None` is none.
fn openings(reasoning: Reasoning) -> Result<Vec<Option<String>>, EngineError> {
    Ok(match reasoning {
        Reasoning::Absent => vec![None],
        Reasoning::Open(syntax) => vec![Some(block(tags(syntax)?, false))],
        Reasoning::Possible(syntax) => vec![None, Some(block(tags(syntax)?, true))],
    })
}

/// Anything up to the closing tag, and the white space behind it, which is not shown either.
fn block((open, close): (&str, &str), begins: bool) -> String {
    let (opening, closing) = (if begins { literal(open) } else { String::new() }, literal(close));
    let inner = regex_to_lark(close, "");
    format!("REASONING: {opening} (/(?s:.*)/ & ~/(?s:.*){inner}(?s:.*)/) {closing} /[ \\t\\r\\n]{{0,8}}/\n")
}

fn tags(syntax: ReasoningSyntax) -> Result<(&'static str, &'static str), EngineError> {
    match syntax {
        ReasoningSyntax::Think => Ok(("<think>", "</think>")),
        ReasoningSyntax::SeedOss => Ok(("<seed:think>", "</seed:think>")),
        ReasoningSyntax::Kimi => Ok(("◁think▷", "◁/think▷")),
        other => Err(invalid(
            "grammar",
            format!(
                "an answer cannot be bound to a grammar behind reasoning as this model writes it (`{}`)",
                other.as_str()
            ),
        )),
    }
}

fn enclosed(opening: Option<&str>, body: &Body) -> TopLevelGrammar {
    let Some(opening) = opening else {
        return match body {
            Body::Json(schema) => TopLevelGrammar::from_json_schema(schema.clone()),
            Body::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
            Body::Rules(rules) | Body::Calls(rules, _) => {
                TopLevelGrammar::from_lark(format!("start: body\n{rules}"))
            }
        };
    };
    let mut outer = String::new();
    let _ = match body {
        Body::Rules(rules) | Body::Calls(rules, _) => {
            write!(outer, "start: REASONING body\n{opening}{rules}")
        }
        Body::Json(_) | Body::Lark(_) => write!(outer, "start: REASONING @{ENCLOSED}\n{opening}"),
    };
    let mut grammars = vec![GrammarWithLexer::from_lark(outer)];
    grammars.extend(match body {
        Body::Rules(_) | Body::Calls(..) => None,
        Body::Json(schema) => Some(GrammarWithLexer::from_json_schema(schema.clone())),
        Body::Lark(grammar) => Some(GrammarWithLexer::from_lark(grammar.clone())),
    });
    if let Some(enclosed) = grammars.get_mut(1) {
        enclosed.name = Some(ENCLOSED.to_owned());
    }
    TopLevelGrammar { grammars, max_tokens: None }
}
