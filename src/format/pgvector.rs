//! PostgreSQL with pgvector: lines of COPY in its text format, `id<TAB>{i:w,…}/V`, indices from 1.

use serde_json::Value;

use super::{
    as_object, json, kept_fields, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms,
};
use crate::input::{Keep, RowError};
use crate::sparse::SparseVector;

/// Terms of a `sparsevec`, and of one that an HNSW index takes.
const MAX_TERMS: usize = 16_000;
const MAX_HNSW_TERMS: usize = 1000;

/// Bytes of a primary key that the index of the table takes, however little they compress.
const MAX_ID_BYTES: usize = 2692;

#[derive(Debug)]
struct Pgvector {
    table: String,
    vector_field: String,
    keep: Keep,
    has_windows: bool,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    if options.index_name.as_deref() == Some("vector") {
        let reason = "the extension has a type of that name";
        return Err(FormatError::value(FormatOption::IndexName, "vector", reason));
    }
    Ok(Box::new(Pgvector {
        table: quoted(options.index_name.as_deref().unwrap_or("docs")),
        vector_field: quoted(&options.vector_field),
        keep: options.keep.clone(),
        has_windows: options.has_windows,
    }))
}

/// A name in SQL.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|character| character.is_ascii_lowercase() || character == '_');
    if is_plain && !name.is_empty() {
        name.to_string()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Appends a value of a column, with the escapes of COPY.
fn write_value(out: &mut Vec<u8>, text: &str) -> Result<(), RowError> {
    for byte in text.bytes() {
        match byte {
            0 => return Err(nul()),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            other => out.push(other),
        }
    }
    Ok(())
}

fn nul() -> RowError {
    RowError::new("a NUL character, which PostgreSQL has no place for")
}

/// `{i:w,…}/V`.
fn write_sparsevec(out: &mut Vec<u8>, vector: &SparseVector, vocab_size: usize) {
    out.push(b'{');
    for (count, (index, weight)) in vector.iter().enumerate() {
        if count > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!("{}:", index + 1).as_bytes());
        json::write_f32(out, weight);
    }
    out.extend_from_slice(format!("}}/{vocab_size}").as_bytes());
}

impl Pgvector {
    /// Columns behind the vector: one a field that is named, one of JSON where all are kept.
    fn write_columns(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RowError> {
        if let Some(number) = row.window {
            out.extend_from_slice(format!("\t{number}").as_bytes());
        }
        let object = as_object(row.kept);
        match &self.keep {
            Keep::Nothing => Ok(()),
            Keep::All => {
                if !super::all_characters(&object, |character| character != '\0') {
                    return Err(nul());
                }
                out.push(b'\t');
                write_value(out, &object)
            }
            Keep::Named(names) => {
                let fields = kept_fields(&object);
                for name in names {
                    out.push(b'\t');
                    match fields.iter().find(|field| field.key == *name).map(|field| field.value.get()) {
                        None | Some("null") => out.extend_from_slice(b"\\N"),
                        Some(value) => match serde_json::from_str::<Value>(value) {
                            Ok(Value::String(text)) => write_value(out, &text)?,
                            _ => write_value(out, value)?,
                        },
                    }
                }
                Ok(())
            }
        }
    }
}

impl Format for Pgvector {
    fn keys(&self) -> Keys {
        Keys::IdsOfVocabulary
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::IndexName, FormatOption::Windows, FormatOption::Keep]
    }

    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let count = row.vector.len();
        if count > MAX_TERMS {
            return Err(super::too_many_terms(count, MAX_TERMS, "a sparsevec"));
        }
        let id = row.id_text();
        if id.len() > MAX_ID_BYTES {
            return Err(super::long_id(MAX_ID_BYTES, "a primary key"));
        }
        write_value(out, &id)?;
        out.push(b'\t');
        write_sparsevec(out, row.vector, terms.vocab_size());
        self.write_columns(row, out)?;
        findings.add(
            "vectors of more than 1,000 terms, which an HNSW index refuses; with only the heaviest they fit",
            usize::from(count > MAX_HNSW_TERMS),
        );
        out.push(b'\n');
        Ok(())
    }

    fn mapping(&self, vocab_size: usize) -> Option<String> {
        let mut columns = vec!["id text PRIMARY KEY".to_string()];
        columns.push(format!("{} sparsevec({vocab_size}) NOT NULL", self.vector_field));
        if self.has_windows {
            columns.push("chunk integer NOT NULL".into());
        }
        match &self.keep {
            Keep::Nothing => {}
            Keep::All => columns.push("fields jsonb NOT NULL".into()),
            Keep::Named(names) => columns.extend(names.iter().map(|name| format!("{} text", quoted(name)))),
        }
        let (table, columns) = (&self.table, columns.join(",\n    "));
        Some(format!("CREATE EXTENSION IF NOT EXISTS vector;\nCREATE TABLE {table} (\n    {columns}\n);"))
    }

    /// `<#>` is the negative of the dot product, so that the best come first.
    fn query(
        &self,
        vector: &SparseVector,
        terms: Terms,
        k: usize,
        _: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        if vector.len() > MAX_TERMS {
            return Err(super::too_many_terms(vector.len(), MAX_TERMS, "a sparsevec"));
        }
        let mut literal = Vec::new();
        write_sparsevec(&mut literal, vector, terms.vocab_size());
        let distance = format!("{} <#> '{}'", self.vector_field, String::from_utf8_lossy(&literal));
        let table = &self.table;
        Ok(Some(format!("SELECT id, -({distance}) AS score FROM {table} ORDER BY {distance} LIMIT {k};")))
    }
}
