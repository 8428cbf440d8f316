//! The queries of a search: where they come from, and their vectors.

use std::path::Path;

use neural_sparse::index::InvertedIndex;
use neural_sparse::jsonl::{self, Entries, Fields};
use neural_sparse::{known, Side, Similarity, SparseEncoder, SparseVector};
use serde_json::Value;

use super::SearchArgs;
use crate::cli::bulk::{say_truncated, Tally};
use crate::cli::failure::Failure;
use crate::cli::index::similarity_of;
use neural_sparse::input::read_lines;

/// A query on its way.
pub(super) struct Query {
    /// As JSON.
    pub id: String,
    pub text: Option<String>,
    /// Over the terms of the index.
    pub vector: SparseVector,
}

impl Query {
    /// A text that is not encoded yet.
    fn of_text(id: String, text: String) -> Self {
        Query { id, text: Some(text), vector: SparseVector::default() }
    }
}

/// The queries of the command line or of the file, encoded.
pub(super) fn of(args: &SearchArgs, index: &InvertedIndex) -> anyhow::Result<Vec<Query>> {
    let similarity = similarity_of(index)?;
    let mut queries = match &args.queries {
        Some(path) => of_file(path, index, similarity)?,
        None => (1..)
            .zip(&args.texts)
            .map(|(number, text)| Query::of_text(format!("{number}"), text.clone()))
            .collect(),
    };
    encode(args, index, similarity, &mut queries)?;
    Ok(queries)
}

fn of_file(path: &Path, index: &InvertedIndex, similarity: Similarity) -> anyhow::Result<Vec<Query>> {
    let fields = Fields { text: vec!["text".into()], ..Fields::default() };
    let is_tsv = path.extension().is_some_and(|suffix| suffix == "tsv");
    let mut queries = Vec::new();
    for (number, line) in read_lines(path)? {
        let fault = |reason: String| anyhow::anyhow!("`{}` line {number}: {reason}", path.display());
        let query = if is_tsv {
            let text = std::str::from_utf8(&line).map_err(|error| fault(error.to_string()))?;
            let (id, text) =
                text.split_once('\t').ok_or_else(|| fault("no tab between an id and a text".into()))?;
            Query::of_text(Value::from(id).to_string(), text.into())
        } else if jsonl::is_vector_row(&line, "vector").map_err(|error| fault(error.reason))? {
            let row = jsonl::parse_vector(&line, &fields, "vector").map_err(|error| fault(error.reason))?;
            let Entries::Terms(terms) = &row.entries else {
                return Err(fault("a vector of ids, expected one of terms".into()));
            };
            // Prepared with all of its terms, of which the index may lack some.
            let weights = (0..).zip(terms.iter().map(|(_, weight)| weight.value)).collect();
            let vector = SparseVector::from_pairs(weights).expect("checked entries, anything else is a bug");
            let vector = similarity.prepared(vector);
            let terms = vector.iter().map(|(place, weight)| (terms[place as usize].0.as_str(), weight));
            Query { id: row.id.unwrap_or(number.to_string()), text: None, vector: index.vector(terms)? }
        } else {
            let row = jsonl::parse_row(&line, &fields).map_err(|error| fault(error.reason))?;
            Query::of_text(row.id.unwrap_or(number.to_string()), row.text)
        };
        queries.push(query);
    }
    Ok(queries)
}

/// Encodes the queries that are texts.
fn encode(
    args: &SearchArgs,
    index: &InvertedIndex,
    similarity: Similarity,
    queries: &mut [Query],
) -> anyhow::Result<()> {
    let texts: Vec<String> = queries.iter().filter_map(|query| query.text.clone()).collect();
    if texts.is_empty() {
        return Ok(());
    }
    let encoder = load(args, index, similarity)?;
    let side = args.model.side().unwrap_or(Side::Query);
    let mut encoded = encoder.encode(&texts, side)?.into_iter();
    let mut tally = Tally::default();
    for query in queries.iter_mut().filter(|query| query.text.is_some()) {
        let encoded = encoded.next().expect("a vector for each text, anything else is a bug");
        tally.rows_in += 1;
        tally.count_text(encoded.num_tokens, encoded.is_cut);
        let name = |id| encoder.tokenizer().term(id).unwrap_or_default();
        let vector = similarity.prepared(encoded.vector);
        query.vector = index.vector(vector.iter().map(|(id, weight)| (name(id), weight)))?;
    }
    if !args.model.hub.quiet {
        say_truncated(&tally, encoder.max_length(side)?);
    }
    Ok(())
}

/// The model: the one that is named, else that of the index. It must compare vectors as the index was made to.
fn load(args: &SearchArgs, index: &InvertedIndex, similarity: Similarity) -> anyhow::Result<SparseEncoder> {
    let metadata: Value = Value::Object(index.metadata()?.to_map());
    let made_by = metadata["model"].as_str();
    let name = match made_by {
        Some(made_by) if args.model.model == known::DEFAULT_MODEL => made_by,
        _ => &args.model.model,
    };
    let files = args.model.hub.resolve(name, args.model.parts())?;
    let encoder = args.model.open(&files, &args.model.options_for(name)?)?;
    if encoder.similarity() != similarity {
        return Err(Failure {
            message: format!(
                "`{name}` compares vectors by {}, and the index `{}` was made for {similarity}: scores would be neither",
                encoder.similarity(),
                args.index.display()
            ),
            hint: format!("`neural-sparse index build --model {name}` makes an index for it"),
        }
        .into());
    }
    Ok(encoder)
}
