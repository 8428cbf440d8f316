//! The inference-free query side: a weight per token from a table, no forward pass.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::dialect::Dialect;
use crate::error::Error;
use crate::files::{Decision, ModelFiles};
use crate::opensearch_query::TABLE_FOLDER;
use crate::sparse::SparseVector;
use crate::tokenizer::Tokenizer;

const IDF_JSON: &str = "idf.json";
const TOKEN_WEIGHTS_TXT: &str = "query_token_weights.txt";
const TENSORS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
/// The tensor of a `SparseStaticEmbedding`.
const TENSOR: &str = "weight";

/// Where a table of token weights is, before it is opened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableSource {
    /// The folder of its module below the model's files, `""` for themselves: its tokenizer may be there too.
    pub folder: String,
    /// The file below the model's files.
    pub file: String,
    kind: TableKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum TableKind {
    /// An object of terms and weights.
    Json,
    /// `token<TAB>weight` a line: the table without its ones.
    Text,
    /// A tensor (V) by token id.
    Tensor,
    /// There is none: every token weighs 1.
    Ones,
    /// The tensor that is compiled in.
    BuiltIn,
}

impl TableSource {
    /// The table beside a model's own files, if there is one. A tensor has a weight for every token, the JSON leaves
    /// none to be guessed, the text does.
    pub fn beside(files: &ModelFiles) -> Option<Self> {
        if files.within(TABLE_FOLDER).contains(TENSORS[0]) {
            return Some(TableSource::tensor(TABLE_FOLDER, TENSORS[0]));
        }
        let at = |file: &str, kind| {
            Some(TableSource { folder: String::new(), file: file.to_string(), kind })
                .filter(|_| files.contains(file))
        };
        let found = at(IDF_JSON, TableKind::Json).or_else(|| at(TOKEN_WEIGHTS_TXT, TableKind::Text));
        // A tokenizer in an archive without a table is what ml-commons runs with a weight of 1 for each token.
        found.or_else(|| (files.is_archive() && Tokenizer::is_in(files)).then(TableSource::ones))
    }

    fn tensor(folder: &str, name: &str) -> Self {
        let file = if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
        TableSource { folder: folder.to_string(), file, kind: TableKind::Tensor }
    }

    /// No table: the weight 1 for every token.
    pub fn ones() -> Self {
        TableSource { folder: String::new(), file: String::new(), kind: TableKind::Ones }
    }

    /// The table that is compiled in, of the model that these files are a copy of.
    pub fn built_in() -> Self {
        TableSource { folder: String::new(), file: String::new(), kind: TableKind::BuiltIn }
    }

    /// The table of a `SparseStaticEmbedding` in `folder`: the JSON that its config names, else its tensor.
    ///
    /// Copies of a model may lack the folder's contents; a table beside the model is then the same one.
    pub fn module(files: &ModelFiles, folder: &str) -> Result<Self, Error> {
        let inside = files.within(folder);
        let config = inside.read_json("config.json")?.unwrap_or_default();
        let path = config.get("path").and_then(serde_json::Value::as_str);
        let json =
            path.filter(|path| path.ends_with(".json")).and_then(|path| path.rsplit(['/', '\\']).next());
        let candidates = json
            .map(|name| (name, TableKind::Json))
            .into_iter()
            .chain(TENSORS.map(|name| (name, TableKind::Tensor)));
        for (name, kind) in candidates {
            if inside.contains(name) {
                let file = if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
                return Ok(TableSource { folder: folder.to_string(), file, kind });
            }
        }
        TableSource::beside(files).ok_or_else(|| {
            let reason =
                "this module's table is not there, and neither `idf.json` nor `query_token_weights.txt` \
                          stands beside the model";
            Error::invalid(files.describe(folder), reason)
        })
    }
}

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
    ) -> Result<(Self, Decision), Error> {
        let size = tokenizer.vocab_size();
        let file = match source.kind {
            TableKind::BuiltIn => "built in; the model's files hold none".into(),
            TableKind::Ones => "the rule where there is no table".into(),
            _ => files.describe(&source.file),
        };
        let invalid = |reason: String| Error::invalid(&file, reason);
        let bytes = || files.read(&source.file).map(Option::unwrap_or_default);
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
                let weights = stored_weights(&files.within(&source.folder), &file)?;
                if weights.len() < size {
                    let reason = format!("has {} weights, and the tokenizer {size} tokens", weights.len());
                    return Err(Error::Tensor { file, tensor: TENSOR.into(), reason });
                }
                let value = format!("{} token weights by id", weights.len());
                (weights, value)
            }
            TableKind::BuiltIn => {
                let built_in = ModelFiles::built_in_queries(files.name());
                let built_in = built_in.expect("asked for where there is one, anything else is a bug");
                let weights = stored_weights(&built_in.within(TABLE_FOLDER), &file)?;
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
        Ok((QueryTable { weights }, Decision::new("side", value, file)))
    }

    /// Each distinct token of `ids` with its weight; a repeated token counts once.
    pub fn encode(&self, ids: &[u32]) -> SparseVector {
        self.vector(ids, |_| 1.0)
    }

    /// The weights of `vector` at the tokens of `ids`, each times its own here; nothing else of it.
    pub fn masked(&self, vector: &SparseVector, ids: &[u32]) -> SparseVector {
        let weight = |id| match vector.indices().binary_search(&id) {
            Ok(place) => vector.weights()[place],
            Err(_) => 0.0,
        };
        self.vector(ids, weight)
    }

    fn vector(&self, ids: &[u32], times: impl Fn(u32) -> f32) -> SparseVector {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let pairs = ids.into_iter().map(|id| (id, self.weights[id as usize] * times(id))).collect();
        SparseVector::from_pairs(pairs).expect("distinct ids and checked weights: anything else is a bug")
    }
}

/// The tensor of a table, each element a weight.
fn stored_weights(files: &ModelFiles, file: &str) -> Result<Vec<f32>, Error> {
    let weights = crate::model::read_vector(files, TENSOR)?;
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
