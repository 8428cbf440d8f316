//! What an index holds, in figures.

use std::cmp::Reverse;

use serde_json::{json, Map, Value};

use super::Table;
use crate::index::{IndexError, InvertedIndex};

/// How many of the longest lists are shown.
const NUM_LONGEST: usize = 10;

/// The terms that most documents have, and how many have them.
fn longest_lists(index: &InvertedIndex) -> Result<Vec<(&str, u32)>, IndexError> {
    let mut longest = Vec::new();
    for term in 0..index.num_terms() {
        longest.push((index.document_frequency(term)?, term));
    }
    longest.sort_by_key(|&(documents, term)| (Reverse(documents), term));
    longest.truncate(NUM_LONGEST);
    longest.into_iter().map(|(documents, term)| Ok((index.term(term)?, documents))).collect()
}

/// All figures, the longest lists and the metadata as an object.
///
/// # Errors
///
/// Those of the index.
pub fn index_json(index: &InvertedIndex) -> Result<Map<String, Value>, IndexError> {
    let info = index.info();
    let lists = longest_lists(index)?.into_iter();
    let lists: Vec<Value> =
        lists.map(|(term, documents)| json!({"term": term, "documents": documents})).collect();
    let figures = [
        ("bytes", info.bytes.into()),
        ("documents", info.documents.into()),
        ("terms", info.terms.into()),
        ("postings", info.postings.into()),
        ("mean_terms", (info.postings as f64 / info.documents.max(1) as f64).into()),
        ("codec", info.codec.name().into()),
        ("list_bytes", info.list_bytes.into()),
        ("document_bytes", info.document_bytes.into()),
        ("longest_lists", lists.into()),
        ("metadata", Value::Object(index.metadata()?.to_map())),
    ];
    Ok(figures.into_iter().map(|(name, value): (&str, Value)| (name.to_string(), value)).collect())
}

/// A table of figures, and one of the longest lists.
///
/// # Errors
///
/// Those of the index.
pub fn index_tables(index: &InvertedIndex) -> Result<(Table, Table), IndexError> {
    let info = index.info();
    let made = index.made()?;
    let said = |value: Option<String>| value.unwrap_or_else(|| "not said".into());
    let mean = info.postings as f64 / info.documents.max(1) as f64;
    let mut rows = vec![
        ("documents", info.documents.to_string()),
        ("terms", info.terms.to_string()),
        ("postings", format!("{}, {mean:.1} a document", info.postings)),
        ("weights", info.codec.name().to_string()),
        (
            "bytes",
            format!("{}: lists {}, ids and fields {}", info.bytes, info.list_bytes, info.document_bytes),
        ),
        ("model", said(made.model)),
    ];
    rows.extend(made.model_sha256.map(|hash| ("model's files", format!("{hash} (SHA-256)"))));
    rows.push(("similarity", index.similarity()?.to_string()));
    rows.push(("made by", said(made.made_by)));
    let facts = Table::new().text("what").text("found");
    let facts = facts.rows(rows.into_iter().map(|(what, found)| vec![what.to_string(), found]));
    let longest = Table::new().text("term").number("documents");
    let lists = longest_lists(index)?.into_iter();
    let longest = longest.rows(lists.map(|(term, documents)| vec![term.to_string(), documents.to_string()]));
    Ok((facts, longest))
}
