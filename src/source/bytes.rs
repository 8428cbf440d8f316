//! The bytes of a model's large files, mapped rather than read, and the stand-ins that Git leaves for such files.

use std::ops::Deref;
use std::sync::Arc;

use memmap2::Mmap;

use super::mmap::map_file;
use super::{entry, ModelFiles, Place};
use crate::error::Error;

/// What a Git LFS pointer begins with. Source: the specification of Git LFS, version 1.
const POINTER_START: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The bytes of one file. Cloning them copies nothing.
#[derive(Clone)]
pub(crate) enum FileBytes {
    /// Of a file in a folder.
    Mapped(Arc<Mmap>),
    /// Compiled in.
    BuiltIn(&'static [u8]),
    /// Out of an archive.
    Owned(Arc<[u8]>),
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            FileBytes::Mapped(map) => map,
            FileBytes::BuiltIn(bytes) => bytes,
            FileBytes::Owned(bytes) => bytes,
        }
    }
}

impl ModelFiles {
    /// The bytes of `file`, mapped where it is a file of its own, or `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when it is there and cannot be read, [`Error::Invalid`] when it is a Git LFS pointer or not a
    /// regular file.
    pub(crate) fn map(&self, file: &str) -> Result<Option<FileBytes>, Error> {
        let bytes = match &self.place {
            Place::Folder(_) | Place::Partial(..) => {
                let Some(opened) = self.open(file)? else { return Ok(None) };
                let map =
                    map_file(&opened).map_err(|source| Error::Read { file: self.describe(file), source })?;
                FileBytes::Mapped(Arc::new(map))
            }
            Place::Memory(_, files) => match files.get(&self.inside(file)) {
                Some(bytes) => FileBytes::Owned(bytes.as_slice().into()),
                None => return Ok(None),
            },
            Place::BuiltIn(files) => match entry(files, &self.inside(file)) {
                Some(bytes) => FileBytes::BuiltIn(bytes),
                None => return Ok(None),
            },
        };
        self.refuse_pointer(file, &bytes)?;
        self.mark_used(file);
        Ok(Some(bytes))
    }

    /// Refuses the text that Git leaves in the place of a large file that was not fetched.
    pub(super) fn refuse_pointer(&self, file: &str, bytes: &[u8]) -> Result<(), Error> {
        if bytes.starts_with(POINTER_START) {
            return Err(Error::invalid(self.describe(file), "is a Git LFS pointer, not the file itself: the repository was cloned without its large files"));
        }
        Ok(())
    }
}
