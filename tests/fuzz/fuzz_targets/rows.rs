//! Any bytes, read as rows of every format: each row is read or refused with one line, and reading goes on at any place
//! and in parts as it goes through the whole. README.md beside it says how to run it.

#![no_main]

mod limits;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use limits::check_message;
use neural_sparse::input::json::{self, Entries, Keys, VectorRow};
use neural_sparse::input::{
    Container, Fields, InputError, InputFile, InputFormat, Keep, LineParser, Position, ReadLine, Row, Source,
};

/// The formats of lines and records.
const FORMATS: [InputFormat; 5] =
    [InputFormat::Jsonl, InputFormat::Csv, InputFormat::Tsv, InputFormat::Lines, InputFormat::Anserini];

/// Rows after which reading is begun again, in a second pass.
const MAX_RESUMED: usize = 8;

fuzz_target!(|input: &[u8]| {
    let Some((&[mode, limit], bytes)) = input.split_first_chunk::<2>() else { return };
    let format = FORMATS[usize::from(mode) % FORMATS.len()];
    let limit = 1 << (limit % 20);
    fs::write(path(), bytes).expect("memory");
    let sources = Source::whole(&[path().clone()], format.container()).expect("a file");
    let whole = match read(&sources[0], None, limit) {
        Ok(whole) => whole,
        Err(error) => return check_error(&error),
    };
    for (read, line, _, _) in &whole {
        match read {
            ReadLine::Whole => check_row(format, line),
            ReadLine::Bad(error) => check_message(error),
            ReadLine::TooLong(bytes) => assert!(*bytes > limit as u64),
            ReadLine::End => unreachable!("the end is no row"),
        }
    }
    for (number, (_, _, _, place)) in whole.iter().enumerate().take(MAX_RESUMED) {
        let rest = read(&sources[0], Some(*place), limit).expect("what was read before");
        assert_eq!(rest, whole[number + 1..], "after row {number}");
    }
    if format.container() == Container::Lines {
        check_parts(&whole, limit);
    }
});

/// What one read gave: the row, the number of its line, and the place behind it.
type Rows = Vec<(ReadLine, Vec<u8>, u64, Position)>;

fn read(source: &Arc<Source>, from: Option<Position>, limit: usize) -> Result<Rows, InputError> {
    let mut file = match from {
        Some(place) => InputFile::open_at(source, place)?,
        None => InputFile::open(source, 0)?,
    };
    let mut rows = Vec::new();
    loop {
        let mut line = Vec::new();
        let read = file.read_line(limit, &mut line)?;
        if read == ReadLine::End {
            return Ok(rows);
        }
        let mut place = file.position();
        // How far a compressed file has been read ahead is no part of the place.
        place.raw = 0;
        rows.push((read, line, file.line_number(), place));
    }
}

/// A plain file in parts is the whole file.
fn check_parts(whole: &Rows, limit: usize) {
    let Ok(first) = Source::shard(&[path().clone()], Container::Lines, 1, 3) else { return };
    let mut parts = Vec::new();
    for number in 1..=3 {
        let part = match number {
            1 => Arc::clone(&first[0]),
            _ => Arc::clone(
                &Source::shard(&[path().clone()], Container::Lines, number, 3).expect("as before")[0],
            ),
        };
        let before = part.lines_before().expect("a file");
        let rows = read(&part, None, limit).expect("what was read before");
        parts.extend(rows.into_iter().map(|(read, line, number, _)| (read, line, before + number)));
    }
    let whole: Vec<_> =
        whole.iter().map(|(read, line, number, _)| (read.clone(), line.clone(), *number)).collect();
    assert_eq!(parts, whole);
}

fn check_row(format: InputFormat, line: &[u8]) {
    let fields = Fields { text: vec!["text".into(), "title".into()], keep: Keep::All, ..Fields::default() };
    match LineParser::new(format, fields.clone()).parse(line) {
        Ok(Row { id, kept, .. }) => check_parts_of_row(id.as_deref(), &kept),
        Err(error) => check_message(&error),
    }
    for keys in [Keys::Terms, Keys::Ids] {
        match json::parse_vector(line, &fields, "vector", keys) {
            Ok(VectorRow { id, kept, entries, .. }) => {
                check_parts_of_row(id.as_deref(), &kept);
                let weights: Vec<f32> = match entries {
                    Entries::Terms(terms) => terms.into_iter().map(|(_, weight)| weight.value).collect(),
                    Entries::Ids(ids) => ids.into_iter().map(|(_, weight)| weight.value).collect(),
                };
                assert!(weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0), "{weights:?}");
            }
            Err(error) => check_message(&error),
        }
    }
    if let Err(error) = json::is_vector_row(line, &fields, "vector") {
        check_message(&error);
    }
    match json::parse_pair(line, &json::PairFields::default()) {
        Ok(_) => {
            let mut scored = Vec::new();
            json::write_scored(&mut scored, line, 1.5).expect("memory");
            serde_json::from_slice::<serde::de::IgnoredAny>(&scored).expect("JSON");
        }
        Err(error) => check_message(&error),
    }
}

/// What goes through to the output is JSON.
fn check_parts_of_row(id: Option<&str>, kept: &str) {
    for json in [id.unwrap_or("0"), &format!("{{{kept}\"\":0}}")] {
        serde_json::from_str::<serde::de::IgnoredAny>(json).expect("JSON");
    }
}

/// An error and each of its causes is one line.
fn check_error(error: &InputError) {
    check_message(error);
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        check_message(&error);
        cause = error.source();
    }
}

/// A file in memory, of this process alone.
fn path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| format!("/dev/shm/neural-sparse-fuzz-rows-{}", std::process::id()).into())
}
