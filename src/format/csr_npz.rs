//! A sparse matrix as `scipy.sparse.load_npz` reads it: a zip of arrays in numpy's own format, not compressed.
//!
//! `shape` (rows, V), `indptr` (rows + 1), `indices` and `data` (entries), f32; numbers of places are int32 where those
//! suffice, as scipy has them. Rows are in the order of the input; the ids stand beside it in `FILE.ids`, one a line.
//!
//! For lsr-benchmark, whose `lsr_benchmark/irds.py` reads `indptr`, `indices` and `data` of `doc/doc-embeddings.npz` by
//! name, the same file has its ids in `doc/doc-ids.txt`.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::assembly::{Assembly, CollectedRows};
use super::csr::{write_all, write_ids, write_indptr, Matrix, Size};
use super::{Format, FormatError, Options};
use crate::input::{ids_path, lsr_ids_path};
use crate::storage::{OutputFile, Storage};

/// A matrix by where its ids stand.
#[derive(Debug, Clone, Copy)]
enum NpzFile {
    Scipy,
    LsrBenchmark,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    Matrix { file: NpzFile::Scipy, strips_ids: false }.format(options)
}

pub(super) fn new_lsr_benchmark(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    Matrix { file: NpzFile::LsrBenchmark, strips_ids: true }.format(options)
}

impl NpzFile {
    fn ids(self, output: &Path) -> PathBuf {
        match self {
            NpzFile::Scipy => ids_path(output),
            NpzFile::LsrBenchmark => lsr_ids_path(output),
        }
    }
}

impl Assembly for NpzFile {
    fn assemble(&self, rows: &CollectedRows, output: &Path) -> io::Result<()> {
        let size = write_ids(rows, &self.ids(output))?;
        rows.write_file(output, |file| write_arrays(rows, size, file))
    }

    fn results(&self, output: &Path, _: &dyn Storage) -> Vec<PathBuf> {
        vec![output.to_path_buf(), self.ids(output)]
    }
}

fn write_arrays(rows: &CollectedRows, size: Size, file: &mut OutputFile) -> io::Result<()> {
    let mut out = KeepsError { out: file, error: None, place: 0, end: 0 };
    let mut zip = ZipWriter::new(&mut out);
    let written = write_members(rows, size, &mut zip);
    let finished = zip.finish().map(drop);
    match out.error {
        Some(error) => Err(error),
        None => Ok(written.and(finished.map_err(io::Error::from))?),
    }
}

/// Keeps the first error of a file from a `ZipWriter`, which would print it when it is dropped. What is written after it
/// goes nowhere.
struct KeepsError<'a> {
    out: &'a mut OutputFile,
    error: Option<io::Error>,
    /// Where the next byte goes, and where the last one is.
    place: u64,
    end: u64,
}

impl KeepsError<'_> {
    fn try_to(&mut self, action: impl FnOnce(&mut OutputFile) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = action(self.out).err();
        }
    }
}

impl Write for KeepsError<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_to(|out| out.write_all(bytes));
        self.place += bytes.len() as u64;
        self.end = self.end.max(self.place);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.try_to(|out| out.flush());
        Ok(())
    }
}

impl Seek for KeepsError<'_> {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        let from = |place: u64, offset: i64| place.checked_add_signed(offset);
        let place = match place {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(offset) => from(self.place, offset),
            SeekFrom::End(offset) => from(self.end, offset),
        };
        self.place = place.ok_or(io::ErrorKind::InvalidInput)?;
        let place = SeekFrom::Start(self.place);
        self.try_to(|out| out.seek(place).map(drop));
        Ok(self.place)
    }
}

fn write_members(rows: &CollectedRows, size: Size, zip: &mut ZipWriter<&mut KeepsError>) -> io::Result<()> {
    let Size { num_rows, num_terms, vocab_size } = size;
    let is_wide = i32::try_from(num_terms).is_err();
    let place_type = if is_wide { "<i8" } else { "<i4" };
    begin(zip, "indices", place_type, &format!("({num_terms},)"))?;
    rows.each(|row| match is_wide {
        true => write_all(zip, row.vector.indices(), |index| i64::from(index).to_le_bytes()),
        false => write_all(zip, row.vector.indices(), |index| index.to_le_bytes()),
    })?;
    begin(zip, "indptr", place_type, &format!("({},)", num_rows + 1))?;
    write_indptr(rows, |place| match is_wide {
        true => zip.write_all(&(place as i64).to_le_bytes()),
        false => zip.write_all(&(place as i32).to_le_bytes()),
    })?;
    begin(zip, "format", "|S3", "()")?;
    zip.write_all(b"csr")?;
    begin(zip, "shape", "<i8", "(2,)")?;
    for number in [num_rows, vocab_size] {
        zip.write_all(&(number as i64).to_le_bytes())?;
    }
    begin(zip, "data", "<f4", &format!("({num_terms},)"))?;
    rows.each(|row| write_all(zip, row.vector.weights(), |weight| weight.to_le_bytes()))
}

/// Begins an array: an entry of the zip, and numpy's header, padded so that the elements begin at a multiple of 64.
fn begin(zip: &mut ZipWriter<&mut KeepsError>, name: &str, kind: &str, shape: &str) -> io::Result<()> {
    // No time stamp: the bytes depend on the rows alone.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .large_file(true);
    zip.start_file(format!("{name}.npy"), options)?;
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let magic = b"\x93NUMPY\x01\x00";
    let unpadded = magic.len() + 2 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    zip.write_all(magic)?;
    zip.write_all(&(header.len() as u16).to_le_bytes())?;
    zip.write_all(header.as_bytes())
}
