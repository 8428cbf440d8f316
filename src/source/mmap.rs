//! Memory-mapped files, checkpoints and indexes: with the kernels, the only unsafe code.

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::Mmap;

use super::FileBytes;

/// f32 values, as they lie in the bytes of a file.
pub(crate) struct MappedValues {
    file: FileBytes,
    range: Range<usize>,
}

impl MappedValues {
    /// The values in a range of the file's bytes; `None` unless they are in this machine's byte order and begin where
    /// an f32 may.
    pub fn new(file: FileBytes, range: Range<usize>) -> Option<Self> {
        let bytes = file.get(range.clone())?;
        let in_place = cfg!(target_endian = "little") && size_of_val(as_f32(bytes)) == bytes.len();
        in_place.then_some(MappedValues { file, range })
    }

    /// The values, rows one after the other.
    pub fn values(&self) -> &[f32] {
        as_f32(&self.file[self.range.clone()])
    }
}

/// The whole f32 values in `bytes`: all of them where the bytes are aligned.
fn as_f32(bytes: &[u8]) -> &[f32] {
    // SAFETY: any four bytes are an f32, and `align_to` leaves out what is not aligned.
    #[expect(unsafe_code, reason = "reading numbers where they lie")]
    let (_, values, _) = unsafe { bytes.align_to::<f32>() };
    values
}

/// Maps a file; its bytes are read when they are used.
pub(crate) fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file is mapped read-only and must not be cut or written while it is mapped, which is as long as the
    // model is loaded or the index is open. No safe interface can promise that for any memory-mapped file; this program
    // replaces a model's file or an index only by renaming a complete one into its place.
    #[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this is the only place")]
    unsafe {
        Mmap::map(file)
    }
}
