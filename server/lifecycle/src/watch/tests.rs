//! With real files. A report is waited for; that there is none is seen by the report of a later change to another file.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{Notices, Pace, Report, Watcher};

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_mins(1);
const NEVER: Duration = Duration::from_secs(100_000);

/// Only the system's events make anything happen.
const BY_EVENTS: Pace =
    Pace { settle: Duration::from_millis(20), settle_unseen: NEVER, sweep: NEVER, writer: NEVER };
/// There are no events.
const BY_SWEEPS: Pace = Pace {
    settle: NEVER,
    settle_unseen: Duration::from_millis(10),
    sweep: Duration::from_millis(20),
    writer: NEVER,
};

/// A folder with a file that is followed in group 0 and another, the sentinel, in group 1.
struct Scene {
    folder: tempfile::TempDir,
    reports: Receiver<(usize, Report)>,
    _watcher: Watcher,
    rounds: std::cell::Cell<u32>,
}

fn digest(path: &Path) -> super::Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &fs::read(path).unwrap());
    digest.as_ref().try_into().unwrap()
}

impl Scene {
    fn by_events(prepare: impl FnOnce(&Path)) -> Self {
        Self::new(BY_EVENTS, Notices::new, prepare)
    }

    fn new(
        pace: Pace,
        notices: impl FnOnce(&std::sync::Arc<super::Signals>) -> Notices,
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        fs::write(folder.path().join("sentinel"), "0").unwrap();
        let (sender, reports) = channel();
        let report = move |group, report| sender.send((group, report)).unwrap_or_default();
        let watcher = Watcher::start_with(pace, notices, report).unwrap();
        for (group, name) in ["file", "sentinel"].into_iter().enumerate() {
            let path = folder.path().join(name);
            let digest = digest(&path);
            watcher.follow(group, vec![(path, digest)]);
        }
        let scene = Self { folder, reports, _watcher: watcher, rounds: std::cell::Cell::new(0) };
        // From here on everything is being watched.
        scene.expect_nothing();
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn next(&self) -> (usize, Report) {
        self.reports.recv_timeout(PATIENCE).expect("nothing was reported")
    }

    fn expect_change(&self) {
        assert_eq!(self.next(), (0, Report::Changed(vec![self.at("file")])));
    }

    fn expect_trouble(&self) -> String {
        match self.next() {
            (0, Report::Trouble(path, reason)) if path == self.at("file") => reason,
            other => panic!("expected trouble: {other:?}"),
        }
    }

    /// Nothing that happened so far is news.
    fn expect_nothing(&self) {
        // Two rounds: in the first, the file may still have been settling.
        for _ in 0..2 {
            let round = self.rounds.get() + 1;
            self.rounds.set(round);
            fs::write(self.at("sentinel"), round.to_string()).unwrap();
            assert_eq!(self.next(), (1, Report::Changed(vec![self.at("sentinel")])));
        }
    }

    /// Puts a file in its place by renaming.
    fn replace(&self, name: &str, content: &str) {
        let fresh = self.at("fresh");
        fs::write(&fresh, content).unwrap();
        fs::rename(fresh, self.at(name)).unwrap();
    }
}

fn plain(folder: &Path) {
    fs::write(folder.join("file"), "one").unwrap();
}

#[test]
fn a_file_renamed_into_place_and_one_rewritten_are_changes() {
    let scene = Scene::by_events(plain);
    scene.replace("file", "two");
    scene.expect_change();
    fs::write(scene.at("file"), "three").unwrap();
    scene.expect_change();
}

#[test]
fn the_same_content_is_no_change() {
    let scene = Scene::by_events(plain);
    scene.replace("file", "one");
    fs::write(scene.at("file"), "one").unwrap();
    scene.expect_nothing();
    // Reported once is enough, however often it is written.
    scene.replace("file", "two");
    scene.expect_change();
    scene.replace("file", "two");
    scene.expect_nothing();
    // But after what was in force had come back it is news, as that is.
    scene.replace("file", "one");
    assert_eq!(scene.next(), (0, Report::Recovered(scene.at("file"))));
    scene.replace("file", "two");
    scene.expect_change();
}

#[test]
fn a_change_before_it_is_followed_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "one").unwrap();
    let loaded = digest(&path);
    fs::write(&path, "two").unwrap();
    let (sender, reports) = channel();
    let watcher =
        Watcher::start(BY_EVENTS, move |group, report| sender.send((group, report)).unwrap_or_default());
    watcher.as_ref().unwrap().follow(7, vec![(path.clone(), loaded)]);
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap(), (7, Report::Changed(vec![path])));
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_still_being_written_is_waited_for() {
    let scene = Scene::by_events(plain);
    let mut file = File::create(scene.at("file")).unwrap();
    file.write_all(b"half of ").unwrap();
    file.flush().unwrap();
    scene.expect_nothing();
    file.write_all(b"it").unwrap();
    scene.expect_nothing();
    drop(file);
    scene.expect_change();
}

#[test]
#[cfg(target_os = "linux")]
fn a_writer_that_never_ends_is_not_waited_for_for_ever() {
    let pace = Pace { writer: Duration::from_millis(50), ..BY_EVENTS };
    let scene = Scene::new(pace, Notices::new, plain);
    let mut file = File::create(scene.at("file")).unwrap();
    file.write_all(b"all of it").unwrap();
    scene.expect_change();
    drop(file);
    scene.expect_nothing();
}

#[test]
fn the_links_that_kubernetes_swaps_are_followed() {
    let scene = Scene::by_events(|folder| {
        for (name, content) in [("..one", "one"), ("..two", "two")] {
            fs::create_dir(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("file"), content).unwrap();
        }
        symlink("..one", folder.join("..data")).unwrap();
        symlink("..data/file", folder.join("file")).unwrap();
    });
    symlink("..two", scene.at("..fresh")).unwrap();
    fs::rename(scene.at("..fresh"), scene.at("..data")).unwrap();
    scene.expect_change();
    // What the link now leads to is watched, too.
    fs::write(scene.at("..two/file"), "three").unwrap();
    scene.expect_change();
    // And what it led to is not.
    fs::write(scene.at("..one/file"), "four").unwrap();
    scene.expect_nothing();
}

#[test]
fn a_deleted_file_is_trouble_until_it_is_back() {
    let scene = Scene::by_events(plain);
    fs::remove_file(scene.at("file")).unwrap();
    let reason = scene.expect_trouble();
    assert!(reason.contains("No such file"), "{reason}");
    scene.expect_nothing();
    scene.replace("file", "one");
    assert_eq!(scene.next(), (0, Report::Recovered(scene.at("file"))));
    fs::remove_file(scene.at("file")).unwrap();
    scene.expect_trouble();
    scene.replace("file", "two");
    scene.expect_change();
}

#[test]
fn a_loop_of_links_and_a_folder_are_trouble() {
    let scene = Scene::by_events(plain);
    symlink("file", scene.at("loop")).unwrap();
    fs::rename(scene.at("loop"), scene.at("file")).unwrap();
    let reason = scene.expect_trouble();
    assert!(reason.contains("symbolic links"), "{reason}");
    fs::remove_file(scene.at("file")).unwrap();
    fs::create_dir(scene.at("file")).unwrap();
    // On the way there it may have been seen missing.
    while !scene.expect_trouble().contains("not a regular file") {}
    fs::remove_dir(scene.at("file")).unwrap();
    scene.replace("file", "two");
    loop {
        match scene.next() {
            (0, Report::Trouble(..)) => {}
            other => break assert_eq!(other, (0, Report::Changed(vec![scene.at("file")]))),
        }
    }
}

#[test]
fn files_of_one_group_that_change_together_are_one_report() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for version in ["one", "two"] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("a"), version).unwrap();
        fs::write(root.join(version).join("b"), version).unwrap();
    }
    symlink("one", root.join("current")).unwrap();
    let (sender, reports) = channel();
    let watcher =
        Watcher::start(BY_EVENTS, move |group, report| sender.send((group, report)).unwrap_or_default())
            .unwrap();
    let files = ["a", "b"].map(|name| root.join("current").join(name));
    watcher.follow(0, files.iter().map(|path| (path.clone(), digest(path))).collect());
    symlink("two", root.join("fresh")).unwrap();
    fs::rename(root.join("fresh"), root.join("current")).unwrap();
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap(), (0, Report::Changed(files.to_vec())));
}

#[test]
fn without_events_the_sweep_finds_changes() {
    let scene = Scene::new(BY_SWEEPS, |_| Notices::none(), plain);
    scene.replace("file", "two");
    scene.expect_change();
    fs::write(scene.at("file"), "three").unwrap();
    scene.expect_change();
    // As long as before and within one tick of a coarse clock: the times alone would not show it.
    fs::write(scene.at("file"), "eerht").unwrap();
    scene.expect_change();
}

#[test]
fn a_folder_replaced_by_another_is_followed_by_the_sweep() {
    let pace = Pace { sweep: Duration::from_millis(20), ..BY_EVENTS };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for version in ["current", "next"] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("file"), version).unwrap();
    }
    let (sender, reports) = channel();
    let watcher =
        Watcher::start(pace, move |group, report| sender.send((group, report)).unwrap_or_default()).unwrap();
    let path = root.join("current/file");
    watcher.follow(0, vec![(path.clone(), digest(&path))]);
    fs::rename(root.join("current"), root.join("former")).unwrap();
    fs::rename(root.join("next"), root.join("current")).unwrap();
    let changed = || loop {
        match reports.recv_timeout(PATIENCE).unwrap() {
            (0, Report::Trouble(..)) => {}
            other => break assert_eq!(other, (0, Report::Changed(vec![path.clone()]))),
        }
    };
    changed();
    fs::write(&path, "later").unwrap();
    changed();
}
