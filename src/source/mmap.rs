//! Memory-mapped files, checkpoints and indexes: with the kernels, the only unsafe code.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::safetensors::MmapedSafetensors;
use candle_core::DType;
use memmap2::Mmap;

/// Maps safetensors files and checks their headers; a tensor's bytes are read when it is used.
pub(crate) fn map_safetensors(paths: &[PathBuf]) -> candle_core::Result<MmapedSafetensors> {
    // SAFETY: the files are mapped read-only and must not be cut while they are
    // mapped, which is as long as the model is loaded. No safe interface can promise
    // that for any memory-mapped file; this program never writes into a model's
    // folder except by renaming a complete file into place.
    #[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this is the only place")]
    unsafe {
        MmapedSafetensors::multi(paths)
    }
}

/// The values of one f32 tensor, as they lie in a mapped file.
pub(crate) struct MappedValues {
    file: Arc<MmapedSafetensors>,
    name: String,
}

impl MappedValues {
    /// `None` unless the tensor is f32, in this machine's byte order, and begins where an f32 may.
    pub fn new(file: Arc<MmapedSafetensors>, name: &str) -> Option<Self> {
        let view = file.get(name).ok()?;
        let is_f32 = DType::try_from(view.dtype()).ok()? == DType::F32 && cfg!(target_endian = "little");
        let in_place = is_f32 && size_of_val(as_f32(view.data())) == view.data().len();
        in_place.then(|| MappedValues { name: name.to_string(), file })
    }

    /// The values, rows one after the other.
    pub fn values(&self) -> &[f32] {
        let view = self.file.get(&self.name).expect("found before, anything else is a bug");
        as_f32(view.data())
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
    // SAFETY: the file is mapped read-only and must not be cut or written while it is mapped. As above, no safe
    // interface can promise that; this program replaces an index only by renaming a complete one into its place.
    #[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this is the only place")]
    unsafe {
        Mmap::map(file)
    }
}
