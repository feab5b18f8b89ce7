use std::collections::HashSet;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::places;
use crate::regular;

/// SHA-256 of a file's content.
pub(crate) type Digest = [u8; 32];

/// More than anything that is loaded has. What is longer is told apart by its beginning, and refused by whoever loads it.
const MOST_BYTES: u64 = 256 << 20;

/// A change this soon after the last one can leave the times of a file as they were, on file systems with coarse clocks.
const COARSE_CLOCK: Duration = Duration::from_secs(2);

/// A file and what is known of it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) path: PathBuf,
    /// The content that was loaded.
    in_force: Digest,
    /// Other content that has been reported since, and could not be used.
    reported: Option<Digest>,
    /// What the last settled look saw. `None` has to be looked at closely.
    settled: Option<Seen>,
    /// The trouble that was reported last and is not over.
    trouble: Option<String>,
    /// What the look before saw, and when, while it may still be changing.
    moving: Option<(Seen, Instant)>,
    /// The last settled look came so soon after a change that the next change may not show in the times.
    too_fresh: bool,
    /// The entries that decide what the path leads to.
    pub(super) places: Vec<PathBuf>,
}

/// What a look at a file sees without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    File(Stamp),
    /// No file, and why.
    Trouble(String),
}

/// Changes with every write, but for those within a tick of the file system's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What came of a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing new.
    Same,
    /// It has changed or is changing: look again.
    Unsettled,
    /// Its content is another, and settled.
    Changed,
    /// It cannot be read.
    Trouble(String),
    /// After trouble, or another content, it holds what is in force again.
    Recovered,
}

impl Watched {
    pub(super) fn new(path: PathBuf, in_force: Digest) -> Self {
        let mut watched = Self {
            path,
            in_force,
            reported: None,
            settled: None,
            trouble: None,
            moving: None,
            too_fresh: false,
            places: Vec::new(),
        };
        watched.find_places();
        watched
    }

    /// Goes the way to the file again, which may have changed.
    pub(super) fn find_places(&mut self) {
        // Fails only where the path is relative and the working folder is gone; what is known stays right.
        if let Ok(places) = places::on_the_way_to(&self.path) {
            self.places = places;
        }
    }

    /// One look. `doubt`: something happened to the file, whatever its times say. `held`: a program is still writing it.
    pub(super) fn look(&mut self, now: Instant, settle: Duration, doubt: bool, held: bool) -> Outcome {
        let seen = Seen::at(&self.path);
        if doubt {
            self.settled = None;
        }
        if self.settled.as_ref() == Some(&seen) {
            self.moving = None;
            return Outcome::Same;
        }
        let since = match &self.moving {
            Some((before, since)) if *before == seen && !doubt => *since,
            _ => now,
        };
        self.moving = Some((seen, since));
        if held || now < since + settle {
            return Outcome::Unsettled;
        }
        self.settle(now)
    }

    /// Whether the next look has to read the file even if nothing seems to have happened.
    pub(super) fn take_doubt(&mut self) -> bool {
        std::mem::take(&mut self.too_fresh)
    }

    fn settle(&mut self, now: Instant) -> Outcome {
        let Some((seen, _)) = self.moving.take() else { return Outcome::Same };
        match &seen {
            Seen::Trouble(reason) => {
                let reason = reason.clone();
                self.settled = Some(seen);
                let told = self.trouble.replace(reason.clone());
                if told.as_ref() == Some(&reason) { Outcome::Same } else { Outcome::Trouble(reason) }
            }
            Seen::File(stamp) => {
                let digest = digest(&self.path);
                let after = Seen::at(&self.path);
                let (Ok(digest), true) = (digest, after == seen) else {
                    self.moving = Some((after, now));
                    return Outcome::Unsettled;
                };
                self.too_fresh = stamp.is_fresh();
                self.settled = Some(seen);
                self.judge(digest)
            }
        }
    }

    fn judge(&mut self, digest: Digest) -> Outcome {
        let had_trouble = self.trouble.take().is_some();
        if self.in_force == digest {
            // What was reported since is news again, should it come back.
            let was_reported = self.reported.take().is_some();
            return if had_trouble || was_reported { Outcome::Recovered } else { Outcome::Same };
        }
        // After trouble it is news too: what was made of it then may not be true any more.
        if self.reported == Some(digest) && !had_trouble {
            return Outcome::Same;
        }
        self.reported = Some(digest);
        Outcome::Changed
    }

    /// Whether one of these entries decides what the path leads to.
    pub(super) fn passes(&self, touched: &HashSet<PathBuf>) -> bool {
        self.places.iter().any(|place| touched.contains(place))
    }
}

impl Seen {
    fn at(path: &Path) -> Self {
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => Self::File(Stamp::new(&metadata)),
            Ok(_) => Self::Trouble("it is not a regular file any more".to_owned()),
            Err(error) => Self::Trouble(error.to_string()),
        }
    }
}

impl Stamp {
    fn new(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_fresh(&self) -> bool {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanos) = self.changed.max(self.modified);
        let changed = Duration::new(seconds.max(0) as u64, nanos.clamp(0, 999_999_999) as u32);
        since_epoch < changed + COARSE_CLOCK
    }
}

/// The digest of a regular file's content.
fn digest(path: &Path) -> io::Result<Digest> {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut file = regular::open(path)?.take(MOST_BYTES);
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => context.update(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(digest)
}
