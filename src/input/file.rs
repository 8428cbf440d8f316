//! One open file, as lines.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::decompress::{decompressed, Counted, BUFFER_BYTES};
use super::error::InputError;
use super::row_files::open_rows;
use super::row_lines::RowLines;
use super::source::{Container, Position, Source};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One open file, decompressed.
pub struct InputFile {
    /// What it is a file of.
    pub source: Arc<Source>,
    reader: Box<dyn BufRead + Send>,
    /// The bytes that `reader` has drawn from a compressed file; a plain one has none of its own.
    raw: Option<Arc<AtomicU64>>,
    position: Position,
}

impl InputFile {
    /// Opens the input number `file` at the beginning of the part that is read.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn open(source: &Arc<Source>, file: usize) -> Result<InputFile, InputError> {
        let cannot_open = |error| InputError::Open { name: source.name(), source: error };
        if let Container::Rows(kind) = source.container {
            let rows = open_rows(kind, &source.path).map_err(cannot_open)?;
            return Ok(Self::of_rows(source, file, rows));
        }
        let mut opened = if source.is_stdin() {
            Self::over(source, file, Box::new(io::stdin())).map_err(cannot_open)?
        } else {
            let mut plain = File::open(&source.path).map_err(cannot_open)?;
            // One byte early: unless it is the end of a line, the part begins in the middle of one.
            let early = source.start.saturating_sub(1);
            if early > 0 {
                plain.seek(SeekFrom::Start(early)).map_err(cannot_open)?;
            }
            Self::over(source, file, Box::new(plain)).map_err(cannot_open)?
        };
        if source.start > 0 {
            opened.position.offset = source.start - 1;
            let skipped = read_line(&mut *opened.reader, 0, &mut Vec::new()).map_err(cannot_open)?;
            opened.position.offset += skipped;
            opened.position.raw = opened.position.offset;
        }
        Ok(opened)
    }

    /// Opens the input that `position` is in, to go on from there.
    ///
    /// # Errors
    ///
    /// Those of the file, and one where it ends before `position`.
    pub fn open_at(source: &Arc<Source>, position: Position) -> Result<InputFile, InputError> {
        let mut opened = Self::open(source, position.file)?;
        let (name, offset) = (|| source.name(), position.offset);
        let cannot_reach = |error| InputError::Reach { name: name(), offset, source: error };
        if opened.raw.is_none() {
            let mut plain = File::open(&source.path).map_err(cannot_reach)?;
            plain.seek(SeekFrom::Start(position.offset)).map_err(cannot_reach)?;
            opened.reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, plain));
        } else {
            let skipped = io::copy(&mut (&mut opened.reader).take(position.offset), &mut io::sink());
            let skipped = skipped.map_err(cannot_reach)?;
            if skipped != offset {
                return Err(InputError::Short { name: name(), offset, end: skipped });
            }
        }
        opened.position = position;
        Ok(opened)
    }

    fn over(source: &Arc<Source>, file: usize, bytes: Box<dyn Read + Send>) -> io::Result<InputFile> {
        let counter = Arc::new(AtomicU64::new(0));
        let (reader, compressed) = decompressed(Counted { bytes, count: Arc::clone(&counter) })?;
        let position = Position { file, ..Position::default() };
        Ok(InputFile { source: Arc::clone(source), reader, raw: compressed.then_some(counter), position })
    }

    /// A file whose rows are made into lines.
    fn of_rows(
        source: &Arc<Source>,
        file: usize,
        rows: Box<dyn ExactSizeIterator<Item = io::Result<String>> + Send>,
    ) -> InputFile {
        let read = Arc::new(AtomicU64::new(0));
        let rows = RowLines::new(rows, source.size.unwrap_or_default(), Arc::clone(&read));
        let position = Position { file, ..Position::default() };
        InputFile { source: Arc::clone(source), reader: Box::new(rows), raw: Some(read), position }
    }

    /// The place after the last line that was read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next line, however long; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of reading and decompressing the file.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        let mut line = Vec::new();
        let read = self.read_line(usize::MAX >> 1, &mut line)?;
        Ok((read != ReadLine::End).then_some(line))
    }

    /// Reads the next line into `line`, its end and a byte order mark removed. Of one of more than `limit` bytes,
    /// only the beginning is held.
    ///
    /// # Errors
    ///
    /// Those of reading and decompressing the file.
    pub fn read_line(&mut self, limit: usize, line: &mut Vec<u8>) -> Result<ReadLine, InputError> {
        if self.position.offset >= self.source.end {
            return Ok(ReadLine::End);
        }
        let first = self.position.offset == 0;
        let read = read_line(&mut *self.reader, limit, line).map_err(|error| InputError::Read {
            name: self.source.name(),
            line: self.position.line,
            source: error,
        })?;
        if read == 0 {
            return Ok(ReadLine::End);
        }
        self.position.offset += read;
        self.position.raw = self.raw.as_ref().map_or(self.position.offset, |raw| raw.load(Ordering::Relaxed));
        self.position.line += 1;
        let is_whole = read == line.len() as u64;
        trim_line(line, first);
        Ok(if is_whole { ReadLine::Whole } else { ReadLine::TooLong(read) })
    }
}

/// The first line of a file that is not blank; `None` where it has none, or is no file that can be read again.
///
/// # Errors
///
/// Those of the file.
pub fn first_line(path: &Path) -> Result<Option<Vec<u8>>, InputError> {
    let [source] = &Source::whole(&[path.to_path_buf()], Container::Lines)?[..] else { return Ok(None) };
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
    mut take: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let sources = Source::whole(&[path.to_path_buf()], Container::Lines)?;
    let mut file = InputFile::open(&sources[0], 0)?;
    while let Some(line) = file.next_line()? {
        if !line.trim_ascii().is_empty() {
            take(file.position().line, &line)?;
        }
    }
    Ok(())
}

/// The lines of a file that are not blank, with their numbers, all at once.
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

/// The bytes of a file, decompressed.
///
/// # Errors
///
/// Those of the file.
pub(crate) fn decompressed_lines(file: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(decompressed(file)?.0)
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLine {
    /// Nothing: the part is at its end.
    End,
    /// A line.
    Whole,
    /// The beginning of a line of so many bytes.
    TooLong(u64),
}

impl fmt::Debug for InputFile {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.debug_struct("InputFile")
            .field("source", &self.source)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Reads up to and with the next line end, and returns how many bytes that were; more than `limit` are
/// read and let go.
fn read_line(reader: &mut dyn BufRead, limit: usize, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut read = 0;
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = available.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(available.len(), |end| end + 1);
        // The line end does not count.
        let held = taken.min(limit.saturating_add(usize::from(end.is_some())).saturating_sub(line.len()));
        line.extend_from_slice(&available[..held]);
        read += taken as u64;
        reader.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(read);
        }
    }
}

/// Removes the line end and, from the first line of a file, the byte order mark.
pub fn trim_line(bytes: &mut Vec<u8>, first: bool) {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if first && bytes.starts_with(BOM) {
        bytes.drain(..BOM.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &'static [u8], limit: usize) -> Vec<(u64, Vec<u8>)> {
        // A small buffer, so that lines stand across its ends.
        let mut reader = BufReader::with_capacity(3, bytes);
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            match read_line(&mut reader, limit, &mut line).expect("memory") {
                0 => return lines,
                read => lines.push((read, line)),
            }
        }
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_one_beyond_is_not() {
        assert_eq!(lines(b"abcde\nx\n", 5), [(6, b"abcde\n".to_vec()), (2, b"x\n".to_vec())]);
        let [(read, line), (2, _)] = &lines(b"abcdef\nx\n", 5)[..] else { panic!("two lines") };
        assert!(*read > line.len() as u64 && line.len() <= 6);
        assert_eq!(lines(b"abcdefghij", 4), [(10, b"abcd".to_vec())]);
    }

    /// Every line of the sources, with its number in its file.
    fn numbered(sources: &[Arc<Source>]) -> Vec<(u64, String)> {
        let mut lines = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let mut file = InputFile::open(source, index).expect("a file");
            let mut line = Vec::new();
            while file.read_line(100, &mut line).expect("a line") == ReadLine::Whole {
                let number = source.lines_before().expect("a file") + file.position().line;
                lines.push((number, String::from_utf8(std::mem::take(&mut line)).expect("text")));
            }
        }
        lines
    }

    #[test]
    fn shards_are_the_whole_cut_between_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&first, "\u{feff}one\ntwo\r\n\nfour, which is long\nlast without an end")
            .expect("written");
        std::fs::write(&second, "x\n\ny\n").expect("written");
        let paths = [first, second];
        let whole = numbered(&Source::whole(&paths, Container::Lines).expect("files"));
        assert_eq!(whole.len(), 8);
        for count in 1..=60 {
            let shard =
                |index| numbered(&Source::shard(&paths, Container::Lines, index, count).expect("files"));
            assert_eq!((1..=count).flat_map(shard).collect::<Vec<_>>(), whole, "{count} shards");
        }
    }

    #[test]
    fn reading_goes_on_at_any_line_of_plain_and_compressed_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let plain: String = (0..50).map(|number| format!("{}{number}\n", "x".repeat(number))).collect();
        for (name, bytes) in [
            ("plain", plain.clone().into_bytes()),
            ("zstd", zstd::encode_all(plain.as_bytes(), 3).expect("memory")),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            let source = &Source::whole(&[path], Container::Lines).expect("a file")[0];
            let mut whole = InputFile::open(source, 0).expect("a file");
            for _ in 0..50 {
                let mut resumed = InputFile::open_at(source, whole.position()).expect("the place");
                let (mut expected, mut found) = (Vec::new(), Vec::new());
                whole.read_line(100, &mut expected).expect("a line");
                resumed.read_line(100, &mut found).expect("a line");
                assert_eq!((found, resumed.position().line), (expected, whole.position().line), "{name}");
            }
        }
    }
}
