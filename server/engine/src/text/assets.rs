use mlx_gate_core::Sampling;
use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use super::Error;

/// The files beside a model's weights that say how it reads and writes, as bytes. Only the tokenizer must be there.
#[derive(Default)]
pub struct Assets {
    /// `config.json`
    pub config: Option<Vec<u8>>,
    /// `tokenizer.json`
    pub tokenizer: Vec<u8>,
    /// `tokenizer_config.json`
    pub tokenizer_config: Option<Vec<u8>>,
    /// `chat_template.jinja`; wins over the template in `tokenizer_config.json`.
    pub chat_template: Option<Vec<u8>>,
    /// `generation_config.json`
    pub generation_config: Option<Vec<u8>>,
    /// `special_tokens_map.json`
    pub special_tokens_map: Option<Vec<u8>>,
    /// `sentence_bert_config.json`, of models that embed.
    pub sentence_config: Option<Vec<u8>>,
}

/// One JSON file. A missing file has no keys; `null` counts as absent, as it does in transformers.
pub(super) struct Document {
    file: &'static str,
    keys: Map<String, Value>,
}

impl Document {
    pub(super) fn parse(file: &'static str, bytes: Option<&[u8]>) -> Result<Self, Error> {
        let keys = match bytes {
            None => Map::new(),
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|error| Error::NotJson { file, cause: error.to_string() })?,
        };
        Ok(Self { file, keys })
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    fn bad(&self, key: &str, found: &Value, expected: &'static str) -> Error {
        let mut found = found.to_string();
        if let Some((end, _)) = found.char_indices().nth(80) {
            found.truncate(end);
            found.push_str("...");
        }
        Error::BadValue { file: self.file, key: key.to_owned(), found, expected }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        self.get(key)
            .map(|value| value.as_bool().ok_or_else(|| self.bad(key, value, "true or false")))
            .transpose()
    }

    fn number(
        &self,
        key: &str,
        expected: &'static str,
        fits: impl Fn(f64) -> bool,
    ) -> Result<Option<f32>, Error> {
        self.get(key)
            .map(|value| {
                let number = value.as_f64().filter(|number| fits(*number));
                number.map(|number| number as f32).ok_or_else(|| self.bad(key, value, expected))
            })
            .transpose()
    }

    /// A token id or a list of them.
    fn token_ids(&self, key: &str) -> Result<Vec<u32>, Error> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let one = std::slice::from_ref(value);
        value
            .as_array()
            .map_or(one, Vec::as_slice)
            .iter()
            .map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
            .collect::<Option<_>>()
            .ok_or_else(|| self.bad(key, value, "a token id or a list of token ids"))
    }

    /// A token's text, written plainly or as an object with the key `content`.
    fn token(&self, key: &str) -> Result<Option<String>, Error> {
        self.get(key)
            .map(|value| {
                let text = value.as_str().or_else(|| value.get("content").and_then(Value::as_str));
                text.map(str::to_owned)
                    .ok_or_else(|| self.bad(key, value, "a token's text, or an object with `content`"))
            })
            .transpose()
    }
}

/// The named special tokens that transformers hands to chat templates as variables.
pub(super) struct SpecialTokens(Vec<(&'static str, String)>);

impl SpecialTokens {
    const NAMES: [&'static str; 7] =
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    pub(super) fn find(tokenizer_config: &Document, special_tokens_map: &Document) -> Result<Self, Error> {
        let mut found = Vec::new();
        for name in Self::NAMES {
            let token = match tokenizer_config.token(name)? {
                Some(token) => Some(token),
                None => special_tokens_map.token(name)?,
            };
            found.extend(token.map(|token| (name, token)));
        }
        Ok(Self(found))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, token)| (*name, token.as_str()))
    }
}

/// The sources of a model's chat templates.
pub(super) struct TemplateSources {
    /// Where they stand.
    pub(super) file: &'static str,
    /// For every conversation that has no template of its own.
    pub(super) default: String,
    /// For conversations with tools.
    pub(super) tool_use: Option<String>,
}

/// Finds the chat templates, by the rules of transformers' `get_chat_template`.
pub(super) fn chat_templates(
    jinja_file: Option<&[u8]>,
    tokenizer_config: &Document,
) -> Result<Option<TemplateSources>, Error> {
    if let Some(bytes) = jinja_file {
        let file = "chat_template.jinja";
        let source = std::str::from_utf8(bytes).map_err(|error| Error::Template {
            file,
            template: "default",
            cause: format!("it is not UTF-8 ({error})"),
        })?;
        return Ok(Some(TemplateSources { file, default: source.to_owned(), tool_use: None }));
    }
    let key = "chat_template";
    let expected =
        "a template, or a list of templates with `name` and `template`, one of them named `default`";
    let file = tokenizer_config.file;
    match tokenizer_config.get(key) {
        None => Ok(None),
        Some(Value::String(source)) => {
            Ok(Some(TemplateSources { file, default: source.clone(), tool_use: None }))
        }
        Some(value) => {
            let named = |name: &str| {
                let templates = value.as_array()?;
                let entry =
                    templates.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))?;
                entry.get("template")?.as_str().map(str::to_owned)
            };
            let default = named("default").ok_or_else(|| tokenizer_config.bad(key, value, expected))?;
            Ok(Some(TemplateSources { file, default, tool_use: named("tool_use") }))
        }
    }
}

/// Collects the tokens that end an answer. `generation_config.json` comes first and knows the most; the other two files
/// are added because conversions often carry an old copy of it.
pub(super) fn stop_tokens(
    generation_config: &Document,
    config: &Document,
    special_tokens: &SpecialTokens,
    tokenizer: &Tokenizer,
) -> Result<Vec<u32>, Error> {
    let mut ids = generation_config.token_ids("eos_token_id")?;
    ids.extend(config.token_ids("eos_token_id")?);
    let named = special_tokens.iter().find(|(name, _)| *name == "eos_token");
    ids.extend(named.and_then(|(_, token)| tokenizer.token_to_id(token)));
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}

/// Reads the recommended sampling parameters. `"do_sample": false` asks for the likeliest token whatever else is there.
pub(super) fn sampling_defaults(generation_config: &Document) -> Result<Sampling, Error> {
    let fraction = |number: f64| (0.0..=1.0).contains(&number);
    let mut sampling = Sampling::default();
    let temperature =
        generation_config.number("temperature", "a number from 0 to 2", |t| (0.0..=2.0).contains(&t))?;
    sampling.temperature = temperature.unwrap_or(sampling.temperature);
    let top_p = generation_config.number("top_p", "a number above 0, up to 1", |p| p > 0.0 && fraction(p))?;
    sampling.top_p = top_p.unwrap_or(sampling.top_p);
    let min_p = generation_config.number("min_p", "a number from 0 to 1", fraction)?;
    sampling.min_p = min_p.unwrap_or(sampling.min_p);
    // -1 is a common way to write "off".
    let whole = |k: f64| k.fract() == 0.0 && (-1.0..=f64::from(u32::MAX)).contains(&k);
    let top_k = generation_config.number("top_k", "a whole number, 0 or -1 for off", whole)?;
    sampling.top_k = top_k.map_or(sampling.top_k, |k| k.max(0.0) as u32);
    let penalty =
        generation_config.number("repetition_penalty", "a number above 0", |r| r > 0.0 && r.is_finite())?;
    sampling.repetition_penalty = penalty.unwrap_or(sampling.repetition_penalty);
    if generation_config.flag("do_sample")? == Some(false) {
        sampling.temperature = 0.0;
    }
    Ok(sampling)
}
