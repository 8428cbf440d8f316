//! The rows of queries and judgements.

use std::collections::HashSet;
use std::path::Path;

use super::files::{fields, Files, Form};
use super::{id_and_text, CollectionError, Query};
use crate::eval::files::QrelsReader;
use crate::eval::{EvalError, Qrels};
use crate::input::{Container, InputFile, Source};

/// Hands out the rows of a file that are not blank, with their numbers.
pub(super) fn each_row(
    file: &Path,
    container: Container,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> Result<(), CollectionError> {
    let sources = Source::whole(&[file.to_path_buf()], container)?;
    let mut rows = InputFile::open(&sources[0], 0)?;
    while let Some(row) = rows.next_line()? {
        if !row.trim_ascii().is_empty() {
            let line = rows.position().line;
            let fault = |reason: String| EvalError::line(file, line, &reason);
            take(line, &row).map_err(fault)?;
        }
    }
    Ok(())
}

/// The queries that are judged, in the order of their files.
pub(super) fn judged_queries(queries: &Files, qrels: &Qrels) -> Result<Vec<Query>, CollectionError> {
    let mut seen = HashSet::new();
    let mut judged = Vec::new();
    let mut take = |id: String, text: String| {
        if !qrels.has(&id) {
            return Ok(());
        }
        if !seen.insert(id.clone()) {
            return Err(format!("the query `{id}` is there a second time"));
        }
        judged.push(Query { id, text });
        Ok(())
    };
    for file in &queries.files {
        match queries.form {
            Form::Objects(container) => {
                let fields = fields(file, container, &["text"])?;
                each_row(file, container, |_, row| {
                    let (id, text) = id_and_text(row, &fields)?;
                    take(id, text)
                })?;
            }
            Form::Tsv => each_row(file, Container::Lines, |_, row| {
                let text = std::str::from_utf8(row).map_err(|_| "not UTF-8")?;
                let (id, text) = text.split_once('\t').ok_or("no tab between an id and a text")?;
                take(id.into(), text.into())
            })?,
        }
    }
    Ok(judged)
}

/// The judgements of all files together.
pub(super) fn read_qrels_of(files: &Files) -> Result<Qrels, CollectionError> {
    let mut reader = QrelsReader::default();
    for file in &files.files {
        match files.form {
            Form::Objects(container) => {
                each_row(file, container, |line, row| reader.take_object(line, row))?;
            }
            Form::Tsv => reader.read_lines(file)?,
        }
    }
    Ok(reader.into_qrels())
}
