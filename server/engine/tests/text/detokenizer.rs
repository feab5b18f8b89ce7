//! Streaming gives the text that decoding everything at once gives.

use mlx_gate_core::{OutputFormat, ReasoningSyntax};
use mlx_gate_engine::text::{Assets, Beginning, ModelText};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

const TEXTS: [&str; 6] = [
    "Hello, World!",
    " leading and trailing ",
    "你好 👩‍👩‍👧‍👦 — naïve café, مرحبا\n\ttabs",
    "",
    "\u{fffd} itself, \u{2028} and \u{0}",
    "def f(x):\n    return x ** 2  # ½",
];

#[test]
fn byte_level_streams_equal_decoding_at_once() {
    let tokenizer = demo();
    check_random(&tokenizer, |_| true);
}

#[test]
fn byte_fallback_streams_equal_decoding_at_once() {
    // For a run of byte tokens with an invalid one among them `tokenizers` gives up on the whole run, including the
    // characters in it that are fine. A stream has already shown those, rightly.
    check_random(&sentencepiece(&llama_decoder()), |text| !text.contains('\u{fffd}'));
}

#[test]
fn metaspace_streams_equal_decoding_at_once() {
    check_random(
        &sentencepiece(&json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"})),
        |_| true,
    );
    check_random(
        &sentencepiece(&json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"})),
        |_| true,
    );
}

/// Streams random tokens and compares with `tokenizers`, where that can be trusted.
fn check_random(tokenizer: &Value, trusted: impl Fn(&str) -> bool) {
    let reference = Tokenizer::from_bytes(tokenizer.to_string()).expect("a tokenizer");
    let model = load(tokenizer);
    let size = reference.get_vocab_size(true) as u32;
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..5_000 {
        let length = random.random_range(0..24);
        // Low ids are single bytes in all of these tokenizers, and cut characters more often. A few ids do not exist.
        let range = if random.random() { 0..size.min(300) } else { 0..size + 2 };
        let mut ids: Vec<u32> = (0..length).map(|_| random.random_range(range.clone())).collect();
        // Special tokens that mark the output's format show here, on purpose.
        ids.retain(|id| !reference.id_to_token(*id).is_some_and(|token| token.contains("think>")));
        let expected = reference.decode(&ids, true).expect("decodes");
        let actual = stream(&model, &ids, Beginning::Fresh).concat();
        if trusted(&expected) {
            assert_eq!(actual, expected, "{ids:?}");
        }
    }
}

#[test]
fn what_was_shown_stays_and_is_shown_as_soon_as_it_is_certain() {
    let model = load(&sentencepiece(&llama_decoder()));
    let mut random = StdRng::seed_from_u64(8);
    for _ in 0..5_000 {
        let ids: Vec<u32> = (0..random.random_range(1..12)).map(|_| random.random_range(3..259)).collect();
        let bytes: Vec<u8> = ids.iter().map(|id| (id - 3) as u8).collect();
        let mut pieces = stream(&model, &ids, Beginning::Continued);
        let tail = pieces.pop().expect("the end's piece");
        let shown = pieces.concat();
        assert_eq!(format!("{shown}{tail}"), String::from_utf8_lossy(&bytes));
        // Only the beginning of a character may have waited for the end.
        assert!(tail.is_empty() || tail == "\u{fffd}", "{ids:?}: {tail:?}");
    }
}

#[test]
fn characters_cut_by_tokens_wait_for_their_last_byte() {
    let model = load(&sentencepiece(&llama_decoder()));
    let bytes = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte) + 3).collect::<Vec<u32>>();
    assert_eq!(stream(&model, &bytes("é😀".as_bytes()), Beginning::Fresh), ["", "é", "", "", "", "😀", ""]);
    // 0xF0 may begin a character until the next byte says that it does not.
    assert_eq!(
        stream(&model, &bytes(&[0xff, 0xf0, b'a']), Beginning::Fresh),
        ["\u{fffd}", "", "\u{fffd}a", ""]
    );
    assert_eq!(stream(&model, &bytes(&[0xe4, 0xbd]), Beginning::Fresh), ["", "", "\u{fffd}"]);
}

#[test]
fn only_an_answer_of_its_own_loses_the_space_of_the_tokenizer() {
    for decoder in
        [llama_decoder(), json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"})]
    {
        let model = load(&sentencepiece(&decoder));
        let ids: Vec<u32> = ["▁Hello", "▁", "▁Hello"].iter().map(|piece| id(piece)).collect();
        assert_eq!(stream(&model, &ids, Beginning::Fresh).concat(), "Hello  Hello");
        assert_eq!(stream(&model, &ids, Beginning::Continued).concat(), " Hello  Hello");
    }
}

#[test]
fn special_tokens_do_not_show_but_the_marks_of_the_output_format_do() {
    let model = load(&sentencepiece(&llama_decoder()));
    let ids = [1, id("<think>"), id("▁Hello"), id("<tool>"), id("</think>"), 2];
    assert_eq!(stream(&model, &ids, Beginning::Fresh).concat(), "<think> Hello<tool></think>");
    let plain = stream_as(&model, &ids, Beginning::Fresh, OutputFormat::default());
    assert_eq!(plain.concat(), "Hello<tool>", "nobody looks for the other marks");
    assert_eq!(model.token_bytes(1), None);
    assert_eq!(model.token_bytes(u32::MAX), None);
    assert_eq!(model.token_bytes(id("<think>")), None);
    assert_eq!(model.token_bytes(id("▁Hello")), Some(&b" Hello"[..]));
    assert_eq!(model.token_bytes(3 + 0xff), Some(&[0xff][..]));
}

#[test]
fn texts_come_back_through_encoding_and_streaming() {
    for tokenizer in [demo(), sentencepiece(&llama_decoder())] {
        let model = load(&tokenizer);
        for text in TEXTS {
            let ids = model.encode(text, false).expect("encodes");
            assert_eq!(stream(&model, &ids, Beginning::Fresh).concat(), text, "{ids:?}");
        }
    }
}

/// One piece for each token, and one for the end.
fn stream(model: &ModelText, ids: &[u32], beginning: Beginning) -> Vec<String> {
    let format = OutputFormat { reasoning: Some(ReasoningSyntax::Think), ..OutputFormat::default() };
    stream_as(model, ids, beginning, format)
}

fn stream_as(model: &ModelText, ids: &[u32], beginning: Beginning, format: OutputFormat) -> Vec<String> {
    let mut detokenizer = model.detokenizer(beginning, format);
    let mut pieces: Vec<String> = Vec::new();
    for id in ids {
        let mut piece = String::new();
        detokenizer.push(*id, &mut piece);
        pieces.push(piece);
    }
    let mut piece = String::new();
    detokenizer.finish(&mut piece);
    pieces.push(piece);
    pieces
}

fn load(tokenizer: &Value) -> ModelText {
    let assets = Assets { tokenizer: tokenizer.to_string().into_bytes(), ..Assets::default() };
    ModelText::load("model", &assets).expect("loads")
}

/// The demo model's tokenizer: byte-level BPE.
fn demo() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/demo/model/tokenizer.json");
    serde_json::from_slice(&std::fs::read(path).expect("the demo model's tokenizer")).expect("JSON")
}

const PIECES: [&str; 8] = ["▁", "▁Hello", "H", "e", "l", "o", "é", "▁▁"];
const ADDED: [(&str, bool); 3] = [("<think>", true), ("</think>", true), ("<tool>", false)];

/// The id of a piece or added token of [`sentencepiece`].
fn id(piece: &str) -> u32 {
    let mut all = PIECES.iter().chain(ADDED.iter().map(|(token, _)| token));
    3 + 256 + all.position(|other| *other == piece).expect("a piece") as u32
}

/// A tokenizer as those converted from SentencePiece are: three special tokens, all bytes, a few pieces, and
/// three added tokens.
fn sentencepiece(decoder: &Value) -> Value {
    let specials = ["<unk>", "<s>", "</s>"].map(str::to_owned).into_iter();
    let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
    let pieces = specials.chain(bytes).chain(PIECES.map(str::to_owned));
    let vocab: Map<String, Value> = pieces.enumerate().map(|(id, piece)| (piece, json!(id))).collect();
    let added = |id: u32, content: &str, special: bool| {
        json!({"id": id, "content": content, "special": special,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
    };
    let mut added_tokens = vec![added(0, "<unk>", true), added(1, "<s>", true), added(2, "</s>", true)];
    added_tokens.extend(ADDED.iter().map(|(token, special)| added(id(token), token, *special)));
    json!({
        "version": "1.0",
        "added_tokens": added_tokens,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "model": {"type": "BPE", "vocab": vocab, "merges": [["▁", "▁"]],
            "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true},
        "decoder": decoder,
    })
}

/// The decoder of Llama 2, Mistral and Phi-3.
fn llama_decoder() -> Value {
    json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]})
}
