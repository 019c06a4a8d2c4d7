//! A small disk of one's own: an ext4 image on a loop device, whose power can be cut. It needs root and loop devices.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::servers::{Folder, folder};
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(20);
const CUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outage/power_cut.py");

pub struct Disk {
    folder: Folder,
}

impl Disk {
    /// `None`, with a note, where there is no root or no loop device.
    pub fn new(megabytes: u64) -> Option<Disk> {
        let disk = Disk { folder: folder() };
        let image = std::fs::File::create(disk.image()).unwrap();
        image.set_len(megabytes * 1024 * 1024).unwrap();
        std::fs::create_dir(disk.path()).unwrap();
        let made = run("mkfs.ext4", &["-q", "-F", "-m", "0"], &[&disk.image()]).and_then(|_| disk.mount());
        if let Err(reason) = made {
            println!("not run, as this test needs root, ext4 and a loop device: {reason}");
            return None;
        }
        Some(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn mount(&self) -> Result<String, String> {
        run("mount", &["-o", "loop"], &[&self.image(), &self.path()])
    }

    /// From now on every access fails, and what is not durable is gone. Gives the moment, in Unix microseconds: an answer of
    /// the kernel after it is none that a machine without power could have given.
    pub fn cut_power(&self) -> i64 {
        let said = run("python3", &[CUT], &[&self.path()]).unwrap();
        said.trim().parse().unwrap()
    }

    /// The power is back. Waits until nobody has a file of it open.
    pub async fn power_back(&self) {
        wait_until(LIMIT, "the disk to be let go", || async { run("umount", &[], &[&self.path()]) }).await;
        self.mount().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Not mounted, or still in use: then it goes with its last user.
        let _gone = run("umount", &["-l"], &[&self.path()]);
    }
}

/// Gives what the program says.
fn run(program: &str, arguments: &[&str], paths: &[&Path]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).args(paths).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{program}: {said}"))
    }
}
