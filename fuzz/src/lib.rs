//! What the fuzz targets share: inputs taken apart, and a server without a model.

mod server;

pub use server::{ROUTES, Server};

/// A fuzzer's bytes, from which decisions are taken one by one.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of them.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte; 0 where there is none.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// One of several things, or none of them.
    pub fn choice<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(usize::from(self.byte()) % (choices.len() + 1)).copied()
    }

    /// Up to this many bytes.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// What is left, as text.
    pub fn text(self) -> String {
        String::from_utf8_lossy(self.0).into_owned()
    }
}

/// Cuts a text into pieces of up to 8 bytes, as `seed` likes.
pub fn cut(text: &str, seed: u64) -> Vec<&str> {
    // Marsaglia's xorshift: the same pieces for the same input.
    let mut state = seed | 1;
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let at = rest.ceil_char_boundary(1 + (state % 8) as usize);
        let (piece, behind) = rest.split_at(at.min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}
