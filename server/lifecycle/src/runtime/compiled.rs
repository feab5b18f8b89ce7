//! Compiled components on disk, so that an interpreter, which takes tens of seconds to compile, is compiled once.
//!
//! What lies there is machine code, which runs as it is: wasmtime checks its form and believes the rest. So nothing is
//! taken that another user could have written, and nothing that is not what this program wrote there: the folder and each
//! file belong to this user alone, and each file begins with a digest of its content and of what it was compiled from. A
//! plugin is never configured when it gets here, so there are no secrets in it.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, Digest, SHA256, SHA256_OUTPUT_LEN};
use rustix::fs::OFlags;
use rustix::process::geteuid;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of compiled code that are kept, at the most. Python with its standard library has some 60 MB.
const MOST_BYTES: u64 = 1 << 30;

/// The folder inside the user's, for nothing else.
const FOLDER: &str = "compiled";

/// A folder of compiled components that nobody else can look into.
pub(super) struct Compiled {
    folder: PathBuf,
}

impl Compiled {
    /// Opens the folder, or makes it. Errors where it cannot be this user's alone.
    pub(super) fn open(cache: &Path) -> io::Result<Self> {
        let folder = cache.join(FOLDER);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let found = fs::symlink_metadata(&folder)?;
        if !found.is_dir() || found.uid() != geteuid().as_raw() {
            return Err(io::Error::other(format!("{} is not a folder of this user's", folder.display())));
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        }
        Ok(Self { folder })
    }

    /// The component, from the folder where it is there, and from now on.
    pub(super) fn component(&self, engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Component> {
        let key = key(engine, wasm);
        if let Some(component) = self.find(engine, &key) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, wasm)?;
        if let Err(error) = self.keep(&key, &component.serialize()?) {
            tracing::warn!("a compiled plugin could not be kept in {}: {error}", self.folder.display());
        }
        Ok(component)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    fn find(&self, engine: &Engine, key: &str) -> Option<Component> {
        match self.read(key).and_then(|code| load(engine, &code)) {
            Ok(component) => Some(component),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                // It is written anew.
                tracing::warn!("{} is not used: {error}", self.path(key).display());
                None
            }
        }
    }

    /// The code of this key. Errors where the file is not as this program writes it.
    fn read(&self, key: &str) -> io::Result<Vec<u8>> {
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(self.path(key))?;
        // Of the open file, so that nobody can put another in its place after the check.
        let found = file.metadata()?;
        let is_ours = found.uid() == geteuid().as_raw() && found.mode() & 0o777 == 0o600;
        if !found.is_file() || !is_ours || found.nlink() != 1 {
            return Err(io::Error::other("others may have written it"));
        }
        let mut digest = [0; SHA256_OUTPUT_LEN];
        file.read_exact(&mut digest)?;
        let mut code = Vec::new();
        (&file).take(MOST_BYTES).read_to_end(&mut code)?;
        if seal(key, &code).as_ref() != digest {
            return Err(io::Error::other("it is damaged"));
        }
        // The one that was not used for longest goes first. It is used all the same where that cannot be noted.
        let _ = file.set_modified(SystemTime::now());
        Ok(code)
    }

    /// Writes beside and renames, so that no other process sees half of it.
    fn keep(&self, key: &str, code: &[u8]) -> io::Result<()> {
        let beside = self.path(&format!("{key}.{}", std::process::id()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            // Whatever the umask says.
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(seal(key, code).as_ref())?;
            file.write_all(code)?;
            fs::rename(&beside, self.path(key))
        };
        let written = write();
        if written.is_err() {
            // Nothing to remove where it could not be made.
            let _ = fs::remove_file(&beside);
        }
        written?;
        self.make_room(key)
    }

    /// Removes what was not used for longest, until the rest is within bounds. What a process left half written goes the
    /// same way.
    fn make_room(&self, newest: &str) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            files.push((found.modified()?, found.len(), entry.path()));
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if bytes > MOST_BYTES && path != self.path(newest) {
                fs::remove_file(path)?;
                bytes -= length;
            }
        }
        Ok(())
    }
}

#[expect(unsafe_code, reason = "machine code is taken at its word")]
fn load(engine: &Engine, code: &[u8]) -> io::Result<Component> {
    // SAFETY: `read` has seen to it that the bytes are `Component::serialize`'s: the file is this user's alone, and its
    // content is what `keep` wrote for this very key.
    unsafe { Component::deserialize(engine, code) }.map_err(|error| io::Error::other(format!("{error:#}")))
}

/// What decides about the compiled code: the component, and all that is settled about the compiler, its version and target.
fn key(engine: &Engine, wasm: &[u8]) -> String {
    let mut context = Sha256(Context::new(&SHA256));
    engine.precompile_compatibility_hash().hash(&mut context);
    context.0.update(wasm);
    let mut digest = [0; SHA256_OUTPUT_LEN];
    digest.copy_from_slice(context.0.finish().as_ref());
    crate::plugin::hex(&digest)
}

/// A digest of the code under its key, so that none passes for another's.
fn seal(key: &str, code: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(key.as_bytes());
    context.update(code);
    context.finish()
}

struct Sha256(Context);

impl Hasher for Sha256 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest is taken from the context; 64 bits of it are of no use here.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const WASM: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn what_was_compiled_is_found_by_what_it_was_compiled_from_and_how() {
        let cache = tempfile::tempdir().unwrap();
        let compiled = Compiled::open(cache.path()).unwrap();
        let engine = Engine::default();
        let key = key(&engine, WASM);
        assert!(compiled.find(&engine, &key).is_none());
        compiled.component(&engine, WASM).unwrap();
        assert!(compiled.find(&engine, &key).is_some());
        assert!(Compiled::open(cache.path()).unwrap().find(&engine, &key).is_some());

        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&compiled.folder), mode(&compiled.path(&key))), (0o700, 0o600));
        let files: Vec<_> = fs::read_dir(&compiled.folder).unwrap().collect();
        assert_eq!(files.len(), 1, "nothing is left beside it: {files:?}");

        let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert_ne!(super::key(&other, WASM), key, "it was compiled otherwise");
        assert_ne!(super::key(&engine, b"\0asm\x0d\0\x01\0\0"), key);
    }

    #[test]
    fn what_this_program_did_not_write_is_compiled_again() {
        type Deed = fn(&Path);
        let deeds: [(&str, Deed); 7] = [
            ("a flipped bit", |path| {
                let mut bytes = fs::read(path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(path, bytes).unwrap();
            }),
            ("an end that is missing", |path| {
                let bytes = fs::read(path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            }),
            ("nothing", |path| fs::write(path, "").unwrap()),
            ("readable by others", |path| {
                fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
            }),
            ("a second name", |path| fs::hard_link(path, path.with_extension("second")).unwrap()),
            ("a link", |path| {
                fs::rename(path, path.with_extension("moved")).unwrap();
                symlink(path.with_extension("moved"), path).unwrap();
            }),
            ("another's", |path| {
                let code = fs::read(path).unwrap();
                fs::remove_file(path).unwrap();
                let mut other = seal("other", &code[SHA256_OUTPUT_LEN..]).as_ref().to_vec();
                other.extend_from_slice(&code[SHA256_OUTPUT_LEN..]);
                OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(path)
                    .unwrap()
                    .write_all(&other)
                    .unwrap();
            }),
        ];
        for (what, deed) in deeds {
            let cache = tempfile::tempdir().unwrap();
            let compiled = Compiled::open(cache.path()).unwrap();
            let engine = Engine::default();
            let key = key(&engine, WASM);
            compiled.component(&engine, WASM).unwrap();
            deed(&compiled.path(&key));
            assert!(compiled.find(&engine, &key).is_none(), "{what}");
            compiled.component(&engine, WASM).unwrap();
            assert!(compiled.find(&engine, &key).is_some(), "{what}: it was written anew");
        }
    }

    #[test]
    fn the_folder_is_this_users_alone_or_is_not_used() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        Compiled::open(cache.path()).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);

        fs::rename(&folder, cache.path().join("elsewhere")).unwrap();
        symlink(cache.path().join("elsewhere"), &folder).unwrap();
        assert!(Compiled::open(cache.path()).is_err(), "a link");
        fs::remove_file(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        assert!(Compiled::open(cache.path()).is_err(), "a file");
    }
}
