//! One open file, as lines.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::csv::{Found, Records};
use super::decompress::{decompressed, Counted, BUFFER_BYTES};
use super::error::InputError;
use super::line::{read_line, trim_line, BOM};
use super::row::RowError;
use super::row_files::open_rows;
use super::row_lines::RowLines;
use super::source::{Container, Position, Source};

/// The most bytes of a line that is read into memory, where nothing else is said.
pub const MAX_LINE_BYTES: usize = 64 << 20;

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
        let mut opened = if source.start == 0 {
            Self::over(source, file, source.open_stream()?).map_err(cannot_open)?
        } else {
            let mut plain = File::open(&source.path).map_err(cannot_open)?;
            // One byte early: unless it is the end of a line, the part begins in the middle of one.
            plain.seek(SeekFrom::Start(source.start - 1)).map_err(cannot_open)?;
            // Whatever its first bytes look like: only plain files have such parts.
            Self::new(source, file, Box::new(BufReader::with_capacity(BUFFER_BYTES, plain)), None)
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

    /// What is left to read, decompressed.
    pub(super) fn into_reader(self) -> Box<dyn BufRead + Send> {
        self.reader
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

#[cfg(test)]
mod tests;
