//! The inference-free query side: a weight per token from a table, no forward pass.

use serde_json::Value;

use crate::error::Error;
use crate::files::{Decision, ModelFiles};
use crate::sparse::SparseVector;
use crate::tokenizer::Tokenizer;

const IDF_JSON: &str = "idf.json";
const TOKEN_WEIGHTS_TXT: &str = "query_token_weights.txt";

/// The weight of each token in a query.
pub(crate) struct QueryTable {
    /// By token id: f32, finite, at least 0. Special tokens weigh 0.
    weights: Vec<f32>,
}

impl QueryTable {
    /// Reads `idf.json`, else `query_token_weights.txt`; `None` where the model has neither.
    ///
    /// A token that idf.json lacks weighs 0, as in the model cards; one that
    /// query_token_weights.txt lacks weighs 1, because that file is the table without its ones.
    pub fn load(files: &ModelFiles, tokenizer: &Tokenizer) -> Result<Option<(Self, Decision)>, Error> {
        let (file, absent, entries) = if let Some(table) = files.read_json(IDF_JSON)? {
            (IDF_JSON, 0.0, idf_entries(table))
        } else if let Some(bytes) = files.read(TOKEN_WEIGHTS_TXT)? {
            (TOKEN_WEIGHTS_TXT, 1.0, text_entries(&bytes))
        } else {
            return Ok(None);
        };
        let entries = entries.map_err(|reason| Error::invalid(files.describe(file), reason))?;
        let mut weights = vec![absent; tokenizer.vocab_size()];
        for (term, weight) in &entries {
            if let Some(id) = tokenizer.id(term) {
                weights[id as usize] = *weight;
            }
        }
        for &special in tokenizer.special_ids() {
            weights[special as usize] = 0.0;
        }
        let value = format!(
            "a table of {} token weights, no forward pass; a token it lacks weighs {absent}",
            entries.len()
        );
        Ok(Some((QueryTable { weights }, Decision::new("query side", value, files.describe(file)))))
    }

    /// Each distinct token of `ids` with its weight; a repeated token counts once.
    pub fn encode(&self, ids: &[u32]) -> SparseVector {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let pairs = ids.into_iter().map(|id| (id, self.weights[id as usize])).collect();
        SparseVector::from_pairs(pairs).expect("distinct ids and checked weights: anything else is a bug")
    }
}

fn idf_entries(table: serde_json::Map<String, Value>) -> Result<Vec<(String, f32)>, String> {
    let entry = |(term, value): (String, Value)| match checked(value.as_f64()) {
        Some(weight) => Ok((term, weight)),
        None => Err(format!("the weight of `{term}` is {value}, not a number of at least 0")),
    };
    table.into_iter().map(entry).collect()
}

/// One `token<TAB>weight` a line.
fn text_entries(bytes: &[u8]) -> Result<Vec<(String, f32)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    let entry = |(index, line): (usize, &str)| {
        let parsed =
            line.rsplit_once('\t').and_then(|(term, weight)| Some((term, checked(weight.parse().ok())?)));
        match parsed {
            Some((term, weight)) => Ok((term.to_string(), weight)),
            None => Err(format!("line {}: not a token, a tab and a weight of at least 0", index + 1)),
        }
    };
    text.lines().enumerate().map(entry).collect()
}

fn checked(weight: Option<f64>) -> Option<f32> {
    weight.map(|weight| weight as f32).filter(|weight| weight.is_finite() && *weight >= 0.0)
}
