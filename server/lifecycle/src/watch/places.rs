use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// Links on the way to a file after which it is taken to be a loop, as Linux does.
const MOST_LINKS: usize = 40;

/// The folder entries that decide what a path leads to: every symbolic link on the way, and what stands at its end. Each
/// is written with its folder free of links, as the system names it in events. Where an entry is missing the way ends
/// there: it is what has to appear.
pub(super) fn on_the_way_to(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut places = Vec::new();
    let mut at = PathBuf::new();
    let mut rest = Vec::new();
    push(&mut rest, &std::path::absolute(path)?);
    let mut links = 0;
    while let Some(step) = rest.pop() {
        if step == ".." {
            at.pop();
            continue;
        }
        let entry = at.join(&step);
        match fs::read_link(&entry) {
            Ok(target) => {
                places.push(entry);
                links += 1;
                if links > MOST_LINKS {
                    return Ok(places);
                }
                if target.is_absolute() {
                    at = PathBuf::new();
                }
                push(&mut rest, &target);
            }
            Err(error) => {
                let missing = error.kind() == io::ErrorKind::NotFound;
                if missing || rest.is_empty() {
                    places.push(entry.clone());
                }
                if missing {
                    return Ok(places);
                }
                at = entry;
            }
        }
    }
    Ok(places)
}

/// Puts a path's components on the pile, the first one on top.
fn push(rest: &mut Vec<OsString>, path: &Path) {
    let steps = path.components().rev().filter(|step| !matches!(step, Component::CurDir));
    rest.extend(steps.map(|step| step.as_os_str().to_owned()));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::on_the_way_to;

    #[test]
    fn every_link_and_the_file_itself_decide() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("keys/..one")).unwrap();
        fs::write(root.join("keys/..one/keys.toml"), "").unwrap();
        symlink("..one", root.join("keys/..data")).unwrap();
        symlink("..data/keys.toml", root.join("keys/keys.toml")).unwrap();
        symlink(root.join("keys"), root.join("current")).unwrap();

        let places = on_the_way_to(&root.join("./current/../current/keys.toml")).unwrap();
        let expected = ["current", "current", "keys/keys.toml", "keys/..data", "keys/..one/keys.toml"];
        // The first `current` is left again by `..`, which goes to the parent of what it leads to.
        assert_eq!(places, expected.map(|name| root.join(name)));
    }

    #[test]
    fn a_missing_entry_is_what_has_to_appear() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        assert_eq!(on_the_way_to(&root.join("no/such/file")).unwrap(), [root.join("no")]);
    }

    #[test]
    fn a_loop_ends() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        symlink("a", root.join("b")).unwrap();
        symlink("b", root.join("a")).unwrap();
        let places = on_the_way_to(&root.join("a")).unwrap();
        assert!(places.contains(&root.join("a")) && places.contains(&root.join("b")));
    }
}
