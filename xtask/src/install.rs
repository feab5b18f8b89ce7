//! Components under the ignored native folder: each appears there whole or not at all.
//!
//! A component is made in a temporary folder beside its place, a stamp with its key is written into it, and it is
//! renamed. An interrupted run leaves only a temporary folder, which the next one replaces; a component whose stamp
//! holds the wanted key is left alone, which costs one small read. A lock keeps two runs from making the same one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::Error;

const STAMP: &str = ".stamp";

/// Makes `place` by `make` unless it is there with this `key`; `what` is shown with the time it took.
pub(crate) fn component(
    place: &Path,
    key: &str,
    what: &str,
    make: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    if fs::read_to_string(place.join(STAMP)).is_ok_and(|found| found == key) {
        return Ok(place.to_path_buf());
    }
    let started = Instant::now();
    eprintln!("setup: {what} ...");
    let temporary = beside(place);
    remove(&temporary)?;
    fs::create_dir_all(&temporary).map_err(Error::file("creating", &temporary))?;
    let made = make(&temporary).and_then(|()| {
        let stamp = temporary.join(STAMP);
        fs::write(&stamp, key).map_err(Error::file("writing", &stamp))?;
        remove(place)?;
        fs::rename(&temporary, place).map_err(Error::file("moving into place", place))
    });
    if let Err(error) = made {
        remove(&temporary)?;
        return Err(error);
    }
    eprintln!("setup: {what}: done in {:.1} s", started.elapsed().as_secs_f64());
    Ok(place.to_path_buf())
}

/// Writes a file through a rename, and only when its content differs, so that its time says when it changed.
pub(crate) fn file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|found| found == content.as_ref()) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file("creating", folder))?;
    }
    let temporary = beside(path);
    fs::write(&temporary, content).map_err(Error::file("writing", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::file("moving into place", path))
}

/// Waits until no other run is installing into `folder`; the lock is held until the file is dropped.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    fs::create_dir_all(folder).map_err(Error::file("creating", folder))?;
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(Error::file("creating", &path))?;
    if file.try_lock().is_err() {
        eprintln!("setup: waiting for another run to finish");
        file.lock().map_err(Error::file("locking", &path))?;
    }
    Ok(file)
}

/// `path` with `.tmp` appended: beside it, so that a rename stays on one file system.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

fn remove(path: &Path) -> Result<(), Error> {
    let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("removing", path)(error))
        }
        _ => Ok(()),
    }
}

/// A key over file contents and names: 64-bit FNV-1a, which is the same on every machine and with every compiler.
#[derive(Clone)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds some bytes and where they end, so that moving a byte from one part to the next changes the key.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a file, or every file of a folder in the order of their names.
    pub(crate) fn add_path(&mut self, path: &Path) -> Result<(), Error> {
        self.add(path.file_name().unwrap_or_default().as_encoded_bytes());
        if !path.is_dir() {
            self.add(&fs::read(path).map_err(Error::file("reading", path))?);
            return Ok(());
        }
        let entries = fs::read_dir(path).map_err(Error::file("listing", path))?;
        let mut children: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        children.sort();
        children.iter().try_for_each(|child| self.add_path(child))
    }

    pub(crate) fn hex(&self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-install-{name}-{}", std::process::id()));
        remove(&folder).expect("the scratch folder can be removed");
        fs::create_dir_all(&folder).expect("the scratch folder can be made");
        folder
    }

    fn make_marker(folder: &Path) -> Result<(), Error> {
        fs::write(folder.join("marker"), "x").map_err(Error::file("writing", folder))
    }

    #[test]
    fn a_component_is_made_once_per_key() {
        let root = scratch("once");
        let place = root.join("part");
        let mut times = 0;
        for key in ["a", "a", "b", "b"] {
            component(&place, key, "a part", |folder| {
                times += 1;
                make_marker(folder)
            })
            .expect("the part can be made");
        }
        assert_eq!(times, 2);
        assert!(place.join("marker").is_file());
    }

    #[test]
    fn a_failed_component_leaves_the_last_good_one_and_no_rest() {
        let root = scratch("failed");
        let place = root.join("part");
        component(&place, "a", "a part", make_marker).expect("the first version can be made");
        let failed = component(&place, "b", "a part", |folder| {
            make_marker(folder)?;
            Err(Error::CheckFailed("interrupted".into()))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(place.join(STAMP)).expect("the stamp is there"), "a");
        assert_eq!(fs::read_dir(&root).expect("the folder is there").count(), 1);
    }

    #[test]
    fn what_an_interrupted_run_left_is_replaced() {
        let root = scratch("interrupted");
        let place = root.join("part-0.1");
        fs::create_dir_all(root.join("part-0.1.tmp")).expect("can be made");
        fs::write(root.join("part-0.1.tmp/half"), "x").expect("can be written");
        component(&place, "a", "a part", make_marker).expect("the part can be made");
        assert!(!place.join("half").exists());
        assert_eq!(fs::read_dir(&root).expect("the folder is there").count(), 1);
    }

    #[test]
    fn a_key_tells_names_and_boundaries_apart() {
        let key = |parts: &[&str]| {
            let mut key = Key::new();
            for part in parts {
                key.add(part.as_bytes());
            }
            key.hex()
        };
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["ab"]), key(&["ab", ""]));
    }

    #[test]
    fn a_key_of_a_folder_changes_with_content_and_name() {
        let root = scratch("key");
        let of_root = || {
            let mut key = Key::new();
            key.add_path(&root).expect("the folder can be read");
            key.hex()
        };
        fs::write(root.join("a"), "1").expect("can be written");
        let first = of_root();
        fs::write(root.join("a"), "2").expect("can be written");
        let second = of_root();
        fs::rename(root.join("a"), root.join("b")).expect("can be renamed");
        let third = of_root();
        assert!(first != second && second != third && first != third);
    }
}
