//! Where results go: standard output, or a file that appears under its name only when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::compression::Parts;
use super::counted;
use super::failure::Failure;

/// The destination of a run's results.
pub(super) enum Output {
    /// Standard output, or a pipe or device named by `--output`: written as it comes.
    Stream(BufWriter<Box<dyn Write>>),
    /// A regular file: written as `FILE.partial` from the first byte on, renamed when the run is complete;
    /// compressed where its name ends in `.gz` or `.zst`.
    File { writer: Option<Parts<BufWriter<File>>>, partial: PathBuf, path: PathBuf },
}

impl Output {
    /// Opens `path`, or standard output without one or with `-`.
    ///
    /// Nothing is ever overwritten: a file that is there already, or the partial
    /// file of a run that did not finish, is an error that names it. Nothing is
    /// created before there is something to write, so a run that fails early
    /// does not stand in the way of the next.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            let stdout: StdoutLock<'static> = io::stdout().lock();
            return Ok(Output::Stream(BufWriter::new(Box::new(stdout))));
        };
        if fs::metadata(path).is_ok_and(|existing| !existing.is_file()) {
            let device = File::options().write(true).open(path).with_context(|| cannot_write(path))?;
            return Ok(Output::Stream(BufWriter::new(Box::new(device))));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        for (taken, what) in [(path, "the output"), (&partial, "the output of a run that did not finish")] {
            if fs::symlink_metadata(taken).is_ok() {
                return Err(Failure {
                    message: format!("{what}, `{}`, exists already", taken.display()),
                    hint: "remove it or name another file: nothing is overwritten".into(),
                }
                .into());
            }
        }
        // A folder that is not there should not be found out after an hour.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::read_dir(folder).with_context(|| cannot_write(path))?;
        Ok(Output::File { writer: None, partial, path: path.to_path_buf() })
    }

    /// Marks the end of a row.
    pub fn end_row(&mut self) -> io::Result<()> {
        match self {
            Output::File { writer: Some(writer), .. } => writer.end_row(),
            _ => Ok(()),
        }
    }

    /// Ends a run that failed after so many rows, and says what it leaves behind. What was written stays.
    pub fn stop(self, num_rows: usize) -> String {
        match self {
            _ if num_rows == 0 => "stopped before the first row".into(),
            Output::Stream(mut writer) => {
                // If the rows before the failure cannot be written either, the failure is told all the same.
                let _ = writer.flush();
                format!("stopped after {}", counted(num_rows, "row"))
            }
            Output::File { writer, partial, .. } => {
                let _ = writer.map(|writer| writer.finish(true));
                format!("stopped after {}, which stay in `{}`", counted(num_rows, "row"), partial.display())
            }
        }
    }

    /// Completes the output: everything is written, and a file has its own name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let wrote_rows = matches!(self, Output::File { writer: Some(_), .. });
        // An output without rows is a file too.
        self.writer().context("cannot write the output")?;
        match self {
            Output::Stream(mut writer) => writer.flush().context("cannot write the output"),
            Output::File { writer, partial, path } => {
                let written = writer.map_or(Ok(()), |writer| writer.finish(wrote_rows)?.get_ref().sync_all());
                written.with_context(|| cannot_write(&partial))?;
                fs::rename(&partial, &path)
                    .with_context(|| format!("cannot rename `{}` to `{}`", partial.display(), path.display()))
            }
        }
    }

    /// What is written to; a file is created here.
    fn writer(&mut self) -> io::Result<&mut dyn Write> {
        match self {
            Output::Stream(writer) => Ok(writer),
            Output::File { writer: Some(writer), .. } => Ok(writer),
            Output::File { writer, partial, path } => {
                let file = File::options().write(true).create_new(true).open(partial)?;
                Ok(writer.insert(Parts::new(path, BufWriter::new(file))))
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stream(writer) => writer.flush(),
            Output::File { writer, .. } => writer.as_mut().map_or(Ok(()), Write::flush),
        }
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}
