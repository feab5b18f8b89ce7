//! Parameters between tags, one by one, in the order of the schema.

use std::fmt::Write as _;

use mlx_gate_core::{EngineError, ToolSyntax};

use super::values::{Parameters, Part};
use super::{Around, Blocks, Dialect, Function, check_name, frame};
use crate::grammar::plan::{literal, without};
use crate::output;

/// How one family writes such calls.
pub(super) struct Spelling {
    blocks: Blocks,
    /// Around the function's name.
    name: [&'static str; 2],
    /// Closes the function.
    end: &'static str,
    /// Around the name of a parameter, up to its value.
    key: [&'static str; 2],
    /// Closes the value.
    value_end: &'static str,
    /// The tag in it, which no text may have.
    tag: &'static str,
    /// A reader takes a line break at either end of a text for a part of the tags, and here they have none.
    strips: bool,
}

pub(super) const QWEN: Spelling = Spelling {
    blocks: Blocks {
        open: "<tool_call>",
        begin: r#""\n""#,
        within: None,
        close: "\n</tool_call>",
        between: Some("\n"),
        bare: false,
    },
    name: ["<function=", ">\n"],
    end: "</function>",
    key: ["<parameter=", ">\n"],
    value_end: "\n</parameter>\n",
    tag: "</parameter>",
    strips: false,
};
pub(super) const SEED: Spelling = Spelling {
    // The line break belongs to the call before it, so that the lexer need not tell apart what begins with one.
    blocks: Blocks {
        open: "<seed:tool_call>",
        begin: r#""\n""#,
        within: Some(""),
        close: "</seed:tool_call>",
        between: None,
        bare: false,
    },
    end: "</function>\n",
    key: ["<parameter=", ">"],
    value_end: "</parameter>\n",
    strips: true,
    ..QWEN
};
pub(super) const MINIMAX: Spelling = Spelling {
    blocks: Blocks { open: "<minimax:tool_call>", close: "</minimax:tool_call>", ..SEED.blocks },
    name: ["<invoke name=\"", "\">\n"],
    end: "</invoke>\n",
    key: ["<parameter name=\"", "\">"],
    ..SEED
};
pub(super) const GLM: Spelling = Spelling {
    blocks: Blocks {
        open: "<tool_call>",
        begin: "",
        within: None,
        close: "</tool_call>",
        between: Some("\n"),
        bare: false,
    },
    name: ["", "\n"],
    end: "",
    key: ["<arg_key>", "</arg_key>\n<arg_value>"],
    value_end: "</arg_value>\n",
    tag: "</arg_value>",
    strips: false,
};

impl Dialect for Spelling {
    fn body(&self, syntax: ToolSyntax, around: Around, parallel: bool) -> String {
        frame(syntax, &self.blocks, around, parallel)
    }

    fn call(&self, number: usize, function: &Function<'_>) -> Result<String, EngineError> {
        let mut rules = String::new();
        let [before, behind] = self.name;
        let name = literal(&format!("{before}{}{behind}", function.name));
        let parameters = Parameters::of(function)?;
        let mut call = format!("call_{number}: {name}");
        for (index, parameter) in parameters.named.iter().enumerate() {
            let id = format!("{number}_{index}");
            check_name("the parameter", parameter.name, may_be_in_key)?;
            let key = literal(&self.key.join(parameter.name));
            let optional = if parameter.required { "" } else { "?" };
            let _ = write!(call, " ({key} value_{id}){optional}");
            let parts = parameters.parts(parameter, &output::read_tagged_value)?;
            rules += &value(self, &id, &parts);
        }
        if parameters.others {
            let [before, behind] = self.key.map(literal);
            let _ = write!(call, " ({before} /[A-Za-z_][A-Za-z0-9_]{{0,63}}/ {behind} value_{number})*");
            rules += &value(self, &number.to_string(), &[Part::Text(Vec::new())]);
        }
        let _ = writeln!(rules, "{call} {}", literal(self.end));
        Ok(rules)
    }
}

/// The rule for a value and the tag that closes it.
fn value(spelling: &Spelling, id: &str, parts: &[Part]) -> String {
    let (mut rules, mut names) = (String::new(), Vec::new());
    let end = literal(spelling.value_end);
    for (number, part) in parts.iter().enumerate() {
        match part {
            // One terminal, because only the end says where the text does.
            Part::Text(forms) => {
                let mut forms = forms.clone();
                if spelling.strips {
                    forms.push(r"(?s:[^\n]|[^\n].*[^\n])?".to_owned());
                }
                let text = without(&[spelling.tag], &forms);
                let _ = writeln!(rules, "TEXT_{id}_{number}: ({text}) {end}");
                names.push(format!("TEXT_{id}_{number}"));
            }
            Part::Literal(text) | Part::Word(text) => {
                names.push(literal(&format!("{text}{}", spelling.value_end)));
            }
            Part::Json(schema) => names.push(format!("%json {schema} {end}")),
        }
    }
    let _ = writeln!(rules, "value_{id}: {}", names.join(" | "));
    rules
}

fn may_be_in_key(character: char) -> bool {
    !character.is_whitespace() && !character.is_control() && !"{}()\"'`,;=<>".contains(character)
}
