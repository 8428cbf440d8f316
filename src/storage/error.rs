//! Why an output cannot be written.

use std::io;
use std::path::PathBuf;

/// Why an output cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// Files are in the way.
    #[error("{} already, and nothing is overwritten unasked", listed(.paths))]
    Exists {
        /// All of them.
        paths: Vec<PathBuf>,
        /// Whether an earlier run may have left them, with which a run could go on.
        is_resumable: bool,
    },
    /// Two files that should be two are one.
    #[error("{first} and {second} are the same file")]
    SameFile {
        /// What the first is for, and its path.
        first: String,
        /// What the second is for, and its path.
        second: String,
    },
    /// Another run writes to the same output.
    #[error("another run is writing `{}`", path.display())]
    Busy {
        /// Path of the output.
        path: PathBuf,
    },
    /// A file was removed or replaced while this run wrote it.
    #[error("`{}` is not the file any more that this run has written: something has removed or replaced it", path.display())]
    Replaced {
        /// Path of the file.
        path: PathBuf,
    },
    /// A file that a run is to go on with is not as it was left.
    #[error("cannot go on with `{}`: it is not as it was left", path.display())]
    NotAsLeft {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A complete file cannot get its name.
    #[error("cannot rename `{}` to `{}`", from.display(), to.display())]
    Rename {
        /// Path of the file.
        from: PathBuf,
        /// Its name to be.
        to: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The files of a format cannot be made of the rows.
    #[error("cannot make `{}` of `{}`", output.display(), rows.display())]
    Assemble {
        /// Path of the output.
        output: PathBuf,
        /// Path of the rows.
        rows: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl OutputError {
    /// The error of a file that cannot be written, or that another run writes.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| match source.kind() {
            io::ErrorKind::ResourceBusy => OutputError::Busy { path },
            _ => OutputError::Write { path, source },
        }
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    format!("{} {}", names.join(" and "), if names.len() == 1 { "exists" } else { "exist" })
}
