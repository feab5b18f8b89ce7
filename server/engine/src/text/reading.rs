//! The text side of models that read texts whole.

use mlx_gate_core::EngineError;
use mlx_gate_core::encoder::Text;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::utils::truncation::{
    TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings,
};
use tokenizers::{PostProcessor, Tokenizer};

use super::assets::{Assets, Document, SpecialTokens};
use super::vocabulary::Vocabulary;
use super::{Error, ModelText};

impl ModelText {
    /// Builds the text side of a model that embeds or scores. It has no chat template, no parsers and no answers to end.
    pub fn load_reader(name: impl Into<String>, assets: &Assets) -> Result<Self, Error> {
        let mut tokenizer = super::tokenizer(assets)?;
        let sentence = Document::parse("sentence_bert_config.json", assets.sentence_config.as_deref())?;
        if sentence.flag("do_lower_case")? == Some(true) {
            lower_case(&mut tokenizer);
        }
        let tokenizer_config = Document::parse("tokenizer_config.json", assets.tokenizer_config.as_deref())?;
        let special_tokens_map =
            Document::parse("special_tokens_map.json", assets.special_tokens_map.as_deref())?;
        Ok(Self {
            name: name.into(),
            vocabulary: Vocabulary::default().into(),
            tokenizer,
            template: None,
            special_tokens: SpecialTokens::find(&tokenizer_config, &special_tokens_map)?,
            stop_tokens: Vec::new(),
            defaults: mlx_gate_core::Sampling::default(),
            tool_syntax: None,
            reasoning_syntax: None,
            markers: Vec::new(),
        })
    }

    /// Tokenizes a text, or a pair of them, with the tokenizer's own special tokens, cut to at most `limit` tokens: a text
    /// loses its end, and of a pair always the longer one does (`longest_first` in transformers).
    pub fn encode_text(
        &self,
        text: &str,
        pair: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Text, EngineError> {
        let failed = |error: tokenizers::Error| {
            EngineError::Internal(format!("the tokenizer of `{}` failed: {error}", self.name))
        };
        let mut first = self.tokenizer.encode_fast(text, false).map_err(failed)?;
        let mut second =
            pair.map(|text| self.tokenizer.encode_fast(text, false)).transpose().map_err(failed)?;
        if let Some(limit) = limit {
            let special =
                self.tokenizer.get_post_processor().map_or(0, |post| post.added_tokens(pair.is_some()));
            let max_length = (limit as usize).saturating_sub(special);
            if max_length == 0 {
                let message = format!(
                    "nothing of a text would be left of {limit} tokens: {special} of them are special ones"
                );
                return Err(EngineError::InvalidRequest { field: "truncate", message });
            }
            let params = TruncationParams {
                direction: TruncationDirection::Right,
                max_length,
                strategy: TruncationStrategy::LongestFirst,
                stride: 0,
            };
            (first, second) = truncate_encodings(first, second, &params).map_err(failed)?;
        }
        let encoding = self.tokenizer.post_process(first, second, true).map_err(failed)?;
        let segment = |&segment: &u32| u8::from(segment > 0);
        Ok(Text {
            tokens: encoding.get_ids().to_vec(),
            segments: encoding.get_type_ids().iter().map(segment).collect(),
        })
    }
}

/// Has the tokenizer read everything in lower case, before whatever else it does.
fn lower_case(tokenizer: &mut Tokenizer) {
    let lower = NormalizerWrapper::Lowercase(Lowercase);
    let all = std::iter::once(lower).chain(tokenizer.get_normalizer().cloned()).collect();
    tokenizer.with_normalizer(Some(Sequence::new(all)));
}
