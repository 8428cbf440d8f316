//! A sparse matrix as `scipy.sparse.load_npz` reads it: a zip of arrays in numpy's own format, not compressed.
//!
//! `shape` (rows, V), `indptr` (rows + 1), `indices` and `data` (entries), f32; numbers of places are int32 where those
//! suffice, as scipy has them. Rows are in the order of the input; the ids stand beside it in `FILE.ids`, one a line.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::assembly::{each, write_file, Assembly};
use super::csr::{write_all, write_ids, write_indptr, Matrix, Size};
use super::{Format, FormatError, Options};
use crate::input::ids_path;

#[derive(Clone, Copy)]
struct NpzFile;

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    Matrix(NpzFile).format(options)
}

impl Assembly for NpzFile {
    fn assemble(&self, rows: &Path, output: &Path) -> io::Result<()> {
        let size = write_ids(rows, output)?;
        write_file(output, |file| write_arrays(rows, size, file))
    }

    fn results(&self, output: &Path) -> Vec<PathBuf> {
        vec![output.to_path_buf(), ids_path(output)]
    }
}

fn write_arrays(rows: &Path, size: Size, file: &mut BufWriter<File>) -> io::Result<()> {
    let Size { num_rows, num_terms, vocab_size } = size;
    let is_wide = i32::try_from(num_terms).is_err();
    let place_type = if is_wide { "<i8" } else { "<i4" };
    let mut zip = ZipWriter::new(file);
    begin(&mut zip, "indices", place_type, &format!("({num_terms},)"))?;
    each(rows, |row| match is_wide {
        true => write_all(&mut zip, row.vector.indices(), |index| i64::from(index).to_le_bytes()),
        false => write_all(&mut zip, row.vector.indices(), |index| index.to_le_bytes()),
    })?;
    begin(&mut zip, "indptr", place_type, &format!("({},)", num_rows + 1))?;
    write_indptr(rows, |place| match is_wide {
        true => zip.write_all(&(place as i64).to_le_bytes()),
        false => zip.write_all(&(place as i32).to_le_bytes()),
    })?;
    begin(&mut zip, "format", "|S3", "()")?;
    zip.write_all(b"csr")?;
    begin(&mut zip, "shape", "<i8", "(2,)")?;
    for number in [num_rows, vocab_size] {
        zip.write_all(&(number as i64).to_le_bytes())?;
    }
    begin(&mut zip, "data", "<f4", &format!("({num_terms},)"))?;
    each(rows, |row| write_all(&mut zip, row.vector.weights(), |weight| weight.to_le_bytes()))?;
    zip.finish()?;
    Ok(())
}

/// Begins an array: an entry of the zip, and numpy's header, padded so that the elements begin at a multiple of 64.
fn begin(zip: &mut ZipWriter<&mut BufWriter<File>>, name: &str, kind: &str, shape: &str) -> io::Result<()> {
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
