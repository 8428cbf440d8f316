//! Which of a repository's files make a model, or its query side.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter::once;
use std::path::Path;

use serde_json::Value;

use super::listing::{path, Listing, CONFIG, ROOT, ROUTER_CONFIG};
use super::{is_plain, HubError, Parts};
use crate::error::Error;
use crate::known::{KnownModel, QuerySide};
use crate::spec::families;

const SAFETENSORS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";
const TOKENIZER: &str = "tokenizer.json";
const VOCABULARY: &str = "vocab.txt";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const IDF: &str = "idf.json";
const TOKEN_WEIGHTS: &str = "query_token_weights.txt";

/// Which files of a repository are to be fetched, beside the [`configs`].
pub(super) struct Needed {
    /// Settings, vocabularies and tables, in the order of download.
    pub(super) small: Vec<String>,
    /// The checkpoints, or the indexes that name their shards.
    pub(super) checkpoints: Vec<String>,
    /// Whether the checkpoints can be done without.
    pub(super) is_query_side: bool,
}

impl Needed {
    pub(super) fn new(id: &str, listing: &Listing, parts: Parts) -> Result<Self, HubError> {
        let missing = lacks(listing, parts, None);
        if !missing.is_empty() {
            return Err(HubError::NoCheckpoint { id: id.into(), missing });
        }
        let checkpoints = transformers(listing).into_iter();
        let checkpoints = checkpoints.filter_map(|place| Some(path(place, checkpoint(listing, place)?)));
        Ok(Needed {
            small: small_files(listing),
            checkpoints: checkpoints.collect(),
            is_query_side: parts == Parts::QuerySide && has_query_table(listing),
        })
    }
}

/// The configs that say of which architecture the transformers are; they are fetched before anything else.
pub(super) fn configs(listing: &Listing) -> Vec<String> {
    let places = once(ROOT).chain(listing.transformer_folders());
    places.filter(|place| listing.has(place, CONFIG)).map(|place| path(place, CONFIG)).collect()
}

/// Refuses an architecture that this program does not run. Whether a config makes sense is seen when it is loaded.
pub(super) fn refuse_unsupported(id: &str, snapshot: &Path, config: &str) -> Result<(), HubError> {
    let path = snapshot.join(config);
    let bytes = fs::read(&path).map_err(|source| HubError::Cache { path, source })?;
    let keys: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    match keys["model_type"].as_str() {
        Some(model_type) if families::Family::of_model_type(model_type).is_none() => {
            let file = format!("{id}/{config}");
            Err(HubError::Model(Error::UnsupportedModel { file, model_type: model_type.into() }))
        }
        // The config of a Router names no architecture.
        _ => Ok(()),
    }
}

/// Where there is, or ought to be, a transformer: the root, folders, or both; at least one.
fn transformers(listing: &Listing) -> Vec<&str> {
    let in_root = listing.is_transformer_in_root() || checkpoint(listing, ROOT).is_some();
    in_root.then_some(ROOT).into_iter().chain(listing.transformer_folders()).collect()
}

/// The form of checkpoint to take; formats for other programs are none.
fn checkpoint(listing: &Listing, place: &str) -> Option<&'static str> {
    listing.first_of(place, &[SAFETENSORS, INDEX, PICKLE])
}

fn tokenizer(listing: &Listing, place: &str) -> Option<&'static str> {
    listing.first_of(place, &[TOKENIZER, VOCABULARY])
}

/// The table in the root. The same numbers are there twice: the JSON needs no default for absent terms.
fn root_table(listing: &Listing) -> Option<&'static str> {
    listing.first_of(ROOT, &[IDF, TOKEN_WEIGHTS])
}

/// Whether queries need a table and no transformer.
fn has_query_table(listing: &Listing) -> bool {
    // One that comes later in its route only picks from what a transformer gave.
    let has_table =
        root_table(listing).is_some() || listing.table_folders().any(|folder| folder.starts_with("query_0_"));
    has_table && !listing.transformer_folders().any(|folder| folder.starts_with("query_"))
}

fn small_files(listing: &Listing) -> Vec<String> {
    let mut small = Vec::new();
    let mut take = |place: &str, files: &[&str]| {
        small.extend(files.iter().filter(|file| listing.has(place, file)).map(|file| path(place, file)));
    };
    for place in once(ROOT).chain(listing.transformer_folders()) {
        take(place, tokenizer(listing, place).as_slice());
        take(place, &[TOKENIZER_CONFIG, SPECIAL_TOKENS, "sentence_bert_config.json"]);
        take(place, &["sentence_roberta_config.json", "sentence_distilbert_config.json"]);
    }
    take(ROOT, &["modules.json", "config_sentence_transformers.json", ROUTER_CONFIG]);
    for folder in listing.other_folders() {
        take(folder, &[CONFIG]);
    }
    for folder in listing.table_folders() {
        // All JSON, for its config may name any of them as the table.
        for file in listing.files_in(folder).filter(|file| file.ends_with(".json")) {
            take(folder, &[file]);
        }
        if tokenizer(listing, folder) == Some(VOCABULARY) {
            take(folder, &[VOCABULARY]);
        }
        take(folder, listing.first_of(folder, &[SAFETENSORS, PICKLE]).as_slice());
    }
    take(ROOT, root_table(listing).as_slice());
    small
}

/// The files for lack of which `listing` is not `parts` of a model.
///
/// * `known`: the model, where it is known what it should have.
fn lacks(listing: &Listing, parts: Parts, known: Option<&KnownModel>) -> Vec<String> {
    let query_side = known.map(|model| model.query_side);
    let has_table = has_query_table(listing);
    let mut lacks = Vec::new();
    if parts == Parts::QuerySide && (has_table || query_side == Some(QuerySide::Table)) {
        let places = transformers(listing);
        if !places.iter().any(|place| listing.has(place, CONFIG)) {
            lacks.push(path(places[0], CONFIG));
        }
        let mut vocabularies = places.iter().copied().chain(once(ROOT)).chain(listing.table_folders());
        if !vocabularies.any(|place| tokenizer(listing, place).is_some()) {
            lacks.push(path(places[0], TOKENIZER));
        }
    } else {
        lacks.extend(transformers(listing).into_iter().flat_map(|place| transformer_lacks(listing, place)));
    }
    // Other programs cache such models without the query side, which they do not use.
    match query_side {
        Some(QuerySide::Table) if !has_table => lacks.push(IDF.into()),
        Some(QuerySide::AnotherModel) if listing.transformer_folders().next().is_none() => {
            lacks.push(ROUTER_CONFIG.into());
        }
        _ => {}
    }
    if root_table(listing).is_none() {
        let empty = listing.table_folders().filter(|folder| !listing.files_in(folder).any(is_table_file));
        lacks.extend(empty.map(|folder| path(folder, SAFETENSORS)));
    }
    lacks
}

fn transformer_lacks(listing: &Listing, place: &str) -> Vec<String> {
    let needed = [
        (listing.has(place, CONFIG), CONFIG),
        (tokenizer(listing, place).or(tokenizer(listing, ROOT)).is_some(), TOKENIZER),
        (checkpoint(listing, place).is_some(), SAFETENSORS),
    ];
    needed.into_iter().filter(|(is_there, _)| !is_there).map(|(_, file)| path(place, file)).collect()
}

/// Whether a file in the folder of a table can be the table.
fn is_table_file(file: &str) -> bool {
    let is_other = [CONFIG, TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS].contains(&file);
    [SAFETENSORS, PICKLE].contains(&file) || (file.ends_with(".json") && !is_other)
}

/// A file that `parts` of a model need and its cached copy lacks.
pub(super) fn missing(id: &str, snapshot: &Path, parts: Parts) -> Result<Option<String>, HubError> {
    let listing = Listing::of_snapshot(snapshot);
    // What is not of the checkpoint comes first, as in a download.
    let mut lacks = lacks(&listing, parts, crate::known::find(id));
    lacks.sort_by_key(|file| file.ends_with(SAFETENSORS));
    if let Some(file) = lacks.into_iter().next() {
        return Ok(Some(file));
    }
    if parts == Parts::QuerySide && has_query_table(&listing) {
        return Ok(None);
    }
    for place in transformers(&listing) {
        if checkpoint(&listing, place) == Some(INDEX) {
            let index = path(place, INDEX);
            let shards = shards(snapshot, &index)?;
            if let Some(shard) = shards.into_iter().find(|shard| !snapshot.join(shard).is_file()) {
                return Ok(Some(shard));
            }
        }
    }
    Ok(None)
}

/// The files that `file` names, if it is the index of a sharded checkpoint.
pub(super) fn shards(snapshot: &Path, file: &str) -> Result<BTreeSet<String>, HubError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let Some(folder) = file.strip_suffix(INDEX) else { return Ok(BTreeSet::new()) };
    let index = snapshot.join(file);
    let invalid = |reason: String| HubError::Index { path: index.clone(), reason };
    let bytes = fs::read(&index).map_err(|source| HubError::Cache { path: index.clone(), source })?;
    let weights: Index = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    let shards: BTreeSet<String> = weights.weight_map.into_values().collect();
    if shards.is_empty() {
        return Err(invalid("`weight_map` names no file".into()));
    }
    // A name with a folder in it could read, or have written, any file of the user's.
    match shards.iter().find(|shard| !is_plain(shard)) {
        Some(shard) => Err(invalid(format!("`{shard}` is not a plain file name"))),
        None => Ok(shards.into_iter().map(|shard| format!("{folder}{shard}")).collect()),
    }
}
