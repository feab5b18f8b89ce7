use mlx_gate_core::encoder::{Facts, Matryoshka, Output};
use mlx_gate_core::{
    EncodeInput, EncodeRequest, EncodeTask, Encoded, Engine, EngineError, Prompt, Request, Tags, Tokenize,
    Truncate,
};

use crate::fake::{self, FakeEncoder};
use crate::{Config, LocalEngine};

const EMBED: EncodeTask = EncodeTask::Embed { dimensions: None };

/// An engine with one model of each kind.
fn engine() -> LocalEngine {
    engine_with(fake::embeds())
}

fn engine_with(embeds: FakeEncoder) -> LocalEngine {
    let models = vec![
        fake::reader("embeds", embeds),
        fake::model("says", fake::says("Hi.")),
        fake::reader("scores", fake::scores()),
    ];
    LocalEngine::spawn(Config::default(), models).expect("the fake models load")
}

fn texts(texts: &[&str]) -> Vec<EncodeInput> {
    texts.iter().map(|text| EncodeInput::Text((*text).to_owned())).collect()
}

fn request(model: &str, task: EncodeTask, inputs: Vec<EncodeInput>) -> EncodeRequest {
    EncodeRequest { id: "r".to_owned(), model: Some(model.to_owned()), task, inputs, truncate: None }
}

async fn encode(engine: &LocalEngine, request: EncodeRequest) -> Result<Encoded, EngineError> {
    let prepared = engine.prepare_encode(request).await?;
    engine.encode(prepared, &Tags::default())?.await
}

async fn vectors(engine: &LocalEngine, request: EncodeRequest) -> Vec<Vec<f32>> {
    encode(engine, request).await.expect("the texts are read").vectors
}

#[tokio::test]
async fn texts_and_tokens_become_vectors() {
    let engine = engine();
    let inputs = [texts(&["a", "bcd"]), vec![EncodeInput::Tokens(vec![1, 2])]].concat();
    let found = vectors(&engine, request("embeds", EMBED, inputs)).await;
    assert_eq!(found, [[1.0, 97.0, 1.0], [3.0, 98.0 + 99.0 + 100.0, 1.0], [2.0, 3.0, 1.0]]);
}

#[tokio::test]
async fn long_texts_are_refused_with_the_figure_or_cut() {
    let engine = engine();
    let long = "x".repeat(70);
    let with = |truncate| EncodeRequest { truncate, ..request("embeds", EMBED, texts(&["a", &long])) };
    let refused = EngineError::InputTooLong { index: 1, tokens: 70, most: 64 };
    assert_eq!(encode(&engine, with(None)).await, Err(refused));
    let length = async |truncate| vectors(&engine, with(Some(truncate))).await[1][0];
    assert_eq!(length(Truncate::ToModel).await as u32, 64);
    assert_eq!(length(Truncate::To(9)).await as u32, 9);
    for tokens in [0, 65] {
        match encode(&engine, with(Some(Truncate::To(tokens)))).await {
            Err(EngineError::InvalidRequest { field: "truncate", message }) => {
                assert!(message.contains("1 to 64"), "{message}");
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn vectors_are_cut_and_normalized_where_the_model_allows_it() {
    let engine = engine();
    let cut =
        |dimensions| request("embeds", EncodeTask::Embed { dimensions: Some(dimensions) }, texts(&["abc"]));
    assert_eq!(vectors(&engine, cut(3)).await, [[3.0, 294.0, 1.0]], "all of it is as it is without");
    let length = 3.0_f32.hypot(294.0);
    let found = vectors(&engine, cut(2)).await;
    assert!(
        (found[0][0] - 3.0 / length).abs() < 1e-6 && (found[0][1] - 294.0 / length).abs() < 1e-6,
        "{found:?}"
    );

    let with = |matryoshka| {
        let facts = Facts {
            vocab_size: 0,
            context_length: 64,
            kv_bytes_per_token: 0,
            batch_tokens: 16,
            output: Output::Embedding { dimensions: 3, matryoshka },
        };
        engine_with(fake::embeds().with_facts(facts))
    };
    for (matryoshka, dimensions, expected) in [
        (Matryoshka::Any, 4, "expected 1 to 3, but got 4"),
        (Matryoshka::Any, 0, "expected 1 to 3, but got 0"),
        (Matryoshka::Listed(vec![2]), 1, "expected 3 or one of 2, but got 1"),
        (Matryoshka::None, 2, "not trained to have its embeddings cut"),
    ] {
        match encode(&with(matryoshka.clone()), cut(dimensions)).await {
            Err(EngineError::InvalidRequest { field: "dimensions", message }) => {
                assert!(message.contains(expected), "{message}");
            }
            other => panic!("{matryoshka:?} with {dimensions}: {other:?}"),
        }
    }
    for (matryoshka, dimensions) in [(Matryoshka::Listed(vec![2]), 2), (Matryoshka::None, 3)] {
        assert_eq!(vectors(&with(matryoshka), cut(dimensions)).await[0].len(), dimensions as usize);
    }
}

#[tokio::test]
async fn a_model_does_what_it_is_for() {
    let engine = engine();
    let unsuited = |error: Option<EngineError>, model: &str, about: &str| match error {
        Some(EngineError::UnsuitedModel { model: found, problem }) => {
            assert_eq!(found, model);
            assert!(problem.contains(about), "{problem}");
        }
        other => panic!("{model}: {other:?}"),
    };
    for (model, task, about) in [
        ("says", EMBED, "says nothing of how to make embeddings"),
        ("scores", EMBED, "makes no embeddings"),
        ("says", EncodeTask::Score, "cross-encoder"),
        ("embeds", EncodeTask::Score, "cross-encoder"),
    ] {
        unsuited(encode(&engine, request(model, task, texts(&["a"]))).await.err(), model, about);
    }
    for (model, about) in [("embeds", "/v1/embeddings"), ("scores", "/v1/rerank")] {
        let mut generation = Request::new("r".to_owned(), Prompt::Text("a".to_owned()));
        generation.model = Some(model.to_owned());
        unsuited(engine.prepare(generation).await.err(), model, about);
    }
    let cards = engine.models();
    let facts = |index: usize| {
        let capable = cards[index].capabilities;
        (capable.completion, capable.chat, capable.embeddings, capable.score)
    };
    assert_eq!(facts(0), (false, false, true, false));
    assert_eq!(facts(1), (true, true, false, false));
    assert_eq!(facts(2), (false, false, false, true));
}

#[tokio::test]
async fn input_that_cannot_be_read_is_refused() {
    let engine = engine();
    for (inputs, expected) in [
        (Vec::new(), "there is no text"),
        (vec![EncodeInput::Tokens(Vec::new())], "input 0 has no tokens"),
        (vec![EncodeInput::Text(String::new())], "input 0 has no tokens"),
        (vec![EncodeInput::Tokens(vec![1]), EncodeInput::Tokens(vec![257])], "token 257 of input 1"),
        (vec![EncodeInput::Tokens(vec![1; 64]); (1 << 14) + 1], "more than 1048576 tokens"),
    ] {
        match encode(&engine, request("embeds", EMBED, inputs)).await {
            Err(EngineError::InvalidRequest { field: "inputs", message }) => {
                assert!(message.contains(expected), "{message}");
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_model_that_reads_texts_also_tokenizes_them() {
    let engine = engine();
    let tokenize = Tokenize::prompt(Some("scores".to_owned()), Prompt::Text("ab".to_owned()));
    assert_eq!(engine.tokenize(tokenize).await.expect("it does").tokens, [97, 98]);
    let text = engine.detokenize(Some("scores".to_owned()), vec![97, 98]).await;
    assert_eq!(text, Ok("ab".to_owned()));
}

#[tokio::test]
async fn an_engine_that_drains_finishes_what_it_has_and_takes_nothing_new() {
    let engine = engine();
    let prepare = || engine.prepare_encode(request("embeds", EMBED, texts(&["a"])));
    let (first, second) = (prepare().await.expect("good"), prepare().await.expect("good"));
    let running = engine.encode(first, &Tags::default()).expect("it is taken");
    engine.drain().await;
    assert_eq!(running.await.map(|encoded| encoded.vectors.len()), Ok(1));
    assert_eq!(engine.encode(second, &Tags::default()).err(), Some(EngineError::ShuttingDown));
}
