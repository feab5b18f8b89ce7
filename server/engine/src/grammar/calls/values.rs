//! Arguments that are not written as one JSON object: each by its own part of the schema, and texts without quotation
//! marks.

use std::cell::Cell;

use mlx_gate_core::EngineError;
use serde_json::{Map, Value, json};

use super::Function;
use crate::grammar::compile::invalid;
use crate::grammar::schema::{SILENT, schema};
use crate::steps::Steps;

/// How many `$ref`s and alternatives of a schema are followed, one inside of another.
const MAX_DEPTH: u32 = 16;

/// How many are followed in all, for one parameter: alternatives may refer to alternatives that refer to alternatives.
const STEPS: usize = 10_000;

/// In how many ways a value may be written that some alternative allows. Each is a rule of the grammar.
const MOST_PARTS: usize = 4096;

/// Bytes of definitions that go into one function's rules. They stand in each part that is JSON.
const MOST_BYTES: usize = 4 << 20;

/// Keywords of a function's parameters that are followed one by one.
const FOLLOWED: [&str; 4] = ["type", "properties", "required", "additionalProperties"];

/// Reads back what is written without quotation marks: the value that a text becomes, by a schema and the one it is in.
pub(super) type ReadBack = dyn Fn(&str, &Value, &Value) -> Option<Value>;

/// The parameters of a function.
pub(super) struct Parameters<'a> {
    function: &'a str,
    root: &'a Value,
    /// What parts of the schema may refer to, and its size in bytes.
    definitions: Vec<(&'static str, &'a Value)>,
    size: usize,
    /// How many bytes of it may still be written.
    room: Cell<usize>,
    pub(super) named: Vec<Parameter<'a>>,
    /// There may be any others. Only where none has a name: a schema that names some is taken to name those that matter.
    pub(super) others: bool,
}

/// One of them.
pub(super) struct Parameter<'a> {
    pub(super) name: &'a str,
    schema: &'a Value,
    pub(super) required: bool,
}

/// One of the ways in which a value may be written.
pub(super) enum Part {
    /// Any text that all of these regular expressions match as a whole.
    Text(Vec<String>),
    /// This text.
    Literal(String),
    /// This value, which is no text, as JSON.
    Word(String),
    /// JSON by this schema.
    Json(Value),
}

impl<'a> Parameters<'a> {
    pub(super) fn of(function: &'a Function<'_>) -> Result<Self, EngineError> {
        static ANY: Value = Value::Bool(true);
        let (name, root) = (function.name, &function.parameters);
        let refused = |what: String| Err(invalid("tools", format!("the parameters of `{name}` {what}")));
        let known =
            |keyword: &&String| FOLLOWED.contains(&keyword.as_str()) || SILENT.contains(&keyword.as_str());
        let keywords = root.as_object().into_iter().flat_map(Map::keys);
        if let Some(unknown) = keywords.into_iter().find(|keyword| !known(keyword)) {
            return refused(format!("have `{unknown}`, which cannot be kept to as this model writes calls"));
        }
        let required = root.get("required").and_then(Value::as_array).into_iter().flatten();
        let required: Vec<&str> = required.filter_map(Value::as_str).collect();
        let properties = root.get("properties").and_then(Value::as_object).into_iter().flatten();
        let mut named: Vec<Parameter<'a>> = properties
            .map(|(name, schema)| Parameter { name, schema, required: required.contains(&name.as_str()) })
            .collect();
        let more = root.get("additionalProperties").unwrap_or(&ANY);
        for name in required {
            if named.iter().all(|parameter| parameter.name != name) {
                named.push(Parameter { name, schema: more, required: true });
            }
        }
        let others = named.is_empty() && more == &ANY;
        let definitions: Vec<_> =
            ["$defs", "definitions"].into_iter().filter_map(|key| Some((key, root.get(key)?))).collect();
        let size = definitions.iter().map(|(_, definitions)| definitions.to_string().len()).sum();
        Ok(Self { function: name, root, definitions, size, room: Cell::new(MOST_BYTES), named, others })
    }

    /// The ways in which a parameter's value may be written. Where there are several, no text can be taken for JSON.
    /// `read_back` says what texts become that have no quotation marks at all.
    pub(super) fn parts(
        &self,
        parameter: &Parameter<'_>,
        read_back: &ReadBack,
    ) -> Result<Vec<Part>, EngineError> {
        let found = match parameter.schema {
            Value::Bool(false) => Err("allows nothing".to_owned()),
            schema => self.of_schema(schema, MAX_DEPTH, &mut Steps::new(STEPS)),
        };
        let parts = found.and_then(|mut parts| {
            parts.retain(|part| match part {
                Part::Literal(text) => self.is_read(text, &text.as_str().into(), parameter.schema, read_back),
                Part::Word(word) => {
                    let meant = serde_json::from_str(word).unwrap_or_default();
                    self.is_read(word, &meant, parameter.schema, read_back)
                }
                Part::Text(_) | Part::Json(_) => true,
            });
            if parts.is_empty() { Err("allows nothing that can be written".to_owned()) } else { Ok(parts) }
        });
        parts.map_err(|problem| {
            let (function, name) = (self.function, parameter.name);
            invalid(
                "tools",
                format!("the parameter `{name}` of `{function}` {problem}, as this model writes calls"),
            )
        })
    }

    /// A parameter's value as JSON, texts included.
    pub(super) fn whole(&self, parameter: &Parameter<'_>) -> Result<Value, EngineError> {
        let Value::Object(keywords) = parameter.schema else {
            return schema("tools", parameter.schema.clone());
        };
        let Some(room) = self.room.get().checked_sub(self.size) else {
            let (function, most) = (self.function, MOST_BYTES >> 20);
            let message = format!(
                "the parameters of `{function}` take more than {most} MiB as this model writes calls"
            );
            return Err(invalid("tools", message));
        };
        self.room.set(room);
        let mut keywords = keywords.clone();
        keywords.extend(self.definitions.iter().map(|(key, found)| ((*key).to_owned(), (*found).clone())));
        schema("tools", keywords.into())
    }

    fn of_schema(&self, schema: &Value, depth: u32, steps: &mut Steps) -> Result<Vec<Part>, String> {
        let Some(keywords) = schema.as_object().filter(|keywords| speaks(keywords)) else {
            return Ok(vec![Part::Text(Vec::new())]);
        };
        if depth == 0 || !steps.take(1) {
            return Err("nests too deep".to_owned());
        }
        let alone = |keyword: &str| {
            let mut others = keywords.keys().filter(|key| *key != keyword && *key != "type");
            others.all(|key| SILENT.contains(&key.as_str()))
        };
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str).filter(|_| alone("$ref")) {
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let target = target.ok_or_else(|| format!("refers to `{reference}`, which is not there"))?;
            return self.of_schema(target, depth - 1, steps);
        }
        let values = keywords.get("enum").and_then(Value::as_array).map(Vec::as_slice);
        if let Some(values) = values.or(keywords.get("const").map(std::slice::from_ref)) {
            return Ok(values.iter().map(literal).collect());
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            let Some(branches) = keywords.get(keyword).and_then(Value::as_array) else { continue };
            if !self.may_be_text(schema, MAX_DEPTH, steps) {
                break;
            }
            if !alone(keyword) || keyword == "allOf" && branches.len() > 1 {
                return Err(format!("has `{keyword}` beside other keywords, for what may be a text"));
            }
            let mut parts = Vec::new();
            for branch in branches {
                parts.extend(self.of_schema(branch, depth - 1, steps)?);
                if parts.len() > MOST_PARTS {
                    return Err(format!("may be written in more than {MOST_PARTS} ways"));
                }
            }
            return Ok(apart(parts));
        }
        match keywords.get("type") {
            Some(Value::String(kind)) if kind == "string" => Ok(vec![Part::Text(text(keywords)?)]),
            Some(Value::Array(kinds)) if kinds.iter().any(|kind| kind == "string") => {
                let mut parts = vec![Part::Text(text(keywords)?)];
                let rest: Vec<&Value> = kinds.iter().filter(|kind| *kind != "string").collect();
                if !rest.is_empty() {
                    let mut keywords = keywords.clone();
                    keywords.insert("type".to_owned(), json!(rest));
                    parts.push(self.json(&keywords.into())?);
                }
                Ok(apart(parts))
            }
            _ => self.json(schema).map(|json| vec![json]),
        }
    }

    /// Whether a schema allows texts, as far as can be seen.
    fn may_be_text(&self, schema: &Value, depth: u32, steps: &mut Steps) -> bool {
        let Some(keywords) = schema.as_object().filter(|_| depth > 0 && steps.take(1)) else { return true };
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.is_none_or(|target| self.may_be_text(target, depth - 1, steps));
        }
        match keywords.get("type") {
            Some(Value::String(kind)) => return kind == "string",
            Some(Value::Array(kinds)) => return kinds.iter().any(|kind| kind == "string"),
            _ => {}
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(branches) = keywords.get(keyword).and_then(Value::as_array) {
                return branches.iter().any(|branch| self.may_be_text(branch, depth - 1, steps));
            }
        }
        let values = keywords.get("enum").and_then(Value::as_array).map(Vec::as_slice);
        let values = values.or(keywords.get("const").map(std::slice::from_ref));
        values.is_none_or(|values| values.iter().any(Value::is_string))
    }

    /// JSON by a part of the schema, with the definitions of the whole.
    fn json(&self, part: &Value) -> Result<Part, String> {
        let part = Parameter { name: "", schema: part, required: true };
        self.whole(&part).map(Part::Json).map_err(|error| error.to_string())
    }

    /// Whether a text is read as the value that is meant.
    fn is_read(&self, text: &str, meant: &Value, schema: &Value, read_back: &ReadBack) -> bool {
        read_back(text, schema, self.root).is_none_or(|value| value == *meant)
    }
}

/// Keeps texts from being taken for JSON that other parts allow. `null` and truth values stay: a text of that name is
/// one, and as valid.
fn apart(mut parts: Vec<Part>) -> Vec<Part> {
    let begins = |part: &Part| matches!(part, Part::Json(schema) if !is_word(schema));
    if parts.iter().any(begins) {
        for part in &mut parts {
            if let Part::Text(forms) = part {
                forms.push(r"(?s:[^-+0-9.\[{\s].*)?".to_owned());
            }
        }
    }
    // The text `null` says it already.
    if parts.iter().any(|part| matches!(part, Part::Text(_))) {
        parts.retain(|part| !matches!(part, Part::Json(schema) if is_word(schema)));
    }
    parts
}

/// Any JSON.
pub(super) fn any() -> Result<Value, EngineError> {
    schema("tools", json!({}))
}

/// Whether a schema says anything at all.
fn speaks(keywords: &Map<String, Value>) -> bool {
    keywords.keys().any(|keyword| !SILENT.contains(&keyword.as_str()))
}

/// Whether all that a schema allows are words: `null`, `true` and `false`.
fn is_word(schema: &Value) -> bool {
    let word = |kind: &Value| kind == "null" || kind == "boolean";
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().all(word),
        Some(kind) => word(kind),
        None => false,
    }
}

/// A value as it is written.
fn literal(value: &Value) -> Part {
    match value {
        Value::String(text) => Part::Literal(text.clone()),
        other => Part::Word(other.to_string()),
    }
}

/// What a schema says about a text, as regular expressions.
fn text(keywords: &Map<String, Value>) -> Result<Vec<String>, String> {
    let mut forms = Vec::new();
    let length = |keyword: &str| keywords.get(keyword).and_then(Value::as_u64);
    let (least, most) = (length("minLength"), length("maxLength"));
    if least.is_some() || most.is_some() {
        let most = most.map_or_else(String::new, |most| most.to_string());
        forms.push(format!("(?s:.){{{},{most}}}", least.unwrap_or(0)));
    }
    if let Some(pattern) = keywords.get("pattern").and_then(Value::as_str) {
        let (begin, rest) = match pattern.strip_prefix('^') {
            Some(rest) => ("", rest),
            None => ("(?s:.*)", pattern),
        };
        let (middle, end) = match rest.strip_suffix('$').filter(|rest| !rest.ends_with('\\')) {
            Some(middle) => (middle, ""),
            None => (rest, "(?s:.*)"),
        };
        // An anchor at one end of alternatives belongs to one of them only.
        if middle.contains('|') && middle.len() != pattern.len() && !middle.starts_with('(') {
            return Err(format!("has the pattern {pattern:?}, whose anchors cannot be told apart"));
        }
        forms.push(format!("{begin}(?:{middle}){end}"));
    }
    match keywords.get("format").and_then(Value::as_str) {
        Some(format) => Err(format!("has the format `{format}`, which cannot be kept to")),
        None => Ok(forms),
    }
}
