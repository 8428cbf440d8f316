//! Rows in, rows out, in their order, however many: what `--input` does.
//!
//! Three threads hand windows of rows on: one reads and parses, one has them encoded by the encoder's own threads, and
//! this one writes. None holds more than a window, so memory does not grow with the input.

mod files;
mod journal;
mod progress;
mod rejects;
mod rows;
mod tally;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use neural_sparse::format::Assembly;
pub(super) use neural_sparse::input::Container;
use neural_sparse::input::{Position, Source};
use neural_sparse::jsonl::RowError;
use neural_sparse::{ModelFiles, ScreenCount};
use serde_json::Value;

use super::failure::{complain, Exit, Failure, UsageError};
use super::output::{is_device, Output, PartialFile};
use super::storage::Disk;
use super::{counted, environment};
use files::{Earlier, Paths, RunFiles};
use journal::Identity;
use progress::Progress;
use rejects::OnError;
pub(super) use rows::InputLine;
use rows::{BadRow, Limits, Reader, Window};
use tally::Summary;
pub(super) use tally::Tally;

/// How long the writer waits for rows before it looks at progress and interrupts.
const TICK: Duration = Duration::from_millis(100);

/// Bytes of a line, unless something else is said.
const MAX_LINE_BYTES: NonZeroUsize = NonZeroUsize::new(64 << 20).expect("more than 0");

/// Bytes of text that a window holds for each thread: some thirty batches, so that none waits long for the others.
const WINDOW_BYTES_PER_THREAD: usize = 1 << 16;

/// What a command makes of the rows of its input.
pub(super) trait Job: Send + Sync + 'static {
    /// A line that was understood.
    type Row: Send;
    /// What was computed for it.
    type Value: Send;
    /// Whether rows have ids, which are looked at for duplicates.
    const HAS_IDS: bool;

    fn parse(&self, line: &[u8]) -> Result<Self::Row, RowError>;

    /// The id of a row as it was written; `None` where the line's number stands in.
    fn id<'r>(&self, row: &'r Self::Row) -> Option<Cow<'r, str>>;

    /// Whether rows may belong together; such a job is always handed all rows that do.
    fn joins_rows(&self) -> bool {
        false
    }

    /// Whether `next`, the row after `row`, belongs to it.
    fn joins(&self, row: &Self::Row, next: &Self::Row) -> bool {
        let _ = (row, next);
        false
    }

    /// Computes all rows of a window at once; a value each, in order, or why a row cannot be used after all.
    fn compute(&self, rows: Vec<Self::Row>) -> anyhow::Result<Vec<Result<Self::Value, RowError>>>;

    /// How many logits were screened so far.
    fn screen_count(&self) -> ScreenCount;

    /// Writes what a row of input gives, and counts it; nothing where the row is written with the next one. A [`RowError`] is a row that cannot be used after all, and
    /// has not been counted.
    fn write(
        &self,
        line: &InputLine,
        value: Self::Value,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> anyhow::Result<()>;
}

/// Which rows are read, and what becomes of bad ones and of what is there.
#[derive(Args)]
#[command(next_help_heading = "Input")]
pub(super) struct InputArgs {
    /// File to read, a row a line, plain, gzip or zstd; `-` is standard input; may be repeated
    #[arg(long = "input", short, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Reject a longer line, without holding it
    #[arg(
        long,
        value_name = "NUM",
        default_value_t = MAX_LINE_BYTES,
        requires = "files",
        conflicts_with = "texts"
    )]
    max_line_bytes: NonZeroUsize,
    /// What to do with a row that cannot be used
    #[arg(
        long,
        value_name = "stop|skip",
        default_value = "stop",
        requires = "files",
        conflicts_with = "texts"
    )]
    on_error: OnError,
    /// Report each rejected row in this file, a line of JSON each: file, line, column, reason, raw
    #[arg(long, value_name = "FILE", requires = "files", conflicts_with = "texts")]
    rejects: Option<PathBuf>,
    /// Go on where an earlier run with the same arguments was stopped, by whatever
    #[arg(long, help_heading = "Output", requires_all = ["files", "output"], conflicts_with_all = ["texts", "force"])]
    resume: bool,
    /// Start at the beginning whatever an earlier run has left; files of that name are replaced
    #[arg(long, help_heading = "Output", requires_all = ["files", "output"], conflicts_with = "texts")]
    force: bool,
    /// Read the I-th of N contiguous parts of plain files; the outputs one after the other are the whole
    #[arg(long, value_name = "I/N", value_parser = parse_shard, requires = "files", conflicts_with = "texts")]
    shard: Option<(u64, u64)>,
    /// Write the figures of the summary to this file too, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output", requires = "files", conflicts_with = "texts")]
    summary: Option<PathBuf>,
    /// Whether the command goes on by itself when it is given again.
    #[arg(skip)]
    resumes_unasked: bool,
}

/// A run that has been found possible, before the model is loaded.
pub(super) struct Prepared<'a> {
    args: &'a InputArgs,
    output: Option<&'a Path>,
    sources: Vec<Arc<Source>>,
    earlier: Earlier,
    /// Where an interrupted run can be gone on with.
    journaled: Option<Paths>,
    /// How the files are made of the rows, where it is not the rows one after the other.
    assembly: Option<Arc<dyn Assembly>>,
}

/// What a run is told of its surroundings.
pub(super) struct Surroundings<'a> {
    /// The model as the user names it, and where its files are; `None` where none runs.
    pub model: Option<(&'a str, &'a ModelFiles)>,
    /// Each option of the command that changes its output, by the name that messages give it.
    pub settings: BTreeMap<String, Value>,
    /// Threads that encode, which decide how many rows are worth reading at once.
    pub num_threads: usize,
    /// The limit to which texts are cut; `None` where there are none.
    pub max_length: Option<usize>,
    pub quiet: bool,
}

impl InputArgs {
    /// One file, to be gone on with wherever an earlier run has stopped.
    pub fn resuming(file: &Path) -> Self {
        InputArgs {
            files: vec![file.to_path_buf()],
            max_line_bytes: MAX_LINE_BYTES,
            on_error: OnError::Stop,
            rejects: None,
            resume: true,
            force: false,
            shard: None,
            summary: None,
            resumes_unasked: true,
        }
    }

    /// Finds the input, and what is in the way of the output. `None` where an earlier run has done everything.
    pub fn prepare<'a>(
        &'a self,
        container: Container,
        output: Option<&'a Path>,
        assembly: Option<Arc<dyn Assembly>>,
        quiet: bool,
    ) -> anyhow::Result<Option<Prepared<'a>>> {
        if let Some(rejects) = &self.rejects {
            self.check_rejects(rejects, output)?;
        }
        let sources = match self.shard {
            Some((index, count)) => Source::shard(&self.files, container, index, count)?,
            None => Source::whole(&self.files, container)?,
        };
        let stream = sources.iter().find(|source| source.size.is_none());
        if let (true, Some(stream)) = (self.resume, stream) {
            let message = format!("--resume: {} cannot be read a second time", stream.name());
            return Err(UsageError::with_hint(message, "give the input as a file").into());
        }
        let earlier = match (self.resume, self.force) {
            (true, _) => Earlier::Resume,
            (_, true) => Earlier::Force,
            _ => Earlier::Refuse,
        };
        let file = output.filter(|path| *path != Path::new("-") && !is_device(path));
        if file.is_none() && self.resume {
            let hint = "name a file with `--output`";
            return Err(UsageError::with_hint("--resume: the output is not a file", hint).into());
        }
        if assembly.is_some() && file.is_none() {
            let hint = "name a file with `--output`";
            return Err(UsageError::with_hint("this format is made of all rows at their end", hint).into());
        }
        let paths = file.map(|file| Paths {
            output: file.to_path_buf(),
            rejects: self.rejects.clone(),
            assembly: assembly.clone(),
        });
        if let Some(paths) = &paths {
            if paths.look(&Disk, earlier)? {
                if !quiet {
                    complain(format_args!(
                        "note: `{}` is complete already: nothing to do",
                        paths.output.display()
                    ));
                }
                return Ok(None);
            }
        }
        let journaled = paths.filter(|_| stream.is_none());
        Ok(Some(Prepared { args: self, output, sources, earlier, journaled, assembly }))
    }

    fn check_rejects(&self, rejects: &Path, output: Option<&Path>) -> Result<(), UsageError> {
        if self.on_error == OnError::Stop {
            let hint = "`--on-error skip` sets bad rows aside and goes on";
            return Err(UsageError::with_hint("--rejects: nothing is rejected by a run that stops", hint));
        }
        if output == Some(rejects) {
            return Err(UsageError::new("--rejects and --output name the same file"));
        }
        if rejects.extension().is_some_and(|suffix| suffix == "gz" || suffix == "zst") {
            return Err(UsageError::new(
                "--rejects: the reports are written as plain text; name a file without .gz or .zst",
            ));
        }
        Ok(())
    }
}

impl Prepared<'_> {
    /// Reads, computes and writes every row.
    pub fn run<J: Job>(self, job: J, mut surroundings: Surroundings) -> anyhow::Result<Exit> {
        let is_asked_for = self.journaled.is_some() || self.args.summary.is_some();
        let files = surroundings.model.map(|(_, files)| files).filter(|_| is_asked_for);
        let model_sha256 = files.map(ModelFiles::sha256).transpose()?;
        surroundings.settings.insert("model (SHA-256 of its files)".into(), model_sha256.clone().into());
        let (files, point) = self.open_files(&mut surroundings)?;
        let (tally, position) = match &point {
            Some(point) => (point.tally.clone(), point.position),
            None => (Tally::default(), Position::default()),
        };
        if let (Some(_), false) = (&point, surroundings.quiet) {
            complain(format_args!("note: going on after {}", counted(tally.rows_in, "row")));
        }
        let job = Arc::new(job);
        let window_bytes = surroundings.num_threads.saturating_mul(WINDOW_BYTES_PER_THREAD);
        let limits = Limits {
            line_bytes: self.args.max_line_bytes.get(),
            window_bytes: window_bytes.clamp(1 << 16, 1 << 22),
        };
        environment::hold_interrupts();
        let from = point.map(|point| point.position);
        let windows = Reader::spawn(Arc::clone(&job), self.sources.clone(), limits, from)?;
        let on_error = self.args.on_error;
        let computed = spawn_encoder(Arc::clone(&job), windows, on_error)?;
        let num_bytes = self.sources.iter().map(|source| source.bytes_to_read()).sum();
        let bytes_before = bytes_read(&self.sources, &position);
        let is_terminal = io::stderr().is_terminal();
        // Rows that go by on a terminal are progress enough, and would be torn by a bar.
        let is_quiet = surroundings.quiet || (self.output.is_none() && io::stdout().is_terminal());
        let progress = Progress::new(is_quiet, is_terminal, num_bytes, &tally, bytes_before);
        let mut writer = Writer { job, sources: &self.sources, on_error, files, tally, position, progress };
        let outcome = writer.write_all(&computed);
        writer.progress.clear();
        let Writer { job, files, tally, position, .. } = writer;
        match outcome {
            Err(error) => return Err(self.stopped(error, files, &tally)),
            Ok(End::Interrupted) => return Ok(self.interrupted(files, &tally)),
            Ok(End::Complete) => {}
        }
        let seconds = files.seconds();
        files.finish(position, &tally)?;
        environment::release_interrupts();
        let model = surroundings.model.map(|(name, _)| (name, model_sha256.as_deref()));
        let summary = Summary::new(&tally, seconds, job.screen_count(), model);
        if !surroundings.quiet {
            summary.say(surroundings.max_length);
        }
        if let Some(path) = &self.args.summary {
            summary.write(path)?;
        }
        Ok(if tally.rejected > 0 { Exit::Rejected } else { Exit::Done })
    }

    fn open_files(
        &self,
        surroundings: &mut Surroundings,
    ) -> anyhow::Result<(RunFiles<Disk>, Option<journal::Point>)> {
        let Some(paths) = &self.journaled else {
            let existing = self.earlier.existing();
            let rejects = self.args.rejects.as_ref().map(|path| PartialFile::new(Disk, path, existing));
            let rows = Output::open(self.output, existing)?;
            let files = RunFiles::without_journal(rows, rejects.transpose()?, self.assembly.clone());
            return Ok((files, None));
        };
        let mut settings = std::mem::take(&mut surroundings.settings);
        settings.insert("neural-sparse".into(), env!("CARGO_PKG_VERSION").into());
        settings.insert("--max-line-bytes".into(), self.args.max_line_bytes.get().into());
        let shard = self.args.shard.map(|(index, count)| format!("{index}/{count}"));
        settings.insert("--shard".into(), shard.into());
        let identity = Identity::new(settings, &self.sources).context("cannot read the input")?;
        RunFiles::with_journal(Disk, paths, self.earlier, identity, &self.sources)
    }

    /// What a run that failed leaves behind, added to why it failed, and the next step.
    fn stopped(&self, error: anyhow::Error, files: RunFiles<Disk>, tally: &Tally) -> anyhow::Error {
        let is_resumable = files.is_resumable() && tally.rows_in > 0;
        let message = files.stop(tally);
        if !is_resumable {
            return error.context(message);
        }
        let hint = match (self.args.resumes_unasked, error.is::<BadRow>()) {
            (true, _) => "the same command goes on from there",
            (false, true) => {
                "`--resume` goes on from there, with `--on-error skip` past rows that cannot be used"
            }
            (false, false) => "`--resume` goes on from there",
        };
        error.context(Failure { message, hint: hint.into() })
    }

    /// Says what a run leaves behind that Ctrl-C ended, and the command to go on.
    fn interrupted(&self, files: RunFiles<Disk>, tally: &Tally) -> Exit {
        let is_resumable = files.is_resumable() && tally.rows_in > 0;
        complain(format_args!("interrupted: {}", files.stop(tally)));
        if is_resumable {
            let command = environment::command_to_resume(!self.args.resumes_unasked);
            complain(format_args!("\nhint: to go on: {command}"));
        }
        Exit::Interrupted
    }
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
    end: Option<anyhow::Result<()>>,
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

fn compute<J: Job>(job: &J, window: Window<J::Row>, on_error: OnError) -> anyhow::Result<Computed<J::Value>> {
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
    let mut values = job.compute(rows)?.into_iter();
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
    Interrupted,
}

/// Writes computed rows in their order.
struct Writer<'a, J: Job> {
    job: Arc<J>,
    sources: &'a [Arc<Source>],
    on_error: OnError,
    files: RunFiles<Disk>,
    tally: Tally,
    position: Position,
    progress: Progress,
}

impl<J: Job> Writer<'_, J> {
    fn write_all(&mut self, windows: &Receiver<Computed<J::Value>>) -> anyhow::Result<End> {
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
                Err(RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("a thread ended before its work did: this is a bug")
                }
            }
            self.progress.tick(&self.tally, bytes_read(self.sources, &self.position));
            if environment::is_interrupted() {
                return Ok(End::Interrupted);
            }
        }
    }

    fn write_window(&mut self, lines: Vec<(InputLine, Result<J::Value, RowError>)>) -> anyhow::Result<()> {
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
                    self.files.write_row(&bytes).context("cannot write the output")?;
                }
                Ok(Err(error)) => match error.downcast() {
                    Ok(refused) => self.reject(&line, &refused)?,
                    Err(error) => return Err(error.context("cannot write a row")),
                },
                Err(error) => self.reject(&line, &error)?,
            }
            self.position = line.end;
            self.files.end_line(&self.position, &self.tally).context("cannot write the output")?;
        }
        self.files.flush().context("cannot write the output")
    }

    /// Ends the run at a row that cannot be used, or sets the row aside.
    fn reject(&mut self, line: &InputLine, error: &RowError) -> anyhow::Result<()> {
        if self.on_error == OnError::Stop {
            return Err(line.fault(error).into());
        }
        self.tally.count_line(line);
        self.tally.rejected += 1;
        if self.files.has_rejects() {
            let report = rejects::report(line, error);
            let written = report.and_then(|report| self.files.write_reject(&report));
            written.context("cannot write the rejects")?;
        }
        Ok(())
    }
}

fn parse_shard(value: &str) -> Result<(u64, u64), String> {
    let numbers =
        value.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    match numbers {
        Some((index, count)) if (1..=count).contains(&index) => Ok((index, count)),
        Some(_) => Err("I counts from 1 and is at most N".into()),
        None => Err("not two numbers I/N, such as 3/8".into()),
    }
}
