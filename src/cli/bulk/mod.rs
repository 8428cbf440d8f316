//! How a run over `--input` is started, watched and reported.

mod progress;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;

use neural_sparse::format::{Assembly, Format};
use neural_sparse::input::{Fields, InputError, Source};
use neural_sparse::run::{EncodeTexts, Left, Outcome, Run, RunError, RunSettings, Sink};
use neural_sparse::storage::is_device;
use neural_sparse::EncoderOptions;
use serde_json::Value;

use super::args::{shape_settings, InputArgs, ModelArgs, RowArgs, ShapeArgs};
use super::failure::{complain, Exit, Stopped, UsageError};
use super::output::device;
use super::terminal;
use super::{counted, environment};
pub(super) use neural_sparse::input::Container;
pub(super) use neural_sparse::run::{Job, Tally};
pub(super) use progress::Watcher;

/// Rows are worth reading as for so many threads that encode, where none does.
pub(super) const NUM_WINDOWS: usize = 8;

/// A run that has been found possible, before the model is loaded.
pub(super) struct Prepared<'a> {
    args: &'a InputArgs,
    run: Run,
    quiet: bool,
    /// Whether rows go by on a terminal.
    shows_rows: bool,
}

impl InputArgs {
    /// Finds the input, and what is in the way of the output. `None` where an earlier run has done everything.
    pub fn prepare<'a>(
        &'a self,
        container: Container,
        output: Option<&'a Path>,
        assembly: Option<Arc<dyn Assembly>>,
        quiet: bool,
    ) -> anyhow::Result<Option<Prepared<'a>>> {
        self.prepare_with(self.sources(container)?, output, assembly, quiet)
    }

    /// The files that are named, or the shard of them.
    pub fn sources(&self, container: Container) -> Result<Vec<Arc<Source>>, InputError> {
        match self.shard {
            Some((index, count)) => Source::shard(&self.files, container, index, count),
            None => Source::whole(&self.files, container),
        }
    }

    /// The same as [`InputArgs::prepare`], with sources that somebody has looked at.
    pub fn prepare_with<'a>(
        &'a self,
        sources: Vec<Arc<Source>>,
        output: Option<&'a Path>,
        assembly: Option<Arc<dyn Assembly>>,
        quiet: bool,
    ) -> anyhow::Result<Option<Prepared<'a>>> {
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
        let Some(run) = Run::prepare(sources, sink, self.run_options())? else {
            if let (Some(path), false) = (file, quiet) {
                complain(format_args!("note: `{}` is complete already: nothing to do", path.display()));
            }
            return Ok(None);
        };
        let shows_rows = output.is_none() && io::stdout().is_terminal();
        Ok(Some(Prepared { args: self, run, quiet, shows_rows }))
    }
}

impl Prepared<'_> {
    /// Reads, computes and writes every row.
    pub fn run<J: Job>(self, job: J, mut settings: RunSettings) -> anyhow::Result<Exit> {
        let shard = self.args.shard.map(|(index, count)| format!("{index}/{count}"));
        settings.options.insert("--shard".into(), shard.into());
        // Rows that go by on a terminal are progress enough, and would be torn by a bar.
        let mut watcher = Watcher::new(self.quiet, !self.shows_rows);
        match interruptible(&mut watcher, |watcher| self.run.run(job, settings, watcher)) {
            Ok(Outcome::Complete(summary)) if summary.tally.rejected > 0 => Ok(Exit::Rejected),
            Ok(Outcome::Complete(_)) => Ok(Exit::Done),
            Ok(Outcome::Cancelled(left)) => {
                say_interrupted(&left, true);
                Ok(Exit::Interrupted)
            }
            Err(RunError::Stopped { left, source }) => Err(stopped(&left, *source, false)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Does `work`, which is told of a first Ctrl-C by `watcher` and ends in its own time.
pub(super) fn interruptible<T>(watcher: &mut Watcher, work: impl FnOnce(&mut Watcher) -> T) -> T {
    environment::hold_interrupts();
    let done = work(watcher);
    watcher.clear();
    environment::release_interrupts();
    done
}

/// Says what an interrupted run leaves behind, and how it goes on.
///
/// * `wants_flag`: whether it has to be asked to.
pub(super) fn say_interrupted(left: &Left, wants_flag: bool) {
    complain(format_args!("interrupted: {left}"));
    if left.is_resumable {
        complain(format_args!("\nhint: to go on: {}", environment::command_to_resume(wants_flag)));
    }
}

/// Why a run failed, with what it leaves behind and the next step.
///
/// * `resumes_unasked`: whether the command goes on by itself when it is given again.
pub(super) fn stopped(left: &Left, error: RunError, resumes_unasked: bool) -> anyhow::Error {
    let hint = match (resumes_unasked, error.is_bad_row()) {
        (true, _) => "the same command goes on from there",
        (false, true) => {
            "`--resume` goes on from there, with `--on-error skip` past rows that cannot be used"
        }
        (false, false) => "`--resume` goes on from there",
    };
    let hint = left.is_resumable.then(|| hint.to_string());
    anyhow::Error::from(error).context(Stopped { left: left.to_string(), hint })
}

/// Encodes the texts of all rows, and writes their vectors in a format.
///
/// * `settings`: the command's own options, which decide what is written.
pub(super) fn encode_rows(
    run: Prepared,
    (model, rows, shape): (&ModelArgs, &RowArgs, &ShapeArgs),
    fields: Fields,
    format: Arc<dyn Format>,
    settings: BTreeMap<String, Value>,
) -> anyhow::Result<Exit> {
    let files = model.files()?;
    let options = EncoderOptions { batch_tokens: Some(rows.batch_tokens.get()), ..model.options()? };
    let encoder = model.open(&files, &options)?;
    let side = model.known_side(&encoder)?;
    let shape = shape.shape().in_dialect(model.dialect);
    let shape = shape.for_format(&*format, encoder.similarity(), &model.model)?;
    let mut all = model.settings(&encoder, side)?;
    all.extend(rows.settings().into_iter().chain(settings).chain(shape_settings(&shape)));
    let settings = model.run_settings(&files, &encoder, side, all)?;
    let parser = rows.fields.parser(fields);
    let job = EncodeTexts::new(encoder, side, move |line: &[u8]| parser.parse(line), format);
    run.run(job.shape(shape).long_texts(rows.long_texts()), settings)
}

/// Says how many texts were cut, unless none was.
pub(super) fn say_truncated(tally: &Tally, max_length: usize) {
    if tally.truncated > 0 {
        let texts = counted(tally.rows_in, "text");
        complain(format_args!("note: {} of {texts} cut to {max_length} tokens", tally.truncated));
    }
}
