//! Output files that are compressed, by their suffix, in parts that are each complete.

use std::io::{self, Write};
use std::path::Path;

use flate2::{write::GzEncoder, Compression};

/// Plain bytes after which a part ends, at the next end of a row.
const PART_BYTES: usize = 1 << 20;

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Codec {
    Plain,
    Gzip,
    Zstd,
}

/// Collects rows and writes them, compressed, in parts: gzip members or zstd frames, which every reader takes for
/// one file.
///
/// A part ends with the first row that reaches [`PART_BYTES`] and nowhere else, and holds no time stamp: the bytes of
/// the file depend on the rows alone.
pub(super) struct Parts<W: Write> {
    codec: Codec,
    plain: Vec<u8>,
    out: W,
}

impl<W: Write> Parts<W> {
    /// Writes to `out` what a file of the name `path` should hold: gzip for `.gz`, zstd for `.zst`.
    pub fn new(path: &Path, out: W) -> Self {
        let codec = match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("gz") => Codec::Gzip,
            Some("zst") => Codec::Zstd,
            _ => Codec::Plain,
        };
        Parts { codec, plain: Vec::new(), out }
    }

    /// Marks the end of a row: the only place where a part may end.
    pub fn end_row(&mut self) -> io::Result<()> {
        if self.plain.len() >= PART_BYTES {
            self.end_part()?;
        }
        Ok(())
    }

    /// Ends the last part, an empty one where nothing was written at all, and returns what it was written to.
    pub fn finish(mut self, wrote_rows: bool) -> io::Result<W> {
        if !self.plain.is_empty() || !wrote_rows {
            self.end_part()?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn end_part(&mut self) -> io::Result<()> {
        match self.codec {
            Codec::Plain => {}
            Codec::Gzip => {
                let mut encoder = GzEncoder::new(&mut self.out, Compression::default());
                encoder.write_all(&self.plain)?;
                encoder.finish()?;
            }
            Codec::Zstd => self.out.write_all(&zstd::bulk::compress(&self.plain, ZSTD_LEVEL)?)?,
        }
        self.plain.clear();
        Ok(())
    }
}

impl<W: Write> Write for Parts<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.codec == Codec::Plain {
            return self.out.write(bytes);
        }
        self.plain.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Hands on what has been compressed; a part that has begun goes on.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn written(path: &str, rows: &[Vec<u8>]) -> Vec<u8> {
        let mut parts = Parts::new(Path::new(path), Vec::new());
        for row in rows {
            parts.write_all(row).expect("memory");
            parts.end_row().expect("memory");
            parts.flush().expect("memory");
        }
        parts.finish(!rows.is_empty()).expect("memory")
    }

    #[test]
    fn a_part_ends_with_the_row_that_reaches_its_size() {
        let rows: Vec<Vec<u8>> = (0..5u8).map(|row| vec![row; 600 << 10]).collect();
        let plain = rows.concat();
        assert_eq!(written("x.jsonl", &rows), plain);

        let gzip = written("x.jsonl.gz", &rows);
        let mut read = Vec::new();
        flate2::read::MultiGzDecoder::new(&gzip[..]).read_to_end(&mut read).expect("whole");
        assert!(read == plain);
        let mut first = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut first).expect("whole");
        assert_eq!(first.len(), 1200 << 10, "two rows of 600 KiB reach 1 MiB");

        let zstd = written("x.jsonl.zst", &rows);
        assert!(zstd::decode_all(&zstd[..]).expect("whole") == plain);
        let first = zstd::Decoder::new(&zstd[..]).expect("a frame").single_frame();
        assert_eq!(io::copy(&mut { first }, &mut io::sink()).expect("whole"), 1200 << 10);
    }

    #[test]
    fn no_rows_are_an_empty_file_that_decompresses() {
        assert_eq!(written("x", &[]), b"");
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&written("x.gz", &[])[..]).read_to_end(&mut read).expect("whole");
        assert_eq!(zstd::decode_all(&written("x.zst", &[])[..]).expect("whole"), read);
    }
}
