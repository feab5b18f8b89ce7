//! The file, or standard output, behind the host interface `output`.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::OutputTarget;

/// The most bytes written at once.
const MOST_BYTES: usize = 1 << 20;

/// How long a write may take, the wait for those before it included. Standard output may be a pipe that nobody reads.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why lines were not written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Error {
    TooLarge,
    Unavailable(String),
}

/// Lines are appended to it, never anything else done.
pub(crate) struct Output {
    target: OutputTarget,
    sink: Arc<Mutex<Sink>>,
}

struct Sink {
    /// `None` is standard output.
    file: Option<File>,
    /// A write was cut off within a line, which therefore has to be ended first.
    torn: bool,
}

impl Output {
    /// Opens the target. A file that is not there is made, for its owner alone.
    pub(crate) fn open(target: &OutputTarget) -> io::Result<Self> {
        let sink = Sink { file: open(target)?, torn: false };
        Ok(Self { target: target.clone(), sink: Arc::new(Mutex::new(sink)) })
    }

    pub(crate) fn target(&self) -> &OutputTarget {
        &self.target
    }

    /// Opens the file by its name again, as a rotation of logs needs it. Where that fails the old one stays in use.
    pub(crate) async fn reopen(&self) -> io::Result<()> {
        let mut sink = tokio::time::timeout(PATIENCE, self.sink.lock()).await?;
        let file = open(&self.target)?;
        *sink = Sink { file, torn: false };
        Ok(())
    }

    /// Appends lines in one piece, so that those of others do not come in between.
    pub(crate) async fn append(&self, lines: &[String]) -> Result<(), Error> {
        let text = joined(lines)?;
        if text.is_empty() {
            return Ok(());
        }
        let sink = self.sink.clone();
        let written = async {
            let sink = sink.lock_owned().await;
            // The file belongs to this write until it is done, even if nobody waits for it any more.
            tokio::task::spawn_blocking(move || write(sink, &text)).await
        };
        let failed = |reason: String| Error::Unavailable(format!("{}: {reason}", self.target));
        match tokio::time::timeout(PATIENCE, written).await {
            Ok(Ok(done)) => done.map_err(|error| failed(error.to_string())),
            Ok(Err(_)) => Err(failed("the server is stopping".to_owned())),
            Err(_) => Err(failed(format!("nothing could be written for {} s", PATIENCE.as_secs()))),
        }
    }
}

/// Each line with a line feed. What could be taken for the end of a line, or changes how a terminal shows it, is written
/// as JSON escapes it: in a line of JSON that alters nothing, and nobody forges a line.
fn joined(lines: &[String]) -> Result<String, Error> {
    let length = lines.iter().map(|line| line.len() + 1).sum::<usize>();
    if length > MOST_BYTES {
        return Err(Error::TooLarge);
    }
    let mut text = String::with_capacity(length);
    for line in lines {
        let mut rest = line.as_str();
        while let Some(place) = rest.find(forges) {
            let (before, from) = rest.split_at(place);
            text.push_str(before);
            let letter = from.chars().next().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = write!(text, "\\u{:04x}", u32::from(letter));
            rest = &from[letter.len_utf8()..];
        }
        text.push_str(rest);
        text.push('\n');
    }
    if text.len() > MOST_BYTES { Err(Error::TooLarge) } else { Ok(text) }
}

/// Whether a letter could end a line, or start an order to a terminal.
fn forges(letter: char) -> bool {
    (letter.is_control() && letter != '\t') || matches!(letter, '\u{2028}' | '\u{2029}')
}

fn write(mut sink: OwnedMutexGuard<Sink>, text: &str) -> io::Result<()> {
    let started = sink.torn;
    sink.torn = true;
    let mut stdout = io::stdout();
    let file: &mut dyn Write = match &mut sink.file {
        Some(file) => file,
        None => &mut stdout,
    };
    if started {
        file.write_all(b"\n")?;
    }
    file.write_all(text.as_bytes())?;
    file.flush()?;
    sink.torn = false;
    Ok(())
}

fn open(target: &OutputTarget) -> io::Result<Option<File>> {
    match target {
        OutputTarget::Stdout => Ok(None),
        OutputTarget::File(path) => open_file(path).map(Some),
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    // Opening a pipe waits until somebody reads it.
    if let Ok(there) = path.metadata()
        && !there.is_file()
        && !there.file_type().is_char_device()
    {
        let reason = "it is not a regular file; `-` is standard output";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests;
