//! One open file, as lines.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::csv::{Found, Records};
use super::decompress::{decompressed, Counted, BUFFER_BYTES};
use super::error::InputError;
use super::row::RowError;
use super::row_files::open_rows;
use super::row_lines::RowLines;
use super::source::{Container, Position, Source};

/// The most bytes of a line that is read into memory, where nothing else is said.
pub const MAX_LINE_BYTES: usize = 64 << 20;

/// The most bytes of a file that is read as a whole.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One open file, decompressed.
pub struct InputFile {
    /// What it is a file of.
    pub source: Arc<Source>,
    reader: Box<dyn BufRead + Send>,
    /// The bytes that `reader` has drawn from a compressed file; a plain one has none of its own.
    raw: Option<Arc<AtomicU64>>,
    position: Position,
    /// What reads a file of comma-separated values.
    records: Option<Records>,
    /// See [`InputFile::line_number`].
    line_number: u64,
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
            if source.start > 0 {
                plain.seek(SeekFrom::Start(early)).map_err(cannot_open)?;
                // Whatever its first bytes look like: only plain files have such parts.
                Self::new(source, file, Box::new(BufReader::with_capacity(BUFFER_BYTES, plain)), None)
            } else {
                Self::over(source, file, Box::new(plain)).map_err(cannot_open)?
            }
        };
        if source.container == Container::Csv {
            opened
                .read_columns()
                .map_err(|error| InputError::Columns { name: source.name(), source: error })?;
        }
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
        let before = opened.position.offset;
        if opened.raw.is_none() {
            let mut plain = File::open(&source.path).map_err(cannot_reach)?;
            plain.seek(SeekFrom::Start(position.offset)).map_err(cannot_reach)?;
            opened.reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, plain));
        } else {
            let left = position.offset.saturating_sub(before);
            let skipped = io::copy(&mut (&mut opened.reader).take(left), &mut io::sink());
            let skipped = before + skipped.map_err(cannot_reach)?;
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
        let raw = compressed.then_some(counter);
        Ok(Self::new(source, file, reader, raw))
    }

    fn new(
        source: &Arc<Source>,
        file: usize,
        reader: Box<dyn BufRead + Send>,
        raw: Option<Arc<AtomicU64>>,
    ) -> InputFile {
        let position = Position { file, ..Position::default() };
        InputFile { source: Arc::clone(source), reader, raw, position, records: None, line_number: 0 }
    }

    /// Reads what comes before the records of comma-separated values.
    fn read_columns(&mut self) -> io::Result<()> {
        let mut start = Vec::new();
        (&mut self.reader).take(BOM.len() as u64).read_to_end(&mut start)?;
        if start == BOM {
            self.position.offset = BOM.len() as u64;
        } else {
            let reader = std::mem::replace(&mut self.reader, Box::new(io::empty()));
            self.reader = Box::new(BufReader::new(io::Cursor::new(start).chain(reader)));
        }
        let (records, extent) = Records::open(&mut *self.reader)?;
        self.records = Some(records);
        self.advance(extent.bytes, extent.lines);
        Ok(())
    }

    fn advance(&mut self, bytes: u64, lines: u64) {
        self.position.offset += bytes;
        self.position.raw = self.raw.as_ref().map_or(self.position.offset, |raw| raw.load(Ordering::Relaxed));
        self.position.line += lines;
    }

    /// A file whose rows are made into lines.
    fn of_rows(
        source: &Arc<Source>,
        file: usize,
        rows: Box<dyn ExactSizeIterator<Item = io::Result<String>> + Send>,
    ) -> InputFile {
        let read = Arc::new(AtomicU64::new(0));
        let rows = RowLines::new(rows, source.size.unwrap_or_default(), Arc::clone(&read));
        Self::new(source, file, Box::new(rows), Some(read))
    }

    /// The place after the last line that was read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The number of the line that the last row began in, from 1, in the part of the file that is read.
    pub fn line_number(&self) -> u64 {
        self.line_number
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of reading and decompressing the file; and of a line of more than [`MAX_LINE_BYTES`], or one that cannot be
    /// read.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        let mut line = Vec::new();
        let read = self.read_line(MAX_LINE_BYTES, &mut line)?;
        let (name, number) = (|| self.source.name(), self.line_number);
        match read {
            ReadLine::End => Ok(None),
            ReadLine::Whole => Ok(Some(line)),
            ReadLine::TooLong(bytes) => {
                Err(InputError::LongLine { name: name(), line: number, bytes, most: MAX_LINE_BYTES })
            }
            ReadLine::Bad(reason) => Err(InputError::Row { name: name(), line: number, reason }),
        }
    }

    /// Reads the next line into `line`, its end and a byte order mark removed. Of one of more than `limit` bytes,
    /// only the beginning is held.
    ///
    /// # Errors
    ///
    /// Those of reading and decompressing the file; at its end, one where it has changed since its [`Source`] was made.
    pub fn read_line(&mut self, limit: usize, line: &mut Vec<u8>) -> Result<ReadLine, InputError> {
        if self.position.offset >= self.source.end {
            return self.end();
        }
        let first = self.position.offset == 0;
        let (name, line_before) = (|| self.source.name(), self.position.line);
        let cannot_read = |error| InputError::Read { name: name(), line: line_before, source: error };
        if let Some(records) = &mut self.records {
            let (found, extent) = records.read(&mut *self.reader, limit, line).map_err(cannot_read)?;
            self.line_number = line_before + extent.lines_before + 1;
            self.advance(extent.bytes, extent.lines);
            return match found {
                Found::End => self.end(),
                Found::Whole => Ok(ReadLine::Whole),
                Found::TooLong(bytes) => Ok(ReadLine::TooLong(bytes)),
                Found::Bad(reason) => Ok(ReadLine::Bad(RowError::new(reason))),
            };
        }
        let read = read_line(&mut *self.reader, limit, line).map_err(cannot_read)?;
        if read == 0 {
            return self.end();
        }
        self.advance(read, 1);
        self.line_number = self.position.line;
        let is_whole = read == line.len() as u64;
        trim_line(line, first);
        Ok(if is_whole { ReadLine::Whole } else { ReadLine::TooLong(read) })
    }

    fn end(&self) -> Result<ReadLine, InputError> {
        self.source.check_unchanged()?;
        Ok(ReadLine::End)
    }
}

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

/// The bytes of a file, decompressed.
///
/// # Errors
///
/// Those of the file.
pub(crate) fn decompressed_lines(file: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(decompressed(file)?.0)
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
    let read = file.reader.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| InputError::Read { name: source.name(), line: 0, source: error })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(InputError::TooLarge { name: source.name(), most: MAX_FILE_BYTES });
    }
    source.check_unchanged()?;
    Ok(bytes)
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadLine {
    /// Nothing: the part is at its end.
    End,
    /// A line.
    Whole,
    /// The beginning of a line of so many bytes.
    TooLong(u64),
    /// The beginning of a row that cannot be read.
    Bad(RowError),
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
    fn a_part_that_begins_as_a_compressed_file_does_is_plain() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows");
        std::fs::write(&path, b"one\n\x1f\x8b two\n\x28\xb5\x2f\xfd three\n").expect("written");
        let paths = [path];
        for count in 1..=30 {
            let mut lines = 0;
            for index in 1..=count {
                let source = &Source::shard(&paths, Container::Lines, index, count).expect("a file")[0];
                let mut file = InputFile::open(source, 0).expect("a file");
                while file.read_line(100, &mut Vec::new()).expect("a line") == ReadLine::Whole {
                    lines += 1;
                }
            }
            assert_eq!(lines, 3, "{count} shards");
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

    #[test]
    fn reading_goes_on_at_any_record_of_comma_separated_values() {
        let folder = tempfile::tempdir().expect("a folder");
        let records: String =
            (0..30).map(|number| format!("{number},\"a \"\"{number}\"\"\r\nb\"\r\n")).collect();
        let plain = format!("\u{feff}id,text\r\n\r\n{records}");
        for (name, bytes) in [
            ("plain", plain.clone().into_bytes()),
            ("zstd", zstd::encode_all(plain.as_bytes(), 3).expect("memory")),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            let source = &Source::whole(&[path], Container::Csv).expect("a file")[0];
            let mut whole = InputFile::open(source, 0).expect("a file");
            for number in 0..30 {
                let mut resumed = InputFile::open_at(source, whole.position()).expect("the place");
                let (mut expected, mut found) = (Vec::new(), Vec::new());
                whole.read_line(100, &mut expected).expect("a record");
                resumed.read_line(100, &mut found).expect("a record");
                assert_eq!(whole.line_number(), 3 + 2 * number, "{name}");
                let line_numbers = (resumed.line_number(), whole.line_number());
                assert_eq!((found, line_numbers.0), (expected.clone(), line_numbers.1), "{name}");
                let text = format!("{{\"id\":\"{number}\",\"text\":\"a \\\"{number}\\\"\\r\\nb\"}}");
                assert_eq!(String::from_utf8_lossy(&expected), text);
            }
            assert_eq!(whole.read_line(100, &mut Vec::new()).expect("the end"), ReadLine::End);
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows");
        type Change = fn(&Path);
        let changes: [(&str, Change); 4] = [
            ("cut", |path| std::fs::write(path, "one\n").expect("written")),
            ("longer", |path| std::fs::write(path, "one\ntwo\nthree\n").expect("written")),
            ("gone", |path| std::fs::remove_file(path).expect("removed")),
            ("other bytes", |path| {
                std::fs::write(path, "one\nTWO\n").expect("written");
                let file = File::options().append(true).open(path).expect("there");
                let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
                file.set_modified(later).expect("a time");
            }),
        ];
        for (what, change) in changes {
            std::fs::write(&path, "one\ntwo\n").expect("written");
            let source = &Source::whole(std::slice::from_ref(&path), Container::Lines).expect("a file")[0];
            let mut file = InputFile::open(source, 0).expect("a file");
            assert_eq!(file.read_line(100, &mut Vec::new()).expect("a line"), ReadLine::Whole);
            source.check_unchanged().expect("as it was");
            change(&path);
            let error = loop {
                match file.read_line(100, &mut Vec::new()) {
                    Ok(ReadLine::End) => panic!("{what}: nothing was noticed"),
                    Ok(_) => {}
                    Err(error) => break error.to_string(),
                }
            };
            assert!(error.ends_with("has changed while it was read"), "{what}: {error}");
        }
    }

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
