//! What the files beside a model say, and how mistakes in them and in conversations are told.

use mlx_gate_core::{
    Conversation, EngineError, Message, OutputFormat, ReasoningSyntax, Role, Sampling, ToolSyntax,
};
use mlx_gate_engine::text::{Assets, Error, ModelText};
use serde_json::{Map, Value, json};

/// A tokenizer of whole words that puts `<s>` in front.
fn tokenizer() -> Value {
    let token = |id: u32, content: &str| {
        json!({"id": id, "content": content, "special": true,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
    };
    json!({
        "added_tokens": [token(0, "<s>"), token(1, "</s>"), token(2, "<end>")],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": {"<s>": 0, "</s>": 1, "<end>": 2, "Hi": 3, "user:": 4, "<unk>": 5},
            "unk_token": "<unk>"},
    })
}

fn assets() -> Assets {
    Assets { tokenizer: tokenizer().to_string().into_bytes(), ..Assets::default() }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn load(assets: &Assets) -> ModelText {
    ModelText::load("tiny", assets).expect("loads")
}

fn with_template(template: &str) -> ModelText {
    load(&Assets { chat_template: Some(template.as_bytes().to_vec()), ..assets() })
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

fn with_tools() -> Conversation {
    Conversation { tools: vec![json!({"type": "function", "function": {"name": "f"}})], ..conversation("Hi") }
}

fn refusal(result: Result<String, EngineError>) -> (&'static str, String) {
    match result {
        Err(EngineError::InvalidRequest { field, message }) => (field, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn mistakes_in_files_name_file_and_key() {
    let check = |assets: Assets, message: &str| {
        let error = ModelText::load("tiny", &assets).err().expect("fails").to_string();
        assert!(error.contains(message), "{error}");
    };
    check(
        Assets { tokenizer: b"{".to_vec(), ..Assets::default() },
        "tokenizer.json describes no usable tokenizer: ",
    );
    check(Assets { config: Some(b"[]".to_vec()), ..assets() }, "config.json is not a JSON object: ");
    check(
        Assets { tokenizer_config: Some(bytes(&json!({"chat_template": 7}))), ..assets() },
        "tokenizer_config.json: `chat_template` is 7, but should be a template, or a list of templates",
    );
    check(
        Assets {
            tokenizer_config: Some(bytes(&json!({"chat_template": [{"name": "rag", "template": ""}]}))),
            ..assets()
        },
        "one of them named `default`",
    );
    check(
        Assets { tokenizer_config: Some(bytes(&json!({"eos_token": 2}))), ..assets() },
        "tokenizer_config.json: `eos_token` is 2, but should be a token's text",
    );
    check(
        Assets { generation_config: Some(bytes(&json!({"eos_token_id": [1, "x"]}))), ..assets() },
        "generation_config.json: `eos_token_id` is [1,\"x\"], but should be a token id or a list of token ids",
    );
    for (key, value, expected) in [
        ("temperature", json!(-1), "a number from 0 to 2"),
        ("top_p", json!(0), "a number above 0, up to 1"),
        ("top_k", json!(1.5), "a whole number, 0 or -1 for off"),
        ("min_p", json!("x"), "a number from 0 to 1"),
        ("repetition_penalty", json!(0), "a number above 0"),
        ("do_sample", json!("no"), "true or false"),
    ] {
        check(
            Assets { generation_config: Some(bytes(&json!({ key: value }))), ..assets() },
            &format!("generation_config.json: `{key}` is {value}, but should be {expected}"),
        );
    }
    let mut unknown_decoder = tokenizer();
    unknown_decoder["decoder"] = json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
    check(
        Assets { tokenizer: unknown_decoder.to_string().into_bytes(), ..assets() },
        "`decoder` uses WordPiece",
    );
}

#[test]
fn a_template_that_does_not_compile_is_told_with_its_line() {
    let assets = Assets { chat_template: Some(b"a\n{% if x %}\n{{ y ".to_vec()), ..assets() };
    let Err(error @ Error::Template { .. }) = ModelText::load("tiny", &assets) else { panic!("compiles") };
    assert!(
        error.to_string().starts_with("chat_template.jinja: the chat template `default` does not compile: ")
    );
    assert!(error.to_string().contains(":3)"), "{error}");
}

#[test]
fn without_a_template_only_completions_work() {
    let text = load(&assets());
    let (field, message) = refusal(text.render(&conversation("Hi")));
    assert_eq!(field, "messages");
    assert!(message.contains("`tiny` has no chat template"), "{message}");
    assert!(!text.capabilities().chat);
    assert_eq!(text.encode("Hi", true).expect("encodes"), [0, 3]);
}

#[test]
fn a_prompt_begins_with_one_special_token_only() {
    let assets = Assets {
        tokenizer_config: Some(bytes(&json!({
            "bos_token": {"content": "<s>"}, "chat_template": "{{ bos_token }} user: {{ messages[0].content }}"}))),
        ..assets()
    };
    let text = load(&assets);
    assert_eq!(text.encode_chat(&conversation("Hi")).expect("encodes").tokens, [0, 4, 3]);
}

#[test]
fn the_jinja_file_wins_and_tools_choose_their_own_template() {
    let named = json!({"chat_template": [
        {"name": "default", "template": "plain"}, {"name": "tool_use", "template": "with {{ tools|length }}"}]});
    let mut assets = Assets { tokenizer_config: Some(bytes(&named)), ..assets() };
    let text = load(&assets);
    assert_eq!(text.render(&conversation("Hi")).expect("renders"), "plain");
    assert_eq!(text.render(&with_tools()).expect("renders"), "with 1");
    assets.chat_template = Some(b"from the file".to_vec());
    assert_eq!(load(&assets).render(&with_tools()).expect("renders"), "from the file");
}

#[test]
fn stop_tokens_come_from_all_files_generation_config_first() {
    let assets = Assets {
        generation_config: Some(bytes(&json!({"eos_token_id": [2, 0]}))),
        config: Some(bytes(&json!({"eos_token_id": 2}))),
        special_tokens_map: Some(bytes(&json!({"eos_token": {"content": "</s>"}}))),
        ..assets()
    };
    assert_eq!(load(&assets).stop_tokens(), [2, 0, 1]);
    assert_eq!(load(&self::assets()).stop_tokens(), [0_u32; 0]);
}

#[test]
fn sampling_defaults_are_those_of_the_model() {
    let defaults = |config: Value| {
        load(&Assets { generation_config: Some(bytes(&config)), ..assets() }).defaults().clone()
    };
    assert_eq!(*load(&assets()).defaults(), Sampling::default());
    let all =
        json!({"temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.1, "repetition_penalty": 1.05});
    let expected = Sampling {
        temperature: 0.6,
        top_p: 0.95,
        top_k: 20,
        min_p: 0.1,
        repetition_penalty: 1.05,
        ..Sampling::default()
    };
    assert_eq!(defaults(all), expected);
    assert!(defaults(json!({"do_sample": false, "temperature": 0.6})).is_plain_greedy());
    assert_eq!(defaults(json!({"temperature": null, "top_k": -1})), Sampling::default());
}

#[test]
fn capabilities_are_found_in_the_template() {
    let capabilities = |template: &str| with_template(template).capabilities();
    assert!(!capabilities("{{ tools }}").tools, "no parser for these calls");
    assert!(capabilities("{{ tools }}<tool_call>").tools);
    assert!(capabilities("{{ enable_thinking }}").reasoning);
    assert!(capabilities("{{ '<think>' }}").reasoning);
    assert!(!capabilities("{{ messages }}").reasoning);
}

#[test]
fn the_output_format_follows_the_prompt() {
    let text = with_template("{{ tools }}<tool_call>{% if enable_thinking %}<think>\n{% endif %}");
    let format = |conversation: &Conversation| text.encode_chat(conversation).expect("encodes").format;
    let mut thinking = conversation("Hi");
    assert_eq!(
        format(&thinking),
        OutputFormat { reasoning: Some(ReasoningSyntax::Think), ..OutputFormat::default() }
    );
    thinking.template_options = Map::from_iter([("enable_thinking".to_owned(), json!(true))]);
    assert_eq!(
        format(&thinking),
        OutputFormat {
            reasoning: Some(ReasoningSyntax::Think),
            reasoning_open: true,
            ..OutputFormat::default()
        }
    );
    assert_eq!(format(&with_tools()).tools, Some(ToolSyntax::Hermes));
}

#[test]
fn template_variables_cannot_replace_fields_of_the_request() {
    let mut conversation = conversation("Hi");
    conversation.template_options = Map::from_iter([("messages".to_owned(), json!([]))]);
    let (field, message) = refusal(with_template("{{ messages }}").render(&conversation));
    assert_eq!(field, "chat_template_kwargs");
    assert!(message.contains("`messages`"), "{message}");
}

#[test]
fn templates_that_refuse_or_fail_are_the_requests_mistake() {
    let refused = |template: &str| refusal(with_template(template).render(&conversation("Hi"))).1;
    assert_eq!(refused("{{ raise_exception('Only Klingon, please.') }}"), "Only Klingon, please.");
    assert!(refused("a\n{{ messages.x.y }}").contains(":2)"));
    assert!(refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").contains("recursion"));
}

#[test]
fn templates_cannot_run_for_ever_or_write_without_end() {
    let refused = |template: &str| refusal(with_template(template).render(&conversation("Hi"))).1;
    assert!(
        refused("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}")
            .contains("too long")
    );
    assert!(refused("{% for i in range(9999) %}{{ 'x' * 99999 }}{% endfor %}").contains("MiB"));
}

#[test]
fn hostile_expressions_fail_without_a_panic() {
    for expression in [
        "[][::-1]",
        "[1][5:2:-9223372036854775808]",
        "'é'[::-9223372036854775807]",
        "[1][::0]",
        "1 is divisibleby(0)",
        "(-9223372036854775807 - 1) is divisibleby(-1)",
        "1 % 0",
        "'a' * 99999999999",
        "'a'.center(99999999)",
        "'%s'|format",
        "'{:99999999999}'.format(1)",
        "'%99999999999d'|format(1)",
        "[1]|batch(0)|list",
        "[1]|slice(0)|list",
        "range(0, 10, 0)|list",
        "'a'|indent(99999999999)",
        "[[]]|tojson(indent=99999999)",
        "'x'.split('')",
        "2 ** 9999",
        "(2 ** 62) * (2 ** 62) * (2 ** 62)",
        "strftime_now('%')",
        "strftime_now('%9999999999d')",
        "1e999|int",
        "'abc'[2:-9223372036854775808]",
        "'abc'[-9223372036854775808:]",
        "[1, 2]|round",
        "1.5|round(999)",
        "1.5|round(-999)",
    ] {
        match with_template(&format!("{{{{ {expression} }}}}")).render(&conversation("Hi")) {
            Ok(_) | Err(EngineError::InvalidRequest { .. }) => {}
            Err(error) => panic!("{expression}: {error:?}"),
        }
    }
}
