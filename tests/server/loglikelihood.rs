//! What lm-evaluation-harness asks of a server (`local-completions`, `lm_eval/models/openai_completions.py`): how likely the
//! continuations of contexts are. Requests are built as it builds them, and answers read as its `parse_logprobs` reads them.

use mlx_gate_tests::{Client, Server};
use serde_json::{Value, json};

fn tokenize(client: &Client, text: &str) -> Vec<u64> {
    let reply = client.post("/tokenize", &json!({ "prompt": text, "add_special_tokens": false }));
    assert_eq!(reply.status, 200, "{}", reply.text);
    let tokens = reply.json()["tokens"].clone();
    tokens.as_array().expect("tokens").iter().map(|token| token.as_u64().expect("an id")).collect()
}

fn complete(client: &Client, body: &Value) -> Value {
    let reply = client.post("/v1/completions", body);
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

fn list<'a>(choice: &'a Value, name: &str) -> &'a [Value] {
    choice["logprobs"][name].as_array().expect("a list")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// For each choice the sum over its continuation, and whether greedy decoding would have written it.
fn parse_logprobs(choices: &[Value], context_lengths: &[usize]) -> Vec<(f64, bool)> {
    let parse = |(choice, &start): (&Value, &usize)| {
        let end = list(choice, "token_logprobs").len() - 1;
        let own: Vec<f64> = list(choice, "token_logprobs")[start..end].iter().map(number).collect();
        let likeliest = list(choice, "top_logprobs")[start..end].iter().map(|top| {
            let top = top.as_object().expect("alternatives").values().map(number);
            top.fold(f64::NEG_INFINITY, f64::max)
        });
        let greedy = own.iter().zip(likeliest).all(|(own, likeliest)| *own >= likeliest);
        (own.iter().sum(), greedy)
    };
    choices.iter().zip(context_lengths).map(parse).collect()
}

/// How likely the tokens behind the first `start` ones are, by what the server says of tokens that it generates: a bias has it
/// generate these.
fn generated(client: &Client, tokens: &[u64], start: usize) -> f64 {
    let next = |at: usize| {
        let body = json!({
            "prompt": tokens[..at], "max_tokens": 1, "logprobs": 1, "temperature": 0,
            "logit_bias": { tokens[at].to_string(): 100 },
        });
        number(&list(&complete(client, &body)["choices"][0], "token_logprobs")[0])
    };
    (start..tokens.len()).map(next).sum()
}

#[test]
fn continuations_are_as_likely_as_when_they_are_generated() {
    let server = Server::start(&[]);
    let client = server.client();
    let model = client.get("/v1/models").json()["data"][0]["id"].clone();
    let context = tokenize(&client, "What is 2 + 3?");
    // What the model would say by itself, and what it would not.
    let body = json!({ "prompt": context, "max_tokens": 8, "temperature": 0 });
    let likely = complete(&client, &body)["choices"][0]["text"].as_str().expect("a text").to_owned();
    let pairs = [
        ("What is 2 + 3?", likely.as_str()),
        ("What is 2 + 3?", " Fish."),
        ("The quick brown fox", " jumps."),
    ];
    let contexts = pairs.map(|(context, _)| tokenize(&client, context));
    let mut prompts = contexts.clone();
    for (prompt, (_, continuation)) in prompts.iter_mut().zip(pairs) {
        prompt.extend(tokenize(&client, continuation));
    }
    let lengths = contexts.each_ref().map(Vec::len);
    let body = json!({
        "model": model, "prompt": prompts, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": true,
    });
    let answer = complete(&client, &body);
    let mut choices = answer["choices"].as_array().expect("choices").clone();
    choices.sort_by_key(|choice| choice["index"].as_u64());
    let parsed = parse_logprobs(&choices, &lengths);
    assert_eq!(parsed.len(), 3);
    for ((prompt, start), (sum, _)) in prompts.iter().zip(lengths).zip(&parsed) {
        let alone = generated(&client, prompt, start);
        assert!((sum - alone).abs() < 1e-3, "{sum}, but {alone} when it is generated");
    }
    assert!(parsed[0].1, "it is what the model says: {choices:?}");
    assert!(!parsed[1].1 && parsed[0].0 > parsed[1].0, "{parsed:?}");
    assert_eq!(answer["usage"]["prompt_tokens"], prompts.iter().map(Vec::len).sum::<usize>());
}

#[test]
fn a_prompt_alone_has_its_text_and_its_places() {
    let server = Server::start(&[]);
    let client = server.client();
    let text = "Où est la bibliothèque? \u{1f642}!";
    let tokens = tokenize(&client, text);
    for prompt in [json!(text), json!(tokens)] {
        let body = json!({ "prompt": prompt, "max_tokens": 0, "logprobs": 5, "echo": true });
        let answer = complete(&client, &body);
        let choice = &answer["choices"][0];
        assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!(text), &json!("length")));
        for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
            assert_eq!(list(choice, name).len(), tokens.len(), "{name}: {choice}");
        }
        assert!(list(choice, "token_logprobs")[0].is_null() && list(choice, "top_logprobs")[0].is_null());
        assert!(list(choice, "token_logprobs")[1..].iter().all(|logprob| number(logprob) <= 0.0));
        let characters: Vec<char> = text.chars().collect();
        for (token, offset) in list(choice, "tokens").iter().zip(list(choice, "text_offset")) {
            let token = token.as_str().expect("a text");
            let there: String = characters[number(offset) as usize..].iter().collect();
            assert!(
                token.starts_with("bytes:") || there.starts_with(token),
                "{token:?} at {offset}: {there:?}"
            );
        }
        assert_eq!(answer["usage"]["completion_tokens"], 0);
    }
}
