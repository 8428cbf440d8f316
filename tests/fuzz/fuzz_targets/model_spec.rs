//! Any files, read as a model: a description or an error of one line, in little time and memory.
//! README.md beside it says how to run it.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};

use libfuzzer_sys::fuzz_target;
use neural_sparse::known::KNOWN_MODELS;
use neural_sparse::{ModelFiles, ModelSpec, Parts};

/// Where a file may be, a folder a line; the first is the model's own.
const FOLDERS: &str = include_str!("../folders.txt");
/// What a file may be called, a name a line.
const FILES: &str = include_str!("../files.txt");

/// Before each file. No text in UTF-8 has this byte, so a mutation seldom cuts a file in two.
const SEPARATOR: u8 = 0xff;

/// The most bytes that all files together may cost, as they are read and described.
const MAX_BYTES: usize = 200 << 20;

/// The most characters of a message: what a person can read.
const MAX_MESSAGE: usize = 2000;

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

/// A message is one line that a terminal can show.
fn check_message(message: &impl Display) {
    let message = message.to_string();
    assert!(message.chars().count() <= MAX_MESSAGE, "{} characters: {message:.200}", message.chars().count());
    assert!(!message.contains(char::is_control), "{message:?}");
}

/// The system's allocator, with a limit: `-malloc_limit_mb` needs a sanitizer, which this does without.
struct Limited;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

impl Limited {
    fn take(size: usize) {
        if IN_USE.fetch_add(size, Ordering::Relaxed) + size > MAX_BYTES {
            IN_USE.store(0, Ordering::Relaxed);
            eprintln!("more than {MAX_BYTES} bytes are in use");
            std::process::abort();
        }
    }

    fn give_back(size: usize) {
        IN_USE.fetch_sub(size, Ordering::Relaxed);
    }
}

// SAFETY: every request goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Limited::take(layout.size());
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Limited::take(layout.size());
        System.alloc_zeroed(layout)
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Limited::take(size);
        Limited::give_back(layout.size());
        System.realloc(pointer, layout, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Limited::give_back(layout.size());
        System.dealloc(pointer, layout)
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;
