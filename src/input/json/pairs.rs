//! Rows with a query and a document.

use std::io::{self, Write};

use super::fields::id;
use super::object::{entries, find, string};
use crate::input::row::{Fields, RowError};

/// Which fields of a row hold a query and a document; each may be a path, as `a.b`.
#[derive(Clone, Debug)]
pub struct PairFields {
    /// The query, a string.
    pub query: String,
    /// The document, a string.
    pub document: String,
    /// The id, which every row must have then; `None` where rows need none.
    pub id: Option<String>,
}

impl Default for PairFields {
    fn default() -> Self {
        PairFields { query: "query".into(), document: "document".into(), id: None }
    }
}

/// A row with a query and a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The query.
    pub query: String,
    /// The document.
    pub document: String,
    /// The id as JSON, where it was asked for.
    pub id: Option<String>,
}

/// Reads one line of JSONL with a query and a document.
///
/// # Errors
///
/// A [`RowError`] as for [`super::parse_row`], or when the row has a `score` already.
pub fn parse_pair(line: &[u8], fields: &PairFields) -> Result<Pair, RowError> {
    let entries = entries(line)?;
    if find(&entries, "score")?.is_some() {
        return Err(RowError::new("has a field `score` already"));
    }
    let field = |name: &str| match find(&entries, name)? {
        Some(value) => string(name, value),
        None => Err(RowError::new(format!("no field `{name}`"))),
    };
    let id = match &fields.id {
        Some(name) => id(&entries, &Fields { id: Some(name.clone()), ..Fields::default() })?.1,
        None => None,
    };
    Ok(Pair { query: field(&fields.query)?, document: field(&fields.document)?, id })
}

/// Writes the row that `line` holds with a field `score` added at its end; its own bytes stay as they are.
///
/// `line` is one that [`parse_pair`] has accepted.
///
/// # Errors
///
/// Those of `out`.
pub fn write_scored(out: &mut impl Write, line: &[u8], score: f32) -> io::Result<()> {
    let object = line.trim_ascii();
    out.write_all(&object[..object.len() - 1])?;
    out.write_all(b",\"score\":")?;
    write_f32(out, score)?;
    out.write_all(b"}\n")
}

/// Writes the shortest decimal that reads back to the same f32.
///
/// # Errors
///
/// Those of `out`.
pub fn write_f32(out: &mut impl Write, value: f32) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scored_row_keeps_its_bytes() {
        let line = br#" {"query":"a", "document":"b","n":1e400} "#;
        parse_pair(line, &PairFields::default()).expect("a good row");
        let mut out = Vec::new();
        write_scored(&mut out, line, 1.5).expect("memory");
        assert_eq!(out, b"{\"query\":\"a\", \"document\":\"b\",\"n\":1e400,\"score\":1.5}\n");
    }

    #[test]
    fn weights_are_the_shortest_decimals_of_an_f32() {
        let mut out = Vec::new();
        write_f32(&mut out, 0.1).expect("memory");
        assert_eq!(out, b"0.1");
    }
}
