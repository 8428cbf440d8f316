//! What is shown of the documents that a query finds.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;

use super::Query;
use crate::eval::RunHit;
use crate::format::id_text;
use crate::index::{Hit, IndexError, InvertedIndex, Searcher};
use crate::input::json::write_f32;
use crate::sparse::SparseVector;

/// A document that a query finds. It serialises to the JSON that a search prints.
#[derive(Debug, Serialize)]
pub struct Found<'a> {
    /// Its id.
    pub id: &'a RawValue,
    /// Its score.
    pub score: f32,
    /// The fields that it was indexed with, where they are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<&'a RawValue>,
    /// The terms that it shares with the query, by descending product, where they are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Vec<SharedTerm<'a>>>,
}

/// A term of a query and a document.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SharedTerm<'a> {
    /// The term.
    pub term: &'a str,
    /// Its weight in the query.
    pub query: f32,
    /// Its weight in the document.
    pub document: f32,
    /// The one times the other.
    pub product: f32,
}

impl<'a> Found<'a> {
    /// Looks up what is to be shown of a hit.
    ///
    /// # Errors
    ///
    /// Those of the index.
    pub fn new(
        index: &'a InvertedIndex,
        query: &SparseVector,
        hit: Hit,
        has_fields: bool,
        has_terms: bool,
    ) -> Result<Self, IndexError> {
        let json = |text| {
            serde_json::from_str(text)
                .map_err(|error| index.damaged(format!("document {}: {error}", hit.document)))
        };
        let id = json(index.id_json(hit.document)?)?;
        let fields = if has_fields { Some(json(index.fields_json(hit.document)?)?) } else { None };
        let terms = if has_terms { Some(shared_terms(index, query, hit)?) } else { None };
        Ok(Found { id, score: hit.score, fields, terms })
    }
}

fn shared_terms<'a>(
    index: &'a InvertedIndex,
    query: &SparseVector,
    hit: Hit,
) -> Result<Vec<SharedTerm<'a>>, IndexError> {
    let mut shared = Vec::new();
    for (number, query, document) in Searcher::new(index).explain(query, hit.document)? {
        shared.push(SharedTerm { term: index.term(number)?, query, document, product: query * document });
    }
    // Stable, and the terms come in their order.
    shared.sort_by(|a, b| b.product.total_cmp(&a.product));
    Ok(shared)
}

/// A query and what it finds, as an object.
///
/// # Errors
///
/// Where the query's id is not JSON.
pub fn answer_json(query: &Query, hits: &[Found]) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Answer<'a> {
        id: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        query: Option<&'a str>,
        hits: &'a [Found<'a>],
    }
    let id = serde_json::from_str(&query.id)?;
    serde_json::to_string(&Answer { id, query: query.text.as_deref(), hits })
}

/// Writes a line for each hit: rank, score and id, before them the query's id where there are several queries, after them
/// the fields; below it the terms.
///
/// # Errors
///
/// Those of `out`.
pub fn write_hits(out: &mut impl Write, query_id: Option<&str>, hits: &[Found]) -> io::Result<()> {
    for (rank, hit) in (1..).zip(hits) {
        if let Some(id) = query_id {
            write!(out, "{id}\t")?;
        }
        write!(out, "{rank}\t")?;
        write_f32(out, hit.score)?;
        write!(out, "\t{}", id_text(hit.id.get()))?;
        if let Some(fields) = hit.fields {
            write!(out, "\t{fields}")?;
        }
        out.write_all(b"\n")?;
        for SharedTerm { term, query, document, product } in hit.terms.iter().flatten() {
            writeln!(out, "    {term}  {query:.4} x {document:.4} = {product:.4}")?;
        }
    }
    Ok(())
}

/// The hits of each query as a run has them.
///
/// # Errors
///
/// Those of the index.
pub fn rankings(index: &InvertedIndex, answers: &[Vec<Hit>]) -> Result<Vec<Vec<RunHit>>, IndexError> {
    let hit = |hit: &Hit| Ok(RunHit { document: index.id(hit.document)?.to_string(), score: hit.score });
    answers.iter().map(|hits| hits.iter().map(hit).collect()).collect()
}
