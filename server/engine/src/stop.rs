//! Stop strings over streamed text.
//!
//! The generation ends where the first stop string is complete; if several are complete at the same byte, the longest
//! counts. Text that could still become a stop string is held back, so nothing of one is ever shown, however tokens
//! cut it. Both rules speak of bytes, not pieces: the result does not depend on how the text was cut.

/// Looks for stop strings in text that comes in pieces.
pub struct StopStrings {
    matchers: Vec<Matcher>,
    /// Text not shown yet: the longest ending of what came that begins a stop string.
    held: String,
    /// The one that is found is shown.
    shown: bool,
    /// Which stop string ended the text.
    found: Option<String>,
}

/// What a piece of text became.
#[derive(Debug, PartialEq, Eq)]
pub struct Released {
    /// Text that can be shown.
    pub text: String,
    /// How many bytes came that are not shown: what is held back, or the stop string and what follows it.
    pub hidden: usize,
    /// Whether a stop string was found. Nothing may be pushed after that.
    pub stopped: bool,
}

impl StopStrings {
    /// Empty strings are never found.
    pub fn new(stop: &[String]) -> Self {
        let matchers = stop.iter().filter(|stop| !stop.is_empty()).map(|stop| Matcher::new(stop)).collect();
        Self { matchers, held: String::new(), shown: false, found: None }
    }

    /// The text ends behind the stop string, not before it.
    #[must_use]
    pub fn shown(self, shown: bool) -> Self {
        Self { shown, ..self }
    }

    /// Takes the next piece of text and gives what can be shown by now.
    pub fn push(&mut self, piece: &str) -> Released {
        if self.matchers.is_empty() {
            return Released { text: piece.to_owned(), hidden: 0, stopped: false };
        }
        let fresh = self.held.len();
        self.held.push_str(piece);
        for end in fresh..self.held.len() {
            if let Some(length) = self.advance(self.held.as_bytes()[end]) {
                // Both the held text and the stop string are UTF-8, so where one begins in the other is a boundary.
                let (begin, end) = (end + 1 - length, end + 1);
                self.found = Some(self.held[begin..end].to_owned());
                let hidden = self.held.split_off(if self.shown { end } else { begin }).len();
                return Released { text: std::mem::take(&mut self.held), hidden, stopped: true };
            }
        }
        self.release()
    }

    /// Takes a piece in which none ends the text yet. One that begins in it and ends in a later piece does.
    pub fn push_early(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        for byte in piece.bytes() {
            if self.advance(byte).is_some() {
                self.matchers.iter_mut().for_each(Matcher::go_on);
            }
        }
        self.release().text
    }

    /// Takes a byte; gives the length of the longest that it completes.
    fn advance(&mut self, byte: u8) -> Option<usize> {
        self.matchers.iter_mut().filter_map(|matcher| matcher.advance(byte)).max()
    }

    /// Gives what cannot belong to a stop string any more.
    fn release(&mut self) -> Released {
        let open = self.matchers.iter().map(|matcher| matcher.matched).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - open);
        Released { text: std::mem::replace(&mut self.held, rest), hidden: open, stopped: false }
    }

    /// The stop string that was found.
    pub fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// Gives what was held back, once the text ends. What is pushed after that is another text, and no stop string begins
    /// in one and ends in the other.
    pub fn finish(&mut self) -> String {
        self.matchers.iter_mut().for_each(|matcher| matcher.matched = 0);
        std::mem::take(&mut self.held)
    }
}

/// Finds one string in a stream of bytes without looking back (Knuth, Morris and Pratt 1977).
struct Matcher {
    pattern: Box<[u8]>,
    /// For each length of a matched prefix, the length of the longest shorter prefix that also ends it.
    fallback: Box<[usize]>,
    /// Length of the longest prefix of the pattern that ends the bytes seen.
    matched: usize,
}

impl Matcher {
    fn new(pattern: &str) -> Self {
        let pattern: Box<[u8]> = pattern.as_bytes().into();
        let mut fallback = vec![0; pattern.len() + 1];
        let mut length = 0;
        for end in 1..pattern.len() {
            while length > 0 && pattern[end] != pattern[length] {
                length = fallback[length];
            }
            if pattern[end] == pattern[length] {
                length += 1;
            }
            fallback[end + 1] = length;
        }
        Self { pattern, fallback: fallback.into(), matched: 0 }
    }

    /// Goes on behind a pattern that is complete, with what of it may begin the next.
    fn go_on(&mut self) {
        if self.matched == self.pattern.len() {
            self.matched = self.fallback[self.matched];
        }
    }

    /// Takes a byte; gives the pattern's length where it is complete.
    fn advance(&mut self, byte: u8) -> Option<usize> {
        while self.matched > 0 && self.pattern[self.matched] != byte {
            self.matched = self.fallback[self.matched];
        }
        if self.pattern[self.matched] == byte {
            self.matched += 1;
        }
        (self.matched == self.pattern.len()).then_some(self.pattern.len())
    }
}

#[cfg(test)]
pub(crate) mod tests;
