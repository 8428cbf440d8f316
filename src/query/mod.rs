//! The inference-free query side: a weight per token from a table, no forward pass.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::source::ModelFiles;
use crate::sparse::SparseVector;
use crate::spec::Provenance;
use crate::spec::{Dialect, TableKind, TableSource};
use crate::tokenizer::Tokenizer;

/// The tensor of a `SparseStaticEmbedding`.
const TENSOR: &str = "weight";

/// The weight of each token in a query.
pub(crate) struct QueryTable {
    /// By token id: f32, finite, at least 0.
    weights: Vec<f32>,
}

impl QueryTable {
    /// Opens a table: what its tokens weigh in this dialect.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an entry that is no weight, [`Error::Tensor`] for a tensor of another shape.
    pub fn load(
        files: &ModelFiles,
        source: &TableSource,
        tokenizer: &Tokenizer,
        dialect: Dialect,
    ) -> Result<(Self, Provenance), Error> {
        let size = tokenizer.vocab_size();
        let file = match source.kind {
            TableKind::BuiltIn => "built in; the model's files hold none".into(),
            TableKind::Ones => "the rule where there is no table".into(),
            _ => files.describe(&source.path().unwrap_or_default()),
        };
        let invalid = |reason: String| Error::invalid(&file, reason);
        let bytes = || files.within(&source.folder).read(&source.name).map(Option::unwrap_or_default);
        let by_term = |absent: f32, entries: Vec<(String, f32)>| {
            let mut weights = vec![absent; size];
            for (term, weight) in &entries {
                if let Some(id) = tokenizer.id(term) {
                    weights[id as usize] = *weight;
                }
            }
            (weights, format!("{} token weights; a token it lacks weighs {absent}", entries.len()))
        };
        let (mut weights, value) = match source.kind {
            TableKind::Json => by_term(dialect.absent_weight(), json_entries(&bytes()?).map_err(invalid)?),
            TableKind::Text => by_term(1.0, text_entries(&bytes()?).map_err(invalid)?),
            TableKind::Tensor => {
                let weights = stored_weights(files, source, &file)?;
                if weights.len() < size {
                    let reason = format!("has {} weights, and the tokenizer {size} tokens", weights.len());
                    return Err(Error::Tensor { file, tensor: TENSOR.into(), reason });
                }
                let value = format!("{} token weights by id", weights.len());
                (weights, value)
            }
            TableKind::BuiltIn => {
                let built_in = ModelFiles::built_in_queries(files.name());
                let weights = stored_weights(&built_in, source, &file)?;
                if weights.len() != size {
                    let count = weights.len();
                    return Err(Error::invalid(
                        files.describe(""),
                        format!("has {size} tokens, and the table of this name that is built in has {count}"),
                    ));
                }
                (weights, format!("{size} token weights by id"))
            }
            TableKind::Ones => (vec![1.0; size], "a weight of 1 for every token".into()),
        };
        if !dialect.keeps_special_tokens() {
            for &special in tokenizer.special_ids() {
                weights[special as usize] = 0.0;
            }
        }
        Ok((QueryTable { weights }, Provenance::new("side", value, file)))
    }

    /// Each distinct token of `ids` with its weight; a repeated token counts once.
    pub fn encode(&self, ids: &[u32]) -> SparseVector {
        self.vector(ids, |_| 1.0).expect("distinct ids and checked weights: anything else is a bug")
    }

    /// The weights of `vector` at the tokens of `ids`, each times its own here; nothing else of it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] when a product is too large for f32.
    pub fn masked(&self, vector: &SparseVector, ids: &[u32]) -> Result<SparseVector, Error> {
        self.vector(ids, |id| vector.weight(id)).ok_or(Error::NotFinite("a weight of a query's own token"))
    }

    /// `None` when a product is not finite.
    fn vector(&self, ids: &[u32], times: impl Fn(u32) -> f32) -> Option<SparseVector> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        SparseVector::from_pairs(
            ids.into_iter().map(|id| (id, self.weights[id as usize] * times(id))).collect(),
        )
    }
}

/// The tensor of a table, each element a weight.
fn stored_weights(files: &ModelFiles, source: &TableSource, file: &str) -> Result<Vec<f32>, Error> {
    let weights = crate::parameters::read_vector(files, &source.checkpoint(), TENSOR)?;
    match weights.iter().position(|weight| !is_weight(*weight)) {
        None => Ok(weights),
        Some(id) => Err(Error::Tensor {
            file: file.into(),
            tensor: TENSOR.into(),
            reason: format!("holds {} for token {id}, not a number of at least 0", weights[id]),
        }),
    }
}

fn is_weight(weight: f32) -> bool {
    weight.is_finite() && weight >= 0.0
}

fn json_entries(bytes: &[u8]) -> Result<Vec<(String, f32)>, String> {
    // Raw values: a wrong one can be shown as it stands.
    let table: HashMap<String, &RawValue> =
        serde_json::from_slice(bytes).map_err(|error| format!("not a JSON object: {error}"))?;
    let entry = |(term, value): (String, &RawValue)| match checked(value.get()) {
        Some(weight) => Ok((term, weight)),
        None => Err(format!("the weight of `{term}` is {value}, not a number of at least 0")),
    };
    table.into_iter().map(entry).collect()
}

/// One `token<TAB>weight` a line.
fn text_entries(bytes: &[u8]) -> Result<Vec<(String, f32)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    let entry = |(index, line): (usize, &str)| {
        let parsed = line.rsplit_once('\t').and_then(|(term, weight)| Some((term, checked(weight)?)));
        match parsed {
            Some((term, weight)) => Ok((term.to_string(), weight)),
            None => Err(format!("line {}: not a token, a tab and a weight of at least 0", index + 1)),
        }
    };
    text.lines().enumerate().map(entry).collect()
}

/// A weight in decimals: read as an f64 and rounded, as the table's users do.
fn checked(weight: &str) -> Option<f32> {
    weight.parse::<f64>().ok().map(|weight| weight as f32).filter(|weight| is_weight(*weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_tokens_keep_their_weights_times_the_tables() {
        let table = QueryTable { weights: vec![0.0, 2.0, 0.5, 3e38] };
        let vector =
            SparseVector::from_pairs(vec![(0, 1.0), (1, 1.5), (2, 4.0), (3, 2.0)]).expect("distinct");
        let own = table.masked(&vector, &[2, 1, 2, 0]).expect("finite");
        assert_eq!(own, SparseVector::from_pairs(vec![(1, 3.0), (2, 2.0)]).expect("distinct"));
        assert!(matches!(table.masked(&vector, &[3]), Err(Error::NotFinite(_))));
    }
}
