use std::sync::Arc;

use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};

use crate::text::ModelText;

/// The tokens of a model as a tree over their bytes, which is what grammars are matched against. `None` where the model
/// has no token that ends an answer, so that no grammar could ever be complete.
///
/// Control tokens stand in the tree behind a byte that is in no text. So no text can match them, and only a grammar
/// that names one (`<|name|>` in Lark) allows it.
pub(super) fn environment(text: &ModelText, vocabulary: u32) -> Option<TokEnv> {
    let ends: Vec<u32> = text.stop_tokens().iter().copied().filter(|&token| token < vocabulary).collect();
    let end = *ends.first()?;
    let words: Vec<Vec<u8>> = (0..vocabulary)
        .map(|token| {
            let control = |name: String| [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat();
            // What ends an answer is no part of it, also where a parser would read it as text.
            if ends.contains(&token) {
                return control(text.spelling(token));
            }
            let bytes = text.token_bytes(token).map(<[u8]>::to_vec);
            bytes.or_else(|| text.control_token(token).map(control)).unwrap_or_default()
        })
        .collect();
    let info = TokRxInfo::new(vocabulary, end);
    let trie = TokTrie::from(&info, &words).with_eos_tokens(&ends);
    // It knows no merges, and says so: text that a grammar forces is not tokenized here but left to the model.
    Some(Arc::new(ApproximateTokEnv::new(trie)))
}
