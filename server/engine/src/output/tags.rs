//! Answers in which tags set reasoning and calls apart from the text.

use mlx_gate_core::{OutputFormat, ToolSyntax};

use super::pending::{Kind, Pending, first_of};
use super::reader::{Cursor, Outcome, Reader, Sink};
use super::syntax;

/// The parser of one answer.
pub(super) struct Tags {
    tools: Option<ToolSyntax>,
    /// The tags around reasoning.
    reasoning: Option<[&'static str; 2]>,
    /// What opens reasoning or calls.
    opening: Vec<&'static str>,
    state: State,
    pending: Pending,
    /// The answer may still turn out to be a call as a whole.
    untouched: bool,
    /// Marks count only in front of the text, because what is inside of it is said by a grammar.
    bound: bool,
    /// That text has begun.
    begun: bool,
}

enum State {
    Answer,
    Reasoning,
    Calls(Block),
}

/// A block of calls being read.
struct Block {
    /// White space in front of the mark, to be shown if this is no call.
    before: String,
    mark: &'static str,
    /// Calls announced before this block.
    calls_before: u32,
    cursor: Cursor,
    reader: Box<dyn Reader>,
}

/// Whether a state left text that the next one has to look at.
enum Step {
    Again,
    NeedsText,
}

impl Tags {
    pub(super) fn new(format: OutputFormat) -> Self {
        let reasoning = format.reasoning.and_then(syntax::reasoning_tags);
        let open = reasoning.is_some() && format.reasoning_open;
        let opens_reasoning = reasoning.map(|[open, _]| open);
        let marks = format.tools.map(syntax::marks).unwrap_or_default();
        Self {
            tools: format.tools,
            reasoning,
            opening: opens_reasoning.into_iter().chain(marks.iter().copied()).collect(),
            state: if open { State::Reasoning } else { State::Answer },
            pending: Pending::new(open),
            untouched: true,
            bound: format.text_is_bound,
            begun: false,
        }
    }

    pub(super) fn push(&mut self, piece: &str, sink: &mut Sink<'_>) {
        self.pending.push(piece);
        while let Step::Again = self.advance(sink) {}
    }

    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        let kind = if self.in_reasoning() { Kind::Reasoning } else { Kind::Answer };
        if let State::Calls(mut block) = std::mem::replace(&mut self.state, State::Answer) {
            if sink.calls.open {
                block.reader.finish(&mut block.cursor, sink);
                self.pending.replace(block.cursor.into_rest());
            } else if sink.calls.count > block.calls_before {
                self.pending.replace(block.cursor.into_unsettled());
            } else {
                let Block { before, mark, cursor, .. } = block;
                self.pending.replace(before + mark + &cursor.into_unsettled());
                self.pending.show(self.pending.text().len(), kind, sink);
                return;
            }
            self.pending.after_tag = true;
            if self.tools.is_some_and(|tools| syntax::begins_mark(tools, self.pending.text())) {
                self.pending.take();
            }
        }
        self.pending.show(self.pending.text().len(), kind, sink);
    }

    pub(super) fn in_reasoning(&self) -> bool {
        matches!(self.state, State::Reasoning)
    }

    fn advance(&mut self, sink: &mut Sink<'_>) -> Step {
        match &mut self.state {
            State::Answer => self.answer(sink),
            State::Reasoning => self.reasoning(sink),
            State::Calls(block) => {
                block.cursor.push(&self.pending.take());
                match block.reader.read(&mut block.cursor, sink) {
                    Outcome::NeedsText => Step::NeedsText,
                    outcome => self.end_block(outcome, sink),
                }
            }
        }
    }

    fn answer(&mut self, sink: &mut Sink<'_>) -> Step {
        if let Some(step) = self.bare_call(sink) {
            return step;
        }
        if self.bound
            && let Some(step) = self.bound_text(sink)
        {
            return step;
        }
        let Some((at, tag)) = first_of(self.pending.text(), &self.opening) else {
            let decided = self.pending.decided(&self.opening);
            self.show(decided, sink);
            return Step::NeedsText;
        };
        self.show(self.pending.text()[..at].trim_end().len(), sink);
        let white = self.pending.take_tag(tag);
        match self.tools {
            Some(tools) if self.reasoning.is_none_or(|[open, _]| open != tag) => {
                self.begin_block(tools, white, tag, sink);
            }
            _ => {
                self.state = State::Reasoning;
                self.pending.after_tag = true;
            }
        }
        Step::Again
    }

    /// Shows what is text to its end, once it does not begin with a mark.
    fn bound_text(&mut self, sink: &mut Sink<'_>) -> Option<Step> {
        if !self.begun {
            let text = self.pending.text().trim_start();
            if self.opening.iter().any(|tag| text.starts_with(tag)) {
                return None;
            }
            if self.opening.iter().any(|tag| tag.starts_with(text)) {
                return Some(Step::NeedsText);
            }
            self.begun = true;
        }
        self.show(self.pending.text().len(), sink);
        Some(Step::NeedsText)
    }

    /// Looks whether the answer begins as one does that is a call as a whole.
    fn bare_call(&mut self, sink: &mut Sink<'_>) -> Option<Step> {
        let (true, Some(tools)) = (self.untouched, self.tools) else { return None };
        let opens = syntax::bare(tools);
        let text = self.pending.text();
        let begins = text.trim_start();
        match begins.chars().next() {
            None if !opens.is_empty() => Some(Step::NeedsText),
            Some(first) if opens.contains(&first) => {
                let white = text[..text.len() - begins.len()].to_owned();
                let rest = begins.to_owned();
                self.pending.replace(rest);
                self.begin_block(tools, white, "", sink);
                Some(Step::Again)
            }
            _ => None,
        }
    }

    fn begin_block(&mut self, tools: ToolSyntax, before: String, mark: &'static str, sink: &Sink<'_>) {
        self.state = State::Calls(Block {
            before,
            mark,
            calls_before: sink.calls.count,
            cursor: Cursor::default(),
            reader: syntax::reader(tools, mark),
        });
    }

    fn end_block(&mut self, outcome: Outcome, sink: &mut Sink<'_>) -> Step {
        let State::Calls(block) = std::mem::replace(&mut self.state, State::Answer) else {
            return Step::Again;
        };
        self.untouched = false;
        if outcome == Outcome::Ended {
            self.pending.replace(block.cursor.into_rest());
            self.pending.after_tag = true;
        } else if sink.calls.count > block.calls_before {
            self.pending.replace(block.cursor.into_unsettled());
            self.pending.after_tag = true;
        } else {
            // The mark is text, so it is shown at once; what follows is looked at again for other tags.
            self.begun = true;
            let length = block.before.len() + block.mark.len();
            self.pending.replace(block.before + block.mark + &block.cursor.into_unsettled());
            self.show(length, sink);
        }
        Step::Again
    }

    fn reasoning(&mut self, sink: &mut Sink<'_>) -> Step {
        let Some([open, close]) = self.reasoning else {
            self.state = State::Answer;
            return Step::Again;
        };
        // A template may have opened the block already, and the model opens it again.
        if self.pending.after_tag && self.pending.text().trim_start().starts_with(open) {
            self.pending.take_tag(open);
            return Step::Again;
        }
        let Some((at, tag)) = first_of(self.pending.text(), &[close]) else {
            let decided = self.pending.decided(&[close, open]);
            self.pending.show(decided, Kind::Reasoning, sink);
            return Step::NeedsText;
        };
        let shown = self.pending.text()[..at].trim_end().len();
        self.pending.show(shown, Kind::Reasoning, sink);
        self.pending.take_tag(tag);
        self.state = State::Answer;
        self.pending.after_tag = true;
        Step::Again
    }

    fn show(&mut self, length: usize, sink: &mut Sink<'_>) {
        if self.pending.show(length, Kind::Answer, sink) {
            self.untouched = false;
        }
    }
}
