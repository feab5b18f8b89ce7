use std::sync::Arc;

use super::vocabulary::{Leading, Vocabulary};

/// Where the text of an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// On its own, as an answer in a chat does: the space that a SentencePiece tokenizer puts in front of a text goes.
    Fresh,
    /// In the middle of a text that it continues: every space counts.
    Continued,
}

/// Turns tokens into text as they come, byte for byte what decoding all of them at once would give.
///
/// A push costs the length of its token, however long the text already is. What comes out is valid UTF-8 however tokens
/// cut characters: the bytes of an unfinished character wait for the next token, and become U+FFFD as soon as it is
/// certain that they never will be one.
pub struct Detokenizer {
    vocabulary: Arc<Vocabulary>,
    /// Special tokens that are text all the same.
    shown: Box<[(u32, &'static str)]>,
    /// All of them are.
    shows_special: bool,
    /// What may still have to go from the beginning.
    leading: Leading,
    /// Bytes of an unfinished character: at most three.
    pending: Vec<u8>,
}

impl Detokenizer {
    /// Special tokens do not show, but for those of these texts.
    pub(super) fn new(
        vocabulary: Arc<Vocabulary>,
        beginning: Beginning,
        markers: impl Iterator<Item = &'static str>,
    ) -> Self {
        let leading = match beginning {
            Beginning::Fresh => vocabulary.leading(),
            Beginning::Continued => Leading::Kept,
        };
        let shown = markers.filter_map(|text| Some((vocabulary.special(text)?, text))).collect();
        Self { vocabulary, shown, shows_special: false, leading, pending: Vec::new() }
    }

    /// Special tokens show, by their names, with nothing around them.
    #[must_use]
    pub fn showing_special(self, shows_special: bool) -> Self {
        Self { shows_special, ..self }
    }

    /// Takes the next token and appends what is now certain to `text`. Unknown ids and special tokens add nothing, but
    /// for the special tokens that the answer's parser looks for.
    pub fn push(&mut self, id: u32, text: &mut String) {
        let shown = || self.shown.iter().find(|(special, _)| *special == id).map(|(_, text)| text.as_bytes());
        let named = || self.vocabulary.name(id).filter(|_| self.shows_special);
        let Some(mut bytes) = self.vocabulary.bytes(id).or_else(shown).or_else(named) else { return };
        let trimmed: Vec<u8>;
        match &mut self.leading {
            Leading::Kept => {}
            Leading::Spaces(left) => {
                let spaces = bytes.iter().take(*left).take_while(|byte| **byte == b' ').count();
                *left -= spaces;
                bytes = &bytes[spaces..];
                if *left == 0 || !bytes.is_empty() {
                    self.leading = Leading::Kept;
                }
            }
            Leading::SpacesOfFirstToken => {
                trimmed = bytes.iter().copied().filter(|byte| *byte != b' ').collect();
                bytes = &trimmed;
                self.leading = Leading::Kept;
            }
        }
        self.pending.extend_from_slice(bytes);
        let certain = decode(&self.pending, text);
        self.pending.drain(..certain);
    }

    /// How many bytes of an unfinished character wait for the next token.
    pub fn unfinished(&self) -> usize {
        self.pending.len()
    }

    /// What a token stands for wherever it is: a special one's name, and nothing for an unknown id.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.vocabulary.bytes(id).or_else(|| self.vocabulary.name(id)).unwrap_or_default()
    }

    /// Ends the text: an unfinished character becomes U+FFFD.
    pub fn finish(&mut self, text: &mut String) {
        if !std::mem::take(&mut self.pending).is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Appends all of `bytes` but an unfinished character at the end, and says how many bytes that was.
fn decode(bytes: &[u8], text: &mut String) -> usize {
    let mut done = 0;
    loop {
        match std::str::from_utf8(&bytes[done..]) {
            Ok(valid) => {
                text.push_str(valid);
                return bytes.len();
            }
            Err(error) => {
                let valid = done + error.valid_up_to();
                text.extend(bytes[done..valid].utf8_chunks().map(|chunk| chunk.valid()));
                match error.error_len() {
                    None => return valid,
                    Some(invalid) => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        done = valid + invalid;
                    }
                }
            }
        }
    }
}
