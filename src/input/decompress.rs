//! Plain bytes, whatever a file's first bytes say that it is.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

/// Read at once from a file.
pub(super) const BUFFER_BYTES: usize = 1 << 17;

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// The last bytes of the 16 numbers that begin a frame of zstd without data, which programs put before others.
const ZSTD_SKIPPABLE: &[u8] = b"\x2a\x4d\x18";

/// Whether `start` begins a compressed file; `None` where more bytes have to tell.
fn kind(start: &[u8]) -> Option<Kind> {
    let is_skippable = |start: &[u8]| start[0] & 0xf0 == 0x50 && ZSTD_SKIPPABLE.starts_with(&start[1..]);
    if start.starts_with(GZIP) {
        Some(Kind::Gzip)
    } else if start.len() == ZSTD.len() && (start == ZSTD || is_skippable(start)) {
        Some(Kind::Zstd)
    } else if start.is_empty()
        || GZIP.starts_with(start)
        || (start.len() < ZSTD.len() && (ZSTD.starts_with(start) || is_skippable(start)))
    {
        None
    } else {
        Some(Kind::Plain)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Gzip,
    Zstd,
}

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

/// The bytes of a file, decompressed.
///
/// # Errors
///
/// Those of the file.
pub(crate) fn decompressed_lines(file: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(decompressed(file)?.0)
}

/// The plain bytes of `source`, whatever its first bytes say that it is, and whether they were compressed.
pub(super) fn decompressed(
    source: impl Read + Send + 'static,
) -> io::Result<(Box<dyn BufRead + Send>, bool)> {
    let mut plain = BufReader::with_capacity(BUFFER_BYTES, source);
    // A pipe may deliver a file's first bytes one by one; one of them already tells text apart.
    let mut start = Vec::new();
    while kind(&start).is_none() {
        let mut byte = [0];
        if plain.read(&mut byte)? == 0 {
            break;
        }
        start.push(byte[0]);
    }
    let kind = kind(&start);
    let whole = BufReader::with_capacity(BUFFER_BYTES, io::Cursor::new(start).chain(plain));
    Ok(match kind {
        Some(Kind::Gzip) => {
            (Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole))), true)
        }
        Some(Kind::Zstd) => {
            (Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::with_buffer(whole)?)), true)
        }
        Some(Kind::Plain) | None => (Box::new(whole), false),
    })
}

/// Whether a file begins as a compressed one does.
pub(super) fn is_compressed(file: impl Read) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(ZSTD.len() as u64).read_to_end(&mut start)?;
    Ok(matches!(kind(&start), Some(Kind::Gzip | Kind::Zstd)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).expect("memory");
        encoder.finish().expect("memory")
    }

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        decompressed(io::Cursor::new(bytes))?.0.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn first_bytes_tell_what_a_file_is() {
        let skippable = b"\x53\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec();
        let zstd = |plain: &[u8]| zstd::encode_all(plain, 3).expect("memory");
        for (bytes, plain) in [
            (b"".to_vec(), &b""[..]),
            (b"\x1f".to_vec(), b"\x1f"),
            (b"\x28\xb5\x2f".to_vec(), b"\x28\xb5\x2f"),
            (b"S*M".to_vec(), b"S*M"),
            (b"Some text".to_vec(), b"Some text"),
            (gzip(b"text"), b"text"),
            ([gzip(b"a"), gzip(b""), gzip(b"b")].concat(), b"ab"),
            (zstd(b"text"), b"text"),
            ([skippable.clone(), zstd(b"a"), skippable, zstd(b"b")].concat(), b"ab"),
        ] {
            assert_eq!(read(bytes.clone()).expect("whole"), plain, "{bytes:?}");
            assert_eq!(is_compressed(&bytes[..]).expect("memory"), bytes.len() > 10, "{bytes:?}");
        }
    }

    /// Every beginning of a compressed file of two parts, and such a file with something behind it.
    #[test]
    fn what_is_cut_off_or_stands_behind_is_an_error() {
        let plain: Vec<u8> = (0..2000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
        let (first, second) = plain.split_at(700);
        for parts in [
            [gzip(first), gzip(second)],
            [first, second].map(|part| zstd::encode_all(part, 3).expect("memory")),
        ] {
            let whole = parts.concat();
            assert_eq!(read(whole.clone()).expect("whole"), plain);
            for length in 5..whole.len() {
                // After the first part nothing shows that there was a second one.
                if length != parts[0].len() {
                    assert!(read(whole[..length].to_vec()).is_err(), "{length} of {} bytes", whole.len());
                }
            }
            for garbage in [&b"x"[..], b"garbage", b"\x00\x00", b"\x1f"] {
                assert!(read([&whole[..], garbage].concat()).is_err(), "{garbage:?}");
            }
        }
    }
}
