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
    /// Which stop string ended the text.
    found: Option<String>,
}

/// What a piece of text became.
#[derive(Debug, PartialEq, Eq)]
pub struct Released {
    /// Text that can be shown.
    pub text: String,
    /// Whether a stop string was found. Nothing may be pushed after that.
    pub stopped: bool,
}

impl StopStrings {
    /// Empty strings are never found.
    pub fn new(stop: &[String]) -> Self {
        let matchers = stop.iter().filter(|stop| !stop.is_empty()).map(|stop| Matcher::new(stop)).collect();
        Self { matchers, held: String::new(), found: None }
    }

    /// Takes the next piece of text and gives what can be shown by now.
    pub fn push(&mut self, piece: &str) -> Released {
        if self.matchers.is_empty() {
            return Released { text: piece.to_owned(), stopped: false };
        }
        let fresh = self.held.len();
        self.held.push_str(piece);
        for end in fresh..self.held.len() {
            let byte = self.held.as_bytes()[end];
            let longest = self.matchers.iter_mut().filter_map(|matcher| matcher.advance(byte)).max();
            if let Some(length) = longest {
                // Both the held text and the stop string are UTF-8, so where one begins in the other is a boundary.
                let found = self.held.split_off(end + 1 - length);
                self.found = Some(found[..length].to_owned());
                return Released { text: std::mem::take(&mut self.held), stopped: true };
            }
        }
        let open = self.matchers.iter().map(|matcher| matcher.matched).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - open);
        Released { text: std::mem::replace(&mut self.held, rest), stopped: false }
    }

    /// Takes text in which no stop string is looked for, and gives it with what was held back before it.
    pub fn pass(&mut self, piece: &str) -> String {
        self.matchers.iter_mut().for_each(|matcher| matcher.matched = 0);
        std::mem::take(&mut self.held) + piece
    }

    /// The stop string that was found.
    pub fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// Gives what was held back, once no more text comes.
    pub fn finish(&mut self) -> String {
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
mod tests;
