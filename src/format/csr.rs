//! A sparse matrix as the BigANN benchmarks and neural-sparse-cpp read it, and what the matrices of scipy share with it.
//!
//! In little-endian numbers: int64 rows, columns and entries; int64 (rows + 1): where each row begins among the
//! entries; int32 (entries): columns, ascending within a row; float32 (entries): weights. Rows are in the order of the
//! input, columns are V. The ids stand beside it in `FILE.ids`, one a line.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::assembly::{Assembly, Collected, CollectedRows};
use super::{Compression, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms};
use crate::input::{ids_path, Keep, RowError};
use crate::storage::Storage;

/// A format whose file is a matrix, which `A` makes.
#[derive(Debug)]
pub(super) struct Matrix<A> {
    pub file: A,
    /// Whether what reads the ids strips white space off their file.
    pub strips_ids: bool,
}

impl<A: Assembly + Copy + 'static> Matrix<A> {
    /// A matrix has no place for fields.
    pub fn format(self, options: &Options) -> Result<Box<dyn Format>, FormatError> {
        refuse_fields(options)?;
        Ok(Box::new(self))
    }
}

/// An error where documents come with fields, or their vectors under a name, for files that have no place for them.
pub(super) fn refuse_fields(options: &Options) -> Result<(), FormatError> {
    if options.vector_field != "vector" {
        return Err(FormatError::fixed(FormatOption::VectorField, "its files have no names of fields"));
    }
    match options.keep {
        Keep::Nothing => Ok(()),
        _ => Err(FormatError::fixed(FormatOption::Keep, "its files have no place for other fields")),
    }
}

impl<A: Assembly + Copy + 'static> Format for Matrix<A> {
    fn keys(&self) -> Keys {
        Keys::IdsOfVocabulary
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::Windows]
    }

    fn compression(&self) -> Compression {
        Compression::Nothing
    }

    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        _: &mut Findings,
    ) -> Result<(), RowError> {
        let id = row.id_text();
        if id.contains(['\n', '\r']) {
            return Err(RowError::new("an id with a line break, which cannot stand in a file of lines"));
        }
        if self.strips_ids && id.trim() != id {
            return Err(RowError::new(
                "an id with white space at an end, which is stripped where it is read",
            ));
        }
        let (vocab_size, vector) = (terms.vocab_size(), row.vector.clone());
        Collected { vocab_size, id, vector, ..Collected::default() }.write(out);
        Ok(())
    }

    fn assembly(&self) -> Option<Box<dyn Assembly>> {
        Some(Box::new(self.file))
    }
}

#[derive(Debug, Clone, Copy)]
struct BigAnnFile;

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    Matrix { file: BigAnnFile, strips_ids: false }.format(options)
}

impl Assembly for BigAnnFile {
    fn assemble(&self, rows: &CollectedRows, output: &Path) -> io::Result<()> {
        let size = write_ids(rows, &ids_path(output))?;
        rows.write_file(output, |file| {
            for number in [size.num_rows, size.vocab_size, size.num_terms] {
                file.write_all(&(number as i64).to_le_bytes())?;
            }
            write_indptr(rows, |place| file.write_all(&(place as i64).to_le_bytes()))?;
            rows.each(|row| write_all(file, row.vector.indices(), |index| index.to_le_bytes()))?;
            rows.each(|row| write_all(file, row.vector.weights(), |weight| weight.to_le_bytes()))
        })
    }

    fn results(&self, output: &Path, _: &dyn Storage) -> Vec<PathBuf> {
        vec![output.to_path_buf(), ids_path(output)]
    }
}

/// The size of a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub num_rows: usize,
    /// Of all rows.
    pub num_terms: usize,
    pub vocab_size: usize,
}

/// Writes the ids of the rows, one a line, to the file `ids`, and measures the collection.
pub(super) fn write_ids(rows: &CollectedRows, ids: &Path) -> io::Result<Size> {
    let mut size = Size::default();
    rows.write_file(ids, |file| {
        rows.each(|row| {
            size.num_rows += 1;
            size.num_terms += row.vector.len();
            size.vocab_size = row.vocab_size;
            writeln!(file, "{}", row.id)
        })
    })?;
    Ok(size)
}

/// Hands over where each row begins among all terms, and where the last one ends.
pub(super) fn write_indptr(
    rows: &CollectedRows,
    mut write: impl FnMut(usize) -> io::Result<()>,
) -> io::Result<()> {
    let mut place = 0;
    write(place)?;
    rows.each(|row| {
        place += row.vector.len();
        write(place)
    })
}

/// Writes each number as bytes.
pub(super) fn write_all<T: Copy, const N: usize>(
    out: &mut impl Write,
    numbers: &[T],
    to_bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    numbers.iter().try_for_each(|&number| out.write_all(&to_bytes(number)))
}
