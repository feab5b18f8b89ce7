//! Content blocks.

use serde_json::{Value, json};

use crate::error::{Error, clipped};
use crate::fields::{self, Fields};

/// `content` and its like: a string, or blocks.
pub(super) enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

/// A block whose type was read.
pub(super) struct Block {
    pub(super) kind: &'static str,
    pub(super) fields: Fields,
}

impl Content {
    /// Takes a field that holds blocks of these types. `None` where it is not there.
    pub(super) fn read(
        fields: &mut Fields,
        key: &str,
        kinds: &[&'static str],
    ) -> Result<Option<Self>, Error> {
        let path = fields.path(key);
        match fields.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Self::Text(text))),
            Some(Value::Array(values)) => {
                let block =
                    |(index, value)| Block::read(Fields::at(format!("{path}[{index}]"), value)?, kinds);
                let blocks = values.into_iter().enumerate().map(block).collect::<Result<_, _>>()?;
                Ok(Some(Self::Blocks(blocks)))
            }
            Some(other) => Err(fields::invalid_type(&path, "a string or an array of content blocks", &other)),
        }
    }

    /// The text of content that has nothing but text; each block is a paragraph of its own.
    pub(super) fn into_text(self) -> Result<String, Error> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Blocks(blocks) => {
                let texts = blocks.into_iter().map(|block| text(block.fields));
                Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
            }
        }
    }
}

impl Block {
    fn read(mut fields: Fields, kinds: &[&'static str]) -> Result<Self, Error> {
        let kind = fields.string("type")?;
        let kind = fields.required("type", kind)?;
        if let Some(kind) = kinds.iter().find(|known| **known == kind) {
            return Ok(Self { kind, fields });
        }
        let known = kinds.iter().map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ");
        let problem = format!("blocks of type '{}' are not supported here; send {known}", clipped(&kind));
        Err(fields::unsupported(fields.path("type"), problem))
    }
}

/// The text of a `text` block.
pub(super) fn text(mut fields: Fields) -> Result<String, Error> {
    let text = fields.string("text")?;
    let text = fields.required("text", text)?;
    cache_control(&mut fields)?;
    fields.only("citations", &[json!([])])?;
    fields.finish()?;
    Ok(text)
}

/// `cache_control`: advice about where a prompt's cached prefix ends. It changes no answer, and has no effect here.
pub(super) fn cache_control(fields: &mut Fields) -> Result<(), Error> {
    let Some(mut advice) = fields.object("cache_control")? else { return Ok(()) };
    let kind = advice.choice("type", &["ephemeral"])?;
    advice.required("type", kind)?;
    Ok(())
}
