//! Rows of the input, read and parsed on a thread of their own, in windows small enough to hold and large enough to
//! keep every thread busy.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TrySendError};
use std::sync::Arc;

use neural_sparse::jsonl::RowError;

use super::rejects::{self, MAX_RAW_BYTES};
use super::Job;
use neural_sparse::input::{InputFile, Position, ReadLine, Source};

/// Rows that are encoded together. The vectors do not depend on it.
const WINDOW_ROWS: usize = 1024;

/// Ids are compared with those of the first rows of a run only, so that they need not all be held.
pub(super) const MAX_IDS: u64 = 2_000_000;

/// One line that is not blank.
pub(in crate::cli) struct InputLine {
    pub source: Arc<Source>,
    /// The place behind it.
    pub end: Position,
    /// As much of it as a report repeats.
    pub start: Vec<u8>,
    /// Blank lines between the line before and this one.
    pub num_blank: u64,
    /// Whether an earlier row has its id; `None` where nobody looked.
    pub repeats_id: Option<bool>,
}

impl InputLine {
    /// Its number in its file, from 1.
    pub fn number(&self) -> io::Result<u64> {
        Ok(self.source.lines_before()? + self.end.line)
    }

    /// The id of its row as JSON: its own, else the line's number.
    pub fn id(&self, own: Option<String>) -> io::Result<String> {
        match own {
            Some(id) => Ok(id),
            None => Ok(self.number()?.to_string()),
        }
    }

    /// The error that stops a run at this line.
    pub(super) fn fault(&self, error: &RowError) -> BadRow {
        let (file, said) = (self.source.name(), rejects::said(error));
        BadRow(match (self.number(), error.column) {
            (Ok(line), Some(column)) => format!("{file} line {line}, column {column}: {said}"),
            (Ok(line), None) => format!("{file} line {line}: {said}"),
            (Err(_), _) => format!("{file} before byte {}: {said}", self.end.offset),
        })
    }
}

/// A row that stops a run.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct BadRow(String);

/// A line, and the row that it holds or why it cannot be used.
type Parsed<R> = (InputLine, Result<R, RowError>);

/// Lines in order, parsed, and what ended the input.
pub(super) struct Window<R> {
    /// Each line that is not blank.
    pub rows: Vec<Parsed<R>>,
    /// Blank lines behind the last row of the input.
    pub num_blank: u64,
    /// Of the last window: whether the input was read to its end.
    pub end: Option<anyhow::Result<()>>,
    num_bytes: usize,
}

impl<R> Window<R> {
    fn new() -> Self {
        Window { rows: Vec::new(), num_blank: 0, end: None, num_bytes: 0 }
    }
}

/// How much is read before it is handed on.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Longer lines are rejected, without being held.
    pub line_bytes: usize,
    /// A window is full with this many bytes of lines.
    pub window_bytes: usize,
}

/// Reads and parses the lines of several inputs in order.
///
/// gzip and zstd are known by their first bytes, several members or frames in a row included. Blank lines are passed
/// over. A byte order mark at the start of a file, CRLF and a last line without an end are normal.
pub(super) struct Reader<J: Job> {
    job: Arc<J>,
    sources: Vec<Arc<Source>>,
    limits: Limits,
    open: Option<InputFile>,
    /// Inputs that have been opened.
    num_opened: usize,
    ids: HashSet<u64>,
    num_ids: u64,
    num_blank: u64,
}

impl<J: Job> Reader<J> {
    /// Starts the thread; it reads from `from` on, or from the beginning.
    pub fn spawn(
        job: Arc<J>,
        sources: Vec<Arc<Source>>,
        limits: Limits,
        from: Option<Position>,
    ) -> io::Result<Receiver<Window<J::Row>>> {
        // Without room of its own: a window is handed over or still filling.
        let (sender, windows) = sync_channel(0);
        let (open, num_opened) = (None, 0);
        let reader =
            Reader { job, sources, limits, open, num_opened, ids: HashSet::new(), num_ids: 0, num_blank: 0 };
        // Not waited for at the end: it may be waiting for a pipe that never ends.
        std::thread::Builder::new().name("reader".into()).spawn(move || reader.run(&sender, from))?;
        Ok(windows)
    }

    /// Passes over what an earlier run has done, and only remembers its ids.
    fn skip_to(&mut self, place: Position) -> anyhow::Result<()> {
        while J::HAS_IDS && self.num_ids < MAX_IDS {
            let here = self.open.as_ref().map(InputFile::position).unwrap_or_default();
            if self.open.is_some() && (here.file, here.offset) >= (place.file, place.offset) {
                break;
            }
            if self.next_row()?.is_none() {
                break;
            }
        }
        let source = &self.sources[place.file];
        self.open = Some(InputFile::open_at(source, place)?);
        self.num_opened = place.file + 1;
        self.num_blank = 0;
        Ok(())
    }

    /// Sends window after window, until the input ends or nobody takes them any more.
    ///
    /// Whoever waits gets at once what has been read, so that a slow pipe has its answers as it goes; while the encoder is
    /// busy the next window fills.
    fn run(mut self, windows: &SyncSender<Window<J::Row>>, from: Option<Position>) {
        let mut window = Window::new();
        let mut end = from.map_or(Ok(()), |from| self.skip_to(from));
        while end.is_ok() {
            match self.next_row() {
                Ok(Some((row, num_bytes))) => {
                    if self.job.joins_rows() && !self.is_joined(&window, &row) {
                        let Ok(next) = self.hand_on(window, windows) else { return };
                        window = next;
                    }
                    window.num_bytes += num_bytes;
                    window.rows.push(row);
                }
                Ok(None) => break,
                Err(error) => {
                    end = Err(error);
                    break;
                }
            }
            if !self.job.joins_rows() {
                let Ok(next) = self.hand_on(window, windows) else { return };
                window = next;
            }
        }
        window.num_blank = self.num_blank;
        window.end = Some(end);
        // If nobody takes the last one, the run has ended with an error of its own.
        let _ = windows.send(window);
    }

    /// Sends a window that is full or waited for, and returns the one to go on with; an error where nobody takes any.
    fn hand_on(
        &self,
        window: Window<J::Row>,
        windows: &SyncSender<Window<J::Row>>,
    ) -> Result<Window<J::Row>, ()> {
        if window.rows.len() >= WINDOW_ROWS || window.num_bytes >= self.limits.window_bytes {
            return windows.send(window).map(|()| Window::new()).map_err(drop);
        }
        match windows.try_send(window) {
            Ok(()) => Ok(Window::new()),
            Err(TrySendError::Full(window)) => Ok(window),
            Err(TrySendError::Disconnected(_)) => Err(()),
        }
    }

    /// Whether a row belongs to the last one of a window; there is nothing to hand on before the first one either.
    fn is_joined(&self, window: &Window<J::Row>, next: &Parsed<J::Row>) -> bool {
        match (window.rows.last(), &next.1) {
            (Some((_, Ok(row))), Ok(next)) => self.job.joins(row, next),
            (last, _) => last.is_none(),
        }
    }

    /// The next line that is not blank, parsed, and its length in memory.
    fn next_row(&mut self) -> anyhow::Result<Option<(Parsed<J::Row>, usize)>> {
        loop {
            let file = match &mut self.open {
                Some(file) => file,
                None => {
                    let Some(source) = self.sources.get(self.num_opened) else { return Ok(None) };
                    self.num_opened += 1;
                    self.open.insert(InputFile::open(source, self.num_opened - 1)?)
                }
            };
            let mut bytes = Vec::new();
            let row = match file.read_line(self.limits.line_bytes, &mut bytes)? {
                ReadLine::End => {
                    self.open = None;
                    continue;
                }
                ReadLine::Whole if bytes.trim_ascii().is_empty() => {
                    self.num_blank += 1;
                    continue;
                }
                ReadLine::Whole => self.job.parse(&bytes),
                ReadLine::TooLong(length) => {
                    let reason = format!("a line of {length} bytes, more than --max-line-bytes allows");
                    Err(RowError::new(reason))
                }
            };
            let mut line = InputLine {
                source: Arc::clone(&file.source),
                end: file.position(),
                start: Vec::new(),
                num_blank: std::mem::take(&mut self.num_blank),
                repeats_id: None,
            };
            if let Ok(row) = &row {
                line.repeats_id = self.repeats_id(row, &line)?;
            }
            let held = bytes.len();
            if held > MAX_RAW_BYTES {
                bytes.truncate(MAX_RAW_BYTES);
                bytes.shrink_to_fit();
            }
            line.start = bytes;
            return Ok(Some(((line, row), held)));
        }
    }

    /// Whether an earlier row has the id of `row`, as long as there is room to remember ids.
    fn repeats_id(&mut self, row: &J::Row, line: &InputLine) -> anyhow::Result<Option<bool>> {
        if !J::HAS_IDS || self.num_ids >= MAX_IDS {
            return Ok(None);
        }
        self.num_ids += 1;
        let mut hasher = DefaultHasher::new();
        match self.job.id(row) {
            Some(id) => id.hash(&mut hasher),
            None => line.number()?.to_string().hash(&mut hasher),
        }
        Ok(Some(!self.ids.insert(hasher.finish())))
    }
}
