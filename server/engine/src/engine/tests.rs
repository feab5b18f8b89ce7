mod choices;
mod ends;
mod prompt_logprobs;
mod stops;

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};

use futures_util::{FutureExt, StreamExt};
use mlx_gate_core::decoder::Facts;
use mlx_gate_core::{
    Conversation, DeviceModel, Engine, EngineError, Event, EventStream, FinishReason, Finished, Message,
    Priority, Prompt, Request, Role, SamplingOverrides, Tags, Usage,
};
use serde_json::json;

use super::{Config, LocalEngine, ModelSpec};
use crate::Error;
use crate::fake::{self, END, FakeDecoder, Reply};

fn engine(config: Config, decoder: FakeDecoder) -> LocalEngine {
    LocalEngine::spawn(config, vec![fake::model("fake", decoder)]).expect("the fake model loads")
}

fn at_most(max_rows: usize, max_waiting: usize) -> Config {
    let number = |number| NonZeroUsize::new(number).expect("not zero");
    Config { max_rows: number(max_rows), max_waiting: number(max_waiting), ..Config::default() }
}

fn request(prompt: Prompt) -> Request {
    Request::new("r".to_owned(), prompt)
}

fn text(prompt: &str) -> Request {
    request(Prompt::Text(prompt.to_owned()))
}

fn chat(content: &str) -> Conversation {
    let message = Message {
        role: Role::User,
        content: Some(content.to_owned()),
        reasoning: None,
        tool_calls: Vec::new(),
        tool_call_id: None,
        name: None,
    };
    Conversation { messages: vec![message], ..Conversation::default() }
}

async fn start(engine: &LocalEngine, request: Request) -> Result<EventStream, EngineError> {
    start_as(engine, request, &Tags::default()).await
}

async fn start_as(engine: &LocalEngine, request: Request, tags: &Tags) -> Result<EventStream, EngineError> {
    let prepared = engine.prepare(request).await?;
    Ok(engine.start(prepared, tags)?.remove(0))
}

async fn events(engine: &LocalEngine, request: Request) -> Vec<Event> {
    start(engine, request).await.expect("the request is accepted").collect().await
}

fn shown(events: &[Event]) -> String {
    let text = |event: &Event| if let Event::Text(text) = event { Some(text.clone()) } else { None };
    events.iter().filter_map(text).collect()
}

fn finished(events: &[Event]) -> (FinishReason, Usage) {
    match events.last() {
        Some(Event::Finished(Finished { reason, usage, .. })) => (*reason, *usage),
        other => panic!("not finished, but {other:?}"),
    }
}

/// An engine whose decoder stands still until the sender is dropped, and then says `x` for ever. The sender comes last, so
/// that a failing test drops it first and the engine's thread can end.
fn held(config: Config) -> (LocalEngine, Sender<()>) {
    let (permit, permits) = channel::<()>();
    let decoder = FakeDecoder::new(move |_| {
        // A closed channel lets everything through.
        let _ = permits.recv();
        Reply::Token(u32::from(b'x'))
    });
    (engine(config, decoder), permit)
}

async fn started(stream: &mut EventStream) {
    let first = stream.next().await;
    assert!(matches!(first, Some(Event::Started { .. })), "{first:?}");
}

#[tokio::test]
async fn a_conversation_is_answered() {
    let engine = engine(Config::default(), fake::says("Hello, wörld!"));
    let events = events(&engine, request(Prompt::Chat(chat("Hi")))).await;
    assert!(matches!(events.first(), Some(Event::Started { .. })), "{events:?}");
    assert_eq!(shown(&events), "Hello, wörld!");
    let (reason, usage) = finished(&events);
    assert_eq!(reason, FinishReason::Stop);
    assert_eq!(usage.output_tokens as usize, "Hello, wörld!".len() + 1);
    assert_eq!(usage.input_tokens as usize, "user: Hi\nassistant: ".len());
}

#[tokio::test]
async fn a_long_prompt_is_prepared_beside() {
    let engine = engine(Config::default(), fake::says("ok"));
    let mut long = chat(&"x".repeat(4_000));
    long.tools = vec![json!({"type": "function", "function": {"name": "f"}})];
    let events = events(&engine, request(Prompt::Chat(long))).await;
    assert_eq!(shown(&events), "ok");
}

#[tokio::test]
async fn reasoning_and_calls_are_told_apart_and_counted() {
    let answer = "Hm.</think>\n\nSee:<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>";
    let engine = engine(Config::default(), fake::says(answer));
    let mut conversation = chat("Hi");
    conversation.template_options.insert("enable_thinking".to_owned(), true.into());
    conversation.tools = vec![json!({"type": "function", "function": {"name": "f"}})];
    let events = events(&engine, request(Prompt::Chat(conversation))).await;
    let reasoning: String = events
        .iter()
        .filter_map(|event| if let Event::Reasoning(text) = event { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!((reasoning.as_str(), shown(&events).as_str()), ("Hm.", "See:"));
    let call = events
        .iter()
        .find_map(|event| if let Event::ToolCall(delta) = event { delta.opening.as_ref() } else { None });
    assert_eq!(call.map(|(_, name)| name.as_str()), Some("f"));
    let (reason, usage) = finished(&events);
    assert_eq!(reason, FinishReason::ToolCalls);
    // The text of three bytes, and the tag's but for the one that completes it.
    assert_eq!(usage.reasoning_tokens as usize, "Hm.</think".len());
}

#[tokio::test]
async fn stop_strings_end_the_answer_unseen() {
    let engine = engine(Config::default(), fake::says("The cost: 5 €. And more"));
    let request = Request { stop: vec!["€.".to_owned(), "more".to_owned()], ..text("p") };
    let events = events(&engine, request).await;
    assert_eq!(shown(&events), "The cost: 5 ");
    assert_eq!(finished(&events).0, FinishReason::Stop);
}

/// The texts and the tokens of log probabilities, in the order in which they come.
fn with_logprobs(events: &[Event]) -> Vec<String> {
    let one = |event: &Event| match event {
        Event::Text(text) => Some(text.clone()),
        Event::Logprobs(tokens) => {
            Some(format!("{:?}", tokens.iter().map(|token| token.token).collect::<Vec<_>>()))
        }
        _ => None,
    };
    events.iter().filter_map(one).collect()
}

#[tokio::test]
async fn log_probabilities_come_before_the_text_of_their_tokens() {
    let engine = engine(Config::default(), fake::says("aé-.x"));
    let request = Request { stop: vec!["-+".to_owned(), ".x".to_owned()], logprobs: Some(2), ..text("p") };
    // Greedy, so that without log probabilities the device would choose.
    let sampling = SamplingOverrides { temperature: Some(0.0), ..SamplingOverrides::default() };
    let said = events(&engine, Request { sampling, ..request.clone() }).await;
    assert_eq!(with_logprobs(&said), ["[97]", "a", "[195, 169]", "é", "[45]", "-"]);
    let Some(Event::Logprobs(first)) = said.get(1) else { panic!("no log probabilities: {said:?}") };
    // The fake model's logits are 150 for its token, and 0 for all others.
    assert_eq!((first[0].bytes.as_slice(), first[0].logprob), (b"a".as_slice(), 0.0));
    assert_eq!(first[0].top, [(97, b"a".to_vec(), 0.0), (0, vec![0], -150.0)]);
    let Some(Event::Finished(end)) = said.last() else { panic!("not finished: {said:?}") };
    assert_eq!(end.stop_sequence.as_deref(), Some(".x"));

    let cut = Request { max_output_tokens: Some(2), ..request };
    assert_eq!(with_logprobs(&events(&engine, cut).await), ["[97]", "a", "[195]", "\u{fffd}"]);
}

#[tokio::test]
async fn text_held_back_is_shown_at_the_limit() {
    let engine = engine(Config::default(), fake::says("abc€"));
    let request = Request { stop: vec!["bcd".to_owned()], max_output_tokens: Some(4), ..text("p") };
    let events = events(&engine, request).await;
    assert_eq!(shown(&events), "abc\u{fffd}", "the fourth token is one byte of three");
    assert_eq!(finished(&events).0, FinishReason::Length);
}

#[tokio::test]
async fn the_priority_of_the_tags_decides_whose_turn_it_is() {
    let (engine, permits) = held(at_most(1, 2));
    let one_step = |prompt| Request { max_output_tokens: Some(1), ..text(prompt) };
    let tags = |priority| Tags { priority, ..Tags::default() };
    let mut running = start(&engine, one_step("a")).await.expect("a row is free");
    started(&mut running).await;
    let batch = start_as(&engine, one_step("b"), &tags(Priority::Batch)).await;
    let high = start_as(&engine, one_step("c"), &tags(Priority::High)).await;
    let (mut batch, mut high) = (batch.expect("a place is free"), high.expect("a place is free"));
    permits.send(()).expect("the decoder waits");
    started(&mut high).await;
    assert!(batch.next().now_or_never().is_none(), "the only row is taken");
    drop(permits);
    started(&mut batch).await;
}

#[tokio::test]
async fn an_adapter_that_is_not_served_is_refused_and_not_ignored() {
    let engine = engine(Config::default(), fake::says("Hello"));
    let tags = Tags { adapter: Some("poet".to_owned()), ..Tags::default() };
    let refused = start_as(&engine, text("a"), &tags).await.err();
    assert_eq!(refused, Some(EngineError::UnknownAdapter("poet".to_owned())));
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let (engine, permit) = held(at_most(1, 1));
    let mut running = start(&engine, text("a")).await.expect("a row is free");
    started(&mut running).await;
    let waiting = start(&engine, text("b")).await.expect("a place is free");
    let refused = start(&engine, text("c")).await.err();
    assert_eq!(refused, Some(EngineError::Overloaded { waiting: 1 }));
    // Whoever leaves gives his place back.
    drop(waiting);
    drop(running);
    drop(permit);
    let mut next = loop {
        match start(&engine, text("d")).await {
            Ok(stream) => break stream,
            Err(error) => assert_eq!(error, EngineError::Overloaded { waiting: 1 }),
        }
        tokio::task::yield_now().await;
    };
    started(&mut next).await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_row() {
    let decoder = FakeDecoder::new(|_| Reply::Token(u32::from(b'x')));
    let open = decoder.open_rows();
    let engine = engine(at_most(1, 4), decoder);
    let endless = Request { max_output_tokens: Some(4_000), ..text("a") };
    let mut first = start(&engine, endless).await.expect("a row is free");
    started(&mut first).await;
    drop(first);
    let events = events(&engine, Request { max_output_tokens: Some(2), ..text("b") }).await;
    assert_eq!(shown(&events), "xx");
    drop(engine);
    assert_eq!(open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn draining_finishes_what_was_accepted_and_takes_nothing_new() {
    let (engine, permit) = held(at_most(1, 4));
    let three = |prompt| Request { max_output_tokens: Some(3), ..text(prompt) };
    let mut running = start(&engine, three("a")).await.expect("a row is free");
    started(&mut running).await;
    let waiting = start(&engine, three("b")).await.expect("a place is free");
    let mut drained = Box::pin(engine.drain());
    assert!((&mut drained).now_or_never().is_none(), "two answers are on their way");
    assert_eq!(start(&engine, three("c")).await.err(), Some(EngineError::ShuttingDown));
    drop(permit);
    drained.await;
    for stream in [running, waiting] {
        let events: Vec<Event> = stream.collect().await;
        assert_eq!(shown(&events), "xxx");
    }
    engine.drain().await;
}

#[tokio::test]
async fn shutting_down_ends_everything_at_once() {
    let (engine, permit) = held(at_most(1, 4));
    let mut running = start(&engine, text("a")).await.expect("a row is free");
    started(&mut running).await;
    let waiting = start(&engine, text("b")).await.expect("a place is free");
    engine.shutdown();
    drop(permit);
    for stream in [running, waiting] {
        let events: Vec<Event> = stream.collect().await;
        assert_eq!(events.last(), Some(&Event::Failed(EngineError::ShuttingDown)));
    }
    assert_eq!(start(&engine, text("c")).await.err(), Some(EngineError::ShuttingDown));
}

#[tokio::test]
async fn a_lost_device_ends_the_engine() {
    let engine = engine(Config::default(), FakeDecoder::new(|_| Reply::Loses("unplugged".to_owned())));
    let events = events(&engine, text("a")).await;
    let expected = EngineError::Internal("the device is lost: unplugged".to_owned());
    assert_eq!(events.last(), Some(&Event::Failed(expected)));
    assert_eq!(start(&engine, text("b")).await.err(), Some(EngineError::ShuttingDown));
    engine.drain().await;
}

#[tokio::test]
async fn a_panic_costs_its_own_requests_only() {
    let decoder = FakeDecoder::new(|row| match row.prompt {
        [first, ..] if *first == u32::from(b'!') => Reply::Panics("a bug".to_owned()),
        _ => Reply::Token(END),
    });
    let engine = engine(Config::default(), decoder);
    let failed = events(&engine, text("!")).await;
    let expected = EngineError::Internal("the decoder panicked: a bug".to_owned());
    assert_eq!(failed.last(), Some(&Event::Failed(expected)));
    assert_eq!(finished(&events(&engine, text("fine")).await).0, FinishReason::Stop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_get_what_they_would_get_alone() {
    let request = |index: usize| Request {
        sampling: SamplingOverrides {
            seed: Some(index as u64),
            temperature: Some(1.5),
            ..Default::default()
        },
        max_output_tokens: Some(20 + index as u32 % 7),
        ..text(&format!("{index} {}", "word ".repeat(index % 50)))
    };
    let alone = engine(at_most(1, 1), fake::babbles());
    let mut expected = Vec::new();
    for index in 0..200 {
        expected.push(shown(&events(&alone, request(index)).await));
    }
    let together = engine(at_most(16, 200), fake::babbles());
    let answers = (0..200).map(|index| events(&together, request(index)));
    let answers: Vec<String> =
        futures_util::future::join_all(answers).await.iter().map(|events| shown(events)).collect();
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn models_are_listed_in_order_and_the_first_is_the_default() {
    let models = vec![fake::model("one", fake::says("1")), fake::model("two", fake::says("2"))];
    let engine = LocalEngine::spawn(Config::default(), models).expect("both load");
    assert_eq!(engine.models().iter().map(|card| card.id.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(shown(&events(&engine, text("p")).await), "1");
    let second = Request { model: Some("two".to_owned()), ..text("p") };
    assert_eq!(shown(&events(&engine, second).await), "2");
    let unknown = Request { model: Some("three".to_owned()), ..text("p") };
    assert_eq!(engine.prepare(unknown).await, Err(EngineError::UnknownModel("three".to_owned())));
}

#[tokio::test]
async fn the_context_is_what_memory_allows() {
    let facts = Facts { vocab_size: 0, context_length: 4096, kv_bytes_per_token: 10, prefill_chunk: 64 };
    let decoder = fake::says("a").with_facts(facts);
    let engine = engine(Config { kv_bytes: 1_000, ..Config::default() }, decoder);
    assert_eq!(engine.models()[0].context_length, 100);
    let prepared = engine.prepare(text(&"p".repeat(100))).await;
    assert_eq!(prepared, Err(EngineError::PromptTooLong { prompt_tokens: 100, context_length: 100 }));
    let prepared = engine.prepare(text(&"p".repeat(90))).await.expect("ten tokens are left");
    assert_eq!(prepared.max_output_tokens, 10);
}

fn refused(models: Vec<ModelSpec>, config: Config) -> String {
    LocalEngine::spawn(config, models).err().map_or_else(|| "it starts".to_owned(), |error| error.to_string())
}

fn failing(
    load: impl FnOnce() -> Result<DeviceModel, Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
) -> ModelSpec {
    ModelSpec { load: Box::new(load), ..fake::model("broken", fake::says("")) }
}

#[test]
fn what_does_not_start_says_why() {
    let fake = || fake::model("fake", fake::says(""));
    let cases = [
        (refused(Vec::new(), Config::default()), Error::NoModel.to_string()),
        (
            refused(vec![fake(), fake()], Config::default()),
            Error::DuplicateModel("fake".to_owned()).to_string(),
        ),
        (
            refused(vec![fake(), failing(|| Err("no such folder".into()))], Config::default()),
            "the model `broken` could not be loaded: no such folder".to_owned(),
        ),
        (
            refused(vec![failing(|| panic!("a bug"))], Config::default()),
            "the model `broken` could not be loaded: a bug".to_owned(),
        ),
        (
            refused(vec![fake()], Config { kv_bytes: 1, ..Config::default() }),
            Error::NoMemory { model: "fake".to_owned(), bytes_per_token: 1, kv_bytes: 1 }.to_string(),
        ),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}
