//! Plain bytes, whatever a file's first bytes say that it is.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

/// Read at once from a file.
pub(super) const BUFFER_BYTES: usize = 1 << 17;

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Counts the bytes that are read from a file.
pub(super) struct Counted {
    pub bytes: Box<dyn Read + Send>,
    pub count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The plain bytes of `source`, whatever its first bytes say that it is, and whether they were compressed.
pub(super) fn decompressed(
    source: impl Read + Send + 'static,
) -> io::Result<(Box<dyn BufRead + Send>, bool)> {
    let mut plain = BufReader::with_capacity(BUFFER_BYTES, source);
    // A pipe may deliver a file's first bytes one by one; one of them already tells text apart.
    let mut start = Vec::new();
    let is_magic =
        |start: &[u8]| [GZIP, ZSTD].iter().any(|magic| magic.starts_with(start) || start.starts_with(magic));
    while start.len() < ZSTD.len() && is_magic(&start) {
        let mut byte = [0];
        if plain.read(&mut byte)? == 0 {
            break;
        }
        start.push(byte[0]);
    }
    let kind = start.clone();
    let whole = BufReader::with_capacity(BUFFER_BYTES, io::Cursor::new(start).chain(plain));
    Ok(if kind.starts_with(GZIP) {
        (Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole))), true)
    } else if kind.starts_with(ZSTD) {
        (Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::with_buffer(whole)?)), true)
    } else {
        (Box::new(whole), false)
    })
}

/// Whether a file begins as a compressed one does.
pub(super) fn is_compressed(file: impl Read) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(ZSTD.len() as u64).read_to_end(&mut start)?;
    Ok(start.starts_with(GZIP) || start.starts_with(ZSTD))
}
