//! Every key of a model's settings, and what becomes of it: followed, harmless or refused.
//!
//! A setting that nobody reads is the way to a wrong vector without a message. This table says for each key that
//! transformers 4 and 5 and sentence-transformers 5 and 6 write whether it decides a vector, cannot change one, or
//! may only have the values that are implemented. What only one family has in its config.json stands in the family's file;
//! everything else is here. It holds no defaults and reads no values; the spec does. A key that is
//! in no table is reported by name, so that `model show` can list it.
//!
//! The treatments were read from the libraries' sources and tried on small models; `tests/fixtures/make_keys.py` collects
//! the keys that the libraries write, and a test requires that the table has them all.

pub(super) mod config;
mod sentence_transformers;
#[cfg(test)]
mod tests;
mod tokenizer;

use std::fmt;

use serde_json::{Map, Value};

use crate::one_line::one_line;

/// The most keys of a model that are remembered because no table lists them: more than anyone reads.
pub(super) const MAX_UNKNOWN_KEYS: usize = 1000;

/// The files whose keys the table covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SettingsFile {
    /// config.json of a transformer.
    Config,
    /// tokenizer_config.json.
    TokenizerConfig,
    /// The top level of tokenizer.json, its truncation and its added tokens.
    TokenizerJson,
    /// special_tokens_map.json.
    SpecialTokensMap,
    /// added_tokens.json, whose keys are tokens.
    AddedTokens,
    /// One entry of modules.json.
    ModulesEntry,
    /// router_config.json, or the config.json of an `Asym`.
    Router,
    /// sentence_bert_config.json, by whichever of its names.
    SentenceBert,
    /// config.json of a `SpladePooling`.
    SpladePooling,
    /// config.json of a `SparseStaticEmbedding`, or of an `IDF`.
    SparseStaticEmbedding,
    /// config_sentence_transformers.json.
    SentenceTransformers,
}

/// What becomes of a key.
///
/// `null` counts as absent everywhere: it is harmless whatever the treatment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Treatment {
    /// The spec reads it, and it decides a vector.
    Followed,
    /// It cannot change a vector; why.
    Harmless(
        #[cfg_attr(not(test), expect(dead_code, reason = "said for whoever reads the table"))] &'static str,
    ),
    /// Followed in these values alone, written as JSON; what any other would do. No values: the key is refused.
    Only(&'static [&'static str], &'static str),
    /// A class, or a list of them, of which the last part of the name must be one of these; what another would do.
    Class(&'static [&'static str], &'static str),
    /// An object with these keys. A value that is no object is the spec's to read.
    Within(&'static [Key]),
    /// An object with the keys of these tables and no others; what another would do.
    Closed(&'static [&'static [Key]], &'static str),
    /// An object or list of objects that each have these keys.
    Each(&'static [Key]),
}

/// A key and its treatment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// The key; `*suffix` for every key that ends so and is not in the table itself.
    pub name: &'static str,
    pub treatment: Treatment,
}

/// The keys of config.json that one family of models has of its own: tables of which the first that has a key decides.
pub(crate) type FamilyKeys = &'static [&'static [Key]];

/// A value that would change vectors in a way that is not implemented.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    /// The key, after those of the objects around it and dots: `model_args.quantization_config`.
    pub key: String,
    pub value: Value,
    /// What the value would do.
    pub reason: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { key, value, reason } = self;
        let value = value.to_string();
        match value.char_indices().nth(80) {
            None => write!(f, "`{key}` {value} is not supported: {reason}"),
            Some((end, _)) => write!(f, "`{key}` {}… is not supported: {reason}", &value[..end]),
        }
    }
}

/// Checks the keys of one file.
///
/// * `family`: the keys of config.json that the model's family has of its own.
///
/// Returns the keys that are not in the table, [`MAX_UNKNOWN_KEYS`] at most; those of an object inside another after its
/// key and a dot.
///
/// # Errors
///
/// The first key whose value is refused.
pub(crate) fn check(
    file: SettingsFile,
    family: FamilyKeys,
    keys: &Map<String, Value>,
) -> Result<Vec<String>, Refusal> {
    let mut unknown = Vec::new();
    check_object(&tables(file, family), "", keys, None, &mut unknown)?;
    Ok(unknown)
}

/// The treatment of a key at the top level of a file; `None` for one that the table lacks.
#[cfg(test)]
pub(crate) fn treatment(file: SettingsFile, family: FamilyKeys, name: &str) -> Option<Treatment> {
    find(&tables(file, family), name)
}

/// The tables of a file, the first of which that has a key decides.
fn tables(file: SettingsFile, family: FamilyKeys) -> Vec<&'static [Key]> {
    let table = match file {
        SettingsFile::Config => return family.iter().copied().chain([config::COMMON]).collect(),
        SettingsFile::TokenizerConfig => tokenizer::CONFIG,
        SettingsFile::TokenizerJson => tokenizer::JSON,
        SettingsFile::SpecialTokensMap => tokenizer::SPECIAL_TOKENS_MAP,
        SettingsFile::AddedTokens => tokenizer::ADDED_TOKENS,
        SettingsFile::ModulesEntry => sentence_transformers::MODULES_ENTRY,
        SettingsFile::Router => sentence_transformers::ROUTER,
        SettingsFile::SentenceBert => sentence_transformers::TRANSFORMER,
        SettingsFile::SpladePooling => sentence_transformers::SPLADE_POOLING,
        SettingsFile::SparseStaticEmbedding => sentence_transformers::SPARSE_STATIC_EMBEDDING,
        SettingsFile::SentenceTransformers => sentence_transformers::MODEL,
    };
    vec![table]
}

fn find(tables: &[&[Key]], name: &str) -> Option<Treatment> {
    let exact = tables.iter().flat_map(|table| *table).find(|key| key.name == name);
    let by_suffix = |key: &&Key| key.name.strip_prefix('*').is_some_and(|suffix| name.ends_with(suffix));
    exact.or_else(|| tables.iter().flat_map(|table| *table).find(by_suffix)).map(|key| key.treatment)
}

/// * `path`: the keys of the objects around this one.
/// * `closed`: why a key that is in no table is refused; such keys are reported when `None`.
fn check_object(
    tables: &[&[Key]],
    path: &str,
    keys: &Map<String, Value>,
    closed: Option<&'static str>,
    unknown: &mut Vec<String>,
) -> Result<(), Refusal> {
    for (name, value) in keys {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if value.is_null() {
            continue;
        }
        match (find(tables, name), closed) {
            (Some(treatment), _) => check_value(treatment, key, value, unknown)?,
            (None, Some(reason)) => return Err(Refusal { key, value: value.clone(), reason }),
            (None, None) if unknown.len() < MAX_UNKNOWN_KEYS => unknown.push(key),
            (None, None) => {}
        }
    }
    Ok(())
}

fn check_value(
    treatment: Treatment,
    key: String,
    value: &Value,
    unknown: &mut Vec<String>,
) -> Result<(), Refusal> {
    let refuse = |key, reason| Err(Refusal { key, value: value.clone(), reason });
    match treatment {
        Treatment::Followed | Treatment::Harmless(_) => Ok(()),
        Treatment::Only(values, reason) => {
            let is_one = |text: &&str| serde_json::from_str(text).is_ok_and(|allowed| same(&allowed, value));
            if values.iter().any(is_one) {
                Ok(())
            } else {
                refuse(key, reason)
            }
        }
        Treatment::Class(names, reason) => {
            if is_class(names, value) {
                Ok(())
            } else {
                refuse(key, reason)
            }
        }
        Treatment::Within(table) => match value {
            Value::Object(keys) => check_object(&[table], &key, keys, None, unknown),
            _ => Ok(()),
        },
        Treatment::Closed(tables, reason) => match value {
            Value::Object(keys) => check_object(tables, &key, keys, Some(reason), unknown),
            _ => Ok(()),
        },
        Treatment::Each(table) => {
            let elements: Vec<(String, &Value)> = match value {
                Value::Object(elements) => {
                    elements.iter().map(|(name, value)| (name.clone(), value)).collect()
                }
                Value::Array(elements) => {
                    elements.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
                }
                _ => return Ok(()),
            };
            for (name, element) in elements {
                // The name stands before each of the element's keys: however long it is, they stay short.
                let key = format!("{key}.{}", one_line(&name));
                check_value(Treatment::Within(table), key, element, unknown)?;
            }
            Ok(())
        }
    }
}

/// Whether two values are the same; 1 and 1.0 are.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

/// Whether the last part of a class's name is one of `names`; that of every class of a list, where one may be `null`.
fn is_class(names: &[&str], value: &Value) -> bool {
    match value {
        Value::String(class) => {
            let name = class.rsplit('.').next().unwrap_or_default();
            names.contains(&name)
        }
        Value::Array(classes) => classes.iter().all(|class| class.is_null() || is_class(names, class)),
        _ => false,
    }
}

pub(super) const fn followed(name: &'static str) -> Key {
    Key { name, treatment: Treatment::Followed }
}

pub(super) const fn harmless(name: &'static str, why: &'static str) -> Key {
    Key { name, treatment: Treatment::Harmless(why) }
}

pub(super) const fn only(name: &'static str, values: &'static [&'static str], other: &'static str) -> Key {
    Key { name, treatment: Treatment::Only(values, other) }
}

pub(super) const fn refused(name: &'static str, why: &'static str) -> Key {
    Key { name, treatment: Treatment::Only(&[], why) }
}

pub(super) const fn within(name: &'static str, keys: &'static [Key]) -> Key {
    Key { name, treatment: Treatment::Within(keys) }
}

pub(super) const fn closed(name: &'static str, keys: &'static [&'static [Key]], other: &'static str) -> Key {
    Key { name, treatment: Treatment::Closed(keys, other) }
}
