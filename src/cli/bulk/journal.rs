//! The journal of a run: what it is, and how far it has come for good.
//!
//! `OUTPUT.journal` is text, a record a line: 16 hexadecimal digits, the beginning of the SHA-256 of the rest, a space,
//! and an object of JSON. The first record is the [`Identity`], each other a [`Point`]; the last whole one counts. A
//! record that power or space cut off does not match its digits and is as if it had not been written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use neural_sparse::sha256;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tally::Tally;
use crate::cli::storage::Storage;
use neural_sparse::input::{Position, Source};

/// How much of an input is looked at to know it again.
const SAMPLE_BYTES: u64 = 1 << 20;

/// Everything that decides what a run writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Program, model, and each option that changes the output, by the name that messages give it.
    pub settings: BTreeMap<String, Value>,
    pub inputs: Vec<InputIdentity>,
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

impl Identity {
    /// Knows the files that are read.
    pub fn new(settings: BTreeMap<String, Value>, sources: &[Arc<Source>]) -> io::Result<Self> {
        let input = |source: &Arc<Source>| {
            Ok(InputIdentity {
                name: source.path.display().to_string(),
                size: source.size.unwrap_or_default(),
                sha256: sample(&source.path, SAMPLE_BYTES)?,
            })
        };
        Ok(Identity { settings, inputs: sources.iter().map(input).collect::<io::Result<_>>()? })
    }

    /// What has changed since `earlier`, each in words.
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

/// A journal that is written.
pub(super) struct Journal<S: Storage> {
    storage: S,
    path: PathBuf,
    identity: Identity,
    file: Option<S::File>,
}

/// What a journal says.
pub(super) struct Past {
    pub identity: Identity,
    /// The last point, if the run had come to one.
    pub point: Option<Point>,
    /// Bytes of the journal that are whole records.
    length: u64,
}

impl Past {
    /// Reads a journal; `None` where there is none or not even its first record is whole.
    pub fn read<S: Storage>(storage: &S, path: &Path) -> io::Result<Option<Past>> {
        if !storage.exists(path) {
            return Ok(None);
        }
        let bytes = storage.read(path)?;
        let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
        let Some((identity, mut length)) = lines.next().and_then(record::<Identity>) else { return Ok(None) };
        let mut point = None;
        for (next, bytes) in lines.map_while(record::<Point>) {
            point = Some(next);
            length += bytes;
        }
        Ok(Some(Past { identity, point, length }))
    }
}

/// The record in a line and the line's length, unless it is damaged.
fn record<T: DeserializeOwned>(line: &[u8]) -> Option<(T, u64)> {
    let json = line.strip_suffix(b"\n")?.get(17..)?;
    let record = serde_json::from_slice(json).ok()?;
    (line[..17] == *check(json).ok()?.as_bytes()).then_some((record, line.len() as u64))
}

/// The beginning of the SHA-256 of a record and a space.
fn check(json: &[u8]) -> io::Result<String> {
    Ok(sha256(json)?[..16].to_string() + " ")
}

impl<S: Storage> Journal<S> {
    /// A journal to be; nothing is touched before [`Journal::start`].
    pub fn new(storage: S, path: PathBuf, identity: Identity) -> Self {
        Journal { storage, path, identity, file: None }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Goes on with the journal of an earlier run.
    pub fn go_on(&mut self, past: &Past) -> io::Result<()> {
        self.file = Some(self.storage.reopen(&self.path, past.length)?);
        Ok(())
    }

    /// Whether there is a first record.
    pub fn has_begun(&self) -> bool {
        self.file.is_some()
    }

    /// Writes the first record, in place of a journal that is there.
    pub fn start(&mut self) -> io::Result<()> {
        self.file = Some(self.storage.create(&self.path, true)?);
        let identity = serde_json::to_vec(&self.identity)?;
        self.append(&identity)
    }

    /// Writes how far the run has come. What it counts must be written for good before, and the journal begun.
    pub fn record(&mut self, point: &Point) -> io::Result<()> {
        self.append(&serde_json::to_vec(point)?)
    }

    fn append(&mut self, json: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().expect("the journal has begun, anything else is a bug");
        let mut line = check(json)?.into_bytes();
        line.extend_from_slice(json);
        line.push(b'\n');
        file.write_all(&line)?;
        self.storage.sync(file)
    }

    /// Removes it: the run is complete.
    pub fn remove(mut self) -> io::Result<()> {
        self.file = None;
        self.storage.remove(&self.path)
    }
}
