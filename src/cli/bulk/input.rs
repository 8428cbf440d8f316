//! Input files as lines: plain, gzip or zstd, whole or from a place on; or a file of another kind, a row a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use flate2::bufread::MultiGzDecoder;
use neural_sparse::format::{self, RowFile};
use serde::{Deserialize, Serialize};

use crate::cli::failure::UsageError;

/// Read at once from a file.
const BUFFER_BYTES: usize = 1 << 17;

const BOM: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// A place between two lines of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Position {
    /// Which input file, from 0.
    pub file: usize,
    /// Bytes of it before this place, decompressed.
    pub offset: u64,
    /// Bytes that had been read from it by then; the same as `offset` where it is plain.
    pub raw: u64,
    /// Lines before this place, in the part of the file that is read.
    pub line: u64,
}

/// What an input is a file of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum Container {
    /// Lines of text.
    #[default]
    Lines,
    /// Rows of something else, each made into a line of JSON.
    Rows(RowFile),
}

/// One input, or the part of it that is read.
#[derive(Debug)]
pub(in crate::cli) struct Source {
    /// As the user named it; `-` is standard input.
    pub path: PathBuf,
    container: Container,
    /// Its size where it is a regular file.
    pub size: Option<u64>,
    /// Where the lines that are read begin: those from `start` on, up to `end`.
    start: u64,
    end: u64,
    /// Lines before `start`, counted when somebody first asks.
    lines_before: OnceLock<u64>,
}

impl Source {
    /// The whole of each file. A regular one must be there; others are opened when their turn comes.
    pub fn whole(paths: &[PathBuf], container: Container) -> anyhow::Result<Vec<Arc<Source>>> {
        let source = |path: &PathBuf| {
            let mut source = Source {
                path: path.clone(),
                container,
                size: None,
                start: 0,
                end: u64::MAX,
                lines_before: OnceLock::new(),
            };
            if source.is_stdin() && container != Container::Lines {
                let message = "this input format is read from files, not from standard input";
                return Err(UsageError::new(message).into());
            }
            if !source.is_stdin() {
                let found = path.metadata().with_context(|| format!("cannot open {}", source.name()))?;
                anyhow::ensure!(!found.is_dir(), "cannot read {}: it is a folder", source.name());
                source.size = found.is_file().then_some(found.len());
            }
            Ok(Arc::new(source))
        };
        paths.iter().map(source).collect()
    }

    /// The lines of shard `index` (from 1) of `count` parts of nearly equal size.
    ///
    /// A line belongs to the part that its first byte is in, so the shards together are the whole, each line once.
    pub fn shard(
        paths: &[PathBuf],
        container: Container,
        index: u64,
        count: u64,
    ) -> anyhow::Result<Vec<Arc<Source>>> {
        let whole = Source::whole(paths, container)?;
        let mut sizes = Vec::new();
        for source in &whole {
            let is_plain = container == Container::Lines && !source.is_compressed().unwrap_or(false);
            let plain = source.size.filter(|_| is_plain);
            sizes.push(plain.ok_or_else(|| {
                UsageError::with_hint(
                    format!(
                        "--shard: {} is not a plain file, which alone can be read from its middle",
                        source.name()
                    ),
                    "decompress it first, or give each machine files of its own",
                )
            })?);
        }
        let total: u64 = sizes.iter().sum();
        let border = |part: u64| (u128::from(total) * u128::from(part) / u128::from(count)) as u64;
        let (first, last) = (border(index - 1), border(index));
        let mut before = 0;
        let mut parts = Vec::new();
        for (source, size) in whole.into_iter().zip(sizes) {
            let start = first.clamp(before, before + size) - before;
            let end = last.clamp(before, before + size) - before;
            let Source { path, size: known, .. } =
                Arc::into_inner(source).expect("just made, anything else is a bug");
            let lines_before = OnceLock::new();
            parts.push(Arc::new(Source { path, container, size: known, start, end, lines_before }));
            before += size;
        }
        Ok(parts)
    }

    pub fn is_stdin(&self) -> bool {
        self.path == Path::new("-")
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        if self.is_stdin() {
            "standard input".into()
        } else {
            format!("`{}`", self.path.display())
        }
    }

    /// Bytes that will be read from it, where that is known.
    pub fn bytes_to_read(&self) -> Option<u64> {
        self.size.map(|size| size.min(self.end) - self.start)
    }

    /// Of those, how many lie before `position`, which is in this file.
    pub fn bytes_read(&self, position: &Position) -> u64 {
        position.raw.saturating_sub(self.start)
    }

    /// Lines of the file before the part that is read.
    ///
    /// Only asked for where a line's number matters: counting reads all that is before.
    pub fn lines_before(&self) -> io::Result<u64> {
        if let Some(&lines) = self.lines_before.get() {
            return Ok(lines);
        }
        let lines = match self.start {
            0 => 0,
            start => {
                let mut reader = BufReader::with_capacity(BUFFER_BYTES, File::open(&self.path)?.take(start));
                let mut lines = u64::from(self.begins_within_a_line()?);
                loop {
                    let bytes = reader.fill_buf()?;
                    if bytes.is_empty() {
                        break;
                    }
                    lines += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
                    let count = bytes.len();
                    reader.consume(count);
                }
                lines
            }
        };
        Ok(*self.lines_before.get_or_init(|| lines))
    }

    /// Whether the byte before the part is not the end of a line: that line belongs to the part before.
    fn begins_within_a_line(&self) -> io::Result<bool> {
        let mut byte = [0];
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.start - 1))?;
        file.read_exact(&mut byte)?;
        Ok(byte != *b"\n")
    }

    fn is_compressed(&self) -> io::Result<bool> {
        let mut start = Vec::new();
        File::open(&self.path)?.take(ZSTD.len() as u64).read_to_end(&mut start)?;
        Ok(start.starts_with(GZIP) || start.starts_with(ZSTD))
    }
}

/// One open file, decompressed.
pub(super) struct InputFile {
    pub source: Arc<Source>,
    reader: Box<dyn BufRead + Send>,
    /// The bytes that `reader` has drawn from a compressed file; a plain one has none of its own.
    raw: Option<Arc<AtomicU64>>,
    position: Position,
}

impl InputFile {
    /// Opens the input number `file` at the beginning of the part that is read.
    pub fn open(source: &Arc<Source>, file: usize) -> anyhow::Result<InputFile> {
        let cannot_open = || format!("cannot open {}", source.name());
        if let Container::Rows(kind) = source.container {
            let rows = format::open_rows(kind, &source.path).with_context(cannot_open)?;
            return Ok(Self::of_rows(source, file, rows));
        }
        let mut opened = if source.is_stdin() {
            Self::over(source, file, Box::new(io::stdin())).with_context(cannot_open)?
        } else {
            let mut plain = File::open(&source.path).with_context(cannot_open)?;
            // One byte early: unless it is the end of a line, the part begins in the middle of one.
            let early = source.start.saturating_sub(1);
            if early > 0 {
                plain.seek(SeekFrom::Start(early)).with_context(cannot_open)?;
            }
            Self::over(source, file, Box::new(plain)).with_context(cannot_open)?
        };
        if source.start > 0 {
            opened.position.offset = source.start - 1;
            let skipped = read_line(&mut *opened.reader, 0, &mut Vec::new()).with_context(cannot_open)?;
            opened.position.offset += skipped;
            opened.position.raw = opened.position.offset;
        }
        Ok(opened)
    }

    /// Opens the input that `position` is in, to go on from there.
    pub fn open_at(source: &Arc<Source>, position: Position) -> anyhow::Result<InputFile> {
        let mut opened = Self::open(source, position.file)?;
        let cannot_reach = || format!("cannot go on in {} at byte {}", source.name(), position.offset);
        if opened.raw.is_none() {
            let mut plain = File::open(&source.path).with_context(cannot_reach)?;
            plain.seek(SeekFrom::Start(position.offset)).with_context(cannot_reach)?;
            opened.reader = Box::new(BufReader::with_capacity(BUFFER_BYTES, plain));
        } else {
            let skipped = io::copy(&mut (&mut opened.reader).take(position.offset), &mut io::sink());
            let skipped = skipped.with_context(cannot_reach)?;
            anyhow::ensure!(skipped == position.offset, "{}: it ends at byte {skipped}", cannot_reach());
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
        let (num_rows, size) = (rows.len() as u64, source.size.unwrap_or_default());
        let rows = Rows { rows, num_rows, size, read: Arc::clone(&read), line: Vec::new(), num_taken: 0 };
        let position = Position { file, ..Position::default() };
        InputFile { source: Arc::clone(source), reader: Box::new(rows), raw: Some(read), position }
    }

    /// The place after the last line that was read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next line, however long; `None` at the end.
    pub fn next_line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = self.read_line(usize::MAX >> 1, &mut line)?;
        Ok((read != ReadLine::End).then_some(line))
    }

    /// Reads the next line into `line`, its end and a byte order mark removed. Of one of more than `limit` bytes,
    /// only the beginning is held.
    pub fn read_line(&mut self, limit: usize, line: &mut Vec<u8>) -> anyhow::Result<ReadLine> {
        if self.position.offset >= self.source.end {
            return Ok(ReadLine::End);
        }
        let first = self.position.offset == 0;
        let read = read_line(&mut *self.reader, limit, line).with_context(|| {
            format!("cannot read {} after line {}", self.source.name(), self.position.line)
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
pub(in crate::cli) fn first_line(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
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
pub(in crate::cli) fn each_line(
    path: &Path,
    mut take: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let sources = Source::whole(&[path.to_path_buf()], Container::Lines)?;
    let mut file = InputFile::open(&sources[0], 0)?;
    while let Some(line) = file.next_line()? {
        if !line.trim_ascii().is_empty() {
            take(file.position().line, &line)?;
        }
    }
    Ok(())
}

/// All of them at once.
pub(in crate::cli) fn read_lines(path: &Path) -> anyhow::Result<Vec<(u64, Vec<u8>)>> {
    let mut lines = Vec::new();
    each_line(path, |number, line| {
        lines.push((number, line.to_vec()));
        Ok(())
    })?;
    Ok(lines)
}

/// The bytes of a file, decompressed.
pub(in crate::cli) fn plain_lines(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(decompressed(File::open(path)?)?.0)
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadLine {
    /// Nothing: the part is at its end.
    End,
    /// A line.
    Whole,
    /// The beginning of a line of so many bytes.
    TooLong(u64),
}

/// Rows as lines of text.
struct Rows {
    rows: Box<dyn ExactSizeIterator<Item = io::Result<String>> + Send>,
    num_rows: u64,
    /// Bytes of the file, and how many of them the rows so far are taken for.
    size: u64,
    read: Arc<AtomicU64>,
    /// The row that is being read, and how much of it has been.
    line: Vec<u8>,
    num_taken: usize,
}

impl BufRead for Rows {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.num_taken == self.line.len() {
            self.num_taken = 0;
            self.line.clear();
            if let Some(row) = self.rows.next() {
                self.line.extend_from_slice(row?.as_bytes());
                self.line.push(b'\n');
                let done = u128::from(self.num_rows - self.rows.len() as u64);
                let read = u128::from(self.size) * done / u128::from(self.num_rows);
                self.read.store(read as u64, Ordering::Relaxed);
            }
        }
        Ok(&self.line[self.num_taken..])
    }

    fn consume(&mut self, count: usize) {
        self.num_taken += count;
    }
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Counts the bytes that are read from a file.
struct Counted {
    bytes: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The plain bytes of `source`, whatever its first bytes say that it is, and whether they were compressed.
fn decompressed(source: impl Read + Send + 'static) -> io::Result<(Box<dyn BufRead + Send>, bool)> {
    let mut plain = BufReader::with_capacity(BUFFER_BYTES, source);
    // A pipe may deliver a file's first bytes one by one; one of them already tells text apart.
    let mut start = Vec::new();
    let is_magic =
        |start: &[u8]| [GZIP, ZSTD].iter().any(|magic| magic.starts_with(start) || start.starts_with(magic));
    while start.len() < ZSTD.len() && is_magic(&start) {
        let mut byte = [0];
        if plain.read(&mut byte)? == 0 {
            break;
        }
        start.push(byte[0]);
    }
    let kind = start.clone();
    let whole = BufReader::with_capacity(BUFFER_BYTES, io::Cursor::new(start).chain(plain));
    Ok(if kind.starts_with(GZIP) {
        (Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole))), true)
    } else if kind.starts_with(ZSTD) {
        (Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::with_buffer(whole)?)), true)
    } else {
        (Box::new(whole), false)
    })
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
        let held = taken.min((limit + usize::from(end.is_some())).saturating_sub(line.len()));
        line.extend_from_slice(&available[..held]);
        read += taken as u64;
        reader.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(read);
        }
    }
}

/// Removes the line end and, from the first line of a file, the byte order mark.
pub(in crate::cli) fn trim_line(bytes: &mut Vec<u8>, first: bool) {
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
