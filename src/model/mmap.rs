//! Memory-mapped checkpoint files.

use std::path::PathBuf;

use candle_core::safetensors::MmapedSafetensors;

/// Maps safetensors files and checks their headers; a tensor's bytes are read when it is loaded.
pub(crate) fn map_safetensors(paths: &[PathBuf]) -> candle_core::Result<MmapedSafetensors> {
    // SAFETY: the files are mapped read-only and must not be cut while they are
    // mapped. No safe interface can promise that for any memory-mapped file; this
    // program never writes into a model's folder except by renaming a complete
    // file into place, and the tensors are copied out before loading returns.
    #[expect(unsafe_code, reason = "mapping a file is unsafe by nature; this is the only place")]
    unsafe {
        MmapedSafetensors::multi(paths)
    }
}
