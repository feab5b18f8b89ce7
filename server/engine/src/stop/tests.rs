use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::StopStrings;

/// The rule over a whole text, by trying every end behind `early`: what is shown, and whether a stop string was found.
fn reference(text: &str, stop: &[String], early: usize, shown: bool) -> (String, bool) {
    for end in early + 1..=text.len() {
        let head = &text.as_bytes()[..end];
        let longest = stop.iter().filter(|stop| head.ends_with(stop.as_bytes())).map(String::len).max();
        if let Some(length) = longest {
            return (text[..if shown { end } else { end - length }].to_owned(), true);
        }
    }
    (text.to_owned(), false)
}

fn streamed<'a>(pieces: impl IntoIterator<Item = &'a str>, stop: &[String]) -> (String, bool) {
    streamed_late(&[], pieces, stop, false)
}

/// The same, with some pieces in front that end nothing.
fn streamed_late<'a>(
    early: &[&str],
    pieces: impl IntoIterator<Item = &'a str>,
    stop: &[String],
    shows: bool,
) -> (String, bool) {
    let mut strings = StopStrings::new(stop).shown(shows);
    let mut shown: String = early.iter().map(|piece| strings.push_early(piece)).collect();
    for piece in pieces {
        let released = strings.push(piece);
        shown.push_str(&released.text);
        if released.stopped {
            return (shown, true);
        }
    }
    shown.push_str(&strings.finish());
    (shown, false)
}

fn owned(stop: &[&str]) -> Vec<String> {
    stop.iter().map(|&stop| stop.to_owned()).collect()
}

/// Cuts a text at random character boundaries, at each with this probability.
pub(crate) fn cut<'a>(text: &'a str, probability: f64, random: &mut impl Rng) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, _) in text.char_indices().skip(1) {
        if random.random_bool(probability) {
            pieces.push(&text[start..at]);
            start = at;
        }
    }
    pieces.push(&text[start..]);
    pieces
}

#[test]
fn the_same_however_the_text_is_cut() {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let letters = ['a', 'b', 'c', 'é', '日', '🦀'];
    let mut found = 0;
    for round in 0..20_000 {
        let word = |random: &mut ChaCha12Rng, longest: usize| -> String {
            (0..random.random_range(1..=longest))
                .map(|_| *letters[..2 + round % 5].choose(random).expect("letters"))
                .collect()
        };
        let stop: Vec<String> = (0..random.random_range(0..4)).map(|_| word(&mut random, 5)).collect();
        let text = word(&mut random, 24);
        let expected = reference(&text, &stop, 0, false);
        found += usize::from(expected.1);
        let pieces = cut(&text, 0.5, &mut random);
        assert_eq!(streamed(pieces.iter().copied(), &stop), expected, "{pieces:?} {stop:?}");
        let (early, rest) = pieces.split_at(random.random_range(0..=pieces.len()));
        let shown = round % 2 == 0;
        let expected = reference(&text, &stop, early.concat().len(), shown);
        assert_eq!(
            streamed_late(early, rest.iter().copied(), &stop, shown),
            expected,
            "{early:?} {rest:?} {stop:?} {shown}"
        );
    }
    assert!(found > 2_000, "the texts hold too few stop strings to prove anything: {found}");
}

#[test]
fn holds_back_only_what_may_become_a_stop_string() {
    let stop = owned(&["\n\nUser:", "日本"]);
    let mut strings = StopStrings::new(&stop);
    let mut push = |piece| strings.push(piece).text;
    assert_eq!(push("Hello\n"), "Hello");
    assert_eq!(push("\n"), "");
    assert_eq!(push("Us"), "");
    assert_eq!(push("age 日"), "\n\nUsage ");
    assert_eq!(push("曜日"), "日曜");
    assert_eq!(strings.finish(), "日");
}

#[test]
fn the_first_complete_string_ends_the_text_and_the_longest_of_equals_counts() {
    assert_eq!(streamed(["abc"], &owned(&["abc", "b"])), ("a".to_owned(), true));
    assert_eq!(streamed(["xabc"], &owned(&["bc", "abc"])), ("x".to_owned(), true));
}

#[test]
fn a_string_at_the_very_start_leaves_nothing() {
    assert_eq!(streamed(["STOP here"], &owned(&["STOP"])), (String::new(), true));
}

#[test]
fn empty_stop_strings_are_never_found() {
    assert_eq!(streamed(["text"], &owned(&[""])), ("text".to_owned(), false));
}
