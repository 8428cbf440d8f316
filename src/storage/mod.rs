//! Where files are written, so that nothing is lost: locks, unfinished files, syncs, renames.
//!
//! Everything that a run leaves behind goes through [`Storage`]: rows, rejects, the journal, and the files that are made
//! of all rows. [`Disk`] is the one that runs; the tests have another that fails at will and forgets what was not synced.

pub(crate) mod compression;
mod disk;
mod distinct;
mod error;
#[cfg(test)]
pub(crate) mod faulty;
mod partial;
mod unfinished;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

pub use disk::Disk;
pub use distinct::{refuse_same_files, Use};
pub use error::OutputError;
pub use partial::{is_device, refuse_existing, Existing, PartialFile};
pub(crate) use unfinished::{create_unfinished, name_finished, OutputFile, BUFFER_BYTES, UNFINISHED};

/// Where files are written.
pub trait Storage: Debug + Send + Sync {
    /// Whether anything has this name, a dangling link included.
    fn exists(&self, path: &Path) -> bool;

    /// Opens a file for writing, or creates it, and keeps other runs away from it until it is closed. Its content stays
    /// as it is.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] where another run has it open: nothing was created or changed then. An error for
    /// a name that is not that of a regular file.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Creates an empty file and keeps other runs away from it until it is closed.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] where anything has this name.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Opens a file that this run holds already, to write at a second place of it.
    ///
    /// # Errors
    ///
    /// Those of the file.
    fn reopen(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of the file.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>>;

    /// The names in a folder; none where it cannot be read.
    fn list(&self, folder: &Path) -> Vec<OsString>;

    /// Gives a file another name, in place of whatever has that name, so that it survives a loss of power.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; that it is not there is no error.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Plain bytes after which a part of a compressed file ends, at the next end of a row.
    fn part_bytes(&self) -> usize {
        1 << 20
    }
}

/// A file that this run writes, and no other.
pub trait StoredFile: Debug + Read + Write + Seek + Send {
    /// Cuts off what is behind the first `length` bytes, and goes on writing there.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] where the file is shorter; those of the file system.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Returns when what was written survives a loss of power.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn sync(&mut self) -> io::Result<()>;

    /// Whether `path` still names this file: nobody has removed it or put another in its place.
    fn is_named(&self, path: &Path) -> bool;
}

/// What can be read from any place.
pub trait ReadSeek: Read + Seek + Send {}

impl<F: Read + Seek + Send> ReadSeek for F {}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `path` with `suffix` added to its name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(suffix);
    longer.into()
}
