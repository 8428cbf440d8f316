//! Any files, read as a model: a description or an error of one line, in little time and memory.
//! README.md beside it says how to run it.

#![no_main]

mod limits;

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use limits::check_message;
use neural_sparse::known::KNOWN_MODELS;
use neural_sparse::{ModelFiles, ModelSpec, Parts};

/// Where a file may be, a folder a line; the first is the model's own.
const FOLDERS: &str = include_str!("../folders.txt");
/// What a file may be called, a name a line.
const FILES: &str = include_str!("../files.txt");

/// Before each file. No text in UTF-8 has this byte, so a mutation seldom cuts a file in two.
const SEPARATOR: u8 = 0xff;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else { return };
    let known = match choice {
        b'-' => None,
        other => Some(&KNOWN_MODELS[usize::from(other) % KNOWN_MODELS.len()]),
    };
    match ModelSpec::read(&ModelFiles::in_memory("fuzz", files_in(rest)), known) {
        Ok(spec) => check(&spec),
        Err(error) => check_message(&error),
    }
});

/// The files in an input: each is a separator, a letter for its folder, a letter for its name, and its bytes.
fn files_in(input: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let nth = |list: &'static str, letter: u8| {
        let names: Vec<&str> = list.lines().collect();
        names[usize::from(letter.wrapping_sub(b'a')) % names.len()]
    };
    let mut files = BTreeMap::new();
    for file in input.split(|byte| *byte == SEPARATOR) {
        let [folder, name, bytes @ ..] = file else { continue };
        let path = match nth(FOLDERS, *folder) {
            "" => nth(FILES, *name).to_string(),
            folder => format!("{folder}/{}", nth(FILES, *name)),
        };
        files.insert(path, bytes.to_vec());
    }
    files
}

/// Everything that a spec can be asked.
fn check(spec: &ModelSpec) {
    let whole = spec.required_files(Parts::Whole);
    let query_side = spec.required_files(Parts::QuerySide);
    let is_inside = |file: &String| file.split('/').all(|step| !matches!(step, "" | "." | ".."));
    assert!(whole.iter().all(is_inside), "{whole:?}");
    assert!(query_side.iter().all(|file| whole.contains(file)), "{query_side:?} is not part of {whole:?}");
    spec.checkpoint_files();
    spec.sides_differ();
    spec.has_query_table();
    spec.notes().iter().for_each(check_message);
    for unknown in spec.unknown_keys() {
        check_message(&unknown.file);
        check_message(&unknown.key);
    }
}
