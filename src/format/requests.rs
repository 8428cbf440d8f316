//! Rows of `_bulk` requests in numbered files, each small enough to be sent at once.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use super::assembly::{Assembly, CollectedRows};
use crate::storage::compression::Parts;
use crate::storage::{create_unfinished, folder_of, with_suffix, OutputFile, Storage, UNFINISHED};

/// Splits rows of requests between two documents.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// Plain bytes of a file; a document that is larger alone gets a file of its own.
    pub max_bytes: u64,
    /// Lines of a document.
    pub lines: usize,
}

/// Larger numbers are taken for something else, such as a date.
const MAX_NUMBER: u32 = 999_999;

/// `docs.ndjson.gz` as `docs-00001.ndjson.gz`.
fn numbered(output: &Path, number: usize) -> PathBuf {
    let (stem, suffix) = stem_and_suffix(output);
    output.with_file_name(format!("{stem}-{number:05}{suffix}"))
}

/// A file's name up to its first dot behind the first character, and the rest.
fn stem_and_suffix(output: &Path) -> (String, String) {
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dot = name.char_indices().skip(1).find(|(_, character)| *character == '.').map(|(place, _)| place);
    let (stem, suffix) = name.split_at(dot.unwrap_or(name.len()));
    (stem.to_string(), suffix.to_string())
}

impl Assembly for Requests {
    fn assemble(&self, rows: &CollectedRows, output: &Path) -> io::Result<()> {
        let mut finished = Vec::new();
        let made = self.make(rows, output, &mut finished);
        if made.is_err() {
            // They are made again of the rows, and a full disk wants their room.
            for number in 1..=finished.len() + 1 {
                let unfinished = with_suffix(&numbered(output, number), UNFINISHED);
                if rows.storage().exists(&unfinished) {
                    let _ = rows.storage().remove(&unfinished);
                }
            }
        }
        made
    }

    fn results(&self, output: &Path, storage: &dyn Storage) -> Vec<PathBuf> {
        let (stem, suffix) = stem_and_suffix(output);
        let is_numbered = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let digits = name.strip_prefix(&format!("{stem}-")).and_then(|rest| rest.strip_suffix(&suffix));
            // As this program writes numbers, and no other: `docs-20240131.ndjson` is not a request.
            digits.is_some_and(|digits| {
                digits
                    .parse()
                    .is_ok_and(|number: u32| format!("{number:05}") == digits && number <= MAX_NUMBER)
            })
        };
        let first = numbered(output, 1);
        let found = storage.list(folder_of(output)).into_iter().map(|name| output.with_file_name(name));
        let mut others: Vec<PathBuf> = found.filter(|path| is_numbered(path) && *path != first).collect();
        others.sort();
        std::iter::once(first).chain(others).collect()
    }
}

impl Requests {
    /// Writes all files, and gives them their names.
    ///
    /// * `finished`: gets the unfinished and the final name of each file that is written for good.
    fn make(
        &self,
        rows: &CollectedRows,
        output: &Path,
        finished: &mut Vec<(PathBuf, PathBuf)>,
    ) -> io::Result<()> {
        let storage = rows.storage();
        let mut lines = rows.lines()?;
        let mut request = Request::default();
        let mut document = Vec::new();
        loop {
            document.clear();
            for _ in 0..self.lines {
                lines.read_until(b'\n', &mut document)?;
            }
            let is_full = request.num_bytes > 0 && request.num_bytes + document.len() as u64 > self.max_bytes;
            if is_full || (document.is_empty() && (request.num_bytes > 0 || finished.is_empty())) {
                let path = numbered(output, finished.len() + 1);
                finished.push((request.finish(rows, &path)?, path));
                request = Request::default();
            }
            if document.is_empty() {
                break;
            }
            request.write(rows, &numbered(output, finished.len() + 1), &document)?;
        }
        let is_left_over = |path: &PathBuf| finished.iter().all(|(_, finished)| finished != path);
        for left_over in self.results(output, storage).iter().filter(|path| is_left_over(path)) {
            storage.remove(left_over)?;
        }
        // The first appears last: where it is, all are.
        finished.iter().rev().try_for_each(|(unfinished, path)| storage.rename(unfinished, path))
    }
}

/// A file that is being written.
#[derive(Default)]
struct Request {
    num_bytes: u64,
    /// Its name until it is complete.
    unfinished: PathBuf,
    file: Option<Parts<OutputFile>>,
}

impl Request {
    fn write(&mut self, rows: &CollectedRows, path: &Path, document: &[u8]) -> io::Result<()> {
        self.num_bytes += document.len() as u64;
        self.file(rows, path)?.write_all(document)
    }

    /// Writes it for good, and returns its name until it gets its own.
    fn finish(mut self, rows: &CollectedRows, path: &Path) -> io::Result<PathBuf> {
        let file = self.file(rows, path)?;
        file.end_last_part()?;
        file.flushed()?.sync()?;
        Ok(self.unfinished)
    }

    fn file(&mut self, rows: &CollectedRows, path: &Path) -> io::Result<&mut Parts<OutputFile>> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let (unfinished, file) = create_unfinished(rows.storage(), path)?;
                self.unfinished = unfinished;
                // One part: a server reads one gzip member only.
                Parts::new(path, file, 0, usize::MAX)
            }
        };
        Ok(self.file.insert(file))
    }
}
