//! Which user of the system a server runs as. Neither server runs as root: as root we hand it to a user of its own, as an
//! ordinary user it runs as ourselves. `setpriv` does it without unsafe code, and asks the kernel to end the server with us.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::embedded::error::{Doing as _, ServerError};
use crate::embedded::programs;

/// A shell that became an orphan before the kernel was asked to tell it so would live for ever: so it looks once more.
const UNLESS_ORPHANED: &str = r#"[ "$PPID" = "$0" ] || exit 1; exec "$@""#;

/// The user that a server runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunAs {
    /// We are no root: the user that we are.
    Ourselves,
    /// We are root: this user. It has an entry in /etc/passwd, without which PostgreSQL refuses to start.
    User { name: String, uid: u32, gid: u32 },
}

impl RunAs {
    /// The user `wanted`, else `nobody`; ourselves when we are no root.
    ///
    /// # Errors
    /// When we are root and neither user exists.
    pub fn find(wanted: &'static str) -> Result<RunAs, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(RunAs::Ourselves);
        }
        let users = fs::read_to_string("/etc/passwd").doing(|| "read /etc/passwd".to_owned())?;
        in_passwd(&users, wanted)
            .or_else(|| in_passwd(&users, "nobody"))
            .ok_or(ServerError::NoUser { wanted })
    }

    /// A command that runs `program` as this user, in a process group of its own (Ctrl-C is for us to handle, not for the
    /// server), with `at_our_death` as the signal that the kernel sends it when the thread that spawned it ends.
    ///
    /// # Errors
    /// When `setpriv` is missing.
    pub fn command(&self, program: &Path, at_our_death: &str) -> Result<Command, ServerError> {
        let mut command = Command::new(programs::setpriv()?);
        if let RunAs::User { uid, gid, .. } = self {
            command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
        }
        command.arg(format!("--pdeathsig={at_our_death}")).arg("--");
        command.args(["/bin/sh", "-c", UNLESS_ORPHANED]).arg(std::process::id().to_string()).arg(program);
        for (name, _value) in std::env::vars_os() {
            // PGPORT, PGDATA, PGOPTIONS and the like are meant for another server.
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").stdin(Stdio::null()).current_dir("/");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(command)
    }

    /// Whether this user may enter `folder`: asked of the kernel, so that access lists and mounts count too.
    pub fn may_enter(&self, folder: &Path) -> Result<bool, ServerError> {
        let test = OsStr::new("/usr/bin/test");
        let mut command = self.command(Path::new(test), "KILL")?;
        let status = command.arg("-x").arg(folder).stderr(Stdio::null()).status();
        Ok(status.doing(|| "ask whether a user may enter a folder".to_owned())?.success())
    }

    /// Makes `folder` (which exists) this user's alone.
    pub fn take(&self, folder: &Path) -> Result<(), ServerError> {
        if let RunAs::User { uid, gid, .. } = self {
            chown(folder, Some(*uid), Some(*gid)).doing(|| format!("hand over {}", folder.display()))?;
        }
        set_mode(folder, 0o700)
    }

    /// Lets this user read `file`, which stays ours, and nobody else.
    pub fn let_read(&self, file: &Path) -> Result<(), ServerError> {
        if let RunAs::User { gid, .. } = self {
            chown(file, None, Some(*gid)).doing(|| format!("hand over {}", file.display()))?;
        }
        set_mode(file, 0o640)
    }

    /// The user's name, for messages.
    pub fn name(&self) -> &str {
        match self {
            RunAs::Ourselves => "(ourselves)",
            RunAs::User { name, .. } => name,
        }
    }
}

/// Sets the permission bits of a file or folder.
pub fn set_mode(path: &Path, mode: u32) -> Result<(), ServerError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .doing(|| format!("set the permissions of {}", path.display()))
}

fn in_passwd(users: &str, wanted: &str) -> Option<RunAs> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| *name == wanted)?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(RunAs::User { name: name.to_owned(), uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgresql:x:7:8::/:/bin/sh\npostgres:x:101:104:,,,:/var:/bin/sh\n";
        let found = RunAs::User { name: "postgres".to_owned(), uid: 101, gid: 104 };
        assert_eq!(in_passwd(users, "postgres"), Some(found));
        assert_eq!(in_passwd(users, "nobody"), None);
    }

    #[test]
    fn a_command_that_is_no_orphan_runs() {
        let run_as = RunAs::find("nobody").unwrap();
        let mut command = run_as.command(Path::new("/bin/echo"), "KILL").unwrap();
        let output = command.arg("a b").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a b\n");
        assert!(run_as.may_enter(Path::new("/")).unwrap());
        assert!(!run_as.may_enter(Path::new("/no such folder")).unwrap());
    }
}
