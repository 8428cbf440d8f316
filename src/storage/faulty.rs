//! A disk that stops working at one operation, for tests: then power is lost or not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{folder_of, ReadSeek, Storage, StoredFile};

/// A disk that stops working at one operation, and what is on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By name; two names may be of one file.
    names: BTreeMap<PathBuf, usize>,
    /// By number.
    files: Vec<Content>,
    num_operations: usize,
    /// The operation that fails, and whether it has its effect all the same.
    fault: Option<(usize, bool)>,
    is_dead: bool,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// What a loss of power leaves for sure.
    synced: Vec<u8>,
    is_locked: bool,
}

/// What a loss of power leaves of bytes that were not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unsynced {
    Kept,
    Half,
    Lost,
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    file: usize,
    place: usize,
    holds_lock: bool,
}

impl FaultyDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while it is held")
    }

    /// Does one operation, unless the disk is dead or dies of it.
    fn operate<T>(&self, operate: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let mut state = self.state();
        if state.is_dead {
            return Err(io::Error::other("dead"));
        }
        state.num_operations += 1;
        if let Some((number, has_effect)) = state.fault {
            if number == state.num_operations {
                if has_effect {
                    operate(&mut state);
                }
                state.is_dead = true;
                return Err(io::Error::other("the fault"));
            }
        }
        Ok(operate(&mut state))
    }

    /// Has the disk die of an operation, counted from 1; with or without its effect.
    pub fn fail_at(&self, operation: usize, has_effect: bool) {
        self.state().fault = Some((operation, has_effect));
    }

    pub fn num_operations(&self) -> usize {
        self.state().num_operations
    }

    /// The disk after the process has ended, ready for the next.
    pub fn restarted(&self, unsynced: Unsynced) -> FaultyDisk {
        let state = self.state();
        let mut files = state.files.clone();
        for content in &mut files {
            content.is_locked = false;
            content.bytes = match unsynced {
                Unsynced::Kept => content.bytes.clone(),
                Unsynced::Lost => content.synced.clone(),
                // What was appended may be there in part; what was written over, is not.
                Unsynced::Half if content.bytes.starts_with(&content.synced) => {
                    let length = (content.bytes.len() + content.synced.len()) / 2;
                    content.bytes[..length].to_vec()
                }
                Unsynced::Half => content.synced.clone(),
            };
            content.synced = content.bytes.clone();
        }
        FaultyDisk(Arc::new(Mutex::new(State { names: state.names.clone(), files, ..State::default() })))
    }

    pub fn bytes(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(path.as_ref()).map(|&file| state.files[file].bytes.clone())
    }

    pub fn names(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// Puts a file there, as somebody else would.
    pub fn put(&self, path: impl Into<PathBuf>, bytes: &[u8]) {
        let mut state = self.state();
        state.files.push(Content { bytes: bytes.to_vec(), synced: bytes.to_vec(), is_locked: false });
        let file = state.files.len() - 1;
        state.names.insert(path.into(), file);
    }

    /// Takes a file away, as somebody else would.
    pub fn take_away(&self, path: impl AsRef<Path>) {
        self.state().names.remove(path.as_ref());
    }

    fn file(&self, file: usize, holds_lock: bool) -> Box<dyn StoredFile> {
        Box::new(FaultyFile { disk: self.clone(), file, place: 0, holds_lock })
    }
}

impl Storage for FaultyDisk {
    fn part_bytes(&self) -> usize {
        100
    }

    fn exists(&self, path: &Path) -> bool {
        self.state().names.contains_key(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let found = self.state().names.get(path).copied();
        let Some(file) = found else { return self.create_new(path) };
        let mut state = self.state();
        if std::mem::replace(&mut state.files[file].is_locked, true) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        drop(state);
        Ok(self.file(file, true))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        if self.exists(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = self.operate(|state| {
            state.files.push(Content { is_locked: true, ..Content::default() });
            state.names.insert(path.to_path_buf(), state.files.len() - 1);
            state.files.len() - 1
        })?;
        Ok(self.file(file, true))
    }

    fn reopen(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let file = self.state().names.get(path).copied();
        file.map(|file| self.file(file, false)).ok_or(io::ErrorKind::NotFound.into())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>> {
        let bytes = self.bytes(path).ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn list(&self, folder: &Path) -> Vec<OsString> {
        let state = self.state();
        let inside = state.names.keys().filter(|path| folder_of(path) == folder);
        inside.filter_map(|path| path.file_name().map(OsString::from)).collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|state| {
            let file = state.names.remove(from).expect("there");
            state.names.insert(to.into(), file);
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| state.names.remove(path)).map(drop)
    }
}

impl StoredFile for FaultyFile {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let (file, length) = (self.file, length as usize);
        if self.disk.state().files[file].bytes.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.disk.operate(|state| {
            let content = &mut state.files[file];
            content.bytes.truncate(length);
            content.synced.truncate(length);
        })?;
        self.place = length;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let file = self.file;
        self.disk.operate(|state| state.files[file].synced = state.files[file].bytes.clone())
    }

    fn is_named(&self, path: &Path) -> bool {
        self.disk.state().names.get(path) == Some(&self.file)
    }
}

impl Read for FaultyFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        let count = (&state.files[self.file].bytes[self.place..]).read(buffer)?;
        drop(state);
        self.place += count;
        Ok(count)
    }
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (file, place) = (self.file, self.place);
        self.disk.operate(|state| {
            let content = &mut state.files[file].bytes;
            let end = place + bytes.len();
            content.resize(content.len().max(end), 0);
            content[place..end].copy_from_slice(bytes);
        })?;
        self.place += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for FaultyFile {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        let length = self.disk.state().files[self.file].bytes.len() as i64;
        let place = match place {
            SeekFrom::Start(place) => place as i64,
            SeekFrom::End(offset) => length + offset,
            SeekFrom::Current(offset) => self.place as i64 + offset,
        };
        self.place = usize::try_from(place).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(self.place as u64)
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        if self.holds_lock {
            self.disk.state().files[self.file].is_locked = false;
        }
    }
}
