use std::sync::LazyLock;

use mlx_gate_core::decoder::Facts;
use mlx_gate_core::{
    Conversation, EndRules, EngineError, Grammar, Message, OutputFormat, Prepared, Prompt, ReasoningSyntax,
    Request, Role, Sampling, SamplingOverrides, Tokenize, Truncate,
};
use serde_json::json;

use super::{detokenize, is_quick, resolve_sampling, tokenize};
use crate::Config;
use crate::device::ModelFacts;
use crate::fake;
use crate::served::Served;

const CONTEXT: u32 = 50;
const MOST: u32 = 20;

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let facts = Facts { vocab_size: 257, context_length: CONTEXT, kv_bytes_per_token: 1, prefill_chunk: 8 };
    Served::new(
        "fake".to_owned(),
        "fake".to_owned(),
        fake::text("fake"),
        (0, ModelFacts::Decoder(facts)),
        &Config::default(),
    )
    .expect("it fits")
});

fn prepare(served: &Served, most: u32, request: Request) -> Result<Prepared, EngineError> {
    super::prepare(served, most, request).map(|(prepared, _)| prepared)
}

fn request(prompt: Prompt) -> Request {
    Request::new("r".to_owned(), prompt)
}

fn text(prompt: &str) -> Request {
    request(Prompt::Text(prompt.to_owned()))
}

fn conversation(content: &str) -> Conversation {
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

/// The field a refused request names.
fn refused(request: Request) -> &'static str {
    match prepare(&SERVED, MOST, request) {
        Err(EngineError::InvalidRequest { field, .. }) => field,
        other => panic!("not refused for a field, but {other:?}"),
    }
}

#[test]
fn a_conversation_is_rendered_and_its_answer_parsed() {
    let prepared = prepare(&SERVED, MOST, request(Prompt::Chat(conversation("Hi")))).expect("valid");
    assert_eq!(prepared.prompt, fake::tokens("user: Hi\nassistant: "));
    assert_eq!(prepared.model, "fake");
    assert_eq!(
        prepared.format,
        OutputFormat { reasoning: Some(ReasoningSyntax::Think), ..OutputFormat::default() }
    );
    assert!(!prepared.continues);
}

#[test]
fn a_text_is_continued_as_it_is() {
    for prompt in [Prompt::Text("Hi".to_owned()), Prompt::Tokens(fake::tokens("Hi"))] {
        let prepared = prepare(&SERVED, MOST, request(prompt)).expect("valid");
        assert_eq!((prepared.prompt, prepared.format), (fake::tokens("Hi"), OutputFormat::default()));
        assert!(prepared.continues);
    }
}

#[test]
fn output_is_limited_by_request_server_and_context() {
    let tokens = |length: usize, asked| {
        let request = Request { max_output_tokens: asked, ..text(&"x".repeat(length)) };
        prepare(&SERVED, MOST, request).map(|prepared| prepared.max_output_tokens)
    };
    assert_eq!(tokens(10, None), Ok(MOST));
    assert_eq!(tokens(10, Some(3)), Ok(3));
    assert_eq!(tokens(10, Some(1_000)), Ok(MOST));
    assert_eq!(tokens(45, Some(8)), Ok(5));
    assert_eq!(tokens(49, None), Ok(1));
    assert_eq!(tokens(50, Some(0)), Ok(0), "a prompt that is only read may fill the context");
    let error = EngineError::PromptTooLong { prompt_tokens: 51, context_length: CONTEXT };
    assert_eq!(tokens(51, Some(0)), Err(error));
    for length in [50, 51, 500] {
        let error = EngineError::PromptTooLong { prompt_tokens: length, context_length: CONTEXT };
        assert_eq!(tokens(length as usize, Some(1)), Err(error));
    }
}

#[test]
fn prompts_are_cut_at_their_beginning() {
    let long = "x".repeat(60) + "yz";
    for (truncate, asked, expected) in [
        (Truncate::To(3), None, 3),
        (Truncate::To(49), None, 49),
        (Truncate::To(100), Some(Prompt::Text("xyz".to_owned())), 3),
        // A place for one token of the answer is left, or for as many as are asked for.
        (Truncate::ToModel, None, 49),
        (Truncate::ToModel, Some(Prompt::Chat(conversation(&long))), 49),
    ] {
        let prompt = asked.unwrap_or(Prompt::Text(long.clone()));
        let request = Request { truncate: Some(truncate), ..request(prompt) };
        let prepared = prepare(&SERVED, MOST, request.clone()).expect("valid").prompt;
        let whole = tokenize(&SERVED, Tokenize::prompt(None, request.prompt)).expect("valid").tokens;
        assert_eq!(prepared.len(), expected, "{truncate:?}");
        assert!(whole.ends_with(&prepared), "{truncate:?}");
    }
    let truncate = Some(Truncate::ToModel);
    let asked = Request { truncate, max_output_tokens: Some(10), ..text(&long) };
    let prepared = prepare(&SERVED, MOST, asked).expect("valid");
    assert_eq!((prepared.prompt.len(), prepared.max_output_tokens), (40, 10));
    let too_long = Request { truncate: Some(Truncate::To(50)), ..text(&long) };
    assert!(matches!(prepare(&SERVED, MOST, too_long), Err(EngineError::PromptTooLong { .. })));
}

#[test]
fn mistakes_are_named_by_their_field() {
    let empty = Conversation::default();
    let sampling = |sampling| Request { sampling, ..text("p") };
    let default = SamplingOverrides::default;
    let ending = |end| Request { end, ..text("p") };
    let cases = [
        ("messages", request(Prompt::Chat(empty))),
        ("prompt", text("")),
        ("prompt", request(Prompt::Tokens(Vec::new()))),
        ("prompt", request(Prompt::Tokens(vec![1, 257]))),
        ("logprobs", Request { logprobs: Some(21), ..text("p") }),
        ("prompt_logprobs", Request { prompt_logprobs: Some(21), ..text("p") }),
        ("stop", Request { stop: vec!["a".to_owned(), String::new()], ..text("p") }),
        ("stop_token_ids", ending(EndRules { tokens: vec![257], ..EndRules::default() })),
        ("min_tokens", ending(EndRules { min_tokens: MOST + 1, ..EndRules::default() })),
        (
            "min_tokens",
            Request {
                max_output_tokens: Some(4),
                ..ending(EndRules { min_tokens: 5, ..EndRules::default() })
            },
        ),
        (
            "ignore_eos",
            Request {
                grammar: Some(Grammar::JsonObject),
                ..ending(EndRules { ignores_model: true, ..EndRules::default() })
            },
        ),
        ("temperature", sampling(SamplingOverrides { temperature: Some(-1.0), ..default() })),
        ("temperature", sampling(SamplingOverrides { temperature: Some(f32::NAN), ..default() })),
        ("top_p", sampling(SamplingOverrides { top_p: Some(0.0), ..default() })),
        ("min_p", sampling(SamplingOverrides { min_p: Some(1.1), ..default() })),
        ("repetition_penalty", sampling(SamplingOverrides { repetition_penalty: Some(0.0), ..default() })),
        (
            "repetition_penalty",
            sampling(SamplingOverrides { repetition_penalty: Some(f32::INFINITY), ..default() }),
        ),
        ("presence_penalty", sampling(SamplingOverrides { presence_penalty: Some(3.0), ..default() })),
        ("frequency_penalty", sampling(SamplingOverrides { frequency_penalty: Some(-2.5), ..default() })),
        ("logit_bias", sampling(SamplingOverrides { logit_bias: vec![(257, 1.0)], ..default() })),
        ("logit_bias", sampling(SamplingOverrides { logit_bias: vec![(1, 101.0)], ..default() })),
    ];
    for (field, request) in cases {
        assert_eq!(refused(request.clone()), field, "{request:?}");
    }
}

#[test]
fn tools_need_a_model_that_can_call_them() {
    let mut with_tools = conversation("Hi");
    with_tools.tools = vec![json!({"type": "function", "function": {"name": "f"}})];
    let mut card = SERVED.card.clone();
    card.capabilities.tools = false;
    let served = Served {
        card,
        text: fake::text("fake"),
        facts: SERVED.facts.clone(),
        encoder: None,
        index: 0,
        stop_tokens: SERVED.stop_tokens.clone(),
        grammars: SERVED.grammars.clone(),
    };
    let error = prepare(&served, MOST, request(Prompt::Chat(with_tools))).expect_err("no tools here");
    assert!(matches!(error, EngineError::InvalidRequest { field: "tools", .. }), "{error:?}");
}

#[test]
fn tokens_are_those_of_a_generation() {
    let prompts = [Prompt::Text("é".to_owned()), Prompt::Tokens(vec![1]), Prompt::Chat(conversation("Hi"))];
    for prompt in prompts {
        let prepared = prepare(&SERVED, MOST, request(prompt.clone())).expect("valid").prompt;
        let tokenized = tokenize(&SERVED, Tokenize::prompt(None, prompt)).expect("valid");
        assert_eq!((tokenized.model.as_str(), tokenized.tokens), ("fake", prepared));
        assert_eq!(tokenized.spelled, None);
    }
    let spelled =
        Tokenize { spelled: true, ..Tokenize::prompt(None, Prompt::Tokens(vec![97, 32, fake::END])) };
    let spelled = tokenize(&SERVED, spelled).expect("valid").spelled.expect("asked for");
    assert_eq!(spelled, ["a", "\u{120}", "<|end|>"]);
    assert_eq!(detokenize(&SERVED, &[97, 195, 169, fake::END]).expect("valid"), "aé<|end|>");
    let unknown = detokenize(&SERVED, &[257]);
    assert!(matches!(unknown, Err(EngineError::InvalidRequest { field: "tokens", .. })), "{unknown:?}");
    let long = Prompt::Text("x".repeat(CONTEXT as usize * 2));
    assert_eq!(tokenize(&SERVED, Tokenize::prompt(None, long)).expect("counted").tokens.len(), 100);
}

#[test]
fn what_the_client_says_wins_over_what_the_model_recommends() {
    let recommended = Sampling { temperature: 0.6, top_k: 20, top_p: 0.95, ..Sampling::default() };
    let asked =
        SamplingOverrides { temperature: Some(1.2), top_k: Some(0), seed: Some(1), ..Default::default() };
    let resolved = resolve_sampling(&recommended, asked, 10).expect("valid");
    assert_eq!(resolved, Sampling { temperature: 1.2, top_p: 0.95, seed: Some(1), ..Sampling::default() });
}

#[test]
fn large_prompts_are_prepared_on_a_thread_of_their_own() {
    assert!(is_quick(&Prompt::Tokens(vec![0; 100_000])));
    assert!(is_quick(&Prompt::Chat(conversation("short"))));
    assert!(!is_quick(&Prompt::Text("x".repeat(5_000))));
    assert!(!is_quick(&Prompt::Chat(conversation(&"x".repeat(5_000)))));
    let mut many = conversation("");
    many.messages = vec![many.messages[0].clone(); 1000];
    assert!(!is_quick(&Prompt::Chat(many)), "a template writes something for each");
}
