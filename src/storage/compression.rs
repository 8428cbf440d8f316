//! Output files that are compressed, by their suffix, in parts that are each complete.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::{write::GzEncoder, Compression};

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Plain,
    Gzip,
    Zstd,
}

impl Codec {
    fn of(path: &Path) -> Self {
        match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("gz") => Codec::Gzip,
            Some("zst") => Codec::Zstd,
            _ => Codec::Plain,
        }
    }
}

/// Collects rows and writes them, compressed, in parts: gzip members or zstd frames, which every reader takes for
/// one file.
///
/// A part ends with the first row that reaches a size and nowhere else, and holds no time stamp: the bytes of
/// the file depend on the rows alone, and a run can go on after any whole part.
#[derive(Debug)]
pub(crate) struct Parts<W: Write> {
    codec: Codec,
    part_bytes: usize,
    /// The rows of the part that has begun; always empty for a plain file.
    plain: Vec<u8>,
    out: W,
    written: u64,
}

impl<W: Write> Parts<W> {
    /// Writes to `out`, after `written` bytes that it holds already, what a file of the name `path` should hold:
    /// gzip for `.gz`, zstd for `.zst`.
    ///
    /// `part_bytes`: plain bytes after which a part ends, at the next end of a row.
    pub fn new(path: &Path, out: W, written: u64, part_bytes: usize) -> Self {
        Parts { codec: Codec::of(path), part_bytes, plain: Vec::new(), out, written }
    }

    /// Marks the end of a row: the only place where a part may end. True where everything up to here is whole:
    /// after each row of a plain file, at the end of a part of a compressed one.
    pub fn end_row(&mut self) -> io::Result<bool> {
        if self.plain.len() >= self.part_bytes {
            self.end_part()?;
        }
        Ok(self.plain.is_empty())
    }

    /// Ends the last part; an empty file gets an empty one, so that it decompresses.
    pub fn end_last_part(&mut self) -> io::Result<()> {
        if !self.plain.is_empty() || self.written == 0 {
            self.end_part()?;
        }
        Ok(())
    }

    /// Bytes of the file up to the end of the last whole part.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn end_part(&mut self) -> io::Result<()> {
        let part = match self.codec {
            Codec::Plain => return Ok(()),
            Codec::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&self.plain)?;
                encoder.finish()?
            }
            Codec::Zstd => zstd::bulk::compress(&self.plain, ZSTD_LEVEL)?,
        };
        self.out.write_all(&part)?;
        self.written += part.len() as u64;
        self.plain.clear();
        Ok(())
    }
}

impl<F: Write> Parts<BufWriter<F>> {
    /// The file, with every whole part handed to it.
    pub fn flushed(&mut self) -> io::Result<&mut F> {
        self.out.flush()?;
        Ok(self.out.get_mut())
    }

    /// The file, which may lack what was written last.
    pub fn file(&self) -> &F {
        self.out.get_ref()
    }
}

impl<W: Write> Write for Parts<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.codec != Codec::Plain {
            self.plain.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let count = self.out.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    /// Hands on what is whole; a part that has begun goes on.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn written(path: &str, rows: &[Vec<u8>]) -> Vec<u8> {
        let mut parts = Parts::new(Path::new(path), Vec::new(), 0, 1 << 20);
        for row in rows {
            parts.write_all(row).expect("memory");
            parts.end_row().expect("memory");
            parts.flush().expect("memory");
        }
        parts.end_last_part().expect("memory");
        assert_eq!(parts.written(), parts.out.len() as u64);
        parts.out
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
