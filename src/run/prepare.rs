//! What a run is asked to do, and whether it can: nothing is created before that is known.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::RunError;
use super::paths::{Earlier, Held, Paths};
use super::rejects::OnError;
use crate::format::Assembly;
use crate::input::Source;
use crate::storage::{
    is_device, refuse_existing, refuse_same_files, with_suffix, Disk, OutputError, Storage, Use,
};

/// Bytes of a line, unless something else is said.
pub const MAX_LINE_BYTES: NonZeroUsize = NonZeroUsize::new(64 << 20).expect("more than 0");

/// Where rows go.
pub enum Sink {
    /// They are written as they come.
    Stream(Box<dyn Write>),
    /// To a file that appears under this name when it is complete; compressed where it ends in `.gz` or `.zst`.
    File {
        /// Path of the file.
        path: PathBuf,
        /// How the files are made of the rows, where it is not the rows one after the other; see
        /// [`Format::assembly`](crate::format::Format::assembly).
        assembly: Option<Arc<dyn Assembly>>,
    },
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Sink::Stream(_) => out.write_str("Stream"),
            Sink::File { path, .. } => out.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What becomes of bad rows and of what is there.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// A longer line is rejected without being held.
    pub max_line_bytes: NonZeroUsize,
    /// What happens to a row that cannot be used.
    pub on_error: OnError,
    /// A file of reports, a line of JSON for each row that was set aside.
    pub rejects: Option<PathBuf>,
    /// What to do with what an earlier run has left.
    pub earlier: Earlier,
    /// A file that gets the [`Summary`](super::Summary) as JSON.
    pub summary: Option<PathBuf>,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            max_line_bytes: MAX_LINE_BYTES,
            on_error: OnError::Stop,
            rejects: None,
            earlier: Earlier::Refuse,
            summary: None,
        }
    }
}

/// A run that has been found possible, and holds its output: no other run gets it before this one ends.
#[derive(Debug)]
pub struct Run {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) options: RunOptions,
    pub(super) sources: Vec<Arc<Source>>,
    pub(super) output: Output,
}

#[derive(Debug)]
pub(super) enum Output {
    Stream(Stream),
    File(Paths, Box<Held>),
}

/// A stream that rows are written to as they come.
pub(super) struct Stream(pub Box<dyn Write>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        out.write_str("Stream")
    }
}

impl Run {
    /// Finds the input, and what is in the way of the output, and takes the output. `None` where an earlier run has done
    /// everything already.
    ///
    /// # Errors
    ///
    /// Where another run has the output, files are in the way, or an output is the input or another output: nothing was
    /// created, changed or removed then.
    pub fn prepare(
        sources: Vec<Arc<Source>>,
        sink: Sink,
        options: RunOptions,
    ) -> Result<Option<Run>, RunError> {
        let storage: Arc<dyn Storage> = Arc::new(Disk);
        if let Some(rejects) = &options.rejects {
            check_rejects(rejects, options.on_error)?;
        }
        if options.earlier == Earlier::Resume {
            if let Some(stream) = sources.iter().find(|source| source.size.is_none()) {
                return Err(RunError::NotAgain { name: stream.name() });
            }
        }
        let sink = match sink {
            Sink::File { path, assembly } if is_device(&path) => {
                if assembly.is_some() {
                    return Err(RunError::NotAFile { reason: MADE_OF_ALL });
                }
                let device = std::fs::File::options().write(true).open(&path);
                Sink::Stream(Box::new(io::BufWriter::new(device.map_err(OutputError::write(path))?)))
            }
            sink => sink,
        };
        if matches!(sink, Sink::Stream(_)) && options.earlier == Earlier::Resume {
            return Err(RunError::NotAFile {
                reason: "a run goes on with what an earlier one has left in it",
            });
        }
        let output = match sink {
            Sink::Stream(stream) => {
                refuse_conflicts(&storage, &sources, None, &options)?;
                Output::Stream(Stream(stream))
            }
            Sink::File { path: output, assembly } => {
                let paths = Paths { output, rejects: options.rejects.clone(), assembly };
                refuse_conflicts(&storage, &sources, Some(&paths), &options)?;
                let Some(held) = paths.take(&storage, options.earlier)? else { return Ok(None) };
                Output::File(paths, Box::new(held))
            }
        };
        Ok(Some(Run { storage, options, sources, output }))
    }
}

const MADE_OF_ALL: &str = "this format is made of all rows at their end";

fn check_rejects(rejects: &Path, on_error: OnError) -> Result<(), RunError> {
    if on_error == OnError::Stop {
        return Err(RunError::NothingRejected);
    }
    if rejects.extension().is_some_and(|suffix| suffix == "gz" || suffix == "zst") {
        return Err(RunError::CompressedRejects { path: rejects.to_path_buf() });
    }
    Ok(())
}

/// Refuses an output that is the input or another output, and a summary that is there already.
fn refuse_conflicts(
    storage: &Arc<dyn Storage>,
    sources: &[Arc<Source>],
    paths: Option<&Paths>,
    options: &RunOptions,
) -> Result<(), RunError> {
    refuse_same_files(&uses(sources, paths, options))?;
    match (&options.summary, options.earlier) {
        (Some(summary), Earlier::Refuse) if !is_device(summary) => {
            Ok(refuse_existing(&**storage, &[summary], false)?)
        }
        _ => Ok(()),
    }
}

/// Every file that the run reads or writes.
fn uses(sources: &[Arc<Source>], paths: Option<&Paths>, options: &RunOptions) -> Vec<Use> {
    let mut uses: Vec<Use> = sources.iter().map(|source| Use::read("the input", &source.path)).collect();
    if let Some(Paths { output, assembly, .. }) = paths {
        uses.extend(Use::output("output", output));
        let results = assembly.as_ref().map(|assembly| assembly.results(output, &Disk)).unwrap_or_default();
        let others = results.into_iter().filter(|result| result != output);
        uses.extend(others.map(|result| Use::written("a part of the output", result)));
    }
    if let Some(rejects) = &options.rejects {
        uses.push(Use::written("the file of rejects", rejects));
        uses.push(Use::written("the unfinished file of rejects", with_suffix(rejects, ".partial")));
    }
    uses.extend(options.summary.iter().map(|summary| Use::written("the summary", summary)));
    uses
}
