//! Where results of a command go that is done at once: standard output, or a file that appears under its name only when
//! it is complete.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use neural_sparse::storage::{is_device, Disk, Existing, PartialFile};

use super::failure::complain;
use super::terminal;

/// The destination of results.
pub(super) enum Output {
    /// Standard output, or a pipe or device named by `--output`: written as it comes.
    Stream(BufWriter<Box<dyn Write>>),
    /// A regular file; `None` once it has its name.
    File(Option<PartialFile>),
}

impl Output {
    /// Opens `path`, or standard output without one or with `-`.
    ///
    /// Nothing is created before there is something to write, so a run that fails early does not stand in the way of the
    /// next; nor does one that fails later, whose unfinished file is removed.
    pub fn one_shot(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Output::Stream(BufWriter::new(terminal::stdout())));
        };
        if is_device(path) {
            return Ok(Output::Stream(device(path)?));
        }
        Ok(Output::File(Some(PartialFile::new(Arc::new(Disk), path, Existing::Refuse)?)))
    }

    /// Marks the end of a row.
    pub fn end_row(&mut self) -> io::Result<()> {
        match self {
            Output::File(Some(file)) => file.end_row().map(drop),
            Output::File(None) | Output::Stream(_) => Ok(()),
        }
    }

    /// Completes the output: everything is written, and a file has its own name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        match &mut self {
            Output::Stream(writer) => writer.flush().context("cannot write the output"),
            Output::File(file) => {
                if let Some(mut complete) = file.take() {
                    // Until it is complete, it is removed where something fails.
                    let made_to_last = complete.complete();
                    *file = Some(complete);
                    made_to_last?;
                    file.take().map_or(Ok(()), PartialFile::appear)?;
                }
                Ok(())
            }
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
            file.take().into_iter().for_each(PartialFile::discard);
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
            Output::File(_) => Ok(()),
        }
    }
}

/// Says where a page is, unless there is none or it went to standard output.
pub(super) fn say_where(file: Option<&Path>) {
    if let Some(file) = file.filter(|file| *file != Path::new("-")) {
        complain(format_args!("note: `{}` is written, to be opened in a browser", file.display()));
    }
}
