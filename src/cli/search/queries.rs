//! The queries of a search: where they come from, and their vectors.

use std::path::Path;

use anyhow::Context;
use neural_sparse::index::InvertedIndex;
use neural_sparse::input::json::{self, Entries, Written};
use neural_sparse::input::{each_row, Fields, InputFormat, LineParser, RowError};
use neural_sparse::{Side, SparseVector, Tokenizer};

use super::model::{completed, QueryModel};
use super::SearchArgs;
use crate::cli::bulk::{say_truncated, Tally};
use crate::cli::failure::complain;
use crate::cli::hints;
use crate::cli::index::similarity_of;
use crate::cli::vocabulary::VocabularyArgs;
use crate::cli::Stated;

/// A query on its way.
pub(super) struct Query {
    /// As JSON.
    pub id: String,
    pub text: Option<String>,
    /// Over the terms of the index.
    pub vector: SparseVector,
    /// Its terms, also those that the index lacks.
    num_terms: usize,
}

impl Query {
    /// A text that is not encoded yet.
    fn of_text(id: String, text: String) -> Self {
        Query { id, text: Some(text), vector: SparseVector::default(), num_terms: 0 }
    }

    /// Whether the index lacks more than half of its terms.
    fn is_mostly_unknown(&self) -> bool {
        self.vector.len() * 2 < self.num_terms
    }
}

/// The queries of the command line or of the file, encoded.
pub(super) fn of(args: &SearchArgs, stated: Stated, index: &InvertedIndex) -> anyhow::Result<Vec<Query>> {
    let mut queries = match &args.queries {
        Some(path) => of_file(args, stated, path, index)?,
        None => (1..)
            .zip(&args.texts)
            .map(|(number, text)| Query::of_text(format!("{number}"), text.clone()))
            .collect(),
    };
    encode(args, stated, index, &mut queries)?;
    if !args.model.hub.quiet {
        say_unknown(&queries);
    }
    Ok(queries)
}

/// Says which queries share few terms with the whole index: another model or another language would explain that.
fn say_unknown(queries: &[Query]) {
    let unknown: Vec<&Query> = queries.iter().filter(|query| query.is_mostly_unknown()).collect();
    match unknown[..] {
        [] => {}
        [query] => complain(format_args!(
            "note: no document has {} of the {} terms of query {}",
            query.num_terms - query.vector.len(),
            query.num_terms,
            query.id
        )),
        [first, ..] => complain(format_args!(
            "note: no document has more than half of the terms of {} of {} queries, the first of them {}",
            unknown.len(),
            queries.len(),
            first.id
        )),
    }
}

fn of_file(
    args: &SearchArgs,
    stated: Stated,
    path: &Path,
    index: &InvertedIndex,
) -> anyhow::Result<Vec<Query>> {
    let similarity = similarity_of(index)?;
    let fields = Fields { text: args.text_field.clone(), id: args.id_field.clone(), ..Fields::default() };
    let format = args.input_format.unwrap_or_else(|| InputFormat::of_path(path));
    let parser = LineParser::new(format, fields.clone());
    let mut vocabulary = Vocabulary { args, stated, index, tokenizer: None };
    let field = args.vector_field.as_str();
    let mut queries = Vec::new();
    each_row(path, format.container(), |number, line| {
        let fault =
            |error: RowError| anyhow::anyhow!("`{}` line {number}: {}", path.display(), hints::said(&error));
        let is_vector = format.has_vectors() && json::is_vector_row(line, &fields, field).map_err(fault)?;
        queries.push(if is_vector {
            let row = json::parse_vector(line, &fields, field, args.vector_keys).map_err(fault)?;
            let terms = match row.entries {
                Entries::Terms(terms) => terms,
                Entries::Ids(ids) => {
                    vocabulary.terms(ids).with_context(|| format!("`{}` line {number}", path.display()))?
                }
            };
            // Prepared with all of its terms, of which the index may lack some.
            let weights = (0..).zip(terms.iter().map(|(_, weight)| weight.value)).collect();
            let vector = SparseVector::from_pairs(weights).expect("checked entries, anything else is a bug");
            let vector = similarity.prepared(vector);
            let terms = vector.iter().map(|(place, weight)| (terms[place as usize].0.as_str(), weight));
            let (id, num_terms) = (row.id.unwrap_or(number.to_string()), vector.len());
            Query { id, text: None, vector: index.vector(terms)?, num_terms }
        } else {
            let row = parser.parse(line).map_err(fault)?;
            Query::of_text(row.id.unwrap_or(number.to_string()), row.text)
        });
        Ok::<(), anyhow::Error>(())
    })?;
    Ok(queries)
}

/// The vocabulary of the index's model, once it is needed.
struct Vocabulary<'a> {
    args: &'a SearchArgs,
    stated: Stated,
    index: &'a InvertedIndex,
    tokenizer: Option<Tokenizer>,
}

impl Vocabulary<'_> {
    /// The terms that ids are of.
    fn terms(&mut self, ids: Vec<(u32, Written)>) -> anyhow::Result<Vec<(String, Written)>> {
        if self.tokenizer.is_none() {
            let model = completed(self.args, self.stated, &self.index.made()?).model;
            let vocabulary = VocabularyArgs { model, hub: self.args.model.hub.clone() };
            let loaded = vocabulary.load().context("cannot tell ids and terms apart without a vocabulary")?;
            self.tokenizer = Some(loaded);
        }
        let tokenizer = self.tokenizer.as_ref().expect("just set, anything else is a bug");
        let term = |(id, weight)| {
            let term = tokenizer.term(id).with_context(|| format!("no term has the id {id}"))?;
            Ok((term.to_string(), weight))
        };
        ids.into_iter().map(term).collect()
    }
}

/// Encodes the queries that are texts.
fn encode(
    args: &SearchArgs,
    stated: Stated,
    index: &InvertedIndex,
    queries: &mut [Query],
) -> anyhow::Result<()> {
    let texts: Vec<String> = queries.iter().filter_map(|query| query.text.clone()).collect();
    if texts.is_empty() {
        return Ok(());
    }
    let model = QueryModel::load(args, stated, index)?;
    let (encoder, side) = (&model.encoder, args.model.side().unwrap_or(Side::Query));
    let encoded = std::thread::scope(|scope| {
        let check = scope.spawn(|| model.check());
        let encoded = encoder.encode(&texts, side);
        check.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, anyhow::Error>(encoded?)
    })?;
    let similarity = similarity_of(index)?;
    let mut encoded = encoded.into_iter();
    let mut tally = Tally::default();
    for query in queries.iter_mut().filter(|query| query.text.is_some()) {
        let encoded = encoded.next().expect("a vector for each text, anything else is a bug");
        tally.rows_in += 1;
        tally.count_text(encoded.num_tokens, encoded.is_cut);
        let name = |id| encoder.tokenizer().term(id).unwrap_or_default();
        let vector = similarity.prepared(encoded.vector);
        query.num_terms = vector.len();
        query.vector = index.vector(vector.iter().map(|(id, weight)| (name(id), weight)))?;
    }
    if !args.model.hub.quiet {
        say_truncated(&tally, encoder.max_length(side)?);
    }
    Ok(())
}
