//! The names of a run's files: taking them, and giving them to complete files.
//!
//! The journal is locked before anything else is looked at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::RunError;
use super::journal::{Journal, Past};
use crate::format::{Assembly, CollectedRows};
use crate::storage::{refuse_existing, with_suffix, Existing, OutputError, PartialFile, Storage, UNFINISHED};

/// What to do with what an earlier run has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Earlier {
    /// It is an error.
    #[default]
    Refuse,
    /// The run goes on with it.
    Resume,
    /// The run starts at the beginning, and files of those names are replaced.
    Force,
}

impl Earlier {
    /// What happens to files of that name.
    pub fn existing(self) -> Existing {
        match self {
            Earlier::Refuse => Existing::Refuse,
            Earlier::Resume | Earlier::Force => Existing::Replace,
        }
    }
}

/// Files by name.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub output: PathBuf,
    pub rejects: Option<PathBuf>,
    /// What makes the files that a run leaves of its rows, where they are not one after the other in `output`.
    pub assembly: Option<Arc<dyn Assembly>>,
}

/// An output that this run holds.
#[derive(Debug)]
pub(super) struct Held {
    pub journal: Journal,
    /// What an earlier run has left, where this one goes on with it.
    pub past: Option<Past>,
}

impl Paths {
    /// The files that a complete run leaves; the first of them appears last.
    fn results(&self, storage: &dyn Storage) -> Vec<PathBuf> {
        match &self.assembly {
            Some(assembly) => assembly.results(&self.output, storage),
            None => vec![self.output.clone()],
        }
    }

    fn is_complete(&self, storage: &dyn Storage) -> bool {
        self.results(storage).first().is_some_and(|path| storage.exists(path))
    }

    /// Takes the output, and finds what an earlier run has left, before anything is read or loaded. `None` where the
    /// output is complete and the run is to go on: there is nothing left to do.
    ///
    /// # Errors
    ///
    /// Where another run has the output, or files are in the way: nothing was created, changed or removed then.
    pub fn take(&self, storage: &Arc<dyn Storage>, earlier: Earlier) -> Result<Option<Held>, RunError> {
        if earlier == Earlier::Refuse {
            // Without a lock, which would leave the journal behind for a moment.
            self.refuse_existing(&**storage)?;
        }
        let (journal, past) = Journal::lock(Arc::clone(storage), &self.output)?;
        match earlier {
            Earlier::Force => Ok(Some(Held { journal, past: None })),
            Earlier::Refuse => {
                self.refuse_existing(&**storage)?;
                Ok(Some(Held { journal, past: None }))
            }
            Earlier::Resume => self.resume(storage, journal, past),
        }
    }

    /// An error where any file of the output is there.
    fn refuse_existing(&self, storage: &dyn Storage) -> Result<(), OutputError> {
        let mut paths = self.results(storage);
        if self.assembly.is_some() {
            let unfinished: Vec<PathBuf> = paths.iter().map(|path| with_suffix(path, UNFINISHED)).collect();
            paths.extend(unfinished);
        }
        paths.push(with_suffix(&self.output, PARTIAL));
        if let Some(rejects) = &self.rejects {
            paths.extend([rejects.clone(), with_suffix(rejects, PARTIAL)]);
        }
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        refuse_existing(storage, &paths, true)
    }

    fn resume(
        &self,
        storage: &Arc<dyn Storage>,
        journal: Journal,
        past: Option<Past>,
    ) -> Result<Option<Held>, RunError> {
        if past.as_ref().and_then(|past| past.point.as_ref()).is_some_and(|point| point.is_complete) {
            if self.complete_names(storage)? {
                journal.remove()?;
                return Ok(None);
            }
            // A complete run whose files are gone is one to begin again.
            return Ok(Some(Held { journal, past: None }));
        }
        let partial = with_suffix(&self.output, PARTIAL);
        if past.is_none() && storage.exists(&partial) {
            return Err(RunError::NoJournal { partial });
        }
        if self.is_complete(&**storage) && past.is_none() {
            return Ok(None);
        }
        Ok(Some(Held { journal, past }))
    }

    /// Gives complete files their names, where that is all that is missing. False where they are gone.
    fn complete_names(&self, storage: &Arc<dyn Storage>) -> Result<bool, OutputError> {
        let named = [(self.rejects.as_ref(), None), (Some(&self.output), self.assembly.as_deref())];
        for (path, assembly) in named.into_iter().filter_map(|(path, assembly)| Some((path?, assembly))) {
            if storage.exists(&with_suffix(path, PARTIAL)) {
                let mut file = PartialFile::new(Arc::clone(storage), path, Existing::Replace)?;
                file.hold()?;
                appear(storage, file, path, assembly)?;
            }
        }
        Ok(self.is_complete(&**storage))
    }
}

/// What is added to the name of rows that are being written.
const PARTIAL: &str = ".partial";

/// Gives a complete file its name, or makes of its rows what `assembly` makes of them.
pub(super) fn appear(
    storage: &Arc<dyn Storage>,
    mut file: PartialFile,
    path: &Path,
    assembly: Option<&dyn Assembly>,
) -> Result<(), OutputError> {
    let Some(assembly) = assembly else { return file.appear() };
    file.check_name()?;
    let partial = file.partial().to_path_buf();
    let rows = CollectedRows::new(&**storage, &partial);
    if let Err(source) = assembly.assemble(&rows, path) {
        // They are made again of the rows, and a full disk wants their room.
        for result in assembly.results(path, &**storage) {
            let unfinished = with_suffix(&result, UNFINISHED);
            if storage.exists(&unfinished) {
                let _ = storage.remove(&unfinished);
            }
        }
        return Err(OutputError::Assemble { output: path.to_path_buf(), rows: partial, source });
    }
    file.remove()
}
