//! Where a server's files are, and who holds them. Layout below the folder that the caller names:
//!
//! ```text
//! postgres/   lock  log  data/ (the server's own)  socket/ (the server's own)
//! mosquitto/  lock  log  configuration  passwords  access
//! ```
//! The outer folders stay ours, so that a server's user cannot lead us to write elsewhere; `data` and `socket` are open to the
//! server's user alone. `lock` keeps two programs from one folder; the kernel frees it when its holder ends.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::embedded::error::{Doing as _, ServerError};
use crate::embedded::run_as::{RunAs, set_mode};

/// Where root keeps a server's files when the server's user cannot enter the folder that was asked for.
const ELSEWHERE: &str = "/var/lib/cems";
/// The servers' folders below the one that the caller names.
const PARTS: [&str; 2] = ["postgres", "mosquitto"];
/// A log longer than this is set aside when its server starts.
const LOG_LIMIT_BYTES: u64 = 10 * 1024 * 1024;
const WORDS_BYTES: u64 = 4096;

/// One server's folder, held until this is dropped.
#[derive(Debug)]
pub struct Place {
    pub folder: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes `part` of `folder`, which is made when it is missing. When the server's user cannot enter it (below root's home),
    /// a folder below /var/lib/cems that belongs to it alone takes its place, and the log says so.
    ///
    /// # Errors
    /// When another program holds it, or no place can be made.
    pub fn take(folder: &Path, part: &str, run_as: &RunAs) -> Result<Place, ServerError> {
        let folder = reachable(folder, run_as)?.join(part);
        fs::create_dir_all(&folder).doing(|| format!("make {}", folder.display()))?;
        set_mode(&folder, 0o711)?;
        let lock = lock(&folder)?;
        Ok(Place { folder, _lock: lock })
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Opens the log for one run of the server; where that run's words begin.
    pub fn open_log(&self) -> Result<(File, u64), ServerError> {
        let path = self.log();
        let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if length > LOG_LIMIT_BYTES {
            fs::rename(&path, self.folder.join("log.old"))
                .doing(|| format!("set {} aside", path.display()))?;
        }
        let log = File::options().create(true).append(true).open(&path);
        let log = log.doing(|| format!("open {}", path.display()))?;
        set_mode(&path, 0o600)?;
        let start = log.metadata().map_or(0, |metadata| metadata.len());
        Ok((log, start))
    }

    /// The first words of the run that began at `start` of the log.
    pub fn first_words(&self, start: u64) -> String {
        self.read_log(|_length| start)
    }

    /// The last words of the run that began at `start` of the log.
    pub fn words(&self, start: u64) -> String {
        self.read_log(|length| start.max(length.saturating_sub(WORDS_BYTES)))
    }

    /// 4 KiB of the log; nothing when it cannot be read.
    fn read_log(&self, from: impl Fn(u64) -> u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(from(length)))?;
            let mut bytes = Vec::new();
            file.take(WORDS_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        };
        read().unwrap_or_default()
    }
}

/// Removes what the servers keep in `folder` (and in the place that stands in for it). The folder itself stays.
///
/// # Errors
/// When a server runs there, or the operating system refuses.
pub fn erase(folder: &Path) -> Result<(), ServerError> {
    for place in [Some(folder.to_owned()), elsewhere(folder)].into_iter().flatten() {
        for part in PARTS {
            let part = place.join(part);
            if part.is_dir() {
                let _held = lock(&part)?;
                fs::remove_dir_all(&part).doing(|| format!("remove {}", part.display()))?;
            }
        }
    }
    Ok(())
}

/// Makes a folder with a name that nobody can foresee, in a short path below the folder for temporary files.
pub fn short_folder() -> Result<PathBuf, ServerError> {
    let parents = [std::env::temp_dir(), PathBuf::from("/tmp")];
    let parent = parents.iter().find(|parent| parent.as_os_str().len() < 60 && is_plain(parent));
    let parent = parent.cloned().unwrap_or_else(|| PathBuf::from("/tmp"));
    let folder = parent.join(format!("cems-{}", secret()?));
    // Fails when it exists: then it is not ours.
    let made = DirBuilder::new().mode(0o700).create(&folder);
    made.doing(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// Whether a path needs no quoting in a list of folders or in a connection string.
pub fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte))
}

/// 96 random bits of the operating system, as 24 letters.
pub fn secret() -> Result<String, ServerError> {
    let mut bytes = [0; 12];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .doing(|| "read /dev/urandom".to_owned())?;
    Ok(hex::encode(bytes))
}

fn lock(folder: &Path) -> Result<File, ServerError> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.doing(|| format!("open {}", path.display()))?;
    // Whoever may open it may lock it.
    set_mode(&path, 0o600)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServerError::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => {
            Err(ServerError::System { doing: format!("lock {}", path.display()), source })
        }
    }
}

/// `folder`, absolute, or the one that stands in for it.
fn reachable(folder: &Path, run_as: &RunAs) -> Result<PathBuf, ServerError> {
    fs::create_dir_all(folder).doing(|| format!("make {}", folder.display()))?;
    let folder = fs::canonicalize(folder).doing(|| format!("find {}", folder.display()))?;
    if *run_as == RunAs::Ourselves || run_as.may_enter(&folder)? {
        return Ok(folder);
    }
    if is_ours(&folder) {
        // Others may pass through, not look: what is inside keeps its own permissions.
        set_mode(&folder, 0o711)?;
        if run_as.may_enter(&folder)? {
            return Ok(folder);
        }
    }
    let unreachable = || ServerError::Unreachable { user: run_as.name().to_owned(), folder: folder.clone() };
    let place = elsewhere(&folder).ok_or_else(unreachable)?;
    fs::create_dir_all(&place).doing(|| format!("make {}", place.display()))?;
    set_mode(&place, 0o711)?;
    if !run_as.may_enter(&place)? {
        return Err(unreachable());
    }
    tracing::warn!(
        "user {} cannot enter {}; its server keeps its files in {}",
        run_as.name(),
        folder.display(),
        place.display()
    );
    Ok(place)
}

/// Whether nothing but our servers' files is in `folder`, so that its permissions are ours to set.
fn is_ours(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let mut names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    names.all(|name| name.is_ok_and(|name| PARTS.iter().any(|part| name == *part)))
}

/// The place that stands in for `folder`, the same in every run; `None` when the folder does not exist.
fn elsewhere(folder: &Path) -> Option<PathBuf> {
    let folder = match fs::canonicalize(folder) {
        Ok(folder) => folder,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(_unreadable) => return None,
    };
    let hash = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let name: String = hex::encode(hash).chars().take(16).collect();
    Some(Path::new(ELSEWHERE).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let run_as = RunAs::find("nobody").unwrap();
        let held = Place::take(folder.path(), "postgres", &run_as).unwrap();
        let refused = Place::take(folder.path(), "postgres", &run_as).unwrap_err();
        assert!(matches!(refused, ServerError::InUse { .. }), "{refused}");
        assert!(matches!(erase(folder.path()), Err(ServerError::InUse { .. })));
        assert!(held.folder.is_dir());
        drop(held);
        erase(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_a_folder_of_ours_has_its_permissions_changed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_ours(folder.path()));
        fs::create_dir(folder.path().join("postgres")).unwrap();
        assert!(is_ours(folder.path()));
        fs::write(folder.path().join("letter"), "").unwrap();
        assert!(!is_ours(folder.path()));
    }

    #[test]
    fn paths_that_would_need_quoting_are_seen() {
        assert!(is_plain(Path::new("/tmp/a-b_c.d")));
        assert!(!is_plain(Path::new("/tmp/a,b")));
        assert!(!is_plain(Path::new("/tmp/a b")));
        assert!(!is_plain(Path::new("/tmp/a'b")));
    }

    #[test]
    fn a_log_is_read_from_where_the_run_began() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::take(folder.path(), "mosquitto", &RunAs::find("nobody").unwrap()).unwrap();
        fs::write(place.log(), "before\n").unwrap();
        let (_log, start) = place.open_log().unwrap();
        fs::write(place.log(), "before\nafter\n").unwrap();
        assert_eq!(place.words(start), "after");
        fs::write(place.log(), "x".repeat(100_000)).unwrap();
        assert_eq!(place.words(0).len(), 4096);
    }
}
