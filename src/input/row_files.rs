//! Files of rows that are no lines of text.

use std::io;
use std::path::Path;

#[cfg(feature = "archive")]
use super::npz::MatrixRows;
#[cfg(feature = "parquet")]
use super::parquet::TableRows;
#[cfg(not(all(feature = "archive", feature = "parquet")))]
use crate::error::MissingFeature;

/// A file of rows that are no lines of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFile {
    /// A sparse matrix, as scipy writes it.
    Matrix,
    /// Parquet.
    Parquet,
}

/// Opens such a file: each row is an object of JSON, its fields those that [`super::json`] reads.
///
/// # Errors
///
/// Those of the file; a [`MissingFeature`] inside an [`io::ErrorKind::Unsupported`] in a build without `archive` or
/// `parquet`.
pub fn open_rows(
    kind: RowFile,
    path: &Path,
) -> io::Result<Box<dyn ExactSizeIterator<Item = io::Result<String>> + Send>> {
    // Used by no arm in a build without either feature.
    let _ = path;
    match kind {
        #[cfg(feature = "archive")]
        RowFile::Matrix => Ok(Box::new(MatrixRows::open(path)?)),
        #[cfg(not(feature = "archive"))]
        RowFile::Matrix => {
            Err(io::Error::new(io::ErrorKind::Unsupported, MissingFeature { feature: "archive" }))
        }
        #[cfg(feature = "parquet")]
        RowFile::Parquet => Ok(Box::new(TableRows::open(path)?)),
        #[cfg(not(feature = "parquet"))]
        RowFile::Parquet => {
            Err(io::Error::new(io::ErrorKind::Unsupported, MissingFeature { feature: "parquet" }))
        }
    }
}
