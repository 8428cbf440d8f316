//! The queries of a search: where they come from, and their vectors.

use std::path::Path;

use anyhow::Context;
use neural_sparse::index::InvertedIndex;
use neural_sparse::input::json::{self, Entries, Written};
use neural_sparse::input::{each_row, Fields, InputFormat, LineParser, RowError};
use neural_sparse::{known, Side, Similarity, SparseEncoder, SparseVector, Tokenizer};
use serde_json::Value;

use super::SearchArgs;
use crate::cli::bulk::{say_truncated, Tally};
use crate::cli::failure::Failure;
use crate::cli::hints;
use crate::cli::index::similarity_of;
use crate::cli::vocabulary::VocabularyArgs;

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
        Some(path) => of_file(args, path, index, similarity)?,
        None => (1..)
            .zip(&args.texts)
            .map(|(number, text)| Query::of_text(format!("{number}"), text.clone()))
            .collect(),
    };
    encode(args, index, similarity, &mut queries)?;
    Ok(queries)
}

fn of_file(
    args: &SearchArgs,
    path: &Path,
    index: &InvertedIndex,
    similarity: Similarity,
) -> anyhow::Result<Vec<Query>> {
    let fields = Fields { text: vec!["text".into()], ..Fields::default() };
    let format = InputFormat::of_path(path);
    let parser = LineParser::new(format, fields.clone());
    let mut vocabulary = Vocabulary { args, index, tokenizer: None };
    let mut queries = Vec::new();
    each_row(path, format.container(), |number, line| {
        let fault =
            |error: RowError| anyhow::anyhow!("`{}` line {number}: {}", path.display(), hints::said(&error));
        let is_vector =
            format.has_vectors() && json::is_vector_row(line, &fields, "vector").map_err(fault)?;
        queries.push(if is_vector {
            let row = json::parse_vector(line, &fields, "vector", args.vector_keys).map_err(fault)?;
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
            Query { id: row.id.unwrap_or(number.to_string()), text: None, vector: index.vector(terms)? }
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
    index: &'a InvertedIndex,
    tokenizer: Option<Tokenizer>,
}

impl Vocabulary<'_> {
    /// The terms that ids are of.
    fn terms(&mut self, ids: Vec<(u32, Written)>) -> anyhow::Result<Vec<(String, Written)>> {
        if self.tokenizer.is_none() {
            let model = model_of(self.args, self.index)?;
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

/// The name of the model: the one that is named, else that of the index.
fn model_of(args: &SearchArgs, index: &InvertedIndex) -> anyhow::Result<String> {
    let metadata: Value = Value::Object(index.metadata()?.to_map());
    Ok(match metadata["model"].as_str() {
        Some(made_by) if args.model.model == known::DEFAULT_MODEL => made_by.to_string(),
        _ => args.model.model.clone(),
    })
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
    let name = &model_of(args, index)?;
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
