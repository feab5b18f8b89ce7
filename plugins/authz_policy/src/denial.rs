//! What a caller is told who may not: what is missing, and nothing about others.

use mlx_gate_plugin::{Denial, Operation};

/// What a permission lacks. Of several the last is the nearest to being allowed, and is what the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    /// It is about other callers.
    Caller,
    Endpoint,
    Model,
    Adapter,
    Streaming,
    Tools,
    Images,
    /// The most tokens it allows in a prompt.
    Input(u64),
}

impl Gap {
    pub(crate) fn denial(self, what: &Operation) -> Denial {
        let (code, message) = match self {
            Self::Caller => return not_for_caller(),
            Self::Endpoint => ("endpoint_not_allowed", format!("you may not use {} here", shown(&what.api))),
            Self::Model => {
                let model = what.model.as_deref().map_or_else(
                    || "a request without a model".to_owned(),
                    |model| format!("the model {}", shown(model)),
                );
                ("model_not_allowed", format!("you may not use {model}; GET /v1/models lists those you may"))
            }
            Self::Adapter => {
                let adapter = shown(what.adapter.as_deref().unwrap_or_default());
                ("adapter_not_allowed", format!("you may not use the adapter {adapter} with this model"))
            }
            Self::Streaming => {
                ("streaming_not_allowed", "you may not stream answers; leave `stream` out".to_owned())
            }
            Self::Tools => ("tools_not_allowed", "you may not give this model tools".to_owned()),
            Self::Images => ("images_not_allowed", "you may not send this model images".to_owned()),
            Self::Input(most) => (
                "input_too_long",
                format!("the prompt has about {} tokens, and you may send {most}", what.input_tokens),
            ),
        };
        Denial::forbidden(code, message)
    }
}

/// No permission is about this caller at all.
pub(crate) fn not_for_caller() -> Denial {
    let message =
        "no permission here is for you: neither your name nor an account, role or scope of yours has one";
    Denial::forbidden("caller_not_allowed", message)
}

/// A name the caller sent, in backticks and of a bearable length.
fn shown(name: &str) -> String {
    const LONGEST: usize = 128;
    let cut = &name[..name.floor_char_boundary(LONGEST)];
    let cut = cut.replace(char::is_control, " ");
    if cut.len() < name.len() { format!("`{cut}...`") } else { format!("`{cut}`") }
}
