//! A file that is made in one go of what is kept elsewhere: after a failure it is made again.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{with_suffix, Storage, StoredFile};

/// What is added to the name of a file until it is complete.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Written at once.
pub(crate) const BUFFER_BYTES: usize = 1 << 18;

/// A file that is being made.
pub(crate) type OutputFile = BufWriter<Box<dyn StoredFile>>;

/// Creates the file that will be `path`, under the name that it has until it is complete, in place of one that an
/// earlier run has left.
pub(crate) fn create_unfinished(storage: &dyn Storage, path: &Path) -> io::Result<(PathBuf, OutputFile)> {
    let unfinished = with_suffix(path, UNFINISHED);
    let mut file = storage.lock(&unfinished)?;
    file.truncate(0)?;
    Ok((unfinished, BufWriter::with_capacity(BUFFER_BYTES, file)))
}

/// Makes a complete file survive a loss of power, and gives it its name.
///
/// # Errors
///
/// Those of the file system; one where something else has the file's unfinished name by now.
pub(crate) fn name_finished(
    storage: &dyn Storage,
    mut file: OutputFile,
    unfinished: &Path,
    path: &Path,
) -> io::Result<()> {
    file.flush()?;
    file.get_mut().sync()?;
    if !file.get_ref().is_named(unfinished) {
        let message = format!("something has removed or replaced `{}`", unfinished.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    // The file is kept open, and so locked, until it has its name.
    storage.rename(unfinished, path)
}
