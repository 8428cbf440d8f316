//! Any bytes, read as judgements and as a run: an error of one line, or a run that is written and read back as it was,
//! and figures that are numbers. README.md beside it says how to run it.

#![no_main]

mod limits;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use limits::check_message;
use neural_sparse::eval::{evaluate, parse_measures, read_qrels, read_run, write_run, EvalError, Qrels, Run};

/// One of each kind, with a cutoff and without.
const MEASURES: &str = "nDCG@10,nDCG,R@1000,RR@10,RR,P@20,AP,AP@5,Success@5,Judged@10";

/// Between the judgements and the run. No text in UTF-8 has this byte.
const SEPARATOR: u8 = 0xff;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == SEPARATOR);
    let (judgements, run) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let qrels = read(judgements, read_qrels);
    let run = read(run, read_run);
    if let Some(run) = &run {
        check_written(run);
    }
    if let (Some(qrels), Some(run)) = (&qrels, &run) {
        check_figures(qrels, run);
    }
});

fn read<T>(bytes: &[u8], read: impl Fn(&Path) -> Result<T, EvalError>) -> Option<T> {
    fs::write(path(), bytes).expect("memory");
    match read(path()) {
        Ok(value) => Some(value),
        Err(error) => {
            check_message(&error);
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                check_message(&error);
                cause = error.source();
            }
            None
        }
    }
}

/// What is written is read back as it was.
fn check_written(run: &Run) {
    let mut written = Vec::new();
    // An id may have white space of another kind than the one that separates columns.
    if write_run(&mut written, run, "tag").is_err() {
        return;
    }
    fs::write(path(), &written).expect("memory");
    let again = read_run(path()).expect("what was written");
    let mut rewritten = Vec::new();
    write_run(&mut rewritten, &again, "tag").expect("what was written");
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&rewritten));
}

fn check_figures(qrels: &Qrels, run: &Run) {
    let measures = parse_measures(MEASURES).expect("measures");
    let evaluation = evaluate(qrels, run, &measures);
    for query in evaluation.queries() {
        assert!(query.values.iter().all(|value| value.is_finite()), "{query:?}");
    }
}

/// A file in memory, of this process alone.
fn path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| format!("/dev/shm/neural-sparse-fuzz-judgements-{}", std::process::id()).into())
}
