//! The few things that a run does to files, so that tests can let any of them fail.

use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// Where files are written.
///
/// [`Disk`] is the one that runs; the tests of `bulk::files` have another that fails at will and forgets what was
/// not synced.
pub(super) trait Storage: Clone {
    /// A file that is written at its end, by one process at a time.
    type File: Write;

    /// Plain bytes after which a part of a compressed file ends, at the next end of a row.
    const PART_BYTES: usize;

    /// Whether anything has this name, a dangling link included.
    fn exists(&self, path: &Path) -> bool;

    /// Creates an empty file. With `replace`, one that is there is emptied; without, it is an error.
    fn create(&self, path: &Path, replace: bool) -> io::Result<Self::File>;

    /// Opens a file to go on after its first `length` bytes; the others are cut off. A shorter file is an error.
    fn reopen(&self, path: &Path, length: u64) -> io::Result<Self::File>;

    /// All bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Returns when what was written survives a loss of power.
    fn sync(&self, file: &mut Self::File) -> io::Result<()>;

    /// Gives a file another name, in place of whatever has that name, so that it survives a loss of power.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; that it is not there is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system.
#[derive(Clone)]
pub(super) struct Disk;

impl Storage for Disk {
    type File = File;

    const PART_BYTES: usize = 1 << 20;

    fn exists(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    fn create(&self, path: &Path, replace: bool) -> io::Result<File> {
        let mut options = File::options();
        let options = options.write(true).create(replace).create_new(!replace);
        let file = options.open(path)?;
        lock(&file)?;
        // Not before: another run might be writing it.
        file.set_len(0)?;
        sync_folder(path)?;
        Ok(file)
    }

    fn reopen(&self, path: &Path, length: u64) -> io::Result<File> {
        let mut file = File::options().write(true).open(path)?;
        lock(&file)?;
        let found = file.metadata()?.len();
        if found < length {
            let message = format!("it has {found} bytes, {length} were written");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(file)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn sync(&self, file: &mut File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        sync_folder(to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Keeps other runs away from a file until it is closed.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another run is writing it"))
        }
        // Some network file systems have no locks; nobody can be kept out there.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes the names in the folder of `path` survive a loss of power.
fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and names are kept without being asked to.
    if cfg!(unix) {
        File::open(folder_of(path))?.sync_all()?;
    }
    Ok(())
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_one_run_writes_is_kept_from_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let mut file = Disk.create(&path, false).expect("new");
        file.write_all(b"some bytes").expect("written");
        for refused in [Disk.create(&path, true), Disk.reopen(&path, 4)] {
            assert_eq!(refused.expect_err("locked").to_string(), "another run is writing it");
        }
        drop(file);
        assert_eq!(fs::read(&path).expect("there"), b"some bytes");
        Disk.reopen(&path, 4).expect("free");
        assert_eq!(fs::read(&path).expect("there"), b"some");
        assert!(Disk.reopen(&path, 5).is_err(), "shorter than it was");
    }
}
