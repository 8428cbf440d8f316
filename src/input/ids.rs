//! The ids of rows, in a file beside the rows.

use std::path::{Path, PathBuf};

/// The file of ids that stands beside `rows`, one a line.
pub(crate) fn ids_path(rows: &Path) -> PathBuf {
    let mut name = rows.as_os_str().to_os_string();
    name.push(".ids");
    name.into()
}
