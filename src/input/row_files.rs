//! Files of rows that are no lines of text.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "archive")]
use super::npz::MatrixRows;
#[cfg(feature = "parquet")]
use super::parquet::TableRows;
use super::InputError;
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
/// Those of the file; a [`MissingFeature`](crate::MissingFeature) inside an [`io::ErrorKind::Unsupported`] in a build
/// without `archive` or `parquet`.
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

/// V of matrices, which have to have the same number of columns; `None` where they do not say it.
///
/// # Errors
///
/// [`InputError::Columns`] where the head of one cannot be read, or its columns are not as many as the first one's.
#[cfg(feature = "archive")]
pub(crate) fn matrix_columns(paths: &[PathBuf]) -> Result<Option<usize>, InputError> {
    let columns = |path: &PathBuf| {
        let failed = |source| InputError::Columns { name: format!("`{}`", path.display()), source };
        MatrixRows::open(path).map(|matrix| matrix.num_columns()).map_err(failed)
    };
    let [first, others @ ..] = paths else { return Ok(None) };
    let expected = columns(first)?;
    for path in others {
        let found = columns(path)?;
        if found != expected {
            let said =
                |columns: Option<usize>| columns.map_or("an unknown number of".into(), |n| n.to_string());
            let (found, expected) = (said(found), said(expected));
            let reason = format!("it has {found} columns and `{}` {expected}", first.display());
            let (name, source) = (format!("`{}`", path.display()), io::Error::other(reason));
            return Err(InputError::Columns { name, source });
        }
    }
    Ok(expected)
}

/// Without zip archives there is no matrix to be read, which is an error where it is opened.
#[cfg(not(feature = "archive"))]
pub(crate) fn matrix_columns(_: &[PathBuf]) -> Result<Option<usize>, InputError> {
    Ok(None)
}
