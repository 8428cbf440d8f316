//! The ids of rows, in a file beside the rows.

use std::path::{Path, PathBuf};

/// `FILE.ids`, which has the ids of the rows in `rows`, one a line.
pub(crate) fn ids_path(rows: &Path) -> PathBuf {
    let mut name = rows.as_os_str().to_os_string();
    name.push(".ids");
    name.into()
}

/// How the name of a matrix in a folder of lsr-benchmark ends.
const EMBEDDINGS: &str = "-embeddings.npz";

/// `doc-ids.txt`, which lsr-benchmark has beside `doc-embeddings.npz`; of another `NAME.npz`, `NAME-ids.txt`.
pub(crate) fn lsr_ids_path(matrix: &Path) -> PathBuf {
    let name = matrix.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(EMBEDDINGS).or(name.strip_suffix(".npz")).unwrap_or(&name);
    matrix.with_file_name(format!("{stem}-ids.txt"))
}

/// The file of ids that is there beside a matrix: `FILE.ids`, or else that of lsr-benchmark beside a file of its name.
#[cfg(feature = "archive")]
pub(crate) fn find_ids(matrix: &Path) -> Option<PathBuf> {
    let is_embeddings = matrix.file_name().is_some_and(|name| name.to_string_lossy().ends_with(EMBEDDINGS));
    let lsr = is_embeddings.then(|| lsr_ids_path(matrix));
    [Some(ids_path(matrix)), lsr].into_iter().flatten().find(|path| path.exists())
}
