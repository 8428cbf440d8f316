//! The journal of a run: what it is, and how far it has come for good. It is also the lock of the run's output.
//!
//! `OUTPUT.journal` is text. Its first line is [`MAGIC`]; each other line is a record: 16 hexadecimal digits, the
//! beginning of the SHA-256 of the rest, a space, and an object of JSON, an [`Identity`] or a [`Point`]. The last whole
//! identity counts, and the last whole point behind it. A record that power or space cut off does not match its digits
//! and is as if it had not been written, and so is a point that no run can have come to. The journal of a command that
//! makes its output in one go says that, and nothing else.
//!
//! A run locks the journal before it looks at anything else, and removes it last, so that two runs never work on one
//! output. A file of that name that does not begin with `MAGIC` is somebody else's: it is left alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::RunError;
use super::tally::Tally;
use crate::input::{Position, Source};
use crate::source::sha256;
use crate::storage::{with_suffix, OutputError, Storage, StoredFile};

/// The first line of a journal.
pub const MAGIC: &[u8] = b"neural-sparse journal 2\n";

/// How much of an input is looked at to know it again.
const SAMPLE_BYTES: u64 = 1 << 20;

/// The largest journal that is read: one grows by some 600 bytes every two seconds.
const MAX_BYTES: u64 = 256 << 20;

/// Everything that decides what a run writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Program, model, and each option that changes the output, by the name that messages give it.
    pub settings: BTreeMap<String, Value>,
    pub inputs: Vec<InputIdentity>,
    /// The SHA-256 of the model's files; `None` while it is not known, and where no model runs.
    pub model_sha256: Option<String>,
}

/// An input file, as far as it can be known again without reading it all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InputIdentity {
    name: String,
    size: u64,
    /// Of the first MiB.
    sha256: String,
}

/// How far a run has come: everything before is written for good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    /// Bytes of the output.
    pub output: u64,
    /// Bytes of the rejects.
    pub rejects: u64,
    /// Where the rejects are written.
    pub rejects_path: Option<PathBuf>,
    /// What was read.
    pub position: Position,
    /// The SHA-256 of the MiB of the input file before it.
    pub sample: String,
    pub tally: Tally,
    /// Time that was spent.
    pub seconds: f64,
    /// Whether this is the end.
    pub is_complete: bool,
}

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Run(Identity),
    Point(Point),
    /// The output is made in one go: what is written of it is of no use to anybody else.
    InOneGo {},
}

/// More than any run counts; further counts are added to those of a point, and must not overflow.
const MAX_COUNT: u64 = 1 << 60;

impl Point {
    /// Whether a run can have come here. A record can match its digits and still say what no run has written.
    fn is_possible(&self) -> bool {
        let Position { file: _, offset, raw, line } = self.position;
        let is_counted =
            [self.output, self.rejects, offset, raw, line].iter().all(|&count| count <= MAX_COUNT);
        is_counted && self.seconds.is_finite() && self.seconds >= 0.0 && self.tally.is_possible(MAX_COUNT)
    }
}

impl Identity {
    /// Knows the files that are read.
    pub fn new(settings: BTreeMap<String, Value>, sources: &[Arc<Source>]) -> Result<Self, RunError> {
        let input = |source: &Arc<Source>| {
            let sha256 = sample(&source.path, SAMPLE_BYTES).map_err(RunError::read(source))?;
            let name = source.path.display().to_string();
            Ok(InputIdentity { name, size: source.size.unwrap_or_default(), sha256 })
        };
        let inputs = sources.iter().map(input).collect::<Result<_, RunError>>()?;
        Ok(Identity { settings, inputs, model_sha256: None })
    }

    /// What has changed since `earlier`, each in words. The model's files are compared by [`Identity::model_change`].
    pub fn changes_since(&self, earlier: &Identity) -> Vec<String> {
        let mut changes = Vec::new();
        let names = earlier
            .settings
            .keys()
            .chain(self.settings.keys().filter(|name| !earlier.settings.contains_key(*name)));
        for name in names {
            let (was, is) = (earlier.settings.get(name), self.settings.get(name));
            if was != is {
                let shown = |value: Option<&Value>| value.map_or("not set".into(), shown);
                changes.push(format!("{name} was {} and is {}", shown(was), shown(is)));
            }
        }
        if self.inputs.len() != earlier.inputs.len() {
            changes.push(format!("the inputs were {} and are {}", earlier.inputs.len(), self.inputs.len()));
        }
        for (was, is) in earlier.inputs.iter().zip(&self.inputs) {
            if was.size != is.size {
                changes
                    .push(format!("`{}` had {} bytes and `{}` has {}", was.name, was.size, is.name, is.size));
            } else if was.sha256 != is.sha256 {
                changes.push(format!("the first MiB of `{}` is not that of `{}`", is.name, was.name));
            }
        }
        changes
    }

    /// How the model's files have changed since `earlier`, in words.
    pub fn model_change(&self, earlier: &Identity) -> Option<String> {
        let shown =
            |hash: &Option<String>| hash.as_ref().map_or("not set".into(), |hash| format!("`{hash}`"));
        let (was, is) = (&earlier.model_sha256, &self.model_sha256);
        (was != is).then(|| format!("model (SHA-256 of its files) was {} and is {}", shown(was), shown(is)))
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".into(),
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    }
}

/// The SHA-256 of the MiB of a file before `end`.
pub(super) fn sample(path: &Path, end: u64) -> io::Result<String> {
    let start = end.saturating_sub(SAMPLE_BYTES);
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    sha256(file.take(end - start))
}

/// A journal that this run holds: other runs are kept away from its output until it is dropped.
#[derive(Debug)]
pub(super) struct Journal {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    file: Box<dyn StoredFile>,
    /// Whether anything stands in it.
    is_empty: bool,
    /// Bytes of the whole records that an earlier run has left.
    length: u64,
    /// Whether this run has written its first record, or goes on with an earlier one's.
    has_begun: bool,
    /// Whether an earlier command has left it that made the output in one go.
    is_of_one_go: bool,
}

/// What a journal says.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub identity: Identity,
    /// The last point, if the run had come to one.
    pub point: Option<Point>,
    /// Bytes of the journal that are whole records.
    length: u64,
}

/// The records of a journal; `None` where not even its first record is whole.
///
/// # Errors
///
/// That of a file that is no journal.
fn parse(bytes: &[u8]) -> Result<Option<Past>, NotAJournal> {
    let Some(records) = bytes.strip_prefix(MAGIC) else {
        // A loss of power leaves a part of the first line, or zeros.
        let is_torn = MAGIC.starts_with(bytes) || bytes.iter().all(|&byte| byte == 0);
        return if is_torn { Ok(None) } else { Err(NotAJournal) };
    };
    let mut past: Option<Past> = None;
    let mut length = MAGIC.len() as u64;
    for line in records.split_inclusive(|&byte| byte == b'\n') {
        let Some(record) = record(line) else { break };
        length += line.len() as u64;
        match (record, &mut past) {
            (Record::Run(identity), _) => past = Some(Past { identity, point: None, length }),
            (Record::Point(point), _) if !point.is_possible() => break,
            (Record::Point(point), Some(past)) => {
                past.point = Some(point);
                past.length = length;
            }
            (Record::Point(_), None) | (Record::InOneGo {}, _) => break,
        }
    }
    Ok(past)
}

/// Whether a journal is of an output that is made in one go.
fn is_in_one_go(bytes: &[u8]) -> bool {
    let first =
        bytes.strip_prefix(MAGIC).and_then(|records| records.split_inclusive(|&byte| byte == b'\n').next());
    matches!(first.and_then(record), Some(Record::InOneGo {}))
}

/// The file of a journal's name is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotAJournal;

/// The record in a line, unless it is damaged.
fn record<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let json = line.strip_suffix(b"\n")?.get(17..)?;
    let record = serde_json::from_slice(json).ok()?;
    (line[..17] == *check(json).ok()?.as_bytes()).then_some(record)
}

/// The beginning of the SHA-256 of a record and a space.
fn check(json: &[u8]) -> io::Result<String> {
    Ok(sha256(json)?[..16].to_string() + " ")
}

impl Journal {
    /// Locks the journal of an output, and reads what an earlier run has left in it.
    ///
    /// # Errors
    ///
    /// [`OutputError::Busy`] where another run works on the output, and [`RunError::NotAJournal`].
    pub fn lock(storage: Arc<dyn Storage>, output: &Path) -> Result<(Self, Option<Past>), RunError> {
        let path = with_suffix(output, ".journal");
        let file = storage.lock(&path).map_err(|source| match source.kind() {
            io::ErrorKind::ResourceBusy => OutputError::Busy { path: output.to_path_buf() },
            _ => OutputError::Write { path: path.clone(), source },
        })?;
        let mut journal =
            Journal { storage, path, file, is_empty: true, length: 0, has_begun: false, is_of_one_go: false };
        let mut bytes = Vec::new();
        let read = (&mut journal.file).take(MAX_BYTES).read_to_end(&mut bytes);
        journal.is_empty = bytes.is_empty();
        journal.is_of_one_go = is_in_one_go(&bytes);
        read.map_err(OutputError::write(&journal.path))?;
        match parse(&bytes) {
            Ok(past) => {
                journal.length = past.as_ref().map_or(0, |past| past.length);
                Ok((journal, past))
            }
            Err(NotAJournal) => Err(RunError::NotAJournal { path: journal.path.clone() }),
        }
    }

    /// Whether an earlier command was making the output in one go, and has left what it had written.
    pub fn is_of_one_go(&self) -> bool {
        self.is_of_one_go
    }

    /// Says that the output is made in one go: what is written of it may be written over.
    pub fn start_in_one_go(&mut self) -> io::Result<()> {
        self.start(None)?;
        self.append(&Record::InOneGo {})
    }

    /// Goes on with the journal of an earlier run.
    pub fn go_on(&mut self, past: &Past) -> io::Result<()> {
        self.file.truncate(past.length)?;
        self.has_begun = true;
        Ok(())
    }

    /// Whether there is a first record.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Writes the first record, which ends what an earlier run has left; without an identity, only that the output is
    /// being written.
    pub fn start(&mut self, identity: Option<&Identity>) -> io::Result<()> {
        self.is_empty = false;
        // Whole records stay until the new one is whole: at no moment are there rows without a journal.
        let length = if identity.is_some() { self.length } else { 0 };
        self.file.truncate(length)?;
        if length == 0 {
            self.file.write_all(MAGIC)?;
        }
        match identity {
            Some(identity) => self.identify(identity)?,
            None => self.file.sync()?,
        }
        self.has_begun = true;
        Ok(())
    }

    /// Writes what the run is, in place of what the journal says of that.
    pub fn identify(&mut self, identity: &Identity) -> io::Result<()> {
        self.append(&Record::Run(identity.clone()))
    }

    /// Writes how far the run has come. What it counts must be written for good before, and the journal begun.
    pub fn record(&mut self, point: &Point) -> io::Result<()> {
        self.append(&Record::Point(point.clone()))
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        let json = serde_json::to_vec(record)?;
        let mut line = check(&json)?.into_bytes();
        line.extend_from_slice(&json);
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync()
    }

    /// Removes it: nothing is left that a run could go on with. Until then, and not longer, the output is locked.
    pub fn remove(self) -> Result<(), OutputError> {
        if !self.file.is_named(&self.path) {
            return Err(OutputError::Replaced { path: self.path.clone() });
        }
        self.storage.remove(&self.path).map_err(OutputError::write(&self.path))
    }
}

impl Drop for Journal {
    /// A journal that says nothing was only a lock.
    fn drop(&mut self) {
        if self.is_empty && self.file.is_named(&self.path) {
            // What matters was said already; an empty journal is in nobody's way.
            let _ = self.storage.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(record: &Record) -> Vec<u8> {
        let json = serde_json::to_vec(record).expect("JSON");
        [check(&json).expect("a hash").as_bytes(), &json, b"\n"].concat()
    }

    fn run(name: &str) -> Vec<u8> {
        let settings = BTreeMap::from([("name".to_string(), Value::from(name))]);
        line(&Record::Run(Identity { settings, ..Identity::default() }))
    }

    fn point(output: u64) -> Vec<u8> {
        line(&Record::Point(Point { output, ..Point::default() }))
    }

    #[test]
    fn the_last_identity_counts_and_the_last_point_behind_it() {
        let bytes = [MAGIC, &run("a"), &point(1), &run("b"), &point(2), &point(3)].concat();
        let past = parse(&bytes).expect("a journal").expect("records");
        assert_eq!(
            (&past.identity.settings["name"], past.point.map(|point| point.output)),
            (&"b".into(), Some(3))
        );
        assert_eq!(past.length, bytes.len() as u64);
        let past =
            parse(&[MAGIC, &run("a"), &point(1), &run("b")].concat()).expect("a journal").expect("records");
        assert_eq!(past.point, None);
    }

    #[test]
    fn a_torn_journal_is_what_its_whole_records_say() {
        let (first, whole) =
            (MAGIC.len() + run("a").len(), [MAGIC, &run("a"), &point(1), &point(2)].concat());
        let second = first + point(1).len();
        for length in 0..=whole.len() {
            let past = parse(&whole[..length]).expect("a journal");
            let output = past.as_ref().and_then(|past| past.point.as_ref()).map(|point| point.output);
            let expected = match length {
                _ if length == whole.len() => Some(2),
                _ if length >= second => Some(1),
                _ => None,
            };
            assert_eq!((past.is_some(), output), (length >= first, expected), "{length}");
        }
        let mut damaged = whole.clone();
        damaged[second + 40] ^= 1;
        let past = parse(&damaged).expect("a journal").expect("records");
        assert_eq!((past.point.map(|point| point.output), past.length), (Some(1), second as u64));
        assert!(parse(&[0; 100]).expect("torn").is_none());
    }

    #[test]
    fn a_point_that_no_run_comes_to_is_as_if_not_written() {
        let most = u64::MAX;
        let tally = |tally: Tally| Point { tally, ..Point::default() };
        let position = |position: Position| Point { position, ..Point::default() };
        let impossible = [
            Point { output: most, ..Point::default() },
            Point { rejects: most, ..Point::default() },
            Point { seconds: -1.0, ..Point::default() },
            position(Position { offset: most, ..Position::default() }),
            position(Position { raw: most, ..Position::default() }),
            position(Position { line: most, ..Position::default() }),
            tally(Tally { rows_in: most, ..Tally::default() }),
            tally(Tally { tokens: most, ..Tally::default() }),
            tally(Tally { rejected: 1, ..Tally::default() }),
        ];
        for point in impossible {
            let bytes = [MAGIC, &run("a"), &self::point(1), &line(&Record::Point(point.clone()))].concat();
            let past = parse(&bytes).expect("a journal").expect("records");
            assert_eq!(past.point.map(|point| point.output), Some(1), "{point:?}");
        }
    }

    #[test]
    fn an_output_in_one_go_has_no_past() {
        let whole = [MAGIC, &line(&Record::InOneGo {})].concat();
        for length in 0..=whole.len() {
            assert!(parse(&whole[..length]).expect("a journal").is_none(), "{length}");
            assert_eq!(is_in_one_go(&whole[..length]), length == whole.len(), "{length}");
        }
        assert!(!is_in_one_go(&[MAGIC, &run("a"), &line(&Record::InOneGo {})].concat()));
    }

    #[test]
    fn another_file_is_no_journal() {
        for bytes in [&b"Dear diary\n"[..], b"x", b"neural-sparse journal 3\n", b"neural-sparse journal 2 "] {
            assert_eq!(parse(bytes).err(), Some(NotAJournal), "{bytes:?}");
        }
    }
}
