//! Why a file of input cannot be read.

use std::io;

use super::row::RowError;

/// Why a file of input cannot be read: which file, and where in it.
///
/// A `name` is what [`Source::name`](super::Source::name) gives.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file cannot be opened.
    #[error("cannot open {name}")]
    Open {
        /// The file.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is no file.
    #[error("cannot read {name}: it is a folder")]
    Folder {
        /// The folder.
        name: String,
    },
    /// Reading it fails on the way.
    #[error("cannot read {name} after line {line}")]
    Read {
        /// The file.
        name: String,
        /// Lines that were read before.
        line: u64,
        /// What the system says.
        source: io::Error,
    },
    /// A place in it, where reading is to go on, cannot be reached.
    #[error("cannot go on in {name} at byte {offset}")]
    Reach {
        /// The file.
        name: String,
        /// The place in the decompressed file.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The file ends before the place where reading is to go on.
    #[error("cannot go on in {name} at byte {offset}: it ends at byte {end}")]
    Short {
        /// The file.
        name: String,
        /// The place in the decompressed file.
        offset: u64,
        /// Its decompressed bytes.
        end: u64,
    },
    /// The column names of comma-separated values cannot be used.
    #[error("cannot read {name}")]
    Columns {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The file is no longer what it was when reading began.
    #[error("{name} has changed while it was read")]
    Changed {
        /// The file.
        name: String,
    },
    /// A line that is too long to be held.
    #[error("{name} line {line}: a line of {bytes} bytes, more than {most}")]
    LongLine {
        /// The file.
        name: String,
        /// Number of the line, from 1.
        line: u64,
        /// Its bytes.
        bytes: u64,
        /// The most bytes that a line may have.
        most: usize,
    },
    /// A row that cannot be read.
    #[error("{name} line {line}: {reason}")]
    Row {
        /// The file.
        name: String,
        /// Number of the line, from 1, that the row begins in.
        line: u64,
        /// What is wrong.
        reason: RowError,
    },
    /// A file that is too large to be held.
    #[error("{name} has more than {most} bytes, decompressed")]
    TooLarge {
        /// The file.
        name: String,
        /// The most bytes that it may have.
        most: u64,
    },
    /// Standard input, for a format that is read from several places at once.
    #[error("this input format is read from files, not from standard input")]
    NotAFile,
    /// A part is asked for of a file that cannot be read from its middle.
    #[error("{name} is not a plain file of lines, which alone can be read from its middle")]
    Indivisible {
        /// The file.
        name: String,
    },
}
