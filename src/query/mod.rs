//! The inference-free query side: a weight per token from a table, no forward pass.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::source::ModelFiles;
use crate::sparse::SparseVector;
use crate::spec::Dialect;
use crate::spec::Provenance;
use crate::tokenizer::Tokenizer;

/// The folder of the table in repositories of opensearch-project.
const TABLE_FOLDER: &str = "query_0_SparseStaticEmbedding";
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
            return Some(TableSource::at(TABLE_FOLDER, TENSORS[0], TableKind::Tensor));
        }
        let beside = [(IDF_JSON, TableKind::Json), (TOKEN_WEIGHTS_TXT, TableKind::Text)];
        let found = beside.into_iter().find(|(name, _)| files.contains(name));
        let found = found.map(|(name, kind)| TableSource::at("", name, kind));
        // A tokenizer in an archive without a table is what ml-commons runs with a weight of 1 for each token.
        found.or_else(|| (files.is_archive() && Tokenizer::is_in(files)).then(TableSource::ones))
    }

    fn at(folder: &str, name: &str, kind: TableKind) -> Self {
        let file = if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
        TableSource { folder: folder.to_string(), file, kind }
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
        if let Some(path) = config.get("path").filter(|path| !path.is_null()) {
            let name = path.as_str().filter(|path| path.ends_with(".json"));
            // A path of the machine that saved it: what counts is the file's name, in the folder of the module.
            let name = name.and_then(|path| path.rsplit(['/', '\\']).next()).unwrap_or_default();
            if !inside.contains(name) || name.is_empty() {
                let reason = format!("`path` is {path}, and no such JSON file is beside it");
                return Err(Error::invalid(inside.describe("config.json"), reason));
            }
            return Ok(TableSource::at(folder, name, TableKind::Json));
        }
        if let Some(name) = TENSORS.into_iter().find(|name| inside.contains(name)) {
            return Ok(TableSource::at(folder, name, TableKind::Tensor));
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
    ) -> Result<(Self, Provenance), Error> {
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
        let weight = |id| match vector.indices().binary_search(&id) {
            Ok(place) => vector.weights()[place],
            Err(_) => 0.0,
        };
        self.vector(ids, weight).ok_or(Error::NotFinite("a weight of a query's own token"))
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
fn stored_weights(files: &ModelFiles, file: &str) -> Result<Vec<f32>, Error> {
    let weights = crate::parameters::read_vector(files, TENSOR)?;
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
