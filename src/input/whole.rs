//! Files that are read from beginning to end: their rows one after the other, or all bytes at once.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::InputError;
use super::file::{InputFile, ReadLine, MAX_LINE_BYTES};
use super::parser::LineParser;
use super::source::{Container, Source};

/// The most bytes of a file that is read as a whole.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The first row of an input that is not blank; `None` where it has none, or one that cannot be read: whoever reads the
/// rows says so in its turn. Nothing of a stream is lost: the next [`InputFile`] of this source begins at its beginning.
///
/// # Errors
///
/// Those of the file.
pub fn first_row(source: &Arc<Source>) -> Result<Option<Vec<u8>>, InputError> {
    if source.size.is_some() {
        return first_row_of(InputFile::open(source, 0)?);
    }
    let stream = source.open_stream()?;
    let recording = Arc::new(Mutex::new(Recording { stream, bytes: Vec::new() }));
    source.put_back(Box::new(Recorder(Arc::clone(&recording))));
    let row = InputFile::open(source, 0).and_then(first_row_of);
    // Where the file was not opened, it was not taken either.
    source.take_back();
    let recording = Arc::into_inner(recording).expect("the file is closed, anything else is a bug");
    let Recording { stream, bytes } = recording.into_inner().unwrap_or_else(PoisonError::into_inner);
    source.put_back(Box::new(Cursor::new(bytes).chain(stream)));
    row
}

fn first_row_of(mut file: InputFile) -> Result<Option<Vec<u8>>, InputError> {
    let mut line = Vec::new();
    while file.read_line(MAX_LINE_BYTES, &mut line)? == ReadLine::Whole {
        if !line.trim_ascii().is_empty() {
            return Ok(Some(line));
        }
        line.clear();
    }
    Ok(None)
}

/// A stream, and the bytes that were read from it.
struct Recording {
    stream: Box<dyn Read + Send>,
    bytes: Vec<u8>,
}

/// Reads a stream, and records what it reads.
struct Recorder(Arc<Mutex<Recording>>);

impl Read for Recorder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let recording = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = recording.stream.read(buffer)?;
        recording.bytes.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
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

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.zst");
        let long = zstd::encode_all(&vec![b' '; MAX_LINE_BYTES + 1][..], 1).expect("memory");
        std::fs::write(&path, long).expect("written");
        let error = read_lines(&path).expect_err("too long").to_string();
        assert!(error.ends_with("line 1: a line of 67108865 bytes, more than 67108864"), "{error}");
    }

    #[test]
    fn a_stream_whose_first_row_was_looked_at_is_read_from_its_beginning() {
        let rows = b"\xef\xbb\xbf\n  \nfirst\nsecond\n";
        let csv = b"id,text\n1,a\n2,b\n";
        let long = [&b"first\n"[..], &b"x".repeat(1 << 20), b"\nlast"].concat();
        let cases = [
            (&rows[..], Container::Lines),
            (csv, Container::Csv),
            (&long, Container::Lines),
            (b"", Container::Lines),
        ];
        for (bytes, container) in cases {
            let zstd = zstd::encode_all(bytes, 3).expect("memory");
            for stream in [bytes.to_vec(), zstd] {
                let source = &Source::whole(&["-".into()], container).expect("a stream")[0];
                let read = |source: &Arc<Source>| {
                    let mut file = InputFile::open(source, 0).expect("a stream");
                    let mut lines = Vec::new();
                    while let Some(line) = file.next_line().expect("a line") {
                        lines.push((file.line_number(), line));
                    }
                    lines
                };
                source.put_back(Box::new(Cursor::new(stream.clone())));
                let expected = read(source);
                source.put_back(Box::new(Cursor::new(stream)));
                for _ in 0..2 {
                    let first = first_row(source).expect("a stream");
                    let whole =
                        expected.iter().map(|(_, line)| line).find(|line| !line.trim_ascii().is_empty());
                    assert_eq!(first.as_ref(), whole);
                }
                assert_eq!(read(source), expected);
            }
        }
    }
}
