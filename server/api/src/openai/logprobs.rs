//! Log probabilities on the wire: chat completions' shape, and the older one of completions.

use std::collections::BTreeMap;

use mlx_gate_core::{PromptLogprobs, TokenLogprob};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// What OpenAI writes for a token whose probability is 0: JSON has no minus infinity.
const LOWEST: f32 = -9999.0;

/// `logprobs` of a chat completion's choice.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChatLogprobs {
    content: Vec<ChatToken>,
    refusal: Option<()>,
}

/// One token of it, which a response's `output_text` has too.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChatToken {
    #[serde(flatten)]
    token: Alternative,
    top_logprobs: Vec<Alternative>,
}

#[derive(Serialize, JsonSchema)]
struct Alternative {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

impl Alternative {
    fn new(bytes: Vec<u8>, logprob: f32) -> Self {
        Self { token: name(&bytes), logprob: logprob.max(LOWEST), bytes }
    }
}

impl From<Vec<TokenLogprob>> for ChatLogprobs {
    fn from(tokens: Vec<TokenLogprob>) -> Self {
        Self { content: tokens.into_iter().map(ChatToken::from).collect(), refusal: None }
    }
}

impl From<TokenLogprob> for ChatToken {
    fn from(token: TokenLogprob) -> Self {
        let top = token.top.into_iter().map(|(_, bytes, logprob)| Alternative::new(bytes, logprob));
        Self { token: Alternative::new(token.bytes, token.logprob), top_logprobs: top.collect() }
    }
}

/// `logprobs` of a completion's choice: lists side by side. What a prompt begins with has none.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct TextLogprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f32>>,
    /// Likeliest tokens by name. The token itself is always among them.
    #[schemars(with = "Vec<Option<BTreeMap<String, f32>>>")]
    top_logprobs: Vec<Option<ByName>>,
    /// Where each token begins in the choice's text, in characters.
    text_offset: Vec<usize>,
}

impl TextLogprobs {
    /// Of what is generated. `offset` is how far the choice's text has come.
    pub(crate) fn new(tokens: Vec<TokenLogprob>, offset: &mut Offset) -> Self {
        let mut lists = Self::default();
        lists.extend(tokens, offset);
        lists
    }

    /// Of a prompt that the choice's text begins with.
    pub(crate) fn of_prompt(prompt: &PromptLogprobs, text: &str) -> Self {
        let mut lists = Self::default();
        let mut place = Place { rest: text.as_bytes(), offset: Offset::default() };
        let (_, first) = &prompt.first;
        lists.tokens.push(name(first));
        lists.token_logprobs.push(None);
        lists.top_logprobs.push(None);
        lists.text_offset.push(place.advance(first));
        for token in &prompt.rest {
            let at = place.advance(&token.bytes);
            lists.push(token.clone(), at);
        }
        lists
    }

    /// Adds what is generated behind it. A token that is not in the text takes no room.
    pub(crate) fn extend(&mut self, tokens: Vec<TokenLogprob>, offset: &mut Offset) {
        for token in tokens {
            let at = offset.advance(if token.shown { &token.bytes } else { &[] });
            self.push(token, at);
        }
    }

    fn push(&mut self, token: TokenLogprob, at: usize) {
        let (own, logprob) = (name(&token.bytes), token.logprob.max(LOWEST));
        let mut top = ByName(Vec::with_capacity(token.top.len() + 1));
        for (_, bytes, logprob) in token.top {
            top.insert(name(&bytes), logprob.max(LOWEST));
        }
        top.insert(own.clone(), logprob);
        self.text_offset.push(at);
        self.tokens.push(own);
        self.token_logprobs.push(Some(logprob));
        self.top_logprobs.push(Some(top));
    }
}

/// Log probabilities by token, likeliest first. A `serde_json::Map` would write them as 64-bit numbers, with digits that
/// mean nothing.
struct ByName(Vec<(String, f32)>);

impl ByName {
    /// Adds a token, unless there is one of that name.
    fn insert(&mut self, token: String, logprob: f32) {
        if self.0.iter().all(|(known, _)| *known != token) {
            self.0.push((token, logprob));
        }
    }
}

impl Serialize for ByName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(token, logprob)| (token, logprob)))
    }
}

/// A place in a text, in characters, that moves with tokens, which may end inside of one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offset(usize);

impl Offset {
    /// Behind a text.
    pub(crate) fn behind(text: &str) -> Self {
        Self(text.chars().count())
    }

    /// Moves behind a token and gives the character it begins in.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        let continues = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
        let inside = bytes.first().is_some_and(|&byte| continues(byte));
        let begins = self.0.saturating_sub(usize::from(inside));
        self.0 += bytes.iter().filter(|&&byte| !continues(byte)).count();
        begins
    }
}

/// A place in a prompt's text. Not all tokens are in it: a tokenizer may put special ones around it, or a space in front.
struct Place<'a> {
    rest: &'a [u8],
    offset: Offset,
}

impl Place<'_> {
    /// Moves behind a token and gives the character it begins in. One that is not in the text takes no room.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        let without_space = bytes.strip_prefix(b" ").filter(|_| self.offset.0 == 0).unwrap_or(bytes);
        let there = [bytes, without_space].into_iter().find(|bytes| self.rest.starts_with(bytes));
        let there = there.unwrap_or_default();
        self.rest = &self.rest[there.len()..];
        self.offset.advance(there)
    }
}

/// A token's text. One that is part of a character only is written as OpenAI does: `bytes:\xe2\x82`.
fn name(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("bytes:{}", bytes.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Offset, Place, name};

    #[test]
    fn offsets_count_characters_however_tokens_cut_them() {
        let text = "a€ü";
        for cut in 1..text.len() {
            let mut offset = Offset::default();
            let (front, back) = text.as_bytes().split_at(cut);
            assert_eq!(offset.advance(front), 0);
            let expected = (0..=cut).rev().find(|&at| text.is_char_boundary(at)).unwrap();
            assert_eq!(offset.advance(back), text[..expected].chars().count(), "{cut}");
            assert_eq!(offset.advance(b""), 3, "{cut}");
        }
    }

    #[test]
    fn tokens_that_are_not_in_the_text_take_no_room() {
        let tokens: [&[u8]; 7] = [b"<s>", b" Once", b" \xe2\x82", b"\xac", b"<x>", b" x", b"</s>"];
        let mut place = Place { rest: "Once € x".as_bytes(), offset: Offset::default() };
        assert_eq!(tokens.map(|token| place.advance(token)), [0, 0, 4, 5, 6, 6, 8]);
    }

    #[test]
    fn parts_of_characters_are_named_by_their_bytes() {
        assert_eq!(name("é\n".as_bytes()), "é\n");
        assert_eq!(name(b"\xe2\x82"), r"bytes:\xe2\x82");
    }
}
