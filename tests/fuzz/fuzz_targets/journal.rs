//! Any bytes, read as the journal of a run that is gone on with: an error of one line that leaves every file as it was, or
//! a run to the end. README.md beside it says how to run it.

#![no_main]

mod limits;

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use limits::check_list;
use neural_sparse::input::json::RowError;
use neural_sparse::input::{Container, Source};
use neural_sparse::run::{
    Earlier, InputLine, Job, JobError, OnError, Outcome, Run, RunError, RunOptions, RunSettings, Sink, Tally,
    WriteError,
};
use neural_sparse::sha256;
use serde_json::Value;

/// Lines of input; the last but one is a bad row.
const INPUT: &[u8] = b"one\ntwo\n\nthree\n!\nfour\n";

/// Between the journal and the unfinished files. No text in UTF-8 has this byte.
const SEPARATOR: u8 = 0xff;

/// The first line of a journal, and the bytes of a record before its JSON; see `src/run/journal.rs`.
const MAGIC: &[u8] = b"neural-sparse journal 2\n";
const DIGITS: usize = 16;

fuzz_target!(|input: &[u8]| {
    let Some((&mode, bytes)) = input.split_first() else { return };
    let mut parts = bytes.splitn(3, |byte| *byte == SEPARATOR);
    let journal = parts.next().unwrap_or_default();
    let journal = match mode % 3 {
        0 => journal.to_vec(),
        1 => repaired(journal, MAGIC),
        _ => repaired(journal, own_journal()),
    };
    let [output, rejects] = [parts.next(), parts.next()].map(|part| part.unwrap_or_default());
    let files = [(".journal", &journal[..]), (".partial", output), (".rejects.partial", rejects)];
    for (suffix, content) in files {
        fs::write(path(suffix), content).expect("memory");
    }
    for made in ["", ".rejects"] {
        let _ = fs::remove_file(path(made));
    }
    match go_on() {
        Ok(()) => assert!(path("").exists() && !path(".partial").exists() && !path(".journal").exists()),
        Err(error) => {
            check_error(&error);
            if !matches!(error, RunError::Stopped { .. }) {
                for (suffix, content) in files {
                    if suffix == ".journal" && content.is_empty() {
                        // It was only a lock, and is taken away.
                        continue;
                    }
                    assert_eq!(
                        fs::read(path(suffix)).expect("it was there"),
                        content,
                        "{suffix} after {error}"
                    );
                }
            }
        }
    }
});

/// A run that goes on with what there is.
fn go_on() -> Result<(), RunError> {
    match prepare(Earlier::Resume)? {
        None => Ok(()),
        Some(run) => match run.run(Echo { stops_at: None }, settings(), &mut ())? {
            Outcome::Complete(summary) => {
                assert!(summary.docs_per_second.is_finite() && summary.seconds.is_finite(), "{summary:?}");
                Ok(())
            }
            Outcome::Cancelled(_) => unreachable!("nobody cancels it"),
        },
    }
}

fn prepare(earlier: Earlier) -> Result<Option<Run>, RunError> {
    let sources = Source::whole(&[input()], Container::Lines)?;
    let options = RunOptions {
        earlier,
        on_error: OnError::Skip,
        rejects: Some(path(".rejects")),
        ..RunOptions::default()
    };
    Run::prepare(sources, Sink::File { path: path(""), assembly: None }, options)
}

fn settings() -> RunSettings {
    RunSettings {
        options: [("format".to_string(), Value::from("echo"))].into(),
        num_threads: 1,
        ..RunSettings::default()
    }
}

/// Writes each line as it is, and has no model.
struct Echo {
    /// The line that ends the run with an error.
    stops_at: Option<&'static [u8]>,
}

impl Job for Echo {
    type Row = Vec<u8>;
    type Value = Vec<u8>;
    const HAS_IDS: bool = true;

    fn parse(&self, line: &[u8]) -> Result<Vec<u8>, RowError> {
        match line {
            b"!" => Err(RowError::new("a bad row".to_string())),
            line => Ok(line.to_vec()),
        }
    }

    fn id<'r>(&self, row: &'r Vec<u8>) -> Option<Cow<'r, str>> {
        Some(String::from_utf8_lossy(row))
    }

    fn compute(&self, rows: Vec<Vec<u8>>) -> Result<Vec<Result<Vec<u8>, RowError>>, JobError> {
        Ok(rows.into_iter().map(Ok).collect())
    }

    fn write(
        &self,
        _: &InputLine,
        row: Vec<u8>,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        if self.stops_at == Some(&row) {
            return Err(WriteError::Job("stopped".into()));
        }
        out.extend_from_slice(&row);
        out.push(b'\n');
        tally.rows_out += 1;
        Ok(())
    }
}

/// What this very run leaves in its journal when it is stopped.
fn own_journal() -> &'static [u8] {
    static JOURNAL: OnceLock<Vec<u8>> = OnceLock::new();
    JOURNAL.get_or_init(|| {
        // What the input before has left may be in the way.
        for suffix in [".journal", ".partial", ".rejects.partial"] {
            let _ = fs::remove_file(path(suffix));
        }
        let run = prepare(Earlier::Force).expect("nothing is in the way").expect("a run");
        run.run(Echo { stops_at: Some(b"four") }, settings(), &mut ()).expect_err("a run that is stopped");
        let journal = fs::read(path(".journal")).expect("what a stopped run leaves");
        let lines: Vec<&[u8]> = journal.split_inclusive(|byte| *byte == b'\n').collect();
        // The magic and the identity.
        lines[..2].concat()
    })
}

/// `before`, and the lines of `bytes` as records with the digits that they should have; in a point, the sample of the
/// input is also the right one.
fn repaired(bytes: &[u8], before: &[u8]) -> Vec<u8> {
    let mut journal = before.to_vec();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(json) = line.strip_suffix(b"\n") else {
            journal.extend_from_slice(line);
            break;
        };
        let json = with_sample(json).unwrap_or_else(|| json.to_vec());
        let digits = sha256(&json[..]).expect("memory");
        journal.extend_from_slice(&digits.as_bytes()[..DIGITS]);
        journal.push(b' ');
        journal.extend_from_slice(&json);
        journal.push(b'\n');
    }
    journal
}

fn with_sample(json: &[u8]) -> Option<Vec<u8>> {
    let mut record: Value = serde_json::from_slice(json).ok()?;
    let point = record.get_mut("point")?;
    let end = usize::try_from(point.get("position")?.get("raw")?.as_u64()?).ok()?;
    point["sample"] = sha256(INPUT.get(..end).unwrap_or_default()).ok()?.into();
    serde_json::to_vec(&record).ok()
}

/// An error and each of its causes is one line.
fn check_error(error: &RunError) {
    check_list(error);
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        check_list(&error);
        cause = error.source();
    }
}

fn input() -> PathBuf {
    static INPUT_FILE: OnceLock<PathBuf> = OnceLock::new();
    INPUT_FILE
        .get_or_init(|| {
            let path = path(".txt");
            fs::write(&path, INPUT).expect("memory");
            path
        })
        .clone()
}

/// A file in a folder in memory, of this process alone.
fn path(suffix: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = Path::new("/dev/shm").join(format!("neural-sparse-fuzz-journal-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("memory");
        folder
    });
    folder.join(format!("out{suffix}"))
}
