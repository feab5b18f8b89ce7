//! Embeddings, rankings and scores of the tiny models whose reference vectors sentence-transformers made
//! (`server/models/tests/encoders`).

use std::fs;

use mlx_gate_tests::{Folder, Server, question_body};
use serde_json::{Value, json};

use crate::auth::key_file;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/models/tests/encoders/fixtures");
const EMBEDDINGS: &str = "/v1/embeddings";

/// Texts, or pairs of them, and what sentence-transformers makes of them.
struct Expected {
    texts: Value,
    tokens: Value,
    vectors: Vec<Vec<f64>>,
}

impl Expected {
    fn of(model: &str) -> Self {
        let text = fs::read_to_string(format!("{MODELS}/{model}/expected.json")).unwrap();
        let mut file: Value = serde_json::from_str(&text).unwrap();
        let vectors = serde_json::from_value(file["vectors"].take()).unwrap();
        Self { texts: file["texts"].take(), tokens: file["tokens"].take(), vectors }
    }
}

/// A server with these models, under the names of their folders.
fn serve(models: &[&str], flags: &[&str]) -> Server {
    let folders: Vec<_> = models.iter().map(|model| format!("{MODELS}/{model}")).collect();
    let named = folders.iter().flat_map(|folder| ["--model", folder]);
    Server::start(&named.chain(flags.iter().copied()).collect::<Vec<_>>())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let difference = found.iter().zip(expected).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
    assert!(difference < 1e-4, "{what} is off by {difference}");
}

/// From text to vector, so tokenizers and all; and the same for the tokens of the texts.
#[test]
fn embeddings_are_those_of_sentence_transformers() {
    let models = ["bert_mean", "bert_cls_dense", "roberta_mean", "xlm_roberta_cls", "qwen3_last"];
    let server = serve(&models, &[]);
    for model in models {
        let Expected { texts, tokens, vectors } = Expected::of(model);
        let size: usize = tokens.as_array().unwrap().iter().map(|text| text.as_array().unwrap().len()).sum();
        for input in [texts, tokens] {
            let reply = server.client().post(EMBEDDINGS, &json!({ "model": model, "input": input }));
            assert_eq!(reply.status, 200, "{model}: {}", reply.text);
            let reply = reply.json();
            assert_eq!(reply["usage"], json!({ "prompt_tokens": size, "total_tokens": size }), "{model}");
            for (index, vector) in vectors.iter().enumerate() {
                let data = &reply["data"][index];
                assert_eq!(data["index"], index, "{model}");
                assert_close(&numbers(&data["embedding"]), vector, &format!("text {index} with {model}"));
            }
        }
    }
}

#[test]
fn rankings_and_scores_are_those_of_sentence_transformers() {
    let models = ["bert_cross", "roberta_cross", "xlm_roberta_cross"];
    let server = serve(&models, &[]);
    for model in models {
        let Expected { texts, vectors, .. } = Expected::of(model);
        let pairs: Vec<[String; 2]> = serde_json::from_value(texts).unwrap();
        let (first, second): (Vec<_>, Vec<_>) =
            pairs.into_iter().map(|[first, second]| (first, second)).unzip();
        let body = json!({ "model": model, "text_1": first, "text_2": second });
        let reply = server.client().post("/v1/score", &body);
        assert_eq!(reply.status, 200, "{model}: {}", reply.text);
        for (index, vector) in vectors.iter().enumerate() {
            let score = reply.json()["data"][index]["score"].as_f64().unwrap();
            assert_close(&[score], vector, &format!("pair {index} with {model}"));
        }
        // The first two pairs have the same query.
        let body = json!({ "model": model, "query": first[0], "documents": [second[0], second[1]] });
        let results = server.client().post("/v1/rerank", &body).json()["results"].clone();
        let mut order = [0, 1];
        order.sort_by(|&one: &usize, &other| vectors[other][0].total_cmp(&vectors[one][0]));
        for (result, index) in results.as_array().unwrap().iter().zip(order) {
            assert_eq!(
                (&result["index"], &result["document"]["text"]),
                (&json!(index), &json!(second[index]))
            );
            assert_close(&[result["relevance_score"].as_f64().unwrap()], &vectors[index], model);
        }
    }
}

#[test]
fn a_model_does_what_it_is_for_and_says_what_that_is() {
    let server = serve(&["bert_mean", "bert_cross"], &["--model", &demo()]);
    let client = server.client();
    let capable = |model: &str| {
        let can = client.get(&format!("/v1/models/{model}")).json()["capabilities"].clone();
        ["completion", "chat", "embeddings", "score"].map(|what| can[what].as_bool().unwrap())
    };
    assert_eq!(capable("bert_mean"), [false, false, true, false]);
    assert_eq!(capable("bert_cross"), [false, false, false, true]);
    assert_eq!(capable("demo"), [true, true, false, false]);
    let chat = |model| json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }] });
    let pair = |model| json!({ "model": model, "query": "x", "documents": ["y"] });
    for (path, body, about) in [
        (EMBEDDINGS, json!({ "model": "demo", "input": "x" }), "says nothing of how to make embeddings"),
        (EMBEDDINGS, json!({ "model": "bert_cross", "input": "x" }), "makes no embeddings"),
        ("/v1/rerank", pair("demo"), "name a cross-encoder"),
        ("/v1/rerank", pair("bert_mean"), "name a cross-encoder"),
        ("/v1/chat/completions", chat("bert_mean"), "makes embeddings and generates no text"),
        ("/v1/chat/completions", chat("bert_cross"), "scores pairs of texts"),
        ("/v1/completions", json!({ "model": "bert_mean", "prompt": "x" }), "generates no text"),
    ] {
        let reply = client.post(path, &body);
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["code"]), (400, &json!("unsupported_model")), "{path}: {error}");
        assert_eq!(error["param"], "model", "{path}: {error}");
        assert!(error["message"].as_str().unwrap().contains(about), "{path}: {error}");
    }
    let mut question = question_body("What is 2 + 3?");
    question["model"] = json!("demo");
    let answer = client.post("/v1/chat/completions", &question).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "2 + 3 = 5");
}

fn demo() -> String {
    concat!("demo=", env!("CARGO_MANIFEST_DIR"), "/../server/models/demo/model").to_owned()
}

#[test]
fn what_is_too_long_is_refused_with_the_figure_or_cut() {
    let server = serve(&["bert_mean", "bert_cross"], &[]);
    let client = server.client();
    let long = "one two three ".repeat(50);
    let body = json!({ "model": "bert_mean", "input": ["one", long] });
    let error = client.post(EMBEDDINGS, &body).json()["error"].clone();
    assert_eq!((&error["code"], &error["param"]), (&json!("context_length_exceeded"), &json!("input[1]")));
    assert!(error["message"].as_str().unwrap().contains("reads 64 at the most"), "{error}");

    let tokens = |body: Value| client.post(EMBEDDINGS, &body).json()["usage"]["total_tokens"].clone();
    let cut = |to: i64| json!({ "model": "bert_mean", "input": long, "truncate_prompt_tokens": to });
    assert_eq!(tokens(cut(-1)), 64);
    assert_eq!(tokens(cut(10)), 10);
    let pair =
        json!({ "model": "bert_cross", "text_1": "one", "text_2": long, "truncate_prompt_tokens": -1 });
    assert_eq!(client.post("/v1/score", &pair).json()["usage"]["total_tokens"], 64);

    for (change, about) in [
        (json!({ "dimensions": 8 }), "not trained to have its embeddings cut"),
        (json!({ "truncate_prompt_tokens": 65 }), "1 to 64 tokens"),
        (json!({ "truncate_prompt_tokens": 2 }), "2 of them are special ones"),
        (json!({ "input": [100_000] }), "outside of the vocabulary"),
    ] {
        let mut body = json!({ "model": "bert_mean", "input": "one" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let reply = client.post(EMBEDDINGS, &body);
        assert_eq!(reply.status, 400, "{change}");
        assert!(reply.text.contains(about), "{}", reply.text);
    }
}

/// The model may be cut where its configuration says so.
#[test]
fn dimensions_are_cut_and_normalized() {
    let folder = Folder::new();
    let copied = [
        "model.safetensors",
        "modules.json",
        "1_Pooling/config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    for file in copied {
        fs::copy(format!("{MODELS}/bert_mean/{file}"), folder.at(file)).unwrap();
    }
    let config = fs::read_to_string(format!("{MODELS}/bert_mean/config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["matryoshka_dimensions"] = json!([4, 8]);
    folder.write("config.json", config.to_string());

    let server = Server::start(&["--model", &format!("cut={}", folder.path().display())]);
    let Expected { texts, vectors, .. } = Expected::of("bert_mean");
    let body = json!({ "model": "cut", "input": texts, "dimensions": 8 });
    let reply = server.client().post(EMBEDDINGS, &body).json();
    for (index, vector) in vectors.iter().enumerate() {
        let length = vector[..8].iter().map(|x| x * x).sum::<f64>().sqrt();
        let cut: Vec<f64> = vector[..8].iter().map(|x| x / length).collect();
        assert_close(&numbers(&reply["data"][index]["embedding"]), &cut, &format!("text {index}"));
    }
    let reply = server.client().post(EMBEDDINGS, &json!({ "model": "cut", "input": "x", "dimensions": 5 }));
    assert!(reply.text.contains("expected 16 or one of 4, 8, but got 5"), "{}", reply.text);
}

#[test]
fn the_gate_decides_about_embeddings_too() {
    let folder = Folder::new();
    let policy = folder.write(
        "policy.toml",
        "[[allow]]\nmodels = [\"bert_mean\"]\nendpoints = [\"embedding\"]\nmax-input-tokens = 40\n",
    );
    let (keys, made) = key_file(&folder, &[("somebody", &[])]);
    let plugins = [
        format!("auth_static_keys,file={keys}"),
        format!("authz_policy,file={policy}"),
        "rate_limit,tokens-per-minute=1000".to_owned(),
    ];
    let flags: Vec<&str> = plugins.iter().flat_map(|plugin| ["--plugin", plugin.as_str()]).collect();
    let server = serve(&["bert_mean", "roberta_mean"], &flags);
    let client = server.client().bearer(&made[0]);
    let ask = |model: &str, input: &str| client.post(EMBEDDINGS, &json!({ "model": model, "input": input }));

    assert_eq!(server.client().post(EMBEDDINGS, &json!({ "input": "x" })).status, 401);
    let reply = ask("bert_mean", "a");
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("x-ratelimit-remaining-tokens"), "997", "the text's own tokens and no more");
    assert_eq!(ask("roberta_mean", "a").status, 403);
    assert_eq!(ask("bert_mean", &"long ".repeat(100)).status, 403);
    assert_eq!(client.post("/v1/score", &json!({ "text_1": "x", "text_2": "y" })).status, 403);
    server.wait_for_log("embedding");
}
