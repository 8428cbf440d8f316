//! The rows of queries and judgements.

use std::collections::HashSet;
use std::path::Path;

use super::files::{fields, Files};
use super::{CollectionError, Query};
use crate::eval::files::QrelsReader;
use crate::eval::{EvalError, Qrels};
use crate::format::id_text;
use crate::input::{each_row, InputFormat, LineParser};

/// Hands out the rows of the files that are not blank, with their numbers.
fn each_row_of(
    files: &[impl AsRef<Path>],
    format: InputFormat,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> Result<(), CollectionError> {
    for file in files.iter().map(AsRef::as_ref) {
        each_row(file, format.container(), |line, row| {
            take(line, row).map_err(|reason| EvalError::line(file, line, &reason))
        })?;
    }
    Ok(())
}

/// The queries that are judged, in the order of their files.
pub(super) fn judged_queries(queries: &Files, qrels: &Qrels) -> Result<Vec<Query>, CollectionError> {
    let parser = LineParser::new(queries.format, fields(&queries.files[0], queries.format, &["text"])?);
    let mut seen = HashSet::new();
    let mut judged = Vec::new();
    each_row_of(&queries.files, queries.format, |line, row| {
        let row = parser.parse(row).map_err(|error| error.to_string())?;
        // A row without an id has the number of its line, as everywhere.
        let id = row.id.map_or_else(|| line.to_string(), |id| id_text(&id).to_string());
        if !qrels.has(&id) {
            return Ok(());
        }
        if !seen.insert(id.clone()) {
            return Err(format!("the query `{id}` is there a second time"));
        }
        judged.push(Query { id, text: row.text });
        Ok(())
    })?;
    Ok(judged)
}

/// The judgements of all files together.
pub(super) fn read_qrels_of(files: &Files) -> Result<Qrels, CollectionError> {
    let mut reader = QrelsReader::default();
    match files.format {
        InputFormat::Jsonl | InputFormat::Parquet => {
            each_row_of(&files.files, files.format, |line, row| reader.take_object(line, row))?;
        }
        _ => files.files.iter().try_for_each(|file| reader.read_lines(file))?,
    }
    Ok(reader.into_qrels())
}
