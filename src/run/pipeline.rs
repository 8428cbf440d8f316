//! A run, from its first row to the last name.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::error::{Left, RunError, WriteError};
use super::files::RunFiles;
use super::job::Job;
use super::journal::{Identity, Point};
use super::line::InputLine;
use super::model_hash::ModelHash;
use super::observer::{Observer, Progress};
use super::paths::Earlier;
use super::prepare::{Output, Run, RunOptions, Stream};
use super::rejects::{self, OnError};
use super::summary::Summary;
use super::tally::Tally;
use super::window::{Limits, Reader, Window};
use crate::input::{Position, RowError, Source};
use crate::source::ModelFiles;
use crate::storage::{is_device, OutputError, PartialFile, Storage};

/// How long the writer waits for rows before it looks at progress and interrupts.
const TICK: Duration = Duration::from_millis(100);

/// Bytes of text that a window holds for each thread: some thirty batches, so that none waits long for the others.
const WINDOW_BYTES_PER_THREAD: usize = 1 << 16;

/// What decides the output of a run, beside its input.
#[derive(Clone, Debug, Default)]
pub struct RunSettings {
    /// Each option that changes the output, by the name that messages give it. A run is gone on with only where all are
    /// the same.
    pub options: BTreeMap<String, Value>,
    /// The model as the user names it, and its files, whose hash is one of the settings; `None` where none runs.
    pub model: Option<(String, ModelFiles)>,
    /// Threads that compute, which decide how many rows are worth reading at once. The output does not depend on it.
    pub num_threads: usize,
    /// The limit to which texts are cut, which the summary names; `None` where there are none.
    pub max_length: Option<usize>,
}

/// How a run has ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Everything was read and written.
    Complete(Box<Summary>),
    /// The observer has cancelled it.
    Cancelled(Left),
}

impl Run {
    /// Reads, computes and writes every row.
    ///
    /// # Errors
    ///
    /// [`RunError::Stopped`] once anything was read; its source says why.
    pub fn run<J: Job>(
        self,
        job: J,
        settings: RunSettings,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        let Run { storage, options, sources, output } = self;
        let RunSettings { options: own, model, num_threads, max_length } = settings;
        let is_hash_needed = matches!(output, Output::File(..)) || options.summary.is_some();
        let (model, hash) = match model {
            Some((name, files)) if is_hash_needed => (Some(name), ModelHash::begin(files)),
            Some((name, _)) => (Some(name), ModelHash::default()),
            None => (None, ModelHash::default()),
        };
        let (files, point) = open_files(&storage, &options, &sources, output, own, hash)?;
        let tally = point.as_ref().map_or_else(Tally::default, |point| point.tally.clone());
        let position = point.as_ref().map_or_else(Position::default, |point| point.position);
        if point.is_some() {
            observer.resumed(&tally);
        }
        let job = Arc::new(job);
        let window_bytes = num_threads.saturating_mul(WINDOW_BYTES_PER_THREAD);
        let limits = Limits {
            line_bytes: options.max_line_bytes.get(),
            window_bytes: window_bytes.clamp(1 << 16, 1 << 22),
        };
        let thread = |_| RunError::Thread;
        let from = point.map(|point| point.position);
        let windows = Reader::spawn(Arc::clone(&job), sources.clone(), limits, from).map_err(thread)?;
        let computed = spawn_encoder(Arc::clone(&job), windows, options.on_error).map_err(thread)?;
        let mut writer = Writer {
            job,
            sources: &sources,
            on_error: options.on_error,
            files,
            tally_before: tally.clone(),
            bytes_before: bytes_read(&sources, &position),
            num_bytes: sources.iter().map(|source| source.bytes_to_read()).sum(),
            started: Instant::now(),
            tally,
            position,
            observer,
        };
        let end = writer.write_all(&computed);
        let Writer { job, mut files, tally, position, observer, .. } = writer;
        match end {
            Err(error) => {
                return Err(RunError::Stopped { left: files.stop(&tally), source: Box::new(error) });
            }
            Ok(End::Cancelled) => return Ok(Outcome::Cancelled(files.stop(&tally))),
            Ok(End::Complete) => {}
        }
        let mut summary = Summary::new(tally, files.seconds(), job.screen_count());
        summary.model = model;
        summary.max_length = max_length;
        if options.summary.is_some() {
            summary.model_sha256 = files.model_sha256()?;
        }
        files.finish(position, &summary.tally)?;
        if let Some(path) = &options.summary {
            write_summary(&storage, path, options.earlier, &summary)?;
        }
        observer.completed(&summary);
        Ok(Outcome::Complete(Box::new(summary)))
    }
}

fn open_files(
    storage: &Arc<dyn Storage>,
    options: &RunOptions,
    sources: &[Arc<Source>],
    output: Output,
    mut settings: BTreeMap<String, Value>,
    hash: ModelHash,
) -> Result<(RunFiles, Option<Point>), RunError> {
    match output {
        Output::Stream(Stream(stream)) => {
            let open =
                |path: &PathBuf| PartialFile::new(Arc::clone(storage), path, options.earlier.existing());
            let rejects = options.rejects.as_ref().map(open).transpose()?;
            Ok((RunFiles::stream(Arc::clone(storage), stream, rejects, hash), None))
        }
        Output::File(paths, held) => {
            settings.insert("neural-sparse".into(), env!("CARGO_PKG_VERSION").into());
            settings.insert("the most bytes of a line".into(), options.max_line_bytes.get().into());
            let is_again = sources.iter().all(|source| source.size.is_some());
            let identity = is_again.then(|| Identity::new(settings, sources)).transpose()?;
            let storage = Arc::clone(storage);
            RunFiles::named(storage, paths, options.earlier, *held, identity, (sources, hash))
        }
    }
}

/// Writes the summary, a line of JSON.
fn write_summary(
    storage: &Arc<dyn Storage>,
    path: &Path,
    earlier: Earlier,
    summary: &Summary,
) -> Result<(), RunError> {
    let mut line = serde_json::to_vec(summary).map_err(|error| RunError::write("summary")(error.into()))?;
    line.push(b'\n');
    if is_device(path) {
        let device = std::fs::File::options().write(true).open(path);
        let written = device.and_then(|mut device| device.write_all(&line));
        return Ok(written.map_err(OutputError::write(path))?);
    }
    let mut file = PartialFile::new(Arc::clone(storage), path, earlier.existing())?;
    file.write_all(&line).map_err(OutputError::write(path))?;
    file.complete()?;
    Ok(file.appear()?)
}

/// Bytes of input before `position`.
fn bytes_read(sources: &[Arc<Source>], position: &Position) -> u64 {
    let before = sources[..position.file].iter().filter_map(|source| source.bytes_to_read()).sum::<u64>();
    before + sources[position.file].bytes_read(position)
}

/// A window whose rows have been computed.
struct Computed<V> {
    lines: Vec<(InputLine, Result<V, RowError>)>,
    num_blank: u64,
    end: Option<Result<(), RunError>>,
}

/// Starts the thread that has windows computed, up to the first row that stops the run.
fn spawn_encoder<J: Job>(
    job: Arc<J>,
    windows: Receiver<Window<J::Row>>,
    on_error: OnError,
) -> io::Result<Receiver<Computed<J::Value>>> {
    let (sender, computed) = sync_channel(0);
    std::thread::Builder::new().name("encoder".into()).spawn(move || {
        for window in windows {
            let computed = compute(&*job, window, on_error).unwrap_or_else(|error| Computed {
                lines: Vec::new(),
                num_blank: 0,
                end: Some(Err(error)),
            });
            if sender.send(computed).is_err() {
                return;
            }
        }
    })?;
    Ok(computed)
}

fn compute<J: Job>(
    job: &J,
    window: Window<J::Row>,
    on_error: OnError,
) -> Result<Computed<J::Value>, RunError> {
    let Window { rows: parsed, num_blank, end, .. } = window;
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for (line, row) in parsed {
        let error = row.map(|row| rows.push(row)).err();
        let stops = error.is_some() && on_error == OnError::Stop;
        lines.push((line, error));
        if stops {
            break;
        }
    }
    let mut values = job.compute(rows).map_err(RunError::Job)?.into_iter();
    let mut computed = |error: Option<RowError>| match error {
        Some(error) => Err(error),
        None => values.next().expect("a value for each row, anything else is a bug"),
    };
    let lines = lines.into_iter().map(|(line, error)| (line, computed(error))).collect();
    Ok(Computed { lines, num_blank, end })
}

/// How the rows came to an end.
enum End {
    Complete,
    Cancelled,
}

/// Writes computed rows in their order.
struct Writer<'a, J: Job> {
    job: Arc<J>,
    sources: &'a [Arc<Source>],
    on_error: OnError,
    files: RunFiles,
    tally: Tally,
    position: Position,
    tally_before: Tally,
    bytes_before: u64,
    num_bytes: Option<u64>,
    started: Instant,
    observer: &'a mut dyn Observer,
}

impl<J: Job> Writer<'_, J> {
    fn write_all(&mut self, windows: &Receiver<Computed<J::Value>>) -> Result<End, RunError> {
        loop {
            match windows.recv_timeout(TICK) {
                Ok(window) => {
                    self.write_window(window.lines)?;
                    self.tally.blank_lines += window.num_blank;
                    if let Some(end) = window.end {
                        return end.map(|()| End::Complete);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // What was read last says so.
                Err(RecvTimeoutError::Disconnected) => return Err(RunError::Thread),
            }
            self.observer.progress(&Progress {
                tally: &self.tally,
                tally_before: &self.tally_before,
                bytes: bytes_read(self.sources, &self.position),
                bytes_before: self.bytes_before,
                num_bytes: self.num_bytes,
                elapsed: self.started.elapsed(),
            });
            if self.observer.is_cancelled() {
                return Ok(End::Cancelled);
            }
        }
    }

    fn write_window(&mut self, lines: Vec<(InputLine, Result<J::Value, RowError>)>) -> Result<(), RunError> {
        let mut bytes = Vec::new();
        for (line, value) in lines {
            bytes.clear();
            match value.map(|value| self.job.write(&line, value, &mut bytes, &mut self.tally)) {
                Ok(Ok(())) => {
                    self.tally.count_line(&line);
                    if bytes.is_empty() {
                        // Not a place to go on from.
                        continue;
                    }
                    self.files.write_row(&bytes)?;
                }
                Ok(Err(WriteError::Job(error))) => return Err(RunError::Job(error)),
                Ok(Err(WriteError::Row(error))) | Err(error) => self.reject(&line, &error)?,
            }
            self.position = line.end;
            self.files.end_line(&self.position, &self.tally)?;
        }
        self.files.flush()
    }

    /// Ends the run at a row that cannot be used, or sets the row aside.
    fn reject(&mut self, line: &InputLine, error: &RowError) -> Result<(), RunError> {
        let (place, reason) = (line.place(error.column), self.observer.reason(error));
        if self.on_error == OnError::Stop {
            return Err(RunError::BadRow { place, reason });
        }
        self.tally.count_line(line);
        self.tally.rejected += 1;
        self.observer.rejected(&place, error);
        if self.files.has_rejects() {
            let report = rejects::report(line, error.column, &reason).map_err(RunError::write("rejects"))?;
            self.files.write_reject(&report)?;
        }
        Ok(())
    }
}
