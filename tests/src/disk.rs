//! What a server has certainly written. SIGKILL alone loses nothing, because the page cache outlives the process; so a small
//! library, preloaded into Redis, notes how much of each file was synced, and the rest can be cut off. Another one has a disk be full.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The library's source; the tests need a C compiler anyway, for SQLite.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/disk/synced.c");

/// The same of a disk without room.
const FULL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/disk/full.c");

/// A disk that is slow to sync, so that there is something to lose.
#[derive(Debug)]
pub struct Disk {
    library: PathBuf,
    journal: PathBuf,
    sync: Duration,
}

impl Disk {
    /// Each sync takes so much longer than the real one. Library and journal lie in `folder`.
    pub fn slow(folder: &Path, sync: Duration) -> Self {
        Self { library: compiled(SOURCE, folder, "synced.so"), journal: folder.join("synced"), sync }
    }

    /// What a program needs to be on this disk.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("SYNCED_JOURNAL", self.journal.display().to_string()),
            ("SYNC_MICROSECONDS", self.sync.as_micros().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Cuts each file of the folder back to the length it had when its last sync began that came to its end. A log that was
    /// never synced is emptied: it was made so. The server must be dead.
    pub fn lose_unsynced(&self, folder: &Path) -> u64 {
        let journal = fs::read_to_string(&self.journal).expect("the journal of syncs");
        let mut synced: HashMap<u64, u64> = HashMap::new();
        for line in journal.lines() {
            let (inode, length) = line.split_once(' ').expect("an inode and a length");
            synced.insert(inode.parse().expect("an inode"), length.parse().expect("a length"));
        }
        let mut lost = 0;
        for entry in fs::read_dir(folder).expect("read the folder") {
            let path = entry.expect("read the folder").path();
            let file = OpenOptions::new().write(true).open(&path).expect("open a file of the dead server");
            let written = file.metadata().expect("its length");
            let made_empty = path.to_string_lossy().ends_with(".incr.aof").then_some(0);
            if let Some(length) = synced.get(&written.ino()).copied().or(made_empty).filter(|it| *it < written.len()) {
                lost += written.len() - length;
                file.set_len(length).expect("cut the file");
            }
        }
        lost
    }
}

/// A disk that can be full for what is told of [`Self::environment`].
#[derive(Debug)]
pub struct FullDisk {
    library: PathBuf,
    sign: PathBuf,
}

impl FullDisk {
    /// One that has room. Library and sign lie in `folder`.
    pub fn with_room(folder: &Path) -> Self {
        Self { library: compiled(FULL, folder, "full.so"), sign: folder.join("full") }
    }

    /// What a program needs to be on this disk.
    pub fn environment(&self) -> Vec<(String, String)> {
        [("LD_PRELOAD", &self.library), ("FULL_DISK_SIGN", &self.sign)]
            .map(|(name, path)| (name.to_owned(), path.display().to_string()))
            .to_vec()
    }

    /// From now on nothing more goes into files whose paths begin so.
    pub fn fill(&self, prefix: &Path) {
        let new = self.sign.with_extension("new");
        fs::write(&new, prefix.as_os_str().as_encoded_bytes()).expect("write the sign");
        fs::rename(&new, &self.sign).expect("put up the sign");
    }

    /// There is room again.
    pub fn make_room(&self) {
        fs::remove_file(&self.sign).expect("take down the sign");
    }
}

fn compiled(source: &str, folder: &Path, name: &str) -> PathBuf {
    let library = folder.join(name);
    let compiled = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(compiled.expect("a C compiler, `cc`, is installed").success(), "{source} does not compile");
    library
}
