//! A file that a command makes in one go: there is nothing that a later one could go on with.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::RunError;
use super::journal::Journal;
use crate::storage::{refuse_existing, with_suffix, Existing, OutputError, PartialFile, Storage};

/// What becomes of a file that is not complete when its command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It is removed, or written over by the next command: that one computes the same again.
    Removed,
    /// It is kept: what it was made of may be gone.
    Kept,
}

/// A file that appears under its name when it is complete, written by one command and no other at a time.
///
/// The journal beside it is locked from the beginning. It tells what a killed command has left apart from files that
/// nobody may write over.
#[derive(Debug)]
pub struct OneGoFile {
    journal: Journal,
    file: PartialFile,
    unfinished: Unfinished,
}

impl OneGoFile {
    /// Takes the output. Nothing is written before there is something to write.
    ///
    /// # Errors
    ///
    /// [`OutputError::Exists`] where a file is in the way, [`OutputError::Busy`] where another run writes the output,
    /// [`RunError::NotAJournal`], and the errors of the file system. Nothing was created, changed or removed then.
    pub fn take(storage: Arc<dyn Storage>, path: &Path, unfinished: Unfinished) -> Result<Self, RunError> {
        let file = PartialFile::new(Arc::clone(&storage), path, Existing::ReplaceUnfinished)?;
        let (journal, past) = Journal::lock(Arc::clone(&storage), path)?;
        // Again, now that nobody else works on it.
        refuse_existing(&*storage, &[path], false)?;
        if past.is_some() {
            refuse_existing(&*storage, &[file.partial(), &with_suffix(path, ".journal")], false)?;
        }
        if !journal.is_of_one_go() && !is_empty(&*storage, file.partial())? {
            refuse_existing(&*storage, &[file.partial()], false)?;
        }
        Ok(OneGoFile { journal, file, unfinished })
    }

    /// Marks the end of a row, the only place where a part of a compressed file may end.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn end_row(&mut self) -> io::Result<()> {
        self.file.end_row().map(drop)
    }

    /// Completes the file: everything is written for good, and it has its name. Where that fails, what was written is
    /// removed, or stays where it is to be kept.
    ///
    /// # Errors
    ///
    /// Those of the file system; [`OutputError::Exists`] where a file has appeared under that name meanwhile.
    pub fn finish(mut self) -> Result<(), RunError> {
        self.start().map_err(RunError::write("output"))?;
        if let Err(error) = self.file.complete() {
            self.end();
            return Err(error.into());
        }
        self.file.appear()?;
        Ok(self.journal.remove()?)
    }

    /// Ends a file that will not be complete. Where what was written is kept: the path of that, and whether all of it is
    /// there.
    pub fn end(mut self) -> Option<(PathBuf, bool)> {
        if !self.journal.has_begun() {
            return None;
        }
        let kept = match self.unfinished {
            Unfinished::Removed => {
                self.file.discard();
                None
            }
            Unfinished::Kept => {
                let is_whole = self.file.complete().is_ok();
                Some((self.file.partial().to_path_buf(), is_whole))
            }
        };
        // Without it, a file that is kept is in the way of the next command, as it should be.
        let _ = self.journal.remove();
        kept
    }

    /// Begins the journal, then the file.
    fn start(&mut self) -> io::Result<()> {
        if self.journal.has_begun() {
            return Ok(());
        }
        match self.unfinished {
            Unfinished::Removed => self.journal.start_in_one_go()?,
            Unfinished::Kept => self.journal.start(None)?,
        }
        self.file.start().map_err(io::Error::other)
    }
}

impl Write for OneGoFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.start()?;
        self.file.write(bytes).map_err(|error| {
            let kind = error.kind();
            io::Error::new(kind, OutputError::write(self.file.partial())(error))
        })
    }

    /// A file that is kept is handed to the system; nobody else reads one before it is complete.
    fn flush(&mut self) -> io::Result<()> {
        match self.unfinished {
            Unfinished::Removed => Ok(()),
            Unfinished::Kept => self.file.hand_on(),
        }
    }
}

/// Whether a file is not there, or holds nothing that could be lost.
fn is_empty(storage: &dyn Storage, path: &Path) -> Result<bool, OutputError> {
    if !storage.exists(path) {
        return Ok(true);
    }
    let mut byte = [0];
    let read = storage.open(path).and_then(|mut file| io::Read::read(&mut file, &mut byte));
    Ok(read.map_err(OutputError::write(path))? == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::faulty::{FaultyDisk, Unsynced};

    fn take(disk: &FaultyDisk, unfinished: Unfinished) -> Result<OneGoFile, RunError> {
        OneGoFile::take(Arc::new(disk.clone()), Path::new("out"), unfinished)
    }

    fn make(disk: &FaultyDisk) -> Result<(), RunError> {
        let mut file = take(disk, Unfinished::Removed)?;
        for _ in 0..3 {
            file.write_all(&[b'x'; 10_000]).map_err(RunError::write("output"))?;
            file.end_row().map_err(RunError::write("output"))?;
        }
        file.finish()
    }

    fn names(disk: &FaultyDisk) -> Vec<String> {
        disk.names().iter().map(|name| name.display().to_string()).collect()
    }

    #[test]
    fn what_a_killed_command_leaves_is_in_nobodys_way() {
        let whole = FaultyDisk::default();
        make(&whole).expect("no fault");
        assert_eq!(names(&whole), ["out"]);
        for number in 1..=whole.num_operations() {
            for (has_effect, unsynced) in [
                (false, Unsynced::Kept),
                (true, Unsynced::Kept),
                (false, Unsynced::Half),
                (true, Unsynced::Lost),
            ] {
                let disk = FaultyDisk::default();
                disk.fail_at(number, has_effect);
                make(&disk).expect_err("the fault");
                let disk = disk.restarted(unsynced);
                match disk.bytes("out") {
                    // It had its name already.
                    Some(bytes) => assert!(bytes == [b'x'; 30_000]),
                    None => {
                        make(&disk)
                            .unwrap_or_else(|error| panic!("{number} {has_effect} {unsynced:?}: {error:#}"));
                        assert_eq!(names(&disk), ["out"], "{number}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_command_at_a_time() {
        let disk = FaultyDisk::default();
        let mut first = take(&disk, Unfinished::Removed).expect("free");
        for has_written in [false, true] {
            if has_written {
                first.write_all(b"x").expect("written");
            }
            let refusal = take(&disk, Unfinished::Removed).expect_err("taken").to_string();
            assert_eq!(refusal, "another run is writing `out`");
        }
        first.finish().expect("no fault");
        assert_eq!(disk.bytes("out").as_deref(), Some(&b"x"[..]));
        drop(take(&FaultyDisk::default(), Unfinished::Removed));
        assert!(take(&disk, Unfinished::Removed).expect_err("there").to_string().contains("`out` exists"));
    }

    #[test]
    fn a_command_that_writes_nothing_leaves_nothing() {
        let disk = FaultyDisk::default();
        drop(take(&disk, Unfinished::Removed).expect("free"));
        assert!(take(&disk, Unfinished::Kept).expect("free").end().is_none());
        assert!(disk.names().is_empty());
        take(&disk, Unfinished::Removed).expect("free").finish().expect("an empty file");
        assert_eq!(names(&disk), ["out"]);
    }

    #[test]
    fn files_of_somebody_else_are_left_alone() {
        for (name, said) in
            [("out.partial", "`out.partial` exists"), ("out.journal", "`out.journal` is in the way")]
        {
            let disk = FaultyDisk::default();
            disk.put(name, b"precious");
            let refusal = take(&disk, Unfinished::Removed).expect_err("in the way").to_string();
            assert!(refusal.starts_with(said), "{refusal}");
            assert_eq!(
                (names(&disk), disk.bytes(name).as_deref()),
                (vec![name.to_string()], Some(&b"precious"[..]))
            );
        }
    }

    #[test]
    fn what_is_kept_is_in_the_way_of_the_next() {
        for is_killed in [false, true] {
            let disk = FaultyDisk::default();
            let mut file = take(&disk, Unfinished::Kept).expect("free");
            file.write_all(b"a row\n").expect("written");
            file.end_row().expect("written");
            file.flush().expect("written");
            let disk = match is_killed {
                true => disk.restarted(Unsynced::Kept),
                false => {
                    assert_eq!(file.end(), Some(("out.partial".into(), true)));
                    assert_eq!(names(&disk), ["out.partial"]);
                    disk
                }
            };
            assert_eq!(disk.bytes("out.partial").as_deref(), Some(&b"a row\n"[..]));
            for unfinished in [Unfinished::Removed, Unfinished::Kept] {
                let refusal = take(&disk, unfinished).expect_err("in the way").to_string();
                assert!(refusal.starts_with("`out.partial` exists"), "{refusal}");
            }
        }
    }
}
