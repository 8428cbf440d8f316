//! Files that are read from beginning to end: their rows one after the other, or all bytes at once.

use std::io::Read;
use std::path::Path;

use super::error::InputError;
use super::file::InputFile;
use super::parser::LineParser;
use super::source::{Container, Source};

/// The most bytes of a file that is read as a whole.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The first row of a file that is not blank; `None` where it has none, or is no file that can be read again.
///
/// # Errors
///
/// Those of the file.
pub fn first_row(path: &Path, container: Container) -> Result<Option<Vec<u8>>, InputError> {
    let [source] = &Source::whole(&[path.to_path_buf()], container)?[..] else { return Ok(None) };
    if source.size.is_none() {
        return Ok(None);
    }
    let mut file = InputFile::open(source, 0)?;
    while let Some(line) = file.next_line()? {
        if !line.trim_ascii().is_empty() {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// Hands out the lines of a file that are not blank, with their numbers.
///
/// # Errors
///
/// Those of the file, and those of `take`.
pub fn each_line<E: From<InputError>>(
    path: &Path,
    take: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    each_row(path, Container::Lines, take)
}

/// Hands out the rows of a file that are not blank, with the numbers of the lines that they begin in.
///
/// # Errors
///
/// Those of the file, and those of `take`.
pub fn each_row<E: From<InputError>>(
    path: &Path,
    container: Container,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let sources = Source::whole(&[path.to_path_buf()], container)?;
    let mut file = InputFile::open(&sources[0], 0)?;
    while let Some(line) = file.next_line()? {
        if !line.trim_ascii().is_empty() {
            take(file.line_number(), &line)?;
        }
    }
    Ok(())
}

/// The texts of a file of rows, in their order.
///
/// # Errors
///
/// Those of the file, and [`InputError::Row`] with the line of a row that cannot be used.
pub fn read_texts(path: &Path, parser: &LineParser) -> Result<Vec<String>, InputError> {
    let mut texts = Vec::new();
    each_row(path, parser.format().container(), |line, row| {
        let bad = |reason| InputError::Row { name: format!("`{}`", path.display()), line, reason };
        texts.push(parser.parse(row).map_err(bad)?.text);
        Ok::<(), InputError>(())
    })?;
    Ok(texts)
}

/// What [`each_line`] hands out, all at once.
///
/// # Errors
///
/// Those of the file.
pub fn read_lines(path: &Path) -> Result<Vec<(u64, Vec<u8>)>, InputError> {
    let mut lines = Vec::new();
    each_line(path, |number, line| {
        lines.push((number, line.to_vec()));
        Ok::<(), InputError>(())
    })?;
    Ok(lines)
}

/// The bytes of a file, decompressed, all of them; `-` is standard input.
///
/// # Errors
///
/// Those of the file; one where there are more than [`MAX_FILE_BYTES`].
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, InputError> {
    let source = &Source::whole(&[path.to_path_buf()], Container::Lines)?[0];
    let file = InputFile::open(source, 0)?;
    let mut bytes = Vec::new();
    let read = file.into_reader().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| InputError::Read { name: source.name(), line: 0, source: error })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(InputError::TooLarge { name: source.name(), most: MAX_FILE_BYTES });
    }
    source.check_unchanged()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::MAX_LINE_BYTES;

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.zst");
        let long = zstd::encode_all(&vec![b' '; MAX_LINE_BYTES + 1][..], 1).expect("memory");
        std::fs::write(&path, long).expect("written");
        let error = read_lines(&path).expect_err("too long").to_string();
        assert!(error.ends_with("line 1: a line of 67108865 bytes, more than 67108864"), "{error}");
    }
}
