//! Chat templates, rendered as transformers' Jinja2 renders them.
//!
//! The reference is `_compile_jinja_template` in transformers' `utils/chat_template_utils.py`: an
//! `ImmutableSandboxedEnvironment` with `trim_blocks`, `lstrip_blocks`, loop controls, the `generation` tag, `tojson`
//! replaced, and `raise_exception` and `strftime_now` added. minijinja covers most of Jinja2; the modules below add what
//! differs. `tests/templates` holds the comparison with the original.

mod functions;
mod json;
mod methods;
pub(super) mod python;
mod source;

use std::collections::HashSet;
use std::error::Error as _;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use mlx_gate_core::EngineError;

use super::Error;
use super::assets::TemplateSources;

/// Tells the local time to templates that print the date.
pub type Clock = Arc<dyn Fn() -> jiff::Zoned + Send + Sync>;

/// The most instructions of one rendering. A conversation of a thousand turns takes less than a million; this much takes
/// about half a second.
const FUEL: u64 = 20_000_000;
/// The longest prompt a template may write, in bytes. Well above the longest context of any model.
const MAX_OUTPUT: usize = 32 << 20;
/// Depth of nested loops, macros and blocks.
const MAX_RECURSION: usize = 200;

const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";

/// A model's compiled chat templates.
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    /// The variables that it looks up.
    variables: HashSet<String>,
    has_tool_use: bool,
}

/// The machine's own clock and time zone.
pub(super) fn system_clock() -> Clock {
    Arc::new(jiff::Zoned::now)
}

impl ChatTemplate {
    pub(super) fn compile(sources: &TemplateSources, clock: Clock) -> Result<Self, Error> {
        let mut environment = environment(clock);
        let mut add =
            |name: &'static str, template: &str| {
                environment.add_template_owned(name, source::adapt(template)).map_err(|error| {
                    Error::Template { file: sources.file, template: name, cause: error.to_string() }
                })
            };
        add(DEFAULT, &sources.default)?;
        if let Some(tool_use) = &sources.tool_use {
            add(TOOL_USE, tool_use)?;
        }
        let source = format!("{}\n{}", sources.default, sources.tool_use.as_deref().unwrap_or_default());
        let variables =
            environment.templates().flat_map(|(_, template)| template.undeclared_variables(false)).collect();
        Ok(Self { environment, source, variables, has_tool_use: sources.tool_use.is_some() })
    }

    /// Whether a name or marker occurs anywhere in the source.
    pub(super) fn mentions(&self, text: &str) -> bool {
        self.source.contains(text)
    }

    /// Whether the template looks up a variable of this name.
    pub(super) fn reads(&self, variable: &str) -> bool {
        self.variables.contains(variable)
    }

    /// Renders with the given variables. A template that refuses the conversation is the client's mistake, in the
    /// template's own words.
    pub(super) fn render(&self, variables: &Value, with_tools: bool) -> Result<String, EngineError> {
        let name = if with_tools && self.has_tool_use { TOOL_USE } else { DEFAULT };
        let mut output = Bounded::default();
        let rendered = catch_unwind(AssertUnwindSafe(|| {
            // The engine is third-party code fed with what a client sent. Should it panic after all, that must cost this
            // request alone.
            let template = self.environment.get_template(name)?;
            template.render_captured_to(variables.clone(), &mut output).map(drop)
        }));
        match rendered {
            Ok(Ok(())) => String::from_utf8(output.bytes).map_err(|_| {
                EngineError::Internal("the chat template wrote something that is not UTF-8".to_owned())
            }),
            Ok(Err(error)) => Err(refusal(&error, output.exceeded)),
            Err(_) => Err(EngineError::Internal("the template engine panicked".to_owned())),
        }
    }
}

fn environment(clock: Clock) -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(|output, _, value| python::print(output, value));
    environment.set_unknown_method_callback(methods::call);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_RECURSION);
    functions::install(&mut environment, clock);
    environment
}

/// Why a conversation could not be rendered, for the client.
fn refusal(error: &minijinja::Error, too_long: bool) -> EngineError {
    let message = if too_long {
        format!("the chat template makes more than {} MiB of this conversation", MAX_OUTPUT >> 20)
    } else if error.kind() == ErrorKind::OutOfFuel {
        "the chat template takes too long for this conversation; send fewer or shorter messages".to_owned()
    } else if let Some(raised) = raised(error) {
        raised
    } else {
        format!("the model's chat template cannot render this conversation: {error}")
    };
    EngineError::InvalidRequest { field: "messages", message }
}

/// The message of `raise_exception`, wherever in the chain of causes it stands.
fn raised(error: &minijinja::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(raised) = error.downcast_ref::<functions::Raised>() {
            return Some(raised.0.clone());
        }
        cause = error.source();
    }
    None
}

/// Output of a template, cut off with an error at [`MAX_OUTPUT`].
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    exceeded: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_OUTPUT {
            self.exceeded = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
