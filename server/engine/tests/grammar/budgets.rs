//! Reasoning that has to end: where, in which words, and what may follow.

use futures_util::future::join_all;
use mlx_gate_core::{
    Conversation, Effort, Engine as _, EngineError, FinishReason, Grammar, ReasoningOptions, Request,
    ToolChoice,
};
use mlx_gate_engine::fake::{self, FakeDecoder, Reply};
use mlx_gate_engine::{Config, LocalEngine};
use serde_json::json;

use crate::setting::{Answer, answer, chat, rambling, speaking};

/// What ends reasoning where no family says more.
const CLOSE: &str = "</think>\n\n";

fn within(tokens: u32) -> Conversation {
    let reasoning =
        ReasoningOptions { enabled: Some(true), max_tokens: Some(tokens), ..ReasoningOptions::default() };
    Conversation { reasoning, ..Conversation::default() }
}

fn greedy(request: Request) -> Request {
    let sampling = mlx_gate_core::SamplingOverrides { temperature: Some(0.0), ..request.sampling };
    Request { sampling, ..request }
}

/// A model that thinks for ever, and once it is stopped says `ok`. What it thinks are the letters of the alphabet.
fn thinker() -> FakeDecoder {
    FakeDecoder::new(|row| {
        let close = fake::tokens(CLOSE);
        match row.answer.windows(close.len()).position(|part| part == close) {
            Some(at) => {
                let said = row.answer.len() - at - close.len();
                Reply::Token(fake::tokens("ok").get(said).copied().unwrap_or(fake::END))
            }
            None => Reply::Token(u32::from(b'a') + row.answer.len() as u32 % 26),
        }
    })
}

/// The text that takes no part in the budget here, because a byte is a token: all of the closing tag but its last one.
const TAG: u32 = "</think>".len() as u32 - 1;

#[tokio::test]
async fn reasoning_ends_where_its_budget_does_and_the_answer_follows() {
    let engine = speaking(thinker());
    // The line break in front of the tag is the last of the reasoning, unless there is no room for it.
    for (budget, thought) in [(0, ""), (1, "a"), (2, "a"), (5, "abcd"), (30, "abcdefghijklmnopqrstuvwxyzabc")]
    {
        for request in [chat(within(budget), 1), greedy(chat(within(budget), 1))] {
            let answer = answer(&engine, request).await;
            assert_eq!((answer.reasoning.as_str(), answer.text.as_str()), (thought, "ok"), "{budget}");
            assert_eq!(answer.reason, Some(FinishReason::Stop));
            assert_eq!(answer.usage.reasoning_tokens, budget + TAG, "{budget}");
            assert_eq!(answer.usage.output_tokens, budget + TAG + 1 + 2 + 2 + 1, "tag, breaks, answer, end");
        }
    }
}

#[tokio::test]
async fn reasoning_that_ends_by_itself_is_left_alone() {
    let engine = speaking(fake::says("Hm.</think>\n\nok"));
    let free = answer(&engine, chat(within(1000), 1)).await;
    assert_eq!((free.reasoning.as_str(), free.text.as_str()), ("Hm.", "ok"));
    let none = answer(&speaking(fake::says("abcd")), chat(Conversation::default(), 1)).await;
    assert_eq!((none.reasoning.as_str(), none.text.as_str()), ("", "abcd"));
}

#[tokio::test]
async fn reasoning_taken_up_again_ends_again() {
    let said = fake::tokens("ab</think>\n\n<think>cdefgh");
    let decoder = FakeDecoder::new(move |row| {
        let ended = row.answer.ends_with(&fake::tokens(CLOSE)) && row.answer.len() > said.len();
        let next = said.get(row.answer.len()).copied().unwrap_or(u32::from(b'x'));
        Reply::Token(if ended { fake::END } else { next })
    });
    let answer = answer(&speaking(decoder), chat(within(16), 1)).await;
    assert_eq!(answer.reason, Some(FinishReason::Stop));
    // The first tag's own bytes count too here.
    assert_eq!(answer.reasoning, "abcdefgh", "{answer:?}");
}

#[tokio::test]
async fn a_character_is_not_cut() {
    let crab = fake::tokens("🦀");
    let decoder = FakeDecoder::new(move |row| Reply::Token(crab[row.answer.len() % 4]));
    let request = Request { max_output_tokens: Some(30), ..greedy(chat(within(6), 1)) };
    let answer = answer(&speaking(decoder), request).await;
    assert_eq!(answer.reasoning, "🦀🦀", "{answer:?}");
}

#[tokio::test]
async fn stop_strings_are_those_of_the_model() {
    let engine = speaking(thinker());
    // Both are in what ends the reasoning, and one begins in the model's own words.
    let stop = vec!["\n\n".to_owned(), "d\n".to_owned(), "think>".to_owned()];
    let request = Request { stop, ..greedy(chat(within(5), 1)) };
    let passed = answer(&engine, request).await;
    assert_eq!((passed.reasoning.as_str(), passed.text.as_str()), ("abcd", "ok"));
    let request = Request { stop: vec!["k".to_owned()], ..greedy(chat(within(5), 1)) };
    let stopped = answer(&engine, request).await;
    assert_eq!((stopped.text.as_str(), stopped.reason), ("o", Some(FinishReason::Stop)));
}

#[tokio::test]
async fn every_token_has_its_log_probability() {
    let engine = speaking(thinker());
    let request = Request { logprobs: Some(1), ..chat(within(5), 1) };
    let answer = answer(&engine, request).await;
    assert_eq!(answer.logprobs, fake::tokens("abcd\n</think>\n\nok"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grammars_begin_behind_it_also_in_a_batch() {
    let engine = rambling(31);
    let digits =
        |answer: &Answer| answer.text.len() == 3 && answer.text.bytes().all(|byte| byte.is_ascii_digit());
    let answers = join_all((0..20_u64).map(|seed| {
        let grammar = (seed % 2 == 0).then(|| Grammar::Regex("[0-9]{3}".to_owned()));
        let request = Request { grammar, max_output_tokens: Some(60), ..chat(within(seed as u32), seed) };
        answer(&engine, request)
    }))
    .await;
    for (seed, answer) in answers.iter().enumerate().filter(|(seed, _)| seed % 2 == 0) {
        assert!(digits(answer) && answer.reason == Some(FinishReason::Stop), "{seed}: {answer:?}");
    }
    let tools = vec![json!({ "type": "function", "function": { "name": "now" } })];
    let forced = Conversation { tools, tool_choice: ToolChoice::Required, ..within(4) };
    let called = answer(&engine, chat(forced, 1)).await;
    assert_eq!(
        (called.calls[0].0.as_str(), called.reason),
        ("now", Some(FinishReason::ToolCalls)),
        "{called:?}"
    );
}

#[tokio::test]
async fn efforts_are_budgets_where_the_template_knows_none() {
    let engine = speaking(thinker());
    let reasoning = |effort| ReasoningOptions { effort: Some(effort), ..ReasoningOptions::default() };
    let request = |effort| {
        let conversation = Conversation { reasoning: reasoning(effort), ..Conversation::default() };
        Request { max_output_tokens: Some(2000), ..greedy(chat(conversation, 1)) }
    };
    let low = answer(&engine, request(Effort::Low)).await;
    assert_eq!((low.text.as_str(), low.usage.reasoning_tokens), ("ok", 1024 + TAG));
    let medium = answer(&engine, request(Effort::Medium)).await;
    assert_eq!((medium.reason, medium.text.as_str()), (Some(FinishReason::Length), ""));
}

#[tokio::test]
async fn the_words_that_end_it_are_those_of_the_family() {
    let spec = |architecture: &str| {
        let mut spec = fake::model("fake", thinker());
        architecture.clone_into(&mut spec.architecture);
        LocalEngine::spawn(Config::default(), vec![spec]).expect("it loads")
    };
    let words = "Considering the limited time by the user, I have to give the solution based on the thinking directly now.";
    let long = answer(&spec("qwen3_moe"), greedy(chat(within(300), 1))).await;
    assert!(long.reasoning.ends_with(words), "{long:?}");
    assert_eq!((long.text.as_str(), long.usage.reasoning_tokens), ("ok", 300 + TAG));
    let short = answer(&spec("qwen3"), greedy(chat(within(50), 1))).await;
    assert_eq!((short.reasoning.len(), short.text.as_str()), (50, "ok"));
}

#[tokio::test]
async fn what_does_not_reason_is_not_asked_to_unless_it_is_a_wish() {
    let plain = || {
        let assets = mlx_gate_engine::text::Assets {
            chat_template: Some("{{ messages[0].content }}".into()),
            ..fake::assets()
        };
        let mut spec = fake::model("fake", fake::says("ok"));
        spec.text = mlx_gate_engine::text::ModelText::load("fake", &assets).expect("it loads");
        LocalEngine::spawn(Config::default(), vec![spec]).expect("it loads")
    };
    let refused = plain().prepare(chat(within(9), 1)).await;
    assert!(matches!(refused, Err(EngineError::InvalidRequest { field: "reasoning", .. })), "{refused:?}");
    let mut wish = within(9);
    wish.reasoning.optional = true;
    assert_eq!(answer(&plain(), chat(wish, 1)).await.text, "ok");
}
