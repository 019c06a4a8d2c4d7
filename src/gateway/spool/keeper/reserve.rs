//! A little disk space held back, `spool.reserve` beside the spool: real bytes, given up when the disk is full, because
//! deleting from the spool's file needs a few new pages first. Without it a full disk could never be emptied by receipts.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Disk space held back.
const BYTES: usize = 1024 * 1024;
/// Left free beside it.
const SPARE: usize = 64 * 1024;

/// The reserve of one spool.
#[derive(Debug)]
pub struct Reserve {
    file: PathBuf,
    held: bool,
    given_up: bool,
}

impl Reserve {
    /// Nothing is held until [`Reserve::hold`].
    pub fn new(folder: &Path) -> Reserve {
        Reserve { file: folder.join("spool.reserve"), held: false, given_up: false }
    }

    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Holds it, if there is room for it.
    pub fn hold(&mut self) -> bool {
        if !self.held {
            let whole = fs::metadata(&self.file).is_ok_and(|file| usize::try_from(file.len()) == Ok(BYTES));
            self.held = whole || (self.has_room() && self.write().is_ok());
            if self.held {
                self.given_up = false;
            } else {
                self.remove();
            }
        }
        self.held
    }

    /// Gives the space back to a full disk.
    pub fn give_up(&mut self) {
        self.held = false;
        self.given_up = true;
        self.remove();
    }

    /// The disk was full and has no room for it yet.
    pub fn is_given_up(&self) -> bool {
        self.given_up
    }

    fn remove(&self) {
        match fs::remove_file(&self.file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "the spool's reserve cannot be given up"),
        }
    }

    /// Asked first, so that a full disk is not written to again and again.
    fn has_room(&self) -> bool {
        let folder = self.file.parent().and_then(|folder| rustix::fs::statvfs(folder).ok());
        let free = folder.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        usize::try_from(free).is_ok_and(|free| free > BYTES + SPARE)
    }

    fn write(&self) -> std::io::Result<()> {
        let partial = self.file.with_extension("part");
        let written = File::create(&partial).and_then(|mut out| {
            // Not zeros: some file systems keep no space for these.
            out.write_all(&vec![0xA5; BYTES])?;
            out.sync_all()
        });
        let written = written.and_then(|()| fs::rename(&partial, &self.file));
        if written.is_err() {
            // The reason is told; a file that is not there needs no removal.
            let _not_there = fs::remove_file(&partial);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_once_and_given_up_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("spool.reserve");
        let mut reserve = Reserve::new(folder.path());
        assert!(!reserve.is_held() && reserve.hold() && reserve.is_held());
        assert_eq!(usize::try_from(fs::metadata(&file).unwrap().len()).unwrap(), BYTES);
        assert!(Reserve::new(folder.path()).hold(), "that of the run before counts");
        reserve.give_up();
        assert!(
            !reserve.is_held()
                && reserve.is_given_up()
                && fs::read_dir(folder.path()).unwrap().next().is_none()
        );
        fs::write(&file, b"torn").unwrap();
        assert!(Reserve::new(folder.path()).hold());
        assert_eq!(usize::try_from(fs::metadata(&file).unwrap().len()).unwrap(), BYTES);
        assert!(reserve.hold() && !reserve.is_given_up());
        let mut nowhere = Reserve::new(&folder.path().join("absent"));
        assert!(!nowhere.hold() && !nowhere.is_given_up());
    }
}
