//! Which of a repository's files make a model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{is_plain, HubError};

const CONFIG: &str = "config.json";
const SAFETENSORS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";
const TOKENIZER: &str = "tokenizer.json";
const VOCABULARY: &str = "vocab.txt";
const IDF: &str = "idf.json";
const TOKEN_WEIGHTS: &str = "query_token_weights.txt";

/// Which files of a repository a model needs.
pub(super) struct Needed {
    /// Settings, vocabulary and tables, in the order of download.
    pub(super) small: Vec<String>,
    /// The checkpoint, or the index that names its shards.
    pub(super) checkpoint: &'static str,
}

impl Needed {
    pub(super) fn new(id: &str, names: &[&str]) -> Result<Self, HubError> {
        let has = |name: &str| names.contains(&name);
        // The first of each is preferred; formats for other programs are never fetched.
        let checkpoint = [SAFETENSORS, INDEX, PICKLE].into_iter().find(|name| has(name));
        let tokenizer = [TOKENIZER, VOCABULARY].into_iter().find(|name| has(name));
        let (Some(checkpoint), Some(tokenizer), true) = (checkpoint, tokenizer, has(CONFIG)) else {
            let missing = [
                (has(CONFIG), "`config.json`"),
                (checkpoint.is_some(), "`model.safetensors` (nor its shards, nor `pytorch_model.bin`)"),
                (tokenizer.is_some(), "`tokenizer.json` (nor `vocab.txt`)"),
            ];
            let missing = missing.into_iter().filter(|(there, _)| !there).map(|(_, name)| name).collect();
            return Err(HubError::NoCheckpoint { id: id.into(), missing });
        };
        let optional = [
            "tokenizer_config.json",
            "special_tokens_map.json",
            "sentence_bert_config.json",
            "modules.json",
            "config_sentence_transformers.json",
            "router_config.json",
            // The same numbers twice: the JSON needs no default for absent terms.
            if has(IDF) { IDF } else { TOKEN_WEIGHTS },
            "query_0_SparseStaticEmbedding/config.json",
            "query_0_SparseStaticEmbedding/model.safetensors",
        ];
        let mut small = vec![CONFIG.to_string(), tokenizer.to_string()];
        small.extend(names.iter().filter(|name| is_pooling_config(name)).map(|name| name.to_string()));
        small.extend(optional.into_iter().filter(|name| has(name)).map(String::from));
        Ok(Needed { small, checkpoint })
    }
}

fn is_pooling_config(name: &str) -> bool {
    name.strip_suffix("/config.json")
        .is_some_and(|folder| folder.ends_with("SpladePooling") && is_plain(folder))
}

/// The first file that the model `id` needs and `folder` lacks.
pub(super) fn missing(id: &str, folder: &Path) -> Result<Option<String>, HubError> {
    let has = |file: &str| folder.join(file).is_file();
    if !has(CONFIG) {
        return Ok(Some(CONFIG.into()));
    }
    if !has(TOKENIZER) && !has(VOCABULARY) {
        return Ok(Some(TOKENIZER.into()));
    }
    // Other programs cache such models without the table, which they do not use.
    let has_query_table = crate::known::find(id).is_some_and(|model| model.query_side == "table");
    if has_query_table && !has(IDF) && !has(TOKEN_WEIGHTS) {
        return Ok(Some(IDF.into()));
    }
    if has(SAFETENSORS) {
        return Ok(None);
    }
    if has(INDEX) {
        return Ok(shards(&folder.join(INDEX))?.into_iter().find(|shard| !has(shard)));
    }
    Ok(if has(PICKLE) { None } else { Some(SAFETENSORS.into()) })
}

/// The files that a sharded checkpoint's index names.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>, HubError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let invalid = |reason: String| HubError::Index { path: index.into(), reason };
    let bytes = fs::read(index).map_err(|source| HubError::Cache { path: index.into(), source })?;
    let index: Index = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    if shards.is_empty() {
        return Err(invalid("`weight_map` names no file".into()));
    }
    // A name with a folder in it could read, or have written, any file of the user's.
    match shards.iter().find(|shard| !is_plain(shard)) {
        Some(shard) => Err(invalid(format!("`{shard}` is not a plain file name"))),
        None => Ok(shards),
    }
}
