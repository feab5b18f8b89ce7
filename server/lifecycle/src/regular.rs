//! Files that are read whole: components, what options name, certificates.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file, or a link to one. Opening a pipe would wait until somebody writes into it, and reading a device may
/// never end; whoever waits there holds up every change of a plugin after it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    let reason = format!("it is {}, and has to be a regular file", name(kind));
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe (FIFO)"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "something else"
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::open;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link, pipe) =
            (folder.path().join("file"), folder.path().join("link"), folder.path().join("pipe"));
        std::fs::write(&file, "content").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for path in [&file, &link] {
            let mut content = String::new();
            open(path).unwrap().read_to_string(&mut content).unwrap();
            assert_eq!(content, "content");
        }
        for (path, reason) in [
            (pipe.as_path(), "it is a pipe (FIFO), and has to be a regular file"),
            (folder.path(), "it is a directory, and has to be a regular file"),
            ("/dev/zero".as_ref(), "it is a device, and has to be a regular file"),
        ] {
            assert_eq!(open(path).unwrap_err().to_string(), reason);
        }
        assert_eq!(open(&folder.path().join("none")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
