//! `obfuscation`: random letters with which streamed deltas are brought to one of few sizes, so that whoever sees encrypted
//! traffic cannot read an answer off the sizes of its tokens. OpenAI's field, and the defence that Weiss, Ayzenshteyn, Amit
//! and Mirsky ("What Was Your Prompt? A Remote Keylogging Attack on AI Assistants", USENIX Security 2024) ask for.

use rand::Rng;
use rand::distr::Alphanumeric;
use schemars::JsonSchema;
use serde::Serialize;

/// The length of an event is a multiple of this many bytes. Longer than nearly all tokens, so that nearly all events of an
/// answer have the same length or one of two.
const BLOCK: usize = 64;

/// The field, empty as it is written first. It has to be the last one of its event.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Obfuscation(&'static str);

impl Obfuscation {
    /// The field, where it is asked for.
    pub(crate) fn wanted(wanted: bool) -> Option<Self> {
        wanted.then_some(Self(""))
    }
}

/// Fills the field of the event that begins at `from`, and is the last one.
pub(crate) fn fill(out: &mut Vec<u8>, from: usize) {
    /// What stands behind the letters.
    const END: &[u8] = b"\"}\n\n";
    if !out.ends_with(END) {
        return;
    }
    let missing = (out.len() - from).next_multiple_of(BLOCK) - (out.len() - from);
    out.truncate(out.len() - END.len());
    out.extend(rand::rng().sample_iter(Alphanumeric).take(missing));
    out.extend_from_slice(END);
}
