//! The files to read, or the parts of them.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::decompress::{is_compressed, BUFFER_BYTES};
use super::error::InputError;
use super::row_files::RowFile;
use crate::one_line::one_line;

/// A place between two lines of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which input file, from 0.
    pub file: usize,
    /// Bytes of it before this place, decompressed.
    pub offset: u64,
    /// Bytes that had been read from it by then; the same as `offset` where it is plain.
    pub raw: u64,
    /// Lines before this place, in the part of the file that is read; lines, not records.
    pub line: u64,
}

/// What an input is a file of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Container {
    /// Lines of text.
    #[default]
    Lines,
    /// Comma-separated values, each record made into a line of JSON.
    Csv,
    /// Rows of something else, each made into a line of JSON.
    Rows(RowFile),
}

/// One input, or the part of it that is read.
#[derive(Debug)]
pub struct Source {
    /// As the user named it; `-` is standard input.
    pub path: PathBuf,
    pub(super) container: Container,
    /// Its size where it is a regular file.
    pub size: Option<u64>,
    /// Where the lines that are read begin: those from `start` on, up to `end`.
    pub(super) start: u64,
    pub(super) end: u64,
    /// When it was last written, where the system says so.
    modified: Option<SystemTime>,
    /// Lines before `start`, counted when somebody first asks.
    lines_before: OnceLock<u64>,
    /// A stream that was opened already, from its beginning.
    opened: Opened,
}

type Stream = Box<dyn Read + Send>;

#[derive(Default)]
struct Opened(Mutex<Option<Stream>>);

impl fmt::Debug for Opened {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("Opened")
    }
}

impl Source {
    /// The whole of each file. A regular one must be there; others are opened when their turn comes.
    ///
    /// # Errors
    ///
    /// An [`InputError`] of a file that is not there, is a folder, or is standard input where that cannot be read.
    pub fn whole(paths: &[PathBuf], container: Container) -> Result<Vec<Arc<Source>>, InputError> {
        let source = |path: &PathBuf| {
            let mut source = Source {
                path: path.clone(),
                container,
                size: None,
                start: 0,
                end: u64::MAX,
                modified: None,
                lines_before: OnceLock::new(),
                opened: Opened::default(),
            };
            if source.is_stdin() && matches!(container, Container::Rows(_)) {
                return Err(InputError::NotAFile);
            }
            if !source.is_stdin() {
                let cannot_open = |error| InputError::Open { name: source.name(), source: error };
                let found = path.metadata().map_err(cannot_open)?;
                if found.is_dir() {
                    return Err(InputError::Folder { name: source.name() });
                }
                source.size = found.is_file().then_some(found.len());
                source.modified = found.modified().ok();
            }
            Ok(Arc::new(source))
        };
        paths.iter().map(source).collect()
    }

    /// The lines of shard `index` (from 1) of `count` parts of nearly equal size.
    ///
    /// A line belongs to the part that its first byte is in, so the shards together are the whole, each line once.
    ///
    /// # Errors
    ///
    /// Those of [`Source::whole`], and of a file that is compressed or has no lines.
    pub fn shard(
        paths: &[PathBuf],
        container: Container,
        index: u64,
        count: u64,
    ) -> Result<Vec<Arc<Source>>, InputError> {
        let whole = Source::whole(paths, container)?;
        let mut sizes = Vec::new();
        for source in &whole {
            let is_plain = container == Container::Lines && !source.is_compressed().unwrap_or(false);
            let plain = source.size.filter(|_| is_plain);
            sizes.push(plain.ok_or_else(|| InputError::Indivisible { name: source.name() })?);
        }
        let total: u64 = sizes.iter().sum();
        let border = |part: u64| (u128::from(total) * u128::from(part) / u128::from(count)) as u64;
        let (first, last) = (border(index - 1), border(index));
        let mut before = 0;
        let mut parts = Vec::new();
        for (source, size) in whole.into_iter().zip(sizes) {
            let start = first.clamp(before, before + size) - before;
            let end = last.clamp(before, before + size) - before;
            let source = Arc::into_inner(source).expect("just made, anything else is a bug");
            parts.push(Arc::new(Source { start, end, ..source }));
            before += size;
        }
        Ok(parts)
    }

    /// Its bytes from the beginning on; of a stream those that were put back, once.
    pub(super) fn open_stream(&self) -> Result<Stream, InputError> {
        if let Some(stream) = self.take_back() {
            return Ok(stream);
        }
        if self.is_stdin() {
            return Ok(Box::new(io::stdin()));
        }
        let opened = File::open(&self.path);
        Ok(Box::new(opened.map_err(|error| InputError::Open { name: self.name(), source: error })?))
    }

    /// Gives back a stream of which nothing is read yet, or was read and is in it again.
    pub(super) fn put_back(&self, stream: Stream) {
        *self.opened.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }

    /// The stream that was put back.
    pub(super) fn take_back(&self) -> Option<Stream> {
        self.opened.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether it is standard input.
    pub fn is_stdin(&self) -> bool {
        self.path == Path::new("-")
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        if self.is_stdin() {
            "standard input".into()
        } else {
            format!("`{}`", one_line(&self.path.display().to_string()))
        }
    }

    /// An error where a regular file is no longer what it was when this was made: its size, or the time at which it
    /// was last written. What was read from it then may be of either.
    ///
    /// # Errors
    ///
    /// [`InputError::Changed`], also where the file is gone.
    pub fn check_unchanged(&self) -> Result<(), InputError> {
        let Some(size) = self.size else { return Ok(()) };
        let is_same = self.path.metadata().is_ok_and(|found| {
            // The files of /proc are of 0 bytes, and as new as the question.
            found.len() == size && (size == 0 || found.modified().ok() == self.modified)
        });
        match is_same {
            true => Ok(()),
            false => Err(InputError::Changed { name: self.name() }),
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
    ///
    /// # Errors
    ///
    /// Those of reading the file.
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
        is_compressed(File::open(&self.path)?)
    }
}
