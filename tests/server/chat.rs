//! The demo model's answers, for prompts it does well, at temperature 0.

use mlx_gate_tests::{Client, Server, question_body};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn weather_tool() -> Value {
    json!({
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the current weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    })
}

/// Sends a chat at temperature 0 and gives the first choice.
fn choice(client: &Client, mut body: Value) -> Value {
    body["temperature"] = json!(0);
    let reply = client.post(CHAT, &body);
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["choices"][0].clone()
}

#[test]
fn answers_what_the_demo_model_knows() {
    let server = Server::start(&[]);
    let client = server.client();
    for (question, answer) in [
        ("What is the capital of France?", "The capital of France is Paris."),
        ("What is the capital of Japan?", "The capital of Japan is Tokyo."),
        ("Tell me the capital of Italy.", "The capital of Italy is Rome."),
        ("What is 2 + 3?", "2 + 3 = 5"),
        ("What is 12 + 30?", "12 + 30 = 42"),
        ("What is 9 - 4?", "9 - 4 = 5"),
        ("Who are you?", "I am the mlx-gate demo model, a tiny offline language model."),
    ] {
        assert_eq!(client.ask(question), answer, "{question}");
    }
    let story = client.ask("Tell me a short story about a fox.");
    assert!(story.starts_with("Once upon a time") && story.ends_with("The end."), "{story}");
}

#[test]
fn remembers_earlier_turns() {
    let server = Server::start(&[]);
    let turns = json!({"messages": [
        {"role": "user", "content": "My name is Anna."},
        {"role": "assistant", "content": "Nice to meet you, Anna!"},
        {"role": "user", "content": "What is my name?"},
    ]});
    assert_eq!(choice(&server.client(), turns)["message"]["content"], "Your name is Anna.");
}

#[test]
fn calls_a_tool_and_tells_its_result() {
    let server = Server::start(&[]);
    let client = server.client();
    let question = json!({"role": "user", "content": "What is the weather in Paris?"});
    let called = choice(&client, json!({"messages": [question], "tools": [weather_tool()]}));
    assert_eq!(called["finish_reason"], "tool_calls", "{called}");
    let call = &called["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "get_weather");
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"city": "Paris"}));

    let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "18 degrees and sunny"});
    let told = choice(
        &client,
        json!({"messages": [question, called["message"], result], "tools": [weather_tool()]}),
    );
    assert_eq!(told["message"]["content"], "The weather in Paris: 18 degrees and sunny.");
}

#[test]
fn stop_strings_leave_calls_and_reasoning_alone() {
    let server = Server::start(&[]);
    let client = server.client();
    let weather = json!([{"role": "user", "content": "What is the weather in Paris?"}]);
    for (stop, tool_choice) in [("aris", "auto"), ("\n", "required")] {
        let called = choice(
            &client,
            json!({"messages": weather, "tools": [weather_tool()], "tool_choice": tool_choice, "stop": [stop]}),
        );
        let call = &called["message"]["tool_calls"][0]["function"];
        assert_eq!((&call["name"], &called["finish_reason"]), (&json!("get_weather"), &json!("tool_calls")));
        let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(arguments, json!({"city": "Paris"}));
    }

    let question = json!([{"role": "user", "content": "What is the capital of France?"}]);
    let thinking =
        json!({"messages": question, "chat_template_kwargs": {"enable_thinking": true}, "stop": ["\n\n"]});
    let thought = choice(&client, thinking);
    assert_eq!(
        thought["message"]["reasoning_content"].as_str().unwrap().trim(),
        "The capital of France: Paris."
    );
    assert_eq!(thought["message"]["content"].as_str().unwrap().trim(), "The capital of France is Paris.");

    let tool = weather_tool()["function"].clone();
    let tool =
        json!({"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]});
    let mut body = json!({"max_tokens": 200, "temperature": 0, "messages": weather, "tools": [tool], "stop_sequences": ["aris"]});
    let message = client.post("/v1/messages", &body).json();
    assert_eq!(message["content"][0]["input"], json!({"city": "Paris"}), "{message}");
    assert_eq!(message["stop_reason"], "tool_use", "{message}");
    // What is found in the text ends it.
    body["messages"] = question;
    let message = client.post("/v1/messages", &body).json();
    assert_eq!(message["content"][0]["text"], "The capital of France is P", "{message}");
    assert_eq!(
        (&message["stop_reason"], &message["stop_sequence"]),
        (&json!("stop_sequence"), &json!("aris"))
    );
}

#[test]
fn thinks_only_when_asked_to() {
    let server = Server::start(&[]);
    let client = server.client();
    let messages = json!([{"role": "user", "content": "What is the capital of France?"}]);
    let plain = choice(&client, json!({"messages": messages}));
    assert_eq!(plain["message"].get("reasoning_content").unwrap_or(&Value::Null), &Value::Null);

    let body = json!({"messages": messages, "chat_template_kwargs": {"enable_thinking": true}});
    let thought = choice(&client, body);
    let reasoning = thought["message"]["reasoning_content"].as_str().unwrap();
    assert_eq!(reasoning.trim(), "The capital of France: Paris.");
    assert_eq!(thought["message"]["content"].as_str().unwrap().trim(), "The capital of France is Paris.");
}

#[test]
fn streams_what_it_would_answer_whole() {
    let server = Server::start(&[]);
    let client = server.client();
    let mut body = question_body("Tell me a short story about a fox.");
    let whole = client.post(CHAT, &body).json();
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let events: Vec<String> = client.stream(CHAT, &body).collect();

    assert_eq!(events.last().unwrap(), "[DONE]");
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let text: String =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"]);
    assert!(chunks.len() > 20, "the answer came in {} pieces", chunks.len());
    assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);
    let reasons: Vec<&str> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(reasons, ["stop"]);
}

#[test]
fn continues_plain_text() {
    let server = Server::start(&[]);
    let body = json!({"prompt": "The capital of France is", "max_tokens": 5, "temperature": 0});
    let reply = server.client().post("/v1/completions", &body);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let answer = reply.json();
    assert!(answer["choices"][0]["text"].as_str().unwrap().contains("Paris"), "{answer}");
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() <= 5, "{answer}");
}

#[test]
fn lists_its_models() {
    let server = Server::start(&[]);
    let client = server.client();
    let models = client.get("/v1/models").json();
    let id = models["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.get(&format!("/v1/models/{id}")).json()["id"], id.as_str());
    let mut body = question_body("What is 2 + 3?");
    body["model"] = json!(id);
    assert_eq!(choice(&client, body)["message"]["content"], "2 + 3 = 5");
}

#[test]
fn answers_do_not_depend_on_their_neighbours() {
    let server = Server::start(&[]);
    let questions = ["What is the capital of France?", "What is 2 + 3?", "Tell me a story.", "Who are you?"];
    let alone: Vec<String> = questions.iter().map(|question| server.client().ask(question)).collect();
    let together: Vec<(usize, String)> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..12)
            .map(|number| {
                let client = server.client();
                scope.spawn(move || {
                    (number % questions.len(), client.ask(questions[number % questions.len()]))
                })
            })
            .collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    for (question, answer) in together {
        assert_eq!(answer, alone[question]);
    }
}

#[test]
fn a_seed_repeats_an_answer() {
    let server = Server::start(&[]);
    let client = server.client();
    let told = |seed: u64| {
        let mut body = question_body("Tell me a story.");
        body["temperature"] = json!(1.5);
        body["seed"] = json!(seed);
        client.post(CHAT, &body).json()["choices"][0]["message"]["content"].clone()
    };
    assert_eq!(told(7), told(7));
    assert_ne!(told(7), told(8));
}

#[test]
fn a_client_that_leaves_frees_its_place() {
    let server = Server::start(&["--max-rows", "1"]);
    let client = server.client();
    let mut events = client.stream(CHAT, &endless());
    events.next().unwrap();
    drop(events);
    server.wait_for_log("cancelled");
    assert_eq!(client.ask("What is 2 + 3?"), "2 + 3 = 5");
}

/// A streamed chat that goes on until the context is full: the tokens that end an answer are made impossible.
pub(crate) fn endless() -> Value {
    json!({
        "messages": [{"role": "user", "content": "Tell me a story."}],
        "stream": true,
        "temperature": 0,
        "logit_bias": {"0": -100, "2": -100},
    })
}
