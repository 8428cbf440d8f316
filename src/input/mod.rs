//! Input files as lines: plain, gzip or zstd, whole or from a place on; or a file of another kind, a row a line.

mod decompress;
mod error;
mod file;
mod row_lines;
mod source;

pub use error::InputError;
pub use file::{each_line, first_line, plain_lines, read_lines, trim_line, InputFile, ReadLine};
pub use source::{Container, Position, Source};
