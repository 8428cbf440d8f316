//! Whether the files that a command reads and writes are different ones.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk::is_same;
use super::{folder_of, is_device, with_suffix, OutputError};

/// A file that a command reads or writes.
#[derive(Clone, Debug)]
pub struct Use {
    /// What it is for, as messages say it: `the input`.
    pub role: String,
    /// Its path.
    pub path: PathBuf,
    /// Whether it is written.
    pub is_written: bool,
}

impl Use {
    /// A file that is read.
    pub fn read(role: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Use { role: role.into(), path: path.into(), is_written: false }
    }

    /// A file that is written.
    pub fn written(role: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Use { role: role.into(), path: path.into(), is_written: true }
    }

    /// A file that is written, and those that are beside it until it is complete.
    ///
    /// * `what`: what it is, without an article: `output`.
    pub fn output(what: &str, path: &Path) -> [Use; 3] {
        [
            Use::written(format!("the {what}"), path),
            Use::written(format!("the unfinished {what}"), with_suffix(path, ".partial")),
            Use::written(format!("the journal of the {what}"), with_suffix(path, ".journal")),
        ]
    }

    fn name(&self) -> String {
        format!("{} `{}`", self.role, self.path.display())
    }

    /// Whether both are one file, by whatever path, link or hard link. Devices and `-` are no files.
    fn is(&self, other: &Use) -> bool {
        let is_stream = |used: &Use| used.path == Path::new("-") || is_device(&used.path);
        if is_stream(self) || is_stream(other) {
            return false;
        }
        if let (Ok(first), Ok(second)) = (fs::metadata(&self.path), fs::metadata(&other.path)) {
            return is_same(&first, &second);
        }
        resolved(&self.path) == resolved(&other.path)
    }
}

/// An error where a file that is written is another one that is read or written too.
///
/// # Errors
///
/// [`OutputError::SameFile`].
pub fn refuse_same_files(uses: &[Use]) -> Result<(), OutputError> {
    for (place, first) in uses.iter().enumerate() {
        let second = uses[place + 1..]
            .iter()
            .find(|second| (first.is_written || second.is_written) && first.is(second));
        if let Some(second) = second {
            return Err(OutputError::SameFile { first: first.name(), second: second.name() });
        }
    }
    Ok(())
}

/// Where a file is or will be: links on the way are followed, the file's own too.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(resolved) = path.canonicalize() {
        return resolved;
    }
    // A dangling link is written to where it leads to.
    if let Ok(target) = fs::read_link(path) {
        let target = folder_of(path).join(target);
        if fs::symlink_metadata(&target).is_err() {
            return in_folder(&target);
        }
    }
    in_folder(path)
}

/// A path whose folder is resolved.
fn in_folder(path: &Path) -> PathBuf {
    let folder = folder_of(path);
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    path.file_name().map_or(folder.clone(), |name| folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_file_is_known_by_any_of_its_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).expect("a folder");
        fs::write(at("docs"), "x").expect("written");
        std::os::unix::fs::symlink("docs", at("link")).expect("a link");
        std::os::unix::fs::symlink("new", at("dangling")).expect("a link");
        std::os::unix::fs::symlink(folder.path(), at("folder")).expect("a link");
        fs::hard_link(at("docs"), at("hard")).expect("a link");
        let same = |first: &str, second: &str| {
            let uses = [Use::read("the input", at(first)), Use::written("the output", at(second))];
            refuse_same_files(&uses).is_err()
        };
        for second in ["docs", "link", "hard", "folder/docs", "sub/../docs"] {
            assert!(same("docs", second), "{second}");
        }
        for second in ["new", "folder/new", "sub/../new", "dangling"] {
            assert!(same("new", second), "{second}");
        }
        assert!(!same("docs", "other") && !same("docs", "new") && !same("sub/docs", "docs"));
        let read_twice = [Use::read("the input", at("docs")), Use::read("the queries", at("docs"))];
        assert!(refuse_same_files(&read_twice).is_ok());
        let null = Path::new("/dev/null");
        assert!(refuse_same_files(&[Use::written("a", null), Use::written("b", null)]).is_ok());
    }
}
