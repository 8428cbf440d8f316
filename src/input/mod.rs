//! Input files as lines: plain, gzip or zstd, whole or from a place on; or a file of another kind, a row a line.

mod csv;
mod decompress;
mod error;
mod file;
mod format;
mod ids;
pub mod json;
mod line;
#[cfg(feature = "archive")]
mod npy;
#[cfg(feature = "archive")]
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
mod parser;
mod row;
mod row_files;
mod row_lines;
mod source;
mod whole;

pub(crate) use decompress::decompressed_lines;
pub use error::InputError;
pub use file::{InputFile, ReadLine, MAX_LINE_BYTES};
pub use format::InputFormat;
pub(crate) use ids::{ids_path, lsr_ids_path};
pub use line::trim_line;
#[cfg(feature = "archive")]
pub use npz::MatrixRows;
pub use parser::LineParser;
pub use row::{Fields, Keep, Row, RowError};
pub(crate) use row_files::matrix_columns;
pub use row_files::{open_rows, RowFile};
pub use source::{Container, Position, Source};
pub use whole::{each_line, each_row, first_row, read_bytes, read_lines, read_texts, MAX_FILE_BYTES};
