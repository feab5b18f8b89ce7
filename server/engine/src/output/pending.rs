//! Text that has come and is not shown yet.

use mlx_gate_core::Event;

use super::Piece;
use super::reader::Sink;

/// What a text is to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Answer,
    Reasoning,
}

impl Kind {
    pub(super) fn event(self, text: String) -> Event {
        match self {
            Self::Answer => Event::Text(text),
            Self::Reasoning => Event::Reasoning(text),
        }
    }
}

/// Text about which nothing can be said yet: white space that may stand before a tag, or the beginning of a tag. It is
/// always the end of all that has come.
pub(super) struct Pending {
    text: String,
    /// The last thing was a tag, so white space that follows is not shown.
    pub(super) after_tag: bool,
}

impl Pending {
    pub(super) fn new(after_tag: bool) -> Self {
        Self { text: String::new(), after_tag }
    }

    pub(super) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Takes everything, as it is.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Puts text where all that was pending had been taken.
    pub(super) fn replace(&mut self, text: String) {
        self.text = text;
    }

    /// Shows the first `length` bytes; whether that was anything.
    pub(super) fn show(&mut self, length: usize, kind: Kind, sink: &mut Sink<'_>) -> bool {
        let rest = self.text.split_off(length);
        let mut text = std::mem::replace(&mut self.text, rest);
        if self.after_tag {
            text.drain(..text.len() - text.trim_start().len());
        }
        if text.is_empty() {
            return false;
        }
        self.after_tag = false;
        let end = sink.taken - self.text.len();
        sink.pieces.push(Piece { source: end - text.len()..end, event: kind.event(text) });
        true
    }

    /// Length of what can be neither a part of one of the tags nor white space before one.
    pub(super) fn decided(&self, tags: &[&str]) -> usize {
        self.text.len() - undecided(&self.text, tags)
    }

    /// Removes everything up to the end of the first `tag` and gives what stood in front of it.
    pub(super) fn take_tag(&mut self, tag: &str) -> String {
        let at = self.text.find(tag).unwrap_or(0);
        let front = self.text[..at].to_owned();
        self.text.drain(..at + tag.len());
        front
    }
}

/// The first of several tags in a text; of those that begin at the same place the longest.
pub(super) fn first_of<'a>(text: &str, tags: &[&'a str]) -> Option<(usize, &'a str)> {
    tags.iter()
        .filter_map(|&tag| text.find(tag).map(|at| (at, tag)))
        .min_by_key(|(at, tag)| (*at, std::cmp::Reverse(tag.len())))
}

/// Length of the ending of a text that may turn out to be, or stand before, one of the tags.
fn undecided(text: &str, tags: &[&str]) -> usize {
    let Some(open) = tags.iter().map(|tag| open_tag(text, tag)).max() else { return 0 };
    text.len() - text[..text.len() - open].trim_end().len()
}

/// Length of the longest ending of a text that begins a tag and is not all of it.
pub(super) fn open_tag(text: &str, tag: &str) -> usize {
    let longest = tag.len().saturating_sub(1).min(text.len());
    (1..=longest).rev().find(|&length| text.as_bytes().ends_with(&tag.as_bytes()[..length])).unwrap_or(0)
}
