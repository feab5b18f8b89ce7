//! Calls as programs write them, with arguments by name, in the order of the schema.

use std::fmt::Write as _;

use mlx_gate_core::{EngineError, ToolSyntax};

use super::values::{Parameters, Part};
use super::{Around, Blocks, Dialect, Function, check_name, frame};
use crate::grammar::plan::{literal, without};

/// How one family writes its calls.
pub(super) struct Spelling {
    blocks: Blocks,
    /// Stands in front of a name.
    prefix: &'static str,
    open: &'static str,
    assign: &'static str,
    /// Between two arguments.
    comma: &'static str,
    end: &'static str,
    /// Stands around a text. `None` is Python: quotation marks and escapes, as JSON has them.
    quote: Option<&'static str>,
}

pub(super) const PYTHONIC: Spelling = Spelling {
    blocks: Blocks { open: "", begin: r#""[""#, within: Some(", "), close: "]", between: None, bare: false },
    prefix: "",
    open: "(",
    assign: "=",
    comma: ", ",
    end: ")",
    quote: None,
};
pub(super) const LFM2: Spelling = Spelling {
    blocks: Blocks { open: "<|tool_call_start|>", close: "]<|tool_call_end|>", ..PYTHONIC.blocks },
    ..PYTHONIC
};
pub(super) const TOOL_CODE: Spelling = Spelling {
    blocks: Blocks {
        open: "```tool_code",
        begin: r#""\n""#,
        within: Some("\n"),
        close: "\n```",
        between: None,
        bare: false,
    },
    ..PYTHONIC
};
pub(super) const FUNCTION_GEMMA: Spelling = Spelling {
    blocks: Blocks {
        open: "<start_function_call>",
        begin: "",
        within: None,
        close: "<end_function_call>",
        between: Some(""),
        bare: false,
    },
    prefix: "call:",
    open: "{",
    assign: ":",
    comma: ",",
    end: "}",
    quote: Some("<escape>"),
};
pub(super) const GEMMA4: Spelling = Spelling {
    blocks: Blocks { open: "<|tool_call>", close: "<tool_call|>", ..FUNCTION_GEMMA.blocks },
    quote: Some("<|\"|>"),
    ..FUNCTION_GEMMA
};

impl Dialect for Spelling {
    fn body(&self, syntax: ToolSyntax, around: Around, parallel: bool) -> String {
        frame(syntax, &self.blocks, around, parallel)
    }

    fn call(&self, number: usize, function: &Function<'_>) -> Result<String, EngineError> {
        let mut rules = String::new();
        check_name("the function", function.name, |character| may_be_in_name(character) || character == '.')?;
        let name = literal(&format!("{}{}{}", self.prefix, function.name, self.open));
        let parameters = Parameters::of(function)?;
        let comma = literal(self.comma);
        // Rules for the arguments from each one on: `first` where there is none yet, `more` where there is.
        let mut required = Vec::new();
        for (index, parameter) in parameters.named.iter().enumerate() {
            let id = format!("{number}_{index}");
            check_name("the parameter", parameter.name, may_be_in_name)?;
            let key = literal(&format!("{}{}", parameter.name, self.assign));
            let _ = writeln!(rules, "argument_{id}: {key} value_{id}");
            let parts = match self.quote {
                Some(_) => parameters.parts(parameter, &|_, _, _| None)?,
                // Python reads JSON's texts too.
                None => vec![Part::Json(parameters.whole(parameter)?)],
            };
            rules += &value(self, &id, &parts);
            required.push(parameter.required);
        }
        let count = required.len();
        let (first, more) = if parameters.others {
            let assign = literal(self.assign);
            let _ =
                writeln!(rules, "argument_{number}: /[A-Za-z_][A-Za-z0-9_]{{0,63}}/ {assign} value_{number}");
            rules += &value(self, &number.to_string(), &[Part::Json(super::values::any()?)]);
            let argument = format!("argument_{number}");
            (format!("({argument} ({comma} {argument})*)?"), format!("({comma} {argument})*"))
        } else {
            (String::new(), String::new())
        };
        let _ = write!(rules, "first_{number}_{count}: {first}\nmore_{number}_{count}: {more}\n");
        for (index, required) in required.into_iter().enumerate().rev() {
            let (id, next) = (format!("{number}_{index}"), format!("{number}_{}", index + 1));
            let (optional, skip) =
                if required { ("", String::new()) } else { ("?", format!(" | first_{next}")) };
            let _ = write!(
                rules,
                "first_{id}: argument_{id} more_{next}{skip}\nmore_{id}: ({comma} argument_{id}){optional} more_{next}\n"
            );
        }
        let _ = writeln!(rules, "call_{number}: {name} first_{number}_0 {}", literal(self.end));
        Ok(rules)
    }
}

fn value(spelling: &Spelling, id: &str, parts: &[Part]) -> String {
    let (mut rules, mut names) = (String::new(), Vec::new());
    for (number, part) in parts.iter().enumerate() {
        match (part, spelling.quote) {
            (Part::Text(forms), Some(quote)) => {
                let (text, quote) = (without(&[quote], forms), literal(quote));
                let _ = writeln!(rules, "TEXT_{id}_{number}: {quote} ({text}) {quote}");
                names.push(format!("TEXT_{id}_{number}"));
            }
            (Part::Literal(text), Some(quote)) => names.push(literal(&format!("{quote}{text}{quote}"))),
            (Part::Json(schema), _) => names.push(match schema.get("type").and_then(|kind| kind.as_str()) {
                // As the language spells it.
                Some("boolean") if spelling.quote.is_none() && schema.get("const").is_none() => {
                    r#"("True" | "False")"#.to_owned()
                }
                _ => format!("%json {schema}"),
            }),
            (Part::Word(word), _) => names.push(literal(word)),
            (Part::Text(_) | Part::Literal(_), None) => {}
        }
    }
    let _ = writeln!(rules, "value_{id}: {}", names.join(" | "));
    rules
}

fn may_be_in_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '-'
}
