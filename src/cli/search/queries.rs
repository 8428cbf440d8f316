//! The queries of a search, and their vectors.

use neural_sparse::index::InvertedIndex;
use neural_sparse::input::{Fields, InputFormat};
use neural_sparse::run::Tally;
use neural_sparse::search::{encode_queries, read_queries, EncodeError, Query, QueryError, QueryRows};
use neural_sparse::Side;

use super::model::{completed, QueryModel};
use super::SearchArgs;
use crate::cli::args::fields::lacks_fields;
use crate::cli::bulk::say_truncated;
use crate::cli::failure::complain;
use crate::cli::vocabulary::VocabularyArgs;

/// The queries of the command line or of the file, encoded.
pub(super) fn of(args: &SearchArgs, index: &InvertedIndex) -> anyhow::Result<Vec<Query>> {
    let mut queries = match &args.queries {
        Some(path) => {
            let format = args.input_format.unwrap_or_else(|| InputFormat::of_path(path));
            if !format.has_fields() {
                let flags = ["--text-field", "--id-field", "--vector-field", "--vector-keys"];
                args.given.refuse(&flags, &lacks_fields(format))?;
            }
            let rows = QueryRows {
                format,
                fields: Fields {
                    text: args.text_field.clone(),
                    id: args.id_field.clone(),
                    ..Fields::default()
                },
                vector_field: args.vector_field.clone(),
                keys: args.vector_keys,
            };
            let model = completed(args, &index.made()?).model;
            let vocabulary = VocabularyArgs { model, hub: args.model.hub.clone() };
            read_queries(path, &rows, index, &vocabulary.lazy()).map_err(|error| match error {
                QueryError::Index(error) => anyhow::Error::from(error),
                QueryError::Input(error) => error.into(),
                other => other.into(),
            })?
        }
        None => (1..)
            .zip(&args.texts)
            .map(|(number, text)| Query::of_text(format!("{number}"), text.clone()))
            .collect(),
    };
    if queries.iter().any(|query| query.text.is_some()) {
        encode(args, index, &mut queries)?;
    } else {
        let flags = ["--as", "--max-length", "--dialect", "--decoder", "--device", "--any-model"];
        args.given.refuse(&flags, "the queries are vectors: nothing is encoded")?;
    }
    if !args.model.hub.quiet {
        say_unknown(&queries);
        say_numbers(&queries);
    }
    Ok(queries)
}

/// Says which queries share few terms with the whole index.
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

/// Says that vectors may have ids for keys. Of a few it says nothing: texts may be numbers too.
fn say_numbers(queries: &[Query]) {
    let (count, all) = (queries.iter().filter(|query| query.has_numbers).count(), queries.len());
    if 2 * count > all {
        complain(format_args!(
            "note: {count} of {all} queries have numbers alone for terms, as ids are; `--vector-keys ids` takes them for ids"
        ));
    }
}

/// Encodes the queries that are texts, while it is checked that the model is the index's.
fn encode(args: &SearchArgs, index: &InvertedIndex, queries: &mut [Query]) -> anyhow::Result<()> {
    let model = QueryModel::load(args, index)?;
    let (encoder, side) = (&model.encoder, args.model.side.unwrap_or(Side::Query));
    let mut tally = Tally::default();
    let encoded = std::thread::scope(|scope| {
        let check = scope.spawn(|| model.check());
        let encoded = encode_queries(queries, encoder, side, index, &mut tally);
        check.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, anyhow::Error>(encoded)
    })?;
    encoded.map_err(|error| match error {
        EncodeError::Model(error) => anyhow::Error::from(error),
        EncodeError::Index(error) => error.into(),
        other => other.into(),
    })?;
    if !args.model.hub.quiet {
        say_truncated(&tally, encoder.max_length(side)?);
    }
    Ok(())
}
