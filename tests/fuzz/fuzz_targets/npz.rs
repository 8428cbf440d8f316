//! Any bytes, read as a matrix of scipy: an error of one line, or rows that are as many as the matrix says.
//! README.md beside it says how to run it.

#![no_main]

mod limits;

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use limits::check_message;
use neural_sparse::input::json::{self, Entries, Keys};
use neural_sparse::input::{Fields, MatrixRows};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The arrays of a matrix, in the order in which an input has them; what is left are the ids.
const ARRAYS: [&str; 5] = ["format", "shape", "indptr", "indices", "data"];

fuzz_target!(|input: &[u8]| {
    let Some((&mode, bytes)) = input.split_first() else { return };
    let (matrix, ids) = match mode % 4 {
        0 => (bytes.to_vec(), None),
        // As a zip whose sums are right.
        1 => zipped(bytes, CompressionMethod::Stored, false),
        2 => zipped(bytes, CompressionMethod::Stored, true),
        _ => zipped(bytes, CompressionMethod::Deflated, false),
    };
    let ids_path = path().with_extension("npz.ids");
    fs::write(path(), matrix).expect("memory");
    match ids {
        Some(ids) => fs::write(&ids_path, ids).expect("memory"),
        None => drop(fs::remove_file(&ids_path)),
    }
    let rows = match MatrixRows::open(path()) {
        Ok(rows) => rows,
        Err(error) => return check_message(&error),
    };
    let (num_rows, num_columns) = (rows.len(), rows.num_columns());
    let mut num_read = 0;
    for row in rows {
        match row {
            Ok(row) => check_row(&row, num_columns),
            Err(error) => return check_message(&error),
        }
        num_read += 1;
    }
    assert_eq!(num_read, num_rows);
});

fn check_row(row: &str, num_columns: Option<usize>) {
    serde_json::from_str::<serde::de::IgnoredAny>(row).expect("JSON");
    match json::parse_vector(row.as_bytes(), &Fields::default(), "vector", Keys::Terms) {
        Ok(row) => {
            let Entries::Ids(ids) = row.entries else { panic!("a matrix has ids") };
            assert!(ids.iter().all(|(id, _)| num_columns.is_none_or(|count| (*id as usize) < count)));
        }
        Err(error) => check_message(&error),
    }
}

/// A zip of the arrays in `bytes`, each behind two bytes with its length, and the ids behind them.
fn zipped(bytes: &[u8], method: CompressionMethod, has_ids: bool) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    let mut rest = bytes;
    for name in ARRAYS {
        let Some((length, after)) = rest.split_first_chunk::<2>() else { break };
        let (array, after) = after.split_at(usize::from(u16::from_le_bytes(*length)).min(after.len()));
        zip.start_file(format!("{name}.npy"), options).expect("memory");
        zip.write_all(array).expect("memory");
        rest = after;
    }
    let zip = zip.finish().expect("memory").into_inner();
    (zip, has_ids.then(|| rest.to_vec()))
}

/// A file in memory, of this process alone.
fn path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| format!("/dev/shm/neural-sparse-fuzz-npz-{}.npz", std::process::id()).into())
}
