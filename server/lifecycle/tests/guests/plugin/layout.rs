//! Values in a guest's memory, laid out as the component model's canonical ABI wants them.

/// Where a guest's data begins; the count of calls is at 0.
pub(super) const BASE: u32 = 1024;

/// Data that a guest has from the beginning.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    pub(super) bytes: Vec<u8>,
}

impl Memory {
    /// Puts bytes at an address that suits any type.
    pub(super) fn put(&mut self, bytes: &[u8]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = BASE + u32::try_from(self.bytes.len()).expect("a small guest");
        self.bytes.extend_from_slice(bytes);
        at
    }

    pub(super) fn text(&mut self, text: &str) -> u32 {
        self.put(text.as_bytes())
    }

    /// A `string`: address and length.
    pub(super) fn string(&mut self, text: &str) -> [u8; 8] {
        let at = self.text(text);
        list(at, text.len())
    }

    /// A `list<string>`.
    pub(super) fn strings(&mut self, texts: &[&str]) -> [u8; 8] {
        let items: Vec<u8> = texts.iter().flat_map(|text| self.string(text)).collect();
        list(self.put(&items), texts.len())
    }

    /// A `list<tuple<string, string>>`.
    pub(super) fn pairs(&mut self, pairs: &[(&str, &str)]) -> [u8; 8] {
        let items: Vec<u8> =
            pairs.iter().flat_map(|(name, value)| [self.string(name), self.string(value)].concat()).collect();
        list(self.put(&items), pairs.len())
    }
}

fn list(at: u32, length: usize) -> [u8; 8] {
    let length = u32::try_from(length).expect("a small guest");
    [at.to_le_bytes(), length.to_le_bytes()].concat().try_into().expect("twice four bytes")
}

/// A value as the canonical ABI lays it out.
#[derive(Debug, Clone, Default)]
pub(super) struct Record(pub(super) Vec<u8>);

impl Record {
    pub(super) fn pad(mut self, to: usize) -> Self {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    pub(super) fn u64(self, value: u64) -> Self {
        self.pad(8).bytes(&value.to_le_bytes())
    }

    pub(super) fn option_u64(self, value: Option<u64>) -> Self {
        self.pad(8).u8(value.is_some().into()).u64(value.unwrap_or_default())
    }

    pub(super) fn option_string(self, memory: &mut Memory, text: Option<&str>) -> Self {
        let value = text.map_or([0; 8], |text| memory.string(text));
        self.pad(4).u8(text.is_some().into()).pad(4).bytes(&value)
    }

    pub(super) fn option_strings(self, memory: &mut Memory, texts: Option<&[&str]>) -> Self {
        let value = texts.map_or([0; 8], |texts| memory.strings(texts));
        self.pad(4).u8(texts.is_some().into()).pad(4).bytes(&value)
    }

    /// The code is `no`.
    pub(super) fn denial(self, memory: &mut Memory, status: u16) -> Self {
        self.bytes(&status.to_le_bytes())
            .pad(4)
            .bytes(&memory.string("no"))
            .bytes(&memory.string("No."))
            .option_string(memory, None)
            .option_u64(None)
            .bytes(&[0; 8])
    }
}
