//! `--input`: which rows are read, and how a run with them is started, watched and reported.

mod progress;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use neural_sparse::format::Assembly;
use neural_sparse::input::Source;
use neural_sparse::run::{
    self, Earlier, Left, Outcome, Run, RunError, RunOptions, RunSettings, Sink, Summary,
};
use neural_sparse::storage::is_device;
use neural_sparse::ModelFiles;
use serde_json::Value;

use super::failure::{complain, Exit, Stopped, UsageError};
use super::output::device;
use super::terminal;
use super::{counted, environment};
pub(super) use neural_sparse::input::Container;
pub(super) use neural_sparse::run::{InputLine, Job, Tally};
use progress::Watcher;

/// Bytes of a line, unless something else is said.
const MAX_LINE_BYTES: NonZeroUsize = NonZeroUsize::new(64 << 20).expect("more than 0");

/// Rows are worth reading as for so many threads that encode, where none does.
pub(super) const NUM_WINDOWS: usize = 8;

/// What happens to a row that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OnError {
    /// The run stops with an error; what was written stays
    Stop,
    /// The row is counted and left out; the exit code is 3
    Skip,
}

/// Which rows are read, and what becomes of bad ones and of what is there.
#[derive(Args)]
pub(super) struct InputArgs {
    /// File to read, a row a line, plain, gzip or zstd; `-` is standard input; may be repeated
    #[arg(long = "input", short = 'i', value_name = "FILE")]
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
    #[arg(long, requires_all = ["files", "output"], conflicts_with_all = ["texts", "force"])]
    resume: bool,
    /// Start at the beginning whatever an earlier run has left; files of that name are replaced
    #[arg(long, requires = "files", conflicts_with = "texts")]
    force: bool,
    /// Read the I-th of N contiguous parts of plain files; the outputs one after the other are the whole
    #[arg(long, value_name = "I/N", value_parser = parse_shard, requires = "files", conflicts_with = "texts")]
    shard: Option<(u64, u64)>,
    /// Write the figures of the summary to this file too, as JSON
    #[arg(long, value_name = "FILE", requires = "files", conflicts_with = "texts")]
    summary: Option<PathBuf>,
    /// Whether the command goes on by itself when it is given again.
    #[arg(skip)]
    resumes_unasked: bool,
}

/// A run that has been found possible, before the model is loaded.
pub(super) struct Prepared<'a> {
    args: &'a InputArgs,
    run: Run,
    /// Whether rows go by on a terminal.
    shows_rows: bool,
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
        let sources = match self.shard {
            Some((index, count)) => Source::shard(&self.files, container, index, count)?,
            None => Source::whole(&self.files, container)?,
        };
        let file = output.filter(|path| *path != Path::new("-"));
        if self.force && file.is_none() && self.summary.is_none() && self.rejects.is_none() {
            return Err(UsageError::new("--force: this command writes no file that it could replace").into());
        }
        let sink = match file {
            Some(path) if is_device(path) && assembly.is_none() => Sink::Stream(Box::new(device(path)?)),
            Some(path) => Sink::File { path: path.to_path_buf(), assembly },
            None if assembly.is_some() => {
                let hint = "name a file with `--output`";
                return Err(
                    UsageError::with_hint("this format is made of all rows at their end", hint).into()
                );
            }
            None => Sink::Stream(Box::new(io::BufWriter::new(terminal::stdout()))),
        };
        let Some(run) = Run::prepare(sources, sink, self.options())? else {
            if let (Some(path), false) = (file, quiet) {
                complain(format_args!("note: `{}` is complete already: nothing to do", path.display()));
            }
            return Ok(None);
        };
        let shows_rows = output.is_none() && io::stdout().is_terminal();
        Ok(Some(Prepared { args: self, run, shows_rows }))
    }

    fn options(&self) -> RunOptions {
        RunOptions {
            max_line_bytes: self.max_line_bytes,
            on_error: match self.on_error {
                OnError::Stop => run::OnError::Stop,
                OnError::Skip => run::OnError::Skip,
            },
            rejects: self.rejects.clone(),
            earlier: match (self.resume, self.force) {
                (true, _) => Earlier::Resume,
                (_, true) => Earlier::Force,
                _ => Earlier::Refuse,
            },
            summary: self.summary.clone(),
        }
    }
}

impl Prepared<'_> {
    /// Reads, computes and writes every row.
    pub fn run<J: Job>(self, job: J, surroundings: Surroundings) -> anyhow::Result<Exit> {
        let Surroundings { model, mut settings, num_threads, max_length, quiet } = surroundings;
        let shard = self.args.shard.map(|(index, count)| format!("{index}/{count}"));
        settings.insert("--shard".into(), shard.into());
        let model = model.map(|(name, files)| (name.to_string(), files.clone()));
        let settings = RunSettings { options: settings, model, num_threads };
        environment::hold_interrupts();
        // Rows that go by on a terminal are progress enough, and would be torn by a bar.
        let mut watcher = Watcher::new(quiet, !quiet && !self.shows_rows);
        let outcome = self.run.run(job, settings, &mut watcher);
        watcher.clear();
        environment::release_interrupts();
        match outcome {
            Ok(Outcome::Complete(summary)) => {
                if !quiet {
                    say(&summary, max_length);
                }
                Ok(if summary.tally.rejected > 0 { Exit::Rejected } else { Exit::Done })
            }
            Ok(Outcome::Cancelled(left)) => {
                complain(format_args!("interrupted: {left}"));
                if left.is_resumable {
                    let command = environment::command_to_resume(!self.args.resumes_unasked);
                    complain(format_args!("\nhint: to go on: {command}"));
                }
                Ok(Exit::Interrupted)
            }
            Err(RunError::Stopped { left, source }) => Err(self.args.stopped(&left, *source)),
            Err(error) => Err(error.into()),
        }
    }
}

impl InputArgs {
    /// Why a run failed, with what it leaves behind and the next step.
    fn stopped(&self, left: &Left, error: RunError) -> anyhow::Error {
        let hint = match (self.resumes_unasked, error.is_bad_row()) {
            (true, _) => "the same command goes on from there",
            (false, true) => {
                "`--resume` goes on from there, with `--on-error skip` past rows that cannot be used"
            }
            (false, false) => "`--resume` goes on from there",
        };
        let hint = left.is_resumable.then(|| hint.to_string());
        anyhow::Error::from(error).context(Stopped { left: left.to_string(), hint })
    }
}

/// Says the figures of a run on standard error.
fn say(summary: &Summary, max_length: Option<usize>) {
    let tally = &summary.tally;
    let mut parts = vec![format!("{} in", counted(tally.rows_in, "row")), format!("{} out", tally.rows_out)];
    parts.push(format!("{} rejected", tally.rejected));
    if let Some(max_length) = max_length {
        parts.push(format!("{} cut to {max_length} tokens", tally.truncated));
    }
    if tally.blank_lines > 0 {
        parts.push(format!("{} skipped", counted(tally.blank_lines, "blank line")));
    }
    if tally.ids_compared > 0 {
        let looked = match summary.stopped_comparing_ids() {
            true => format!(" (in the first {} rows; not looked for after them)", tally.ids_compared),
            false => String::new(),
        };
        parts.push(format!("{}{looked}", counted(tally.duplicate_ids, "duplicate id")));
    }
    complain(format_args!("{}", parts.join(", ")));
    let has_texts = max_length.is_some();
    let mut parts = Vec::new();
    if has_texts {
        parts.push(counted(tally.tokens, "token"));
    }
    if let Some(mean) = summary.mean_terms {
        parts.push(format!("{mean:.1} terms a vector, {} at most", tally.max_terms));
    }
    parts.push(format!("{:.1} s", summary.seconds));
    parts.push(format!("{:.1} docs/s", summary.docs_per_second));
    if has_texts {
        parts.push(format!("{:.0} tokens/s", summary.tokens_per_second));
    }
    if let Some(bytes) = summary.peak_memory_bytes {
        parts.push(format!("{} MB of memory at most", bytes / 1_000_000));
    }
    complain(format_args!("{}", parts.join(", ")));
    for (what, count) in tally.findings.iter() {
        let more = if what == run::LEFT_OUT { "; --keep and --keep-all keep them" } else { "" };
        complain(format_args!("note: {count} {what}{more}"));
    }
    if let Some(model) = &summary.model {
        let hash = summary.model_sha256.as_ref().map(|hash| format!(" (sha256 {hash})")).unwrap_or_default();
        complain(format_args!("model {model}{hash}"));
    }
}

/// Says how many texts were cut, unless none was.
pub(super) fn say_truncated(tally: &Tally, max_length: usize) {
    if tally.truncated > 0 {
        let texts = counted(tally.rows_in, "text");
        complain(format_args!("note: {} of {texts} cut to {max_length} tokens", tally.truncated));
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
