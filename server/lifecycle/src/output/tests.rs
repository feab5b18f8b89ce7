use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::{Error, MOST_BYTES, Output};
use crate::OutputTarget;

fn target() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.jsonl");
    (folder, path)
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[tokio::test]
async fn lines_are_appended() {
    let (_folder, path) = target();
    let output = Output::open(&OutputTarget::File(path.clone())).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    output.append(&lines(&["one", "two"])).await.unwrap();
    output.append(&[]).await.unwrap();
    let other = Output::open(&OutputTarget::File(path.clone())).unwrap();
    other.append(&lines(&["three"])).await.unwrap();
    output.append(&lines(&["four"])).await.unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "one\ntwo\nthree\nfour\n");
}

#[tokio::test]
async fn nobody_forges_a_line() {
    let (_folder, path) = target();
    let output = Output::open(&OutputTarget::File(path.clone())).unwrap();
    output.append(&lines(&["a\n{\"status\":200}", "b\r\u{1b}[2J\u{85}\u{2028}\tä"])).await.unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, "a\\u000a{\"status\":200}\nb\\u000d\\u001b[2J\\u0085\\u2028\tä\n");
}

#[tokio::test]
async fn too_much_at_once_is_refused_whole() {
    let (_folder, path) = target();
    let output = Output::open(&OutputTarget::File(path.clone())).unwrap();
    let fits = "x".repeat(MOST_BYTES / 2 - 1);
    output.append(&[fits.clone(), fits.clone()]).await.unwrap();
    assert_eq!(output.append(&[fits.clone(), fits, String::new()]).await, Err(Error::TooLarge));
    assert_eq!(output.append(&["\n".repeat(MOST_BYTES / 2)]).await, Err(Error::TooLarge));
    assert_eq!(path.metadata().unwrap().len(), MOST_BYTES as u64);
}

#[tokio::test]
async fn a_rotated_file_is_left_alone_after_reopening() {
    let (folder, path) = target();
    let output = Output::open(&OutputTarget::File(path.clone())).unwrap();
    output.append(&lines(&["before"])).await.unwrap();
    let rotated = folder.path().join("access.jsonl.1");
    std::fs::rename(&path, &rotated).unwrap();
    output.append(&lines(&["between"])).await.unwrap();
    output.reopen().await.unwrap();
    output.append(&lines(&["after"])).await.unwrap();
    assert_eq!(std::fs::read_to_string(rotated).unwrap(), "before\nbetween\n");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "after\n");
}

#[tokio::test]
async fn a_failed_reopening_keeps_the_file() {
    let (folder, path) = target();
    let output = Output::open(&OutputTarget::File(path.clone())).unwrap();
    let moved = folder.path().join("moved");
    std::fs::rename(&path, &moved).unwrap();
    std::fs::create_dir(&path).unwrap();
    output.reopen().await.unwrap_err();
    output.append(&lines(&["still"])).await.unwrap();
    assert_eq!(std::fs::read_to_string(moved).unwrap(), "still\n");
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        |path: PathBuf| Output::open(&OutputTarget::File(path)).map(drop).map_err(|error| error.to_string());
    assert_eq!(
        open(folder.path().to_owned()),
        Err("it is not a regular file; `-` is standard output".to_owned())
    );
    assert_eq!(
        open(folder.path().join("missing/access.jsonl")),
        Err("No such file or directory (os error 2)".to_owned())
    );
}

/// `/dev/full` takes no byte, as a full disk does.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_said_to_be_one() {
    let output = Output::open(&OutputTarget::File("/dev/full".into())).unwrap();
    assert_eq!(
        output.append(&lines(&["x"])).await,
        Err(Error::Unavailable("/dev/full: No space left on device (os error 28)".to_owned()))
    );
}
