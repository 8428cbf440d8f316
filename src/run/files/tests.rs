//! A fault after every single write, sync, rename and removal of a small run; then power is lost or not, and the run is
//! gone on with, to the same bytes.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::format::{self, Document, Findings, Format, Options, Requests, Terms};
use crate::index::{Codec, JsonObject};
use crate::input::Container;
use crate::sparse::SparseVector;
use crate::storage::faulty::{FaultyDisk, Unsynced};
use crate::storage::with_suffix;

/// A run over 23 lines, of which every fifth is rejected, on an input file that is really there.
struct Run {
    paths: Paths,
    sources: Vec<Arc<Source>>,
    /// What rows are written in; lines of text without one.
    format: Option<Arc<dyn Format>>,
    _input: tempfile::NamedTempFile,
}

const NUM_LINES: u64 = 23;

impl Run {
    fn new(output: &str) -> Run {
        Run::reading(output, &[b'x'; 1000])
    }

    fn reading(output: &str, content: &[u8]) -> Run {
        let mut input = tempfile::NamedTempFile::new().expect("a file");
        input.write_all(content).expect("written");
        let sources = Source::whole(&[input.path().to_path_buf()], Container::Lines).expect("a file");
        let paths = Paths { output: output.into(), rejects: Some("rejects".into()), assembly: None };
        Run { paths, sources, format: None, _input: input }
    }

    /// A run whose files are made of all rows.
    fn assembled(output: &str, format: Box<dyn Format>) -> Run {
        let mut run = Run::new(output);
        run.paths.assembly = format.assembly().map(Arc::from);
        assert!(run.paths.assembly.is_some());
        run.format = Some(format.into());
        run
    }

    /// What is written for a line.
    fn row(&self, line: u64) -> Vec<u8> {
        let Some(format) = &self.format else {
            return format!("row {line} {}\n", "z".repeat(line as usize)).into_bytes();
        };
        let (names, mut row) = (["a", "b", "c"].map(String::from), Vec::new());
        let pairs = vec![(line as u32 % 3, line as f32), ((line as u32 + 1) % 3, 0.5)];
        let vector = SparseVector::from_pairs(pairs).expect("a vector");
        let (id, content) = (line.to_string(), format::Content::Whole(vector));
        let document = Document { id: &id, kept: "", content };
        let terms = Terms::Listed(&names);
        format.write(&document, terms, &mut row, &mut Findings::default()).expect("a row");
        row
    }

    /// Runs to the end, or to the first fault.
    fn run(&self, disk: &FaultyDisk, earlier: Earlier) -> Result<(), RunError> {
        self.run_while(disk, earlier, |_| {})
    }

    /// The same, where something else happens before each line.
    fn run_while(
        &self,
        disk: &FaultyDisk,
        earlier: Earlier,
        mut happens: impl FnMut(u64),
    ) -> Result<(), RunError> {
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let Some(held) = self.paths.take(&storage, earlier)? else { return Ok(()) };
        let identity = Some(Identity::new(BTreeMap::new(), &self.sources)?);
        let around = (&self.sources[..], ModelHash::Known("hash".into()));
        let (mut files, point) =
            RunFiles::named(storage, self.paths.clone(), earlier, held, identity, around)?;
        files.interval = Duration::ZERO;
        let mut tally = point.as_ref().map(|point| point.tally.clone()).unwrap_or_default();
        let mut position = point.map(|point| point.position).unwrap_or_default();
        while position.line < NUM_LINES {
            let line = position.line + 1;
            happens(line);
            tally.rows_in += 1;
            if line % 5 == 0 {
                tally.rejected += 1;
                files.write_reject(format!("reject {line}\n").as_bytes())?;
            } else {
                tally.rows_out += 1;
                files.write_row(&self.row(line))?;
            }
            position = Position { line, offset: 7 * line, raw: 7 * line, ..position };
            files.end_line(&position, &tally)?;
        }
        files.finish(position, &tally)
    }
}

/// Every name on the disk, and what the file holds.
fn contents(disk: &FaultyDisk) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    disk.names().into_iter().map(|name| (name.clone(), disk.bytes(&name))).collect()
}

fn same_bytes_after_any_fault(run: &Run, num_results: usize) {
    let output = run.paths.output.display();
    let whole = FaultyDisk::default();
    run.run(&whole, Earlier::Refuse).expect("no fault");
    let num_operations = whole.num_operations();
    let expected = contents(&whole);
    assert_eq!(expected.len(), num_results + 1, "the working files are gone: {:?}", expected.keys());
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
            disk.fail_at(number, has_effect);
            run.run(&disk, Earlier::Refuse).expect_err(&case);
            let mut disk = disk.restarted(unsynced);
            num_resumed += usize::from(has_point(run, &disk));
            // A second fault while the run is gone on with, at one of its first operations or of its last.
            disk.fail_at(2 + number % 11, has_effect);
            if run.run(&disk, Earlier::Resume).is_err() {
                disk = disk.restarted(unsynced);
                run.run(&disk, Earlier::Resume).unwrap_or_else(|error| panic!("{case}: {error:#}"));
            }
            assert!(contents(&disk) == expected, "{case}: {:?}", disk.names());
        }
    }
    // Otherwise every run would have begun anew, and the test shown nothing.
    assert!(num_resumed > num_operations, "{num_resumed} of 6 x {num_operations}");
}

fn has_point(run: &Run, disk: &FaultyDisk) -> bool {
    let disk = disk.restarted(Unsynced::Kept);
    let (_, past) = Journal::lock(Arc::new(disk), &run.paths.output).expect("readable");
    past.is_some_and(|past| past.point.is_some())
}

#[test]
fn plain_files_are_the_same_after_any_fault() {
    same_bytes_after_any_fault(&Run::new("out.jsonl"), 1);
}

#[test]
fn gzip_files_are_the_same_after_any_fault() {
    same_bytes_after_any_fault(&Run::new("out.jsonl.gz"), 1);
}

#[test]
fn zstd_files_are_the_same_after_any_fault() {
    same_bytes_after_any_fault(&Run::new("out.jsonl.zst"), 1);
}

fn named(name: &str) -> Box<dyn Format> {
    format::named(name, &Options::default()).expect("a format")
}

#[test]
fn files_that_are_made_of_all_rows_are_the_same_after_any_fault() {
    same_bytes_after_any_fault(&Run::assembled("out.ciff", named("ciff")), 1);
    same_bytes_after_any_fault(&Run::assembled("out.csr", named("csr")), 2);
    #[cfg(feature = "archive")]
    same_bytes_after_any_fault(&Run::assembled("out.npz", named("csr-npz")), 2);
    #[cfg(feature = "parquet")]
    same_bytes_after_any_fault(&Run::assembled("out.parquet", named("parquet")), 1);
}

#[test]
fn an_index_is_the_same_after_any_fault() {
    for codec in [Codec::F32, Codec::U8] {
        let metadata = JsonObject::from_json("{\"made_by\": \"a test\"}").expect("an object");
        same_bytes_after_any_fault(&Run::assembled("index.nsi", format::index(codec, metadata)), 1);
    }
}

#[test]
fn numbered_requests_are_the_same_after_any_fault() {
    let mut run = Run::new("out.ndjson");
    run.paths.assembly = Some(Arc::new(Requests { max_bytes: 150, lines: 2 }));
    run.format = Some(named("opensearch").into());
    same_bytes_after_any_fault(&run, 10);
}

/// A disk on which a run died at about half of its way.
fn half_done(run: &Run) -> FaultyDisk {
    let disk = FaultyDisk::default();
    disk.fail_at(60, false);
    run.run(&disk, Earlier::Refuse).expect_err("a fault");
    disk.restarted(Unsynced::Kept)
}

fn message<T: Debug>(result: Result<T, RunError>) -> String {
    result.expect_err("refused").to_string()
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
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    assert!(run.paths.take(&storage, Earlier::Resume).expect("complete").is_none());

    // An earlier output stays until the new one is complete.
    disk.fail_at(disk.num_operations() + 60, false);
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
    assert!(
        message(run.run(&disk, Earlier::Resume)).contains("the file of rejects was `rejects` and is `other`")
    );
    run.paths.rejects = rejects;

    let path = run.sources[0].path.clone();
    let changed = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        let sources = Source::whole(std::slice::from_ref(&path), Container::Lines).expect("a file");
        let run = Run {
            sources,
            paths: run.paths.clone(),
            format: None,
            _input: tempfile::NamedTempFile::new().expect("a file"),
        };
        message(run.run(&disk, Earlier::Resume))
    };
    assert!(changed(&[b'x'; 999]).contains("had 1000 bytes and"));
    assert!(changed(&[b'y'; 1000]).contains("the first MiB of"));
    std::fs::write(&path, [b'x'; 1000]).expect("written");
    run.sources = Source::whole(&[path], Container::Lines).expect("a file");
    run.run(&disk, Earlier::Resume).expect("as it was");
}

#[test]
fn an_input_that_changes_is_noticed_before_the_next_point() {
    let plain: Vec<u8> = (0..NUM_LINES).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).expect("memory");
    for content in [plain, gzip.finish().expect("memory")] {
        let appends = |path: &Path| std::fs::write(path, [&content[..], b"more\n"].concat());
        let truncates = |path: &Path| std::fs::write(path, &content[..content.len() / 2]);
        let replaces = |path: &Path| {
            let other = with_suffix(path, ".other");
            std::fs::write(&other, vec![b'y'; content.len()])?;
            // Not within the clock's resolution of when the first was written.
            let file = std::fs::File::options().append(true).open(&other)?;
            file.set_modified(std::time::SystemTime::now() + Duration::from_secs(1))?;
            std::fs::rename(other, path)
        };
        type Change<'c> = &'c dyn Fn(&Path) -> io::Result<()>;
        let changes: [Change; 3] = [&appends, &truncates, &replaces];
        for (number, change) in changes.into_iter().enumerate() {
            let run = Run::reading("out.jsonl", &content);
            let disk = FaultyDisk::default();
            let half = NUM_LINES / 2;
            let error = run.run_while(&disk, Earlier::Refuse, |line| {
                if line == half {
                    change(&run.sources[0].path).expect("changed");
                }
            });
            assert!(message(error).contains("has changed while it was read"), "{number}");
            let (_, past) = Journal::lock(Arc::new(disk), &run.paths.output).expect("readable");
            let point = past.and_then(|past| past.point).expect("a point before the change");
            assert_eq!(point.position.line, half - 1, "{number}");
        }
    }
}

#[test]
fn a_partial_file_that_was_cut_or_has_no_journal_is_refused() {
    let run = Run::new("out.jsonl");
    let disk = half_done(&run);
    for name in ["out.jsonl.partial", "rejects.partial"] {
        let disk = half_done(&run);
        // Behind the last point, as a run leaves it that was killed: all of it is kept.
        let put = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = disk.bytes(name).expect("there");
            change(&mut bytes);
            disk.put(name, &bytes);
        };
        for name in ["out.jsonl.partial", "rejects.partial", "out.jsonl.journal"] {
            put(name, &|bytes| bytes.push(b'x'));
        }
        put(name, &|bytes| bytes.truncate(10));
        let before = contents(&disk);
        assert!(message(run.run(&disk, Earlier::Resume)).contains("it is not as it was left"), "{name}");
        assert_eq!(contents(&disk), before, "{name}");
    }
    disk.take_away("out.jsonl.journal");
    assert!(message(run.run(&disk, Earlier::Resume)).contains("has no journal"));
}

#[test]
fn two_runs_never_have_one_output() {
    let run = Run::new("out.jsonl");
    let disk = FaultyDisk::default();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let held = run.paths.take(&storage, Earlier::Refuse).expect("free").expect("nothing done");
    let before = contents(&disk);
    for earlier in [Earlier::Refuse, Earlier::Resume, Earlier::Force] {
        let refusal = message(run.run(&disk, earlier));
        assert_eq!(refusal, "another run is writing `out.jsonl`");
        assert!(contents(&disk) == before, "{earlier:?}");
    }
    drop(held);
    assert!(disk.names().is_empty(), "a lock that was not used leaves nothing");
    run.run(&disk, Earlier::Refuse).expect("free");
}

#[test]
fn a_file_that_is_no_journal_is_left_alone() {
    let run = Run::new("out.jsonl");
    for earlier in [Earlier::Refuse, Earlier::Resume, Earlier::Force] {
        let disk = FaultyDisk::default();
        disk.put("out.jsonl.journal", b"Dear diary\n");
        let before = contents(&disk);
        assert!(message(run.run(&disk, earlier)).contains("not the journal of a run"));
        assert!(contents(&disk) == before, "{earlier:?}");
    }
}

#[test]
fn a_file_that_was_replaced_is_not_renamed() {
    let run = Run::new("out.jsonl");
    let disk = FaultyDisk::default();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let held = run.paths.take(&storage, Earlier::Refuse).expect("free").expect("nothing done");
    let around = (&run.sources[..], ModelHash::default());
    let identity = Some(Identity::new(BTreeMap::new(), &run.sources).expect("a file"));
    let (mut files, _) =
        RunFiles::named(storage, run.paths.clone(), Earlier::Refuse, held, identity, around).expect("files");
    files.write_row(b"a row\n").expect("written");
    disk.put("out.jsonl.partial", b"of somebody else");
    let error = files.finish(Position::default(), &Tally::default());
    assert!(message(error).contains("something has removed or replaced it"));
    assert_eq!(disk.bytes("out.jsonl.partial").as_deref(), Some(&b"of somebody else"[..]));
    assert_eq!(disk.bytes("out.jsonl"), None);
}

#[test]
fn another_model_is_refused_before_anything_is_recorded() {
    let run = Run::new("out.jsonl");
    let disk = half_done(&run);
    let journal = disk.bytes("out.jsonl.journal");
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let held = run.paths.take(&storage, Earlier::Resume).expect("free").expect("not complete");
    let around = (&run.sources[..], ModelHash::Known("another hash".into()));
    let identity = Some(Identity::new(BTreeMap::new(), &run.sources).expect("a file"));
    let (mut files, point) =
        RunFiles::named(storage, run.paths.clone(), Earlier::Resume, held, identity, around).expect("files");
    files.interval = Duration::ZERO;
    files.write_row(b"of another model\n").expect("written");
    let point = point.expect("half done");
    let error = message(files.end_line(&point.position, &point.tally));
    assert!(error.contains("model (SHA-256 of its files) was `hash` and is `another hash`"), "{error}");
    files.stop(&point.tally);
    assert_eq!(disk.bytes("out.jsonl.journal"), journal);
    run.run(&disk, Earlier::Resume).expect("gone on with its own model");
    let whole = FaultyDisk::default();
    run.run(&whole, Earlier::Refuse).expect("no fault");
    assert!(contents(&disk) == contents(&whole));
}
