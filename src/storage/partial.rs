//! A file that appears under its name only when it is complete.

use std::fs;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compression::Parts;
use super::{folder_of, with_suffix, OutputError, Storage, StoredFile};

/// What happens to a file of an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is an error that names it.
    Refuse,
    /// It is written over; the complete file takes its place at the end.
    Replace,
    /// A complete one is an error; one that is not complete is written over.
    ReplaceUnfinished,
}

/// A file that is written as `FILE.partial`, from the first byte on, and renamed when it is complete; compressed
/// where its name ends in `.gz` or `.zst`.
#[derive(Debug)]
pub struct PartialFile {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    partial: PathBuf,
    existing: Existing,
    writer: Option<Parts<BufWriter<Box<dyn StoredFile>>>>,
}

impl PartialFile {
    /// A file to be; nothing is touched yet, but what is in its way is found.
    ///
    /// # Errors
    ///
    /// [`OutputError::Exists`], and [`OutputError::Write`] where there is no such folder.
    pub fn new(storage: Arc<dyn Storage>, path: &Path, existing: Existing) -> Result<Self, OutputError> {
        let partial = with_suffix(path, ".partial");
        match existing {
            Existing::Refuse => refuse_existing(&*storage, &[path, &partial], false)?,
            Existing::ReplaceUnfinished => refuse_existing(&*storage, &[path], false)?,
            Existing::Replace => {}
        }
        // A folder that is not there should not be found out after an hour.
        fs::read_dir(folder_of(path)).map_err(OutputError::write(path))?;
        Ok(PartialFile { storage, path: path.to_path_buf(), partial, existing, writer: None })
    }

    /// Looks whether the partial file has as many as `length` bytes, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`OutputError::NotAsLeft`] where it has fewer.
    pub(crate) fn check_length(&self, length: u64) -> Result<(), OutputError> {
        let found = self.storage.open(&self.partial).and_then(|mut file| file.seek(SeekFrom::End(0)));
        let checked = found.and_then(|found| match found >= length {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        });
        checked.map_err(|source| OutputError::NotAsLeft { path: self.partial.clone(), source })
    }

    /// Goes on after the first `length` bytes of the partial file.
    ///
    /// # Errors
    ///
    /// [`OutputError::NotAsLeft`] where it has fewer, [`OutputError::Busy`] where another run writes it.
    pub fn go_on(&mut self, length: u64) -> Result<(), OutputError> {
        let not_as_left = |source| OutputError::NotAsLeft { path: self.partial.clone(), source };
        if !self.storage.exists(&self.partial) {
            return Err(not_as_left(io::ErrorKind::NotFound.into()));
        }
        let mut file = self.storage.lock(&self.partial).map_err(OutputError::write(&self.partial))?;
        file.truncate(length).map_err(not_as_left)?;
        self.writer = Some(Parts::new(&self.path, BufWriter::new(file), length, self.storage.part_bytes()));
        Ok(())
    }

    /// Bytes of the file up to the end of the last whole part.
    pub fn written(&self) -> u64 {
        self.writer.as_ref().map_or(0, Parts::written)
    }

    /// What the file is called until it is complete.
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Creates the file, or empties the one that may be replaced; nothing where that was done.
    ///
    /// # Errors
    ///
    /// [`OutputError::Write`], and [`OutputError::Busy`] where another run writes it.
    pub fn start(&mut self) -> Result<(), OutputError> {
        let partial = self.partial.clone();
        self.writer().map(drop).map_err(OutputError::write(partial))
    }

    /// Takes the partial file as it is, to give it its name.
    ///
    /// # Errors
    ///
    /// [`OutputError::Busy`] where another run writes it.
    pub(crate) fn hold(&mut self) -> Result<(), OutputError> {
        let held = self.storage.lock(&self.partial).and_then(|mut file| {
            let length = file.seek(SeekFrom::End(0))?;
            Ok((file, length))
        });
        let (file, length) = held.map_err(OutputError::write(&self.partial))?;
        self.writer = Some(Parts::new(&self.path, BufWriter::new(file), length, self.storage.part_bytes()));
        Ok(())
    }

    /// Removes the partial file: what was to be made of it is made.
    pub(crate) fn remove(self) -> Result<(), OutputError> {
        self.storage.remove(&self.partial).map_err(OutputError::write(&self.partial))
    }

    fn writer(&mut self) -> io::Result<&mut Parts<BufWriter<Box<dyn StoredFile>>>> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let file = match self.existing {
                    Existing::Refuse => self.storage.create_new(&self.partial)?,
                    Existing::Replace | Existing::ReplaceUnfinished => {
                        let mut file = self.storage.lock(&self.partial)?;
                        file.truncate(0)?;
                        file
                    }
                };
                Parts::new(&self.path, BufWriter::new(file), 0, self.storage.part_bytes())
            }
        };
        Ok(self.writer.insert(writer))
    }

    /// Marks the end of a row, the only place where a part of a compressed file may end. True where everything up to here
    /// is whole.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn end_row(&mut self) -> io::Result<bool> {
        match &mut self.writer {
            Some(writer) => writer.end_row(),
            // Nothing was written yet.
            None => Ok(true),
        }
    }

    /// Hands every whole part to the system: it is there when this process has ended, however it ends.
    pub(crate) fn hand_on(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Some(writer) => writer.flushed().map(drop),
            None => Ok(()),
        }
    }

    /// Makes every whole part survive a loss of power.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.writer()?.flushed()?.sync()
    }

    /// Ends the last part and makes everything survive a loss of power.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn complete(&mut self) -> Result<(), OutputError> {
        let end = |file: &mut Self| {
            file.writer()?.end_last_part()?;
            file.sync()
        };
        end(self).map_err(OutputError::write(&self.partial))
    }

    /// Whether the partial file is still the one that was written.
    ///
    /// # Errors
    ///
    /// [`OutputError::Replaced`].
    pub fn check_name(&mut self) -> Result<(), OutputError> {
        let is_named = match &mut self.writer {
            Some(writer) => {
                writer.flushed().map_err(OutputError::write(&self.partial))?.is_named(&self.partial)
            }
            None => true,
        };
        match is_named {
            true => Ok(()),
            false => Err(OutputError::Replaced { path: self.partial.clone() }),
        }
    }

    /// Gives the complete file its name.
    ///
    /// # Errors
    ///
    /// [`OutputError::Replaced`], [`OutputError::Rename`]; [`OutputError::Exists`] where a file has appeared under that
    /// name meanwhile, and none may be replaced.
    pub fn appear(mut self) -> Result<(), OutputError> {
        self.check_name()?;
        if self.existing != Existing::Replace {
            refuse_existing(&*self.storage, &[&self.path], false)?;
        }
        // The file is kept open, and so locked, until it has its name.
        rename(&*self.storage, &self.partial, &self.path)
    }

    /// Removes the partial file of a command that failed, if this one has written it.
    pub fn discard(self) {
        // Not by `check_name`, which writes first: a full disk fails that, and is what removing helps.
        if self.writer.as_ref().is_some_and(|writer| writer.file().is_named(&self.partial)) {
            // What matters was said already: the command has failed.
            let _ = self.storage.remove(&self.partial);
        }
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer()?.write(bytes)
    }

    /// Nobody reads the file before it is complete.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives a file another name.
pub(crate) fn rename(storage: &dyn Storage, from: &Path, to: &Path) -> Result<(), OutputError> {
    let (from_path, to_path) = (from.to_path_buf(), to.to_path_buf());
    storage.rename(from, to).map_err(|source| OutputError::Rename { from: from_path, to: to_path, source })
}

/// An error that names those of `paths` that exist, unless none does.
///
/// # Errors
///
/// [`OutputError::Exists`].
pub fn refuse_existing(
    storage: &dyn Storage,
    paths: &[&Path],
    is_resumable: bool,
) -> Result<(), OutputError> {
    let paths: Vec<PathBuf> =
        paths.iter().filter(|path| storage.exists(path)).map(|path| path.to_path_buf()).collect();
    if paths.is_empty() {
        return Ok(());
    }
    Err(OutputError::Exists { paths, is_resumable })
}

/// Whether `path` is something that exists and is no regular file: written as it comes, never renamed.
pub fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|existing| !existing.is_file())
}
