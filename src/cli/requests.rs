//! `--bulk-mb`: rows of `_bulk` requests in numbered files, each small enough to be sent at once.

use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};

use neural_sparse::format::Assembly;

use super::compression::Parts;
use super::storage::folder_of;
use neural_sparse::input::plain_lines;

/// Splits rows of requests between two documents.
pub(super) struct Requests {
    /// Plain bytes of a file; a document that is larger alone gets a file of its own.
    pub max_bytes: u64,
    /// Lines of a document.
    pub lines: usize,
}

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
    fn assemble(&self, rows: &Path, output: &Path) -> io::Result<()> {
        let mut lines = plain_lines(rows)?;
        let mut request = Request::default();
        let mut unfinished = Vec::new();
        let mut document = Vec::new();
        loop {
            document.clear();
            for _ in 0..self.lines {
                lines.read_until(b'\n', &mut document)?;
            }
            let is_full = request.num_bytes > 0 && request.num_bytes + document.len() as u64 > self.max_bytes;
            if is_full || (document.is_empty() && (request.num_bytes > 0 || unfinished.is_empty())) {
                request.finish(output, unfinished.len() + 1)?;
                unfinished.push(numbered(output, unfinished.len() + 1));
                request = Request::default();
            }
            if document.is_empty() {
                break;
            }
            request.write(output, unfinished.len() + 1, &document)?;
        }
        for left_over in self.results(output) {
            if fs::exists(&left_over)? && !unfinished.contains(&left_over) {
                fs::remove_file(left_over)?;
            }
        }
        // The first appears last: where it is, all are.
        unfinished.iter().rev().try_for_each(|path| fs::rename(unfinished_path(path), path))?;
        // Where a folder cannot be opened, names are kept without being asked to.
        File::open(folder_of(output)).and_then(|folder| folder.sync_all()).or(Ok(()))
    }

    fn results(&self, output: &Path) -> Vec<PathBuf> {
        let (stem, suffix) = stem_and_suffix(output);
        let is_numbered = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let number = name.strip_prefix(&format!("{stem}-")).and_then(|rest| rest.strip_suffix(&suffix));
            number.is_some_and(|number| number.len() >= 5 && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let first = numbered(output, 1);
        let entries = fs::read_dir(folder_of(output)).into_iter().flatten().flatten();
        let found = entries.map(|entry| output.with_file_name(entry.file_name()));
        let mut others: Vec<PathBuf> = found.filter(|path| is_numbered(path) && *path != first).collect();
        others.sort();
        std::iter::once(first).chain(others).collect()
    }
}

fn unfinished_path(path: &Path) -> PathBuf {
    super::output::with_suffix(path, ".unfinished")
}

/// A file that is being written.
#[derive(Default)]
struct Request {
    num_bytes: u64,
    file: Option<Parts<BufWriter<File>>>,
}

impl Request {
    fn write(&mut self, output: &Path, number: usize, document: &[u8]) -> io::Result<()> {
        self.num_bytes += document.len() as u64;
        self.file(output, number)?.write_all(document)
    }

    fn finish(&mut self, output: &Path, number: usize) -> io::Result<()> {
        let file = self.file(output, number)?;
        file.end_last_part()?;
        file.flushed()?.sync_all()
    }

    fn file(&mut self, output: &Path, number: usize) -> io::Result<&mut Parts<BufWriter<File>>> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let path = numbered(output, number);
                let file = BufWriter::new(File::create(unfinished_path(&path))?);
                // One part: a server reads one gzip member only.
                Parts::new(&path, file, 0, usize::MAX)
            }
        };
        Ok(self.file.insert(file))
    }
}
