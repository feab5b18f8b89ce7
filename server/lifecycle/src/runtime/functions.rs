use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wasmtime::CacheStore;

/// Machine code of single functions, as Cranelift's incremental compilation keeps it. A plugin is compiled twice, and again
/// with every configuration, and nearly all of its functions are the same each time.
///
/// Keys are SHA-256 digests of all that goes into a compilation, so a guest cannot make its code pass for another's. There is
/// no configuration in it: that is data, not code.
#[derive(Debug)]
pub(crate) struct Functions {
    /// Bytes of code kept, at the most.
    most: usize,
    ages: Mutex<Ages>,
}

/// What is found moves to the young; when they fill half of the room, the old are forgotten and the young are the old.
#[derive(Debug, Default)]
struct Ages {
    young: Age,
    old: Age,
}

#[derive(Debug, Default)]
struct Age {
    code: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

/// What an entry takes besides its bytes.
const OVERHEAD: usize = 128;

impl Functions {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ages: Mutex::default() }
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let ages = self.ages.lock().unwrap();
        ages.young.bytes + ages.old.bytes
    }
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = ages.young.code.get(key) {
            return Some(Cow::Owned(code.clone()));
        }
        let code = ages.old.remove(key)?;
        let found = code.clone();
        ages.keep(key, code, self.most);
        Some(Cow::Owned(found))
    }

    fn insert(&self, key: &[u8], code: Vec<u8>) -> bool {
        self.ages.lock().unwrap_or_else(PoisonError::into_inner).keep(key, code, self.most);
        true
    }
}

impl Ages {
    fn keep(&mut self, key: &[u8], code: Vec<u8>, most: usize) {
        self.young.remove(key);
        self.young.bytes += key.len() + code.len() + OVERHEAD;
        self.young.code.insert(key.to_owned(), code);
        if self.young.bytes > most / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

impl Age {
    fn remove(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        let code = self.code.remove(key)?;
        self.bytes -= key.len() + code.len() + OVERHEAD;
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::CacheStore as _;

    use super::Functions;

    #[test]
    fn what_is_used_stays_and_the_rest_makes_room() {
        let functions = Functions::new(100_000);
        let used = b"used".as_slice();
        functions.insert(used, vec![1; 1000]);
        for number in 0..1000_u32 {
            functions.insert(&number.to_le_bytes(), vec![0; 1000]);
            assert!(functions.bytes() <= 100_000 + 2000, "{}", functions.bytes());
            assert_eq!(functions.get(used).as_deref(), Some([1; 1000].as_slice()), "after {number}");
        }
        assert_eq!(functions.get(&0_u32.to_le_bytes()), None);
        assert!(functions.get(&999_u32.to_le_bytes()).is_some());
    }

    #[test]
    fn an_entry_put_twice_counts_once() {
        let functions = Functions::new(1 << 20);
        for _ in 0..10 {
            functions.insert(b"key", vec![0; 100]);
        }
        assert_eq!(functions.bytes(), 3 + 100 + super::OVERHEAD);
    }
}
