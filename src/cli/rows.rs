//! Lines of input files, plain or compressed, in windows small enough to hold and large enough to keep every
//! thread busy.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TrySendError};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use flate2::bufread::MultiGzDecoder;
use neural_sparse::jsonl::RowError;

use super::failure::UsageError;
use super::rejects::{OnError, Rejects, MAX_RAW_BYTES};

/// Lines that are encoded together. The vectors do not depend on it.
const WINDOW_LINES: usize = 1024;
const WINDOW_BYTES: usize = 4 << 20;

/// Read at once from a file.
const BUFFER_BYTES: usize = 1 << 17;

const BOM: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Which rows are read, and what becomes of bad ones.
#[derive(Args)]
pub(super) struct InputArgs {
    /// File to read, a row a line, plain, gzip or zstd; `-` is standard input; may be repeated
    #[arg(long = "input", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Reject a longer line, without holding it
    #[arg(
        long,
        value_name = "NUM",
        default_value = "67108864",
        requires = "files",
        conflicts_with = "texts"
    )]
    max_line_bytes: NonZeroUsize,
    /// What to do with a row that cannot be used
    #[arg(long, value_name = "WHAT", default_value = "stop", requires = "files", conflicts_with = "texts")]
    on_error: OnError,
    /// Report each rejected row in this file, a line of JSON each: file, line, column, reason, raw
    #[arg(long, value_name = "FILE", requires = "files", conflicts_with = "texts")]
    rejects: Option<PathBuf>,
}

impl InputArgs {
    /// The rows of the files, a window at a time, read and parsed on a thread of their own.
    pub fn windows<R, P>(&self, parse: P) -> Receiver<Window<R>>
    where
        R: Send + 'static,
        P: Fn(&[u8]) -> Result<R, RowError> + Send + 'static,
    {
        // Without room of its own: a window is handed over or still filling.
        let (sender, windows) = sync_channel(0);
        let paths = self.files.clone().into_iter();
        let max_line_bytes = self.max_line_bytes.get();
        // Not waited for at the end: it may be waiting for a pipe that never ends.
        std::thread::spawn(move || {
            Reader { paths, open: None, max_line_bytes, parse, windows: sender }.run()
        });
        windows
    }

    /// Where rows go that cannot be used.
    pub fn open_rejects(&self) -> anyhow::Result<Rejects> {
        if self.rejects.is_some() && self.on_error == OnError::Stop {
            let hint = "`--on-error skip` sets bad rows aside and goes on";
            return Err(
                UsageError::with_hint("--rejects: nothing is rejected by a run that stops", hint).into()
            );
        }
        Rejects::open(self.on_error, self.rejects.as_deref())
    }
}

/// One line that is not blank.
pub(super) struct InputLine {
    /// Its file as the user named it; `-` is standard input.
    pub file: Arc<str>,
    /// Counted from 1 in its file.
    pub number: u64,
    /// Without its line end; the first bytes only of a line that is too long.
    pub bytes: Vec<u8>,
    /// How long the line is, when that is more than the limit.
    pub too_long: Option<u64>,
}

impl InputLine {
    /// The error that stops a run at this line.
    pub fn fault(&self, error: &RowError) -> anyhow::Error {
        let file = display(&self.file);
        match error.column {
            Some(column) => anyhow::anyhow!("{file} line {}, column {column}: {error}", self.number),
            None => anyhow::anyhow!("{file} line {}: {error}", self.number),
        }
    }
}

/// Lines in order, parsed, and the error that ended the input early.
pub(super) struct Window<R> {
    /// Each line that is not blank, and the row that it holds or why it cannot be used.
    pub rows: Vec<(InputLine, Result<R, RowError>)>,
    /// Blank lines that were passed over.
    pub num_blank: usize,
    pub stopped: Option<anyhow::Error>,
    num_bytes: usize,
}

impl<R> Window<R> {
    fn new() -> Self {
        Window { rows: Vec::new(), num_blank: 0, stopped: None, num_bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= WINDOW_LINES || self.num_bytes >= WINDOW_BYTES
    }
}

/// Reads and parses the lines of several files in order; `-` is standard input.
///
/// gzip and zstd are known by their first bytes, several members or frames in a row included. Blank lines are passed
/// over. A byte order mark at the start of a file, CRLF and a last line without an end are normal. A file that cannot
/// be read ends the last window.
struct Reader<R, P> {
    paths: std::vec::IntoIter<PathBuf>,
    open: Option<InputFile>,
    max_line_bytes: usize,
    parse: P,
    windows: SyncSender<Window<R>>,
}

impl<R, P: Fn(&[u8]) -> Result<R, RowError>> Reader<R, P> {
    /// Sends window after window, until the input ends or nobody takes them any more.
    ///
    /// Whoever waits gets at once what has been read, so that a slow pipe has its answers as it goes; while the encoder is
    /// busy the next window fills.
    fn run(mut self) {
        let mut window = Window::new();
        loop {
            match self.next_line() {
                Ok(Some(line)) if line.too_long.is_none() && line.bytes.trim_ascii().is_empty() => {
                    window.num_blank += 1;
                    continue;
                }
                Ok(Some(line)) => {
                    window.num_bytes += line.bytes.len();
                    let row = self.parse(&line);
                    window.rows.push((line, row));
                }
                Ok(None) => break,
                Err(error) => {
                    window.stopped = Some(error);
                    break;
                }
            }
            let sent = if window.is_full() {
                self.windows.send(window).map(|()| Window::new()).map_err(drop)
            } else {
                match self.windows.try_send(window) {
                    Ok(()) => Ok(Window::new()),
                    Err(TrySendError::Full(window)) => Ok(window),
                    Err(TrySendError::Disconnected(_)) => Err(()),
                }
            };
            let Ok(next) = sent else { return };
            window = next;
        }
        // If nobody takes the last one, the run has ended with an error of its own.
        let _ = self.windows.send(window);
    }

    fn parse(&self, line: &InputLine) -> Result<R, RowError> {
        match line.too_long {
            None => (self.parse)(&line.bytes),
            Some(length) => Err(RowError {
                column: None,
                reason: format!("a line of {length} bytes, more than --max-line-bytes allows"),
            }),
        }
    }

    /// The next line, from whichever file has it.
    fn next_line(&mut self) -> anyhow::Result<Option<InputLine>> {
        loop {
            if self.open.is_none() {
                let Some(path) = self.paths.next() else { return Ok(None) };
                self.open = Some(InputFile::open(&path)?);
            }
            match self.open.as_mut().map(|file| file.read_line(self.max_line_bytes)).transpose()?.flatten() {
                Some(line) => return Ok(Some(line)),
                None => self.open = None,
            }
        }
    }
}

/// One open file, decompressed.
struct InputFile {
    name: Arc<str>,
    reader: Box<dyn BufRead>,
    number: u64,
}

impl InputFile {
    fn open(path: &Path) -> anyhow::Result<InputFile> {
        let name: Arc<str> = path.display().to_string().into();
        let cannot_open = || format!("cannot open {}", display(&name));
        let source: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).with_context(cannot_open)?)
        };
        let reader = decompressed(source).with_context(cannot_open)?;
        Ok(InputFile { name, reader, number: 0 })
    }

    /// The next line; of one longer than `limit`, only the beginning is held.
    fn read_line(&mut self, limit: usize) -> anyhow::Result<Option<InputLine>> {
        let mut bytes = Vec::new();
        let read = read_line(&mut *self.reader, limit, &mut bytes)
            .with_context(|| format!("cannot read {} after line {}", display(&self.name), self.number))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let too_long = (read > bytes.len() as u64).then_some(read);
        if too_long.is_some() {
            bytes.truncate(MAX_RAW_BYTES);
            bytes.shrink_to_fit();
        }
        trim_line(&mut bytes, self.number == 1);
        Ok(Some(InputLine { file: Arc::clone(&self.name), number: self.number, bytes, too_long }))
    }
}

/// The plain bytes of `source`, whatever its first bytes say that it is.
fn decompressed(source: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
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
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole)))
    } else if kind.starts_with(ZSTD) {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::with_buffer(whole)?))
    } else {
        Box::new(whole)
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
pub(super) fn trim_line(bytes: &mut Vec<u8>, first: bool) {
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

/// A file's name as messages have it.
fn display(file: &str) -> String {
    if file == "-" {
        "standard input".into()
    } else {
        format!("`{file}`")
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
}
