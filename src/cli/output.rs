//! Where results go: standard output, or a file that appears under its name only when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use neural_sparse::format::Assembly;

use super::compression::Parts;
use super::failure::{complain, Failure};
use super::storage::{folder_of, Disk, Storage};
use super::terminal;

/// The destination of results.
pub(super) enum Output<S: Storage = Disk> {
    /// Standard output, or a pipe or device named by `--output`: written as it comes.
    Stream(BufWriter<Box<dyn Write>>),
    /// A regular file.
    File(PartialFile<S>),
}

/// What happens to a file of an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It is an error that names it.
    Refuse,
    /// It is written over; the complete file takes its place at the end.
    Replace,
}

impl Output {
    /// Opens `path`, or standard output without one or with `-`.
    ///
    /// Nothing is created before there is something to write, so a run that fails early does not stand in the way of the
    /// next.
    pub fn open(path: Option<&Path>, existing: Existing) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Output::Stream(BufWriter::new(terminal::stdout())));
        };
        if is_device(path) {
            let device = File::options().write(true).open(path).with_context(|| cannot_write(path))?;
            return Ok(Output::Stream(BufWriter::new(terminal::results(device))));
        }
        Ok(Output::File(PartialFile::new(Disk, path, existing)?))
    }
}

impl<S: Storage> Output<S> {
    /// Marks the end of a row, and says whether a run could go on from here; see [`Parts::end_row`].
    pub fn end_row(&mut self) -> io::Result<bool> {
        match self {
            Output::File(PartialFile { writer: Some(writer), .. }) => writer.end_row(),
            // Nothing was written yet.
            Output::File(_) => Ok(true),
            Output::Stream(_) => Ok(false),
        }
    }

    /// Completes the output: everything is written, and a file has its own name.
    pub fn finish(self) -> anyhow::Result<()> {
        match self {
            Output::Stream(mut writer) => writer.flush().context("cannot write the output"),
            Output::File(mut file) => {
                file.complete().with_context(|| cannot_write(&file.partial))?;
                file.appear(None)
            }
        }
    }
}

impl<S: Storage> Write for Output<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Stream(writer) => writer.write(bytes),
            Output::File(file) => file.writer()?.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Stream(writer) => writer.flush(),
            Output::File(_) => Ok(()),
        }
    }
}

/// A file that is written as `FILE.partial`, from the first byte on, and renamed when it is complete; compressed
/// where its name ends in `.gz` or `.zst`.
pub(super) struct PartialFile<S: Storage> {
    storage: S,
    path: PathBuf,
    partial: PathBuf,
    existing: Existing,
    writer: Option<Parts<BufWriter<S::File>>>,
}

impl<S: Storage> PartialFile<S> {
    /// A file to be; nothing is touched yet, but what is in its way is found.
    pub fn new(storage: S, path: &Path, existing: Existing) -> anyhow::Result<Self> {
        let partial = with_suffix(path, ".partial");
        if existing == Existing::Refuse {
            refuse_existing(&storage, &[path, &partial], "name another file, or remove what is there")?;
        }
        // A folder that is not there should not be found out after an hour.
        fs::read_dir(folder_of(path)).with_context(|| cannot_write(path))?;
        Ok(PartialFile { storage, path: path.to_path_buf(), partial, existing, writer: None })
    }

    /// Goes on after the first `length` bytes of the partial file.
    pub fn go_on(&mut self, length: u64) -> anyhow::Result<()> {
        let file = self.storage.reopen(&self.partial, length).with_context(|| {
            format!("cannot go on with `{}`: it is not as it was left", self.partial.display())
        })?;
        self.writer = Some(Parts::new(&self.path, BufWriter::new(file), length, S::PART_BYTES));
        Ok(())
    }

    /// Removes the partial file of an earlier run, where it may be replaced.
    pub fn discard_earlier(&mut self) -> io::Result<()> {
        match self.existing {
            Existing::Refuse => Ok(()),
            Existing::Replace => self.storage.remove(&self.partial),
        }
    }

    /// Bytes of the file up to the end of the last whole part.
    pub fn written(&self) -> u64 {
        self.writer.as_ref().map_or(0, Parts::written)
    }

    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// What is written to; the file is created here.
    pub fn writer(&mut self) -> io::Result<&mut Parts<BufWriter<S::File>>> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let file = self.storage.create(&self.partial, self.existing == Existing::Replace)?;
                Parts::new(&self.path, BufWriter::new(file), 0, S::PART_BYTES)
            }
        };
        Ok(self.writer.insert(writer))
    }

    /// Makes every whole part survive a loss of power.
    pub fn sync(&mut self) -> io::Result<()> {
        let storage = self.storage.clone();
        storage.sync(self.writer()?.flushed()?)
    }

    /// Ends the last part and makes everything survive a loss of power.
    pub fn complete(&mut self) -> io::Result<()> {
        self.writer()?.end_last_part()?;
        self.sync()
    }

    /// See [`appear`].
    pub fn appear(mut self, assembly: Option<&dyn Assembly>) -> anyhow::Result<()> {
        self.writer = None;
        appear(&self.storage, &self.partial, &self.path, assembly)
    }
}

/// Gives a complete file its name, or makes of its rows what `assembly` makes of them.
pub(super) fn appear<S: Storage>(
    storage: &S,
    partial: &Path,
    path: &Path,
    assembly: Option<&dyn Assembly>,
) -> anyhow::Result<()> {
    let Some(assembly) = assembly else {
        return storage
            .rename(partial, path)
            .with_context(|| format!("cannot rename `{}` to `{}`", partial.display(), path.display()));
    };
    let made = assembly.assemble(partial, path);
    made.with_context(|| format!("cannot make `{}` of `{}`", path.display(), partial.display()))?;
    storage.remove(partial).with_context(|| cannot_write(partial))
}

/// An error that names those of `paths` that exist, unless none does.
pub(super) fn refuse_existing<S: Storage>(storage: &S, paths: &[&Path], hint: &str) -> anyhow::Result<()> {
    let taken: Vec<String> = paths
        .iter()
        .filter(|path| storage.exists(path))
        .map(|path| format!("`{}`", path.display()))
        .collect();
    if taken.is_empty() {
        return Ok(());
    }
    let exist = if taken.len() == 1 { "exists" } else { "exist" };
    Err(Failure {
        message: format!("{} {exist} already, and nothing is overwritten unasked", taken.join(" and ")),
        hint: hint.into(),
    }
    .into())
}

/// Whether `path` is something that exists and is no regular file: written as it comes, never renamed.
pub(super) fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|existing| !existing.is_file())
}

/// `path` with `suffix` added to its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(suffix);
    longer.into()
}

pub(super) fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}

/// Says where a page is, unless there is none or it went to standard output.
pub(super) fn say_where(file: Option<&Path>) {
    if let Some(file) = file.filter(|file| *file != Path::new("-")) {
        complain(format_args!("note: `{}` is written, to be opened in a browser", file.display()));
    }
}
