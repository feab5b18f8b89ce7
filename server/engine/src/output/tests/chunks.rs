//! Random texts of every family: the answer does not depend on how they are cut, and nothing is lost.

use mlx_gate_core::{OutputFormat, ReasoningSyntax, ToolSyntax};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::{Answer, answer_with, families};
use crate::output::markers;

/// Pieces that mean something to some family.
const PIECES: &[&str] = &[
    "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"é\", \"n\": [1, \"<\"]}}",
    "{\"name\": \"get_time\", \"parameters\": ",
    "{\"arguments\": {\"a\": 1}, \"name\": \"get_time\"}",
    "{\"name\": ",
    "\"get_time\"",
    "get_weather",
    "get_time",
    "functions.get_time:0",
    "function<｜tool▁sep｜>",
    "\n```json\n",
    "```",
    "call:",
    "<function=get_weather>",
    "</function>",
    "<parameter=city>",
    "<parameter=days>",
    "</parameter>",
    "<invoke name=\"get_time\">",
    "<parameter name=\"city\">",
    "</invoke>",
    "<arg_key>city</arg_key>",
    "get_weather(city=\"日\", days=2)",
    "get_time()",
    "city=",
    "city:",
    "'",
    "\"\"\"",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\x4",
    "\\",
    "True",
    "None",
    "-1.5e3",
    "assistant",
    " to=functions.get_time",
    " to=functions.",
    "analysis",
    "final",
    "commentary",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    ",",
    ":",
    ";",
    "=",
    "<",
    "<|",
    " ",
    "\n",
    "\n\n",
    "a",
    "é",
    "日",
    "🦀",
];

/// Characters that no tag, key or name of the pieces needs.
const SENTINELS: [char; 3] = ['é', '日', '🦀'];

#[test]
fn the_same_in_every_family_however_the_text_is_cut() {
    let mut random = ChaCha12Rng::seed_from_u64(12);
    let offered = families::tools();
    for tools in ToolSyntax::ALL.map(Some).into_iter().chain([None]) {
        let texts = tools.map(families::texts).unwrap_or_default();
        let mut calls = 0;
        for round in 0..6_000 {
            let reasoning = match tools {
                Some(ToolSyntax::Harmony) if round % 4 > 0 => Some(ReasoningSyntax::Harmony),
                _ => ReasoningSyntax::ALL.get(round % 14).copied(),
            };
            let (reasoning_open, text_is_bound) = (round % 5 == 0, round % 7 == 0);
            let format = OutputFormat { tools, reasoning, reasoning_open, text_is_bound };
            let text = text(format, &texts, &mut random);
            let whole = answer_with(format, &offered, &[&text]);
            calls += whole.calls.len();
            let pieces = cut(&text, &mut random);
            assert_eq!(answer_with(format, &offered, &pieces), whole, "{format:?} {pieces:?}");
            nothing_is_lost(format, &text, &whole);
        }
        let name = tools.map_or("none", ToolSyntax::as_str);
        assert!(tools.is_none() || calls > 500, "{name}: too few calls to prove anything: {calls}");
    }
}

/// Pieces one after another, or a text of the family's with some of them put in and some of it taken out.
fn text(format: OutputFormat, texts: &[String], random: &mut ChaCha12Rng) -> String {
    let marks: Vec<&str> = markers(format).collect();
    let piece = |random: &mut ChaCha12Rng| {
        let mark = if random.random_bool(0.4) { marks.choose(random) } else { None };
        mark.or(PIECES.choose(random)).copied().unwrap_or_default()
    };
    let Some(text) = texts.choose(random).filter(|_| random.random_bool(0.5)) else {
        let length = random.random_range(1..16);
        return (0..length).map(|_| piece(random)).collect();
    };
    let mut text = text.clone();
    for _ in 0..random.random_range(0..4) {
        let at = text.floor_char_boundary(random.random_range(0..=text.len()));
        if random.random() {
            text.insert_str(at, piece(random));
        } else {
            let end = text.ceil_char_boundary((at + random.random_range(0..9)).min(text.len()));
            text.drain(at..end);
        }
    }
    text
}

fn cut<'a>(text: &'a str, random: &mut ChaCha12Rng) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = random.random_range(1..=rest.len().min(9));
        let (piece, behind) = rest.split_at(rest.ceil_char_boundary(at));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

fn nothing_is_lost(format: OutputFormat, text: &str, answer: &Answer) {
    // Harmony's headers and what an object has beside name and arguments are dropped.
    let headers =
        format.tools == Some(ToolSyntax::Harmony) || format.reasoning == Some(ReasoningSyntax::Harmony);
    if headers {
        return;
    }
    let marks: Vec<&str> = markers(format).collect();
    let bare =
        |text: &str| -> String { text.chars().filter(|character| !character.is_whitespace()).collect() };
    if answer.calls.is_empty() && answer.reasoning.is_empty() && !marks.iter().any(|mark| text.contains(mark))
    {
        assert_eq!(bare(&answer.text), bare(text), "{format:?} {text:?}");
    }
    let objects = [ToolSyntax::Hermes, ToolSyntax::Llama3Json, ToolSyntax::Mistral, ToolSyntax::MistralArgs];
    let objects = objects.into_iter().chain([ToolSyntax::Granite, ToolSyntax::Json]);
    if objects.into_iter().any(|syntax| format.tools == Some(syntax)) && !answer.calls.is_empty() {
        return;
    }
    let mut shown = format!("{}{}", answer.text, answer.reasoning);
    for (name, arguments) in &answer.calls {
        shown.push_str(name);
        shown.push_str(arguments);
    }
    for sentinel in SENTINELS {
        let (given, found) = (text.matches(sentinel).count(), shown.matches(sentinel).count());
        assert!(found >= given, "{sentinel} is lost: {format:?} {text:?} became {answer:?}");
    }
}
