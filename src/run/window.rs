//! Rows of the input, read and parsed on a thread of their own, in windows small enough to hold and large enough to
//! keep every thread busy.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TrySendError};
use std::sync::Arc;

use super::error::RunError;
use super::job::Job;
use super::line::{InputLine, MAX_IDS};
use super::rejects::MAX_RAW_BYTES;
use crate::input::{InputFile, Position, ReadLine, RowError, Source};

/// Rows that are encoded together. The vectors do not depend on it.
const WINDOW_ROWS: usize = 1024;

/// A parsed line, and the bytes that it holds in memory.
type ReadRow<R> = (Parsed<R>, usize);

/// A line, and the row that it holds or why it cannot be used.
type Parsed<R> = (InputLine, Result<R, RowError>);

/// Lines in order, parsed, and what ended the input.
pub(super) struct Window<R> {
    /// Each line that is not blank.
    pub rows: Vec<Parsed<R>>,
    /// Blank lines behind the last row of the input.
    pub num_blank: u64,
    /// Of the last window: whether the input was read to its end.
    pub end: Option<Result<(), RunError>>,
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
    fn skip_to(&mut self, place: Position) -> Result<(), RunError> {
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
    fn next_row(&mut self) -> Result<Option<ReadRow<J::Row>>, RunError> {
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
                ReadLine::Bad(error) => Err(error),
                ReadLine::TooLong(length) => {
                    let most = self.limits.line_bytes;
                    Err(RowError::new(format!("a line of {length} bytes, and {most} are the limit")))
                }
            };
            let mut line = InputLine {
                source: Arc::clone(&file.source),
                line: file.line_number(),
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
    fn repeats_id(&mut self, row: &J::Row, line: &InputLine) -> Result<Option<bool>, RunError> {
        if !J::HAS_IDS || self.num_ids >= MAX_IDS {
            return Ok(None);
        }
        self.num_ids += 1;
        let mut hasher = DefaultHasher::new();
        match self.job.id(row) {
            Some(id) => id.hash(&mut hasher),
            None => line.number().map_err(RunError::read(&line.source))?.to_string().hash(&mut hasher),
        }
        Ok(Some(!self.ids.insert(hasher.finish())))
    }
}
