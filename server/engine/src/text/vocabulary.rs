use std::collections::HashMap;

use serde_json::Value;
use tokenizers::Tokenizer;

use super::Error;

/// What each token stands for, as bytes: one look-up a token, however the tokenizer spells them.
#[derive(Default)]
pub(super) struct Vocabulary {
    /// The bytes of all tokens, one after another.
    bytes: Vec<u8>,
    /// Where in `bytes` each token lies; `None` for those that never show.
    spans: Vec<Option<(u32, u32)>>,
    /// What those that never show are called.
    names: HashMap<u32, Vec<u8>>,
    /// The special tokens among them, by their text.
    specials: HashMap<String, u32>,
    leading: Leading,
}

/// What a decoder takes away from the beginning of a text, because the tokenizer put it there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Leading {
    /// Nothing.
    #[default]
    Kept,
    /// At most this many spaces from the front of the text.
    Spaces(usize),
    /// Every space of the first token.
    SpacesOfFirstToken,
}

/// How token texts become bytes: the streaming equivalent of a `decoder` in `tokenizer.json`.
#[derive(Default)]
struct Spelling {
    byte_level: Option<HashMap<char, u8>>,
    byte_fallback: bool,
    replacements: Vec<(String, String)>,
    leading: Option<Leading>,
}

impl Vocabulary {
    pub(super) fn new(tokenizer: &Tokenizer) -> Result<Self, Error> {
        let decoder = serde_json::to_value(tokenizer.get_decoder())
            .map_err(|error| Error::Tokenizer(format!("its decoder cannot be read: {error}")))?;
        let mut spelling = Spelling::default();
        spelling.read(&decoder)?;

        let added = tokenizer.get_added_tokens_decoder();
        let mut tokens: Vec<(u32, Option<Vec<u8>>)> = tokenizer
            .get_vocab(false)
            .into_iter()
            .filter(|(_, id)| !added.contains_key(id))
            .map(|(text, id)| (id, Some(spelling.bytes(&text))))
            .collect();
        let (mut names, mut specials) = (HashMap::new(), HashMap::new());
        for (id, token) in added {
            if token.special {
                names.insert(id, token.content.clone().into_bytes());
                specials.insert(token.content, id);
                tokens.push((id, None));
            } else {
                tokens.push((id, Some(token.content.into_bytes())));
            }
        }

        let size = tokens.iter().map(|(id, _)| *id as usize + 1).max().unwrap_or(0);
        let mut vocabulary = Self {
            bytes: Vec::new(),
            spans: vec![None; size],
            names,
            specials,
            leading: spelling.leading.unwrap_or(Leading::Kept),
        };
        for (id, bytes) in tokens {
            let Some(bytes) = bytes else { continue };
            let start = vocabulary.bytes.len() as u32;
            vocabulary.bytes.extend_from_slice(&bytes);
            vocabulary.spans[id as usize] = Some((start, vocabulary.bytes.len() as u32));
        }
        Ok(vocabulary)
    }

    /// The bytes of a token in running text; `None` where nothing shows.
    pub(super) fn bytes(&self, id: u32) -> Option<&[u8]> {
        let (start, end) = (*self.spans.get(id as usize)?)?;
        self.bytes.get(start as usize..end as usize)
    }

    /// The name of a token that never shows.
    pub(super) fn name(&self, id: u32) -> Option<&[u8]> {
        self.names.get(&id).map(Vec::as_slice)
    }

    /// The special token of this text.
    pub(super) fn special(&self, text: &str) -> Option<u32> {
        self.specials.get(text).copied()
    }

    /// What is taken from the beginning of a whole text.
    pub(super) fn leading(&self) -> Leading {
        self.leading
    }
}

impl Spelling {
    /// Reads one decoder description, in the order in which a sequence of them applies.
    fn read(&mut self, decoder: &Value) -> Result<(), Error> {
        let text = |key: &str| decoder.get(key).and_then(Value::as_str);
        let kind = text("type").unwrap_or("no decoder");
        match kind {
            "Sequence" => {
                for part in decoder.get("decoders").and_then(Value::as_array).into_iter().flatten() {
                    self.read(part)?;
                }
            }
            "ByteLevel" => self.byte_level = Some(byte_alphabet()),
            "ByteFallback" => self.byte_fallback = true,
            "Fuse" => {}
            "Metaspace" => {
                self.replacements.push((text("replacement").unwrap_or("▁").to_owned(), " ".to_owned()));
                if text("prepend_scheme") != Some("never") {
                    self.leading = Some(Leading::SpacesOfFirstToken);
                }
            }
            "Replace" => {
                let pattern = decoder.pointer("/pattern/String").and_then(Value::as_str);
                let (Some(pattern), Some(content)) = (pattern, text("content")) else {
                    return Err(Error::UnsupportedDecoder { found: format!("Replace with {decoder}") });
                };
                self.replacements.push((pattern.to_owned(), content.to_owned()));
            }
            "Strip" => {
                let count = |key: &str| decoder.get(key).and_then(Value::as_u64).unwrap_or(0) as usize;
                if text("content") != Some(" ") || count("stop") != 0 {
                    return Err(Error::UnsupportedDecoder { found: format!("Strip with {decoder}") });
                }
                self.leading = Some(Leading::Spaces(count("start")));
            }
            other => return Err(Error::UnsupportedDecoder { found: other.to_owned() }),
        }
        Ok(())
    }

    fn bytes(&self, token: &str) -> Vec<u8> {
        if let Some(alphabet) = &self.byte_level {
            let bytes: Option<Vec<u8>> =
                token.chars().map(|character| alphabet.get(&character).copied()).collect();
            return bytes.unwrap_or_else(|| token.as_bytes().to_vec());
        }
        if self.byte_fallback
            && let Some(byte) = fallback_byte(token)
        {
            return vec![byte];
        }
        let mut text = token.to_owned();
        for (pattern, content) in &self.replacements {
            text = text.replace(pattern, content);
        }
        text.into_bytes()
    }
}

/// The byte a SentencePiece token such as `<0x0A>` stands for.
fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() != 2 {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// The alphabet in which byte-level BPE spells bytes: printable Latin-1 stands for itself, the rest for the characters
/// from U+0100 on (`bytes_to_unicode` in OpenAI's GPT-2 `encoder.py`).
fn byte_alphabet() -> HashMap<char, u8> {
    let mut alphabet = HashMap::with_capacity(256);
    let mut next = 0x100;
    for byte in 0..=u8::MAX {
        let printable = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let character = if printable {
            char::from(byte)
        } else {
            next += 1;
            char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        alphabet.insert(character, byte);
    }
    alphabet
}
