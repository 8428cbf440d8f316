//! The file system.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{folder_of, ReadSeek, Storage, StoredFile};

/// The file system.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

/// How often a file is opened again that its owner removed or renamed before it could be locked.
const MAX_ATTEMPTS: usize = 100;

impl Storage for Disk {
    fn exists(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        for _ in 0..MAX_ATTEMPTS {
            match create_new(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created,
            }
            if !fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
                match File::options().read(true).write(true).open(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    opened => {
                        let opened = DiskFile(opened?);
                        opened.lock()?;
                        if opened.is_named(path) {
                            return Ok(Box::new(opened));
                        }
                    }
                }
            } else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
            }
        }
        Err(busy())
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        create_new(path)
    }

    fn reopen(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(DiskFile(File::options().read(true).write(true).open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(File::open(path)?))
    }

    fn list(&self, folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
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

/// An open file, locked unless it was opened a second time.
#[derive(Debug)]
struct DiskFile(File);

impl DiskFile {
    /// Keeps other runs away from the file until it is closed.
    fn lock(&self) -> io::Result<()> {
        match self.0.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(busy()),
            // Some network file systems have no locks; nobody can be kept out there.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl StoredFile for DiskFile {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let found = self.0.metadata()?.len();
        if found < length {
            let message = format!("it has {found} bytes, {length} were written");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.0.set_len(length)?;
        self.0.seek(SeekFrom::Start(length)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn is_named(&self, path: &Path) -> bool {
        let (Ok(this), Ok(named)) = (self.0.metadata(), fs::symlink_metadata(path)) else { return false };
        is_same(&this, &named)
    }
}

impl Read for DiskFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for DiskFile {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.0.seek(place)
    }
}

fn create_new(path: &Path) -> io::Result<Box<dyn StoredFile>> {
    let created = DiskFile(File::options().read(true).write(true).create_new(true).open(path)?);
    created.lock()?;
    sync_folder(path)?;
    Ok(Box::new(created))
}

fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "another run is writing it")
}

/// Whether two descriptions are of one file.
#[cfg(unix)]
pub(super) fn is_same(first: &fs::Metadata, second: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    (first.dev(), first.ino()) == (second.dev(), second.ino())
}

/// Whether two descriptions are of one file, as far as the system says: elsewhere an open file cannot be replaced.
#[cfg(not(unix))]
pub(super) fn is_same(first: &fs::Metadata, second: &fs::Metadata) -> bool {
    first.created().ok() == second.created().ok()
}

/// Makes the names in the folder of `path` survive a loss of power.
fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and names are kept without being asked to.
    if cfg!(unix) {
        File::open(folder_of(path))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_one_run_writes_is_kept_from_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let mut file = Disk.create_new(&path).expect("new");
        file.write_all(b"some bytes").expect("written");
        let refused = Disk.lock(&path).expect_err("locked");
        assert_eq!(
            (refused.kind(), refused.to_string().as_str()),
            (io::ErrorKind::ResourceBusy, "another run is writing it")
        );
        assert_eq!(fs::read(&path).expect("there"), b"some bytes");
        drop(file);
        let mut file = Disk.lock(&path).expect("free");
        assert_eq!(fs::read(&path).expect("there"), b"some bytes", "a lock changes nothing");
        file.truncate(4).expect("long enough");
        assert_eq!(fs::read(&path).expect("there"), b"some");
        assert!(file.truncate(5).is_err(), "shorter than it was");
        assert!(Disk.create_new(&path).is_err());
    }

    #[test]
    fn a_file_knows_whether_it_has_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        let file = Disk.create_new(&path).expect("new");
        assert!(file.is_named(&path));
        fs::rename(&path, &other).expect("renamed");
        assert!(!file.is_named(&path) && file.is_named(&other));
        fs::write(&path, "another").expect("written");
        assert!(!file.is_named(&path));
    }

    #[test]
    #[cfg(unix)]
    fn only_regular_files_are_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        assert!(Disk.lock(&link).is_err(), "nowhere");
        fs::write(&target, "precious").expect("written");
        assert!(Disk.lock(&link).is_err());
        assert!(Disk.lock(folder.path()).is_err());
        assert_eq!(fs::read(&target).expect("there"), b"precious");
    }
}
