use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::CacheStore;

/// Machine code of single functions, as Cranelift's incremental compilation keeps it. A plugin is compiled twice, and again
/// with every configuration, and nearly all of its functions are the same each time.
///
/// Cranelift gives five functions in a hundred another key every time, those with several constants. What is learned is
/// therefore what a new plugin brings: not what a reconfiguration or another build of a known one does, or reloads without end
/// would fill it with what is never found again.
///
/// Keys are SHA-256 digests of all that goes into a compilation, so a guest cannot make its code pass for another's. There is
/// no configuration in it: that is data, not code.
#[derive(Debug)]
pub(crate) struct Functions {
    /// Bytes of code kept, at the most.
    most: usize,
    ages: Mutex<Ages>,
}

/// While it lives, functions may be learned.
pub(crate) struct Learning<'a>(&'a Functions);

impl Drop for Learning<'_> {
    fn drop(&mut self) {
        let mut ages = self.0.ages();
        ages.learning -= 1;
        if ages.learning == 0 {
            ages.learn(self.0.most);
        }
    }
}

/// What is found moves to the young; when they fill half of the room, the old are forgotten and the young are the old.
#[derive(Debug, Default)]
struct Ages {
    young: Age,
    old: Age,
    /// New plugins being compiled, with what they have that was not found, and how much was.
    learning: usize,
    unknown: Vec<(Vec<u8>, Vec<u8>)>,
    found: usize,
}

#[derive(Debug, Default)]
struct Age {
    code: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

/// A plugin is known where so many times more functions were found than not.
const KNOWN: usize = 8;

/// What an entry takes besides its bytes.
const OVERHEAD: usize = 128;

impl Functions {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ages: Mutex::default() }
    }

    /// Until the guard is dropped, what is compiled may be of a new plugin.
    pub(crate) fn learn(&self) -> Learning<'_> {
        self.ages().learning += 1;
        Learning(self)
    }

    fn ages(&self) -> MutexGuard<'_, Ages> {
        // What is left half done at worst is a count of bytes, and counts are no promise.
        self.ages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let ages = self.ages();
        ages.young.bytes + ages.old.bytes
    }
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut ages = self.ages();
        let found = if let Some(code) = ages.young.code.get(key) {
            code.clone()
        } else {
            let code = ages.old.remove(key)?;
            let found = code.clone();
            ages.keep(key.to_owned(), code, self.most);
            found
        };
        ages.found += 1;
        Some(Cow::Owned(found))
    }

    fn insert(&self, key: &[u8], mut code: Vec<u8>) -> bool {
        let mut ages = self.ages();
        if ages.learning == 0 {
            return false;
        }
        code.shrink_to_fit();
        ages.unknown.push((key.to_owned(), code));
        true
    }
}

impl Ages {
    /// Keeps what was not found, unless nearly everything was.
    fn learn(&mut self, most: usize) {
        let (unknown, found) = (std::mem::take(&mut self.unknown), std::mem::take(&mut self.found));
        if unknown.len() * KNOWN > found {
            for (key, code) in unknown {
                self.keep(key, code, most);
            }
        }
    }

    fn keep(&mut self, key: Vec<u8>, code: Vec<u8>, most: usize) {
        self.young.remove(&key);
        self.young.bytes += key.len() + code.len() + OVERHEAD;
        self.young.code.insert(key, code);
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

    fn learn(functions: &Functions, key: &[u8], code: Vec<u8>) {
        let _learning = functions.learn();
        functions.insert(key, code);
    }

    #[test]
    fn what_is_used_stays_and_the_rest_makes_room() {
        let functions = Functions::new(100_000);
        let used = b"used".as_slice();
        learn(&functions, used, vec![1; 1000]);
        for number in 0..1000_u32 {
            learn(&functions, &number.to_le_bytes(), vec![0; 1000]);
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
            learn(&functions, b"key", vec![0; 100]);
        }
        assert_eq!(functions.bytes(), 3 + 100 + super::OVERHEAD);
    }

    #[test]
    fn it_learns_from_new_plugins_only() {
        let functions = Functions::new(1 << 20);
        assert!(!functions.insert(b"reconfigured", vec![0]));
        learn(&functions, b"new", vec![0]);
        let learning = functions.learn();
        for _ in 0..8 {
            assert!(functions.get(b"new").is_some());
        }
        functions.insert(b"another build", vec![0]);
        drop(learning);
        let kept = [&b"reconfigured"[..], b"new", b"another build"].map(|key| functions.get(key).is_some());
        assert_eq!(kept, [false, true, false]);
    }
}
