//! Files that cannot be written a row at a time: rows are collected first, and read as often as it takes.
//!
//! A collected row is, in little-endian numbers of 32 bits: the bytes of the row behind this number; V; the bytes of
//! the id, and the id; the bytes of the kept fields, and the fields; the bytes of the names of the terms, and the names;
//! the number of terms, their ids, and their weights in f32.

use std::fmt::Debug;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::Terms;
use crate::input::decompressed_lines;
use crate::sparse::SparseVector;
use crate::storage::{create_unfinished, name_finished, OutputFile, Storage, BUFFER_BYTES};

/// Makes the files that were asked for of a file of rows.
pub trait Assembly: Debug + Send + Sync {
    /// Reads `rows` and writes `output` and what belongs to it, in place of files of those names. The first file of
    /// [`Assembly::results`] appears last, when all are complete.
    ///
    /// # Errors
    ///
    /// Those of the files.
    fn assemble(&self, rows: &CollectedRows, output: &Path) -> io::Result<()>;

    /// The files that make up the result, those that are there of a number that is not known before.
    fn results(&self, output: &Path, storage: &dyn Storage) -> Vec<PathBuf>;
}

/// Rows that were collected, and the storage that has them and gets what is made of them.
#[derive(Debug)]
pub struct CollectedRows<'a> {
    storage: &'a dyn Storage,
    path: &'a Path,
}

impl<'a> CollectedRows<'a> {
    /// The rows in the file `path`.
    pub(crate) fn new(storage: &'a dyn Storage, path: &'a Path) -> Self {
        CollectedRows { storage, path }
    }

    pub(super) fn storage(&self) -> &'a dyn Storage {
        self.storage
    }

    /// The rows as lines, decompressed.
    pub(super) fn lines(&self) -> io::Result<Box<dyn BufRead + Send>> {
        decompressed_lines(self.storage.open(self.path)?)
    }

    /// Hands over each row, in their order, from the first on.
    pub(super) fn each(&self, mut take: impl FnMut(&Collected) -> io::Result<()>) -> io::Result<()> {
        let mut file = BufReader::with_capacity(BUFFER_BYTES, self.storage.open(self.path)?);
        let mut bytes = Vec::new();
        while let Some(row) = next_row(&mut file, &mut bytes)? {
            take(&row)?;
        }
        Ok(())
    }

    /// Writes a file that appears under its name when it is complete and survives a loss of power.
    pub(super) fn write_file(
        &self,
        path: &Path,
        write: impl FnOnce(&mut OutputFile) -> io::Result<()>,
    ) -> io::Result<()> {
        let (unfinished, mut file) = create_unfinished(self.storage, path)?;
        write(&mut file)?;
        name_finished(self.storage, file, &unfinished, path)
    }
}

/// A row that is collected: what of it its format wants to know.
#[derive(Default)]
pub(super) struct Collected {
    pub vocab_size: usize,
    pub id: String,
    /// Kept fields as JSON, `"name":value,` each.
    pub fields: String,
    /// Names of the terms, by ascending id, with NUL behind each.
    pub names: String,
    pub vector: SparseVector,
}

impl Collected {
    /// Appends it to those that are collected.
    pub fn write(&self, out: &mut Vec<u8>) {
        let number = |number: usize, out: &mut Vec<u8>| out.extend_from_slice(&(number as u32).to_le_bytes());
        let texts = [&self.id, &self.fields, &self.names];
        let text_bytes = texts.iter().map(|text| 4 + text.len()).sum::<usize>();
        number(4 + text_bytes + 4 + 8 * self.vector.len(), out);
        number(self.vocab_size, out);
        for text in texts {
            number(text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        number(self.vector.len(), out);
        out.extend(self.vector.indices().iter().flat_map(|index| index.to_le_bytes()));
        out.extend(self.vector.weights().iter().flat_map(|weight| weight.to_le_bytes()));
    }
}

/// The names of a vector's terms as they are collected.
pub(super) fn names(vector: &SparseVector, terms: Terms) -> String {
    vector.indices().iter().flat_map(|&index| [terms.name(index), "\0"]).collect()
}

fn next_row(file: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<Option<Collected>> {
    let mut length = [0; 4];
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    bytes.resize(u32::from_le_bytes(length) as usize, 0);
    file.read_exact(bytes)?;
    parse_row(bytes).map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a damaged row"))
}

fn parse_row(mut bytes: &[u8]) -> Option<Collected> {
    let vocab_size = number(&mut bytes)?;
    let id = text(&mut bytes)?;
    let fields = text(&mut bytes)?;
    let names = text(&mut bytes)?;
    let count = number(&mut bytes)?;
    let (indices, weights) = bytes.split_at_checked(4 * count)?;
    let words =
        |bytes: &[u8]| bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]).collect();
    let (indices, weights): (Vec<[u8; 4]>, Vec<[u8; 4]>) = (words(indices), words(weights));
    let pairs = indices.into_iter().map(u32::from_le_bytes).zip(weights.into_iter().map(f32::from_le_bytes));
    Some(Collected { vocab_size, id, fields, names, vector: SparseVector::from_pairs(pairs.collect())? })
}

fn number(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number) as usize)
}

fn text(bytes: &mut &[u8]) -> Option<String> {
    let length = number(bytes)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}
