//! Where results of a command go that is done at once: standard output, or a file that appears under its name only when
//! it is complete.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use neural_sparse::run::{Left, OneGoFile, Unfinished};
use neural_sparse::storage::{is_device, refuse_same_files, Disk, Use};

use super::failure::{complain, Stopped, UsageError};
use super::terminal;

/// The files that a command reads and writes, each known before it is written: no output is an input or another output.
pub(super) struct Files {
    uses: Vec<Use>,
    /// Which output was named `-`.
    to_stdout: Option<&'static str>,
}

impl Files {
    /// Of a command that reads these.
    ///
    /// * `read`: what each is, as messages say it, and its path: `the queries`.
    pub fn read<'a>(read: impl IntoIterator<Item = (&'static str, &'a Path)>) -> Self {
        let uses = read.into_iter().map(|(what, path)| Use::read(what, path)).collect();
        Files { uses, to_stdout: None }
    }

    /// Opens an output. Nothing is created before there is something to write, so a command that fails early does not
    /// stand in the way of the next; nor does one that fails later, or is killed.
    ///
    /// * `what`: what it is, without an article: `run`.
    /// * `path`: `-` is standard output.
    pub fn output(
        &mut self,
        what: &'static str,
        path: &Path,
        unfinished: Unfinished,
    ) -> anyhow::Result<Output> {
        if path == Path::new("-") {
            if let Some(other) = self.to_stdout.replace(what) {
                let message = format!("the {other} and the {what} cannot both be written to standard output");
                return Err(UsageError::new(message).into());
            }
            return Ok(Output::stdout());
        }
        self.uses.extend(Use::output(what, path));
        refuse_same_files(&self.uses)?;
        if is_device(path) {
            return Ok(Output::Stream(device(path)?));
        }
        Ok(Output::File(Some(OneGoFile::take(Arc::new(Disk), path, unfinished)?)))
    }

    /// Opens an output that can be computed again; standard output without a path.
    pub fn results(&mut self, what: &'static str, path: Option<&Path>) -> anyhow::Result<Output> {
        match path {
            Some(path) => self.output(what, path, Unfinished::Removed),
            None => Ok(Output::stdout()),
        }
    }
}

/// The destination of results.
pub(super) enum Output {
    /// Standard output, or a pipe or device named by `--output`: written as it comes.
    Stream(BufWriter<Box<dyn Write>>),
    /// A regular file; `None` once it has its name.
    File(Option<OneGoFile>),
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        Output::Stream(BufWriter::new(terminal::stdout()))
    }

    /// Marks the end of a row.
    pub fn end_row(&mut self) -> io::Result<()> {
        match self {
            Output::File(Some(file)) => file.end_row(),
            Output::File(None) | Output::Stream(_) => Ok(()),
        }
    }

    /// Completes the output: everything is written, and a file has its own name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        match &mut self {
            Output::Stream(writer) => writer.flush().context("cannot write the output"),
            Output::File(file) => Ok(file.take().map_or(Ok(()), OneGoFile::finish)?),
        }
    }

    /// Ends an output that will not be complete, and adds to the error where the rows are that were written.
    pub fn stopped(mut self, rows: u64, error: anyhow::Error) -> anyhow::Error {
        let Output::File(file) = &mut self else { return error };
        match file.take().and_then(OneGoFile::end) {
            Some((partial, is_whole)) => {
                let left = Left { rows, partial: Some(partial), is_whole, is_resumable: false }.to_string();
                error.context(Stopped { left, hint: None })
            }
            None => error,
        }
    }
}

/// A pipe or device, written as it comes.
pub(super) fn device(path: &Path) -> anyhow::Result<BufWriter<Box<dyn Write>>> {
    let device = File::options().write(true).open(path);
    let device = device.with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(BufWriter::new(terminal::results(device)))
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Output::File(file) = self {
            file.take().and_then(OneGoFile::end);
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Stream(writer) => writer.write(bytes),
            Output::File(Some(file)) => file.write(bytes),
            Output::File(None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stream(writer) => writer.flush(),
            Output::File(Some(file)) => file.flush(),
            Output::File(None) => Ok(()),
        }
    }
}

/// Says where a page is, unless there is none or it went to standard output.
pub(super) fn say_where(file: Option<&Path>) {
    if let Some(file) = file.filter(|file| *file != Path::new("-")) {
        complain(format_args!("note: `{}` is written, to be opened in a browser", file.display()));
    }
}
