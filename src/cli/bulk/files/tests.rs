//! A fault after every single write, sync, rename and removal of a small run; then power is lost or not, and the run is
//! gone on with, to the same bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::cli::bulk::Container;

/// A disk that stops working at one operation, and what is on it.
#[derive(Clone, Default)]
struct FaultyDisk(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Content>,
    num_operations: usize,
    /// The operation that fails, and whether it has its effect all the same.
    fault: Option<(usize, bool)>,
    is_dead: bool,
}

#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    num_synced: usize,
}

/// What a loss of power leaves of bytes that were not synced.
#[derive(Clone, Copy, Debug)]
enum Unsynced {
    Kept,
    Half,
    Lost,
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
}

impl FaultyDisk {
    /// Does one operation, unless the disk is dead or dies of it.
    fn operate<T>(&self, operate: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let mut state = self.0.borrow_mut();
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

    /// The disk after the process has ended, ready for the next.
    fn restarted(&self, unsynced: Unsynced) -> FaultyDisk {
        let mut files = self.0.borrow().files.clone();
        for content in files.values_mut() {
            let doubtful = content.bytes.len() - content.num_synced;
            let kept = match unsynced {
                Unsynced::Kept => doubtful,
                Unsynced::Half => doubtful / 2,
                Unsynced::Lost => 0,
            };
            content.bytes.truncate(content.num_synced + kept);
            content.num_synced = content.bytes.len();
        }
        FaultyDisk(Rc::new(RefCell::new(State { files, ..State::default() })))
    }

    fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.0.borrow().files.get(Path::new(path)).map(|content| content.bytes.clone())
    }
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let path = &self.path;
        self.disk.operate(|state| {
            state.files.get_mut(path).expect("open").bytes.extend_from_slice(bytes);
            bytes.len()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for FaultyDisk {
    type File = FaultyFile;

    const PART_BYTES: usize = 100;

    fn exists(&self, path: &Path) -> bool {
        self.0.borrow().files.contains_key(path)
    }

    fn create(&self, path: &Path, replace: bool) -> io::Result<FaultyFile> {
        assert!(replace || !self.exists(path));
        self.operate(|state| state.files.insert(path.into(), Content::default()))?;
        Ok(FaultyFile { disk: self.clone(), path: path.into() })
    }

    fn reopen(&self, path: &Path, length: u64) -> io::Result<FaultyFile> {
        let length = length as usize;
        if self.0.borrow().files.get(path).is_none_or(|content| content.bytes.len() < length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.operate(|state| {
            let content = state.files.get_mut(path).expect("looked for above");
            content.bytes.truncate(length);
            content.num_synced = content.num_synced.min(length);
        })?;
        Ok(FaultyFile { disk: self.clone(), path: path.into() })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0
            .borrow()
            .files
            .get(path)
            .map(|content| content.bytes.clone())
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync(&self, file: &mut FaultyFile) -> io::Result<()> {
        self.operate(|state| {
            let content = state.files.get_mut(&file.path).expect("open");
            content.num_synced = content.bytes.len();
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|state| {
            let content = state.files.remove(from).expect("there");
            state.files.insert(to.into(), content);
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| state.files.remove(path)).map(drop)
    }
}

/// A run over 23 lines, of which every fifth is rejected, on an input file that is really there.
struct Run {
    paths: Paths,
    sources: Vec<Arc<Source>>,
    _input: tempfile::NamedTempFile,
}

const NUM_LINES: u64 = 23;

impl Run {
    fn new(output: &str) -> Run {
        let mut input = tempfile::NamedTempFile::new().expect("a file");
        input.write_all(&[b'x'; 1000]).expect("written");
        let sources = Source::whole(&[input.path().to_path_buf()], Container::Lines).expect("a file");
        let paths = Paths { output: output.into(), rejects: Some("rejects".into()), assembly: None };
        Run { paths, sources, _input: input }
    }

    fn identity(&self) -> Identity {
        Identity::new(BTreeMap::new(), &self.sources).expect("a file")
    }

    /// Runs to the end, or to the first fault.
    fn run(&self, disk: &FaultyDisk, earlier: Earlier) -> anyhow::Result<()> {
        if self.paths.look(disk, earlier)? {
            return Ok(());
        }
        let (mut files, point) =
            RunFiles::with_journal(disk.clone(), &self.paths, earlier, self.identity(), &self.sources)?;
        files.interval = Duration::ZERO;
        let mut tally = point.as_ref().map(|point| point.tally.clone()).unwrap_or_default();
        let mut position = point.map(|point| point.position).unwrap_or_default();
        while position.line < NUM_LINES {
            let line = position.line + 1;
            tally.rows_in += 1;
            if line % 5 == 0 {
                tally.rejected += 1;
                files.write_reject(format!("reject {line}\n").as_bytes())?;
            } else {
                tally.rows_out += 1;
                files.write_row(format!("row {line} {}\n", "z".repeat(line as usize)).as_bytes())?;
            }
            position = Position { line, offset: 7 * line, raw: 7 * line, ..position };
            files.end_line(&position, &tally)?;
        }
        files.finish(position, &tally)
    }
}

fn same_bytes_after_any_fault(output: &str) {
    let run = Run::new(output);
    let whole = FaultyDisk::default();
    run.run(&whole, Earlier::Refuse).expect("no fault");
    let num_operations = whole.0.borrow().num_operations;
    let names: Vec<PathBuf> = whole.0.borrow().files.keys().cloned().collect();
    assert_eq!(names, [Path::new(output), Path::new("rejects")], "the working files are gone");
    assert!(num_operations > 30, "{num_operations}");
    let mut num_resumed = 0;
    for number in 1..=num_operations {
        for (has_effect, unsynced) in [
            (false, Unsynced::Kept),
            (true, Unsynced::Kept),
            (false, Unsynced::Half),
            (true, Unsynced::Half),
            (false, Unsynced::Lost),
            (true, Unsynced::Lost),
        ] {
            let case = format!("{output}: operation {number}, {has_effect}, {unsynced:?}");
            let disk = FaultyDisk::default();
            disk.0.borrow_mut().fault = Some((number, has_effect));
            run.run(&disk, Earlier::Refuse).expect_err(&case);
            let mut disk = disk.restarted(unsynced);
            let past = run.paths.past(&disk).expect("readable");
            num_resumed += usize::from(past.is_some_and(|past| past.point.is_some()));
            // A second fault while the run is gone on with.
            disk.0.borrow_mut().fault = Some((3, has_effect));
            if run.run(&disk, Earlier::Resume).is_err() {
                disk = disk.restarted(unsynced);
                run.run(&disk, Earlier::Resume).unwrap_or_else(|error| panic!("{case}: {error:#}"));
            }
            for name in [output, "rejects"] {
                assert!(disk.bytes(name) == whole.bytes(name), "{case}: {name}");
            }
            assert_eq!(disk.0.borrow().files.len(), 2, "{case}: {:?}", disk.0.borrow().files.keys());
        }
    }
    // Otherwise every run would have begun anew, and the test shown nothing.
    assert!(num_resumed > num_operations, "{num_resumed} of 6 x {num_operations}");
}

#[test]
fn plain_files_are_the_same_after_any_fault() {
    same_bytes_after_any_fault("out.jsonl");
}

#[test]
fn gzip_files_are_the_same_after_any_fault() {
    same_bytes_after_any_fault("out.jsonl.gz");
}

#[test]
fn zstd_files_are_the_same_after_any_fault() {
    same_bytes_after_any_fault("out.jsonl.zst");
}

/// A disk on which a run died at about half of its way.
fn half_done(run: &Run) -> FaultyDisk {
    let disk = FaultyDisk::default();
    disk.0.borrow_mut().fault = Some((60, false));
    run.run(&disk, Earlier::Refuse).expect_err("a fault");
    disk.restarted(Unsynced::Kept)
}

fn message<T: Debug>(result: anyhow::Result<T>) -> String {
    format!("{:#}", result.expect_err("refused"))
}

#[test]
fn what_is_there_is_refused_resumed_or_replaced() {
    let run = Run::new("out.jsonl");
    let disk = half_done(&run);
    let refusal = message(run.run(&disk, Earlier::Refuse));
    assert!(refusal.contains("`out.jsonl.partial`") && refusal.contains("`rejects.partial`"), "{refusal}");
    run.run(&disk, Earlier::Force).expect("begun anew");
    let complete = disk.bytes("out.jsonl");
    assert!(message(run.run(&disk, Earlier::Refuse)).contains("`out.jsonl`"));
    assert!(run.paths.look(&disk, Earlier::Resume).expect("complete"));

    // An earlier output stays until the new one is complete.
    let fault = disk.0.borrow().num_operations + 60;
    disk.0.borrow_mut().fault = Some((fault, false));
    run.run(&disk, Earlier::Force).expect_err("a fault");
    let disk = disk.restarted(Unsynced::Kept);
    assert!(disk.bytes("out.jsonl") == complete && disk.bytes("out.jsonl.partial").is_some());
    run.run(&disk, Earlier::Resume).expect("gone on");
    assert!(disk.bytes("out.jsonl") == complete && disk.bytes("out.jsonl.partial").is_none());
}

#[test]
fn changes_are_named_and_refused() {
    let mut run = Run::new("out.jsonl");
    let disk = half_done(&run);
    let rejects = run.paths.rejects.replace("other".into());
    assert!(message(run.run(&disk, Earlier::Resume)).contains("--rejects was `rejects` and is `other`"));
    run.paths.rejects = rejects;

    let path = run.sources[0].path.clone();
    let changed = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        let sources = Source::whole(std::slice::from_ref(&path), Container::Lines).expect("a file");
        let run = Run {
            sources,
            paths: run.paths.clone(),
            _input: tempfile::NamedTempFile::new().expect("a file"),
        };
        message(run.run(&disk, Earlier::Resume))
    };
    assert!(changed(&[b'x'; 999]).contains("had 1000 bytes and"));
    assert!(changed(&[b'y'; 1000]).contains("the first MiB of"));
    std::fs::write(&path, [b'x'; 1000]).expect("written");
    run.run(&disk, Earlier::Resume).expect("as it was");
}

#[test]
fn a_partial_file_that_was_cut_or_has_no_journal_is_refused() {
    let run = Run::new("out.jsonl");
    let disk = half_done(&run);
    disk.0.borrow_mut().files.get_mut(Path::new("out.jsonl.partial")).expect("there").bytes.truncate(10);
    assert!(message(run.run(&disk, Earlier::Resume)).contains("it is not as it was left"));
    let disk = half_done(&run);
    disk.0.borrow_mut().files.remove(Path::new("out.jsonl.journal"));
    assert!(message(run.run(&disk, Earlier::Resume)).contains("has no journal"));
}
