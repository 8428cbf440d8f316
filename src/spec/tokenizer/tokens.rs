//! Added tokens and special tokens: which tokens a folder's files add to its vocabulary, and which they call special.
//!
//! `added_tokens_decoder` of tokenizer_config.json, where it is there, has the whole say; otherwise the older files do:
//! special_tokens_map.json over tokenizer_config.json, added_tokens.json, and the added tokens of tokenizer.json.
//! Source: `_from_pretrained` of transformers' tokenizers.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::reader::{SettingsReader, TOKENIZER_JSON};
use super::super::settings::Settings;
use super::TokenizerClass;
use crate::error::Error;

/// The settings that name one special token each, in the order in which they are added.
const SPECIAL_TOKEN_KEYS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A token to add, with the flags that decide where it is found in a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AddedTokenSpec {
    pub content: String,
    pub single_word: bool,
    pub lstrip: bool,
    pub rstrip: bool,
    pub normalized: bool,
    pub special: bool,
}

impl AddedTokenSpec {
    fn special(content: &str) -> Self {
        AddedTokenSpec {
            content: content.to_string(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
        }
    }
}

/// A token as the files write it.
#[derive(Deserialize)]
struct WrittenToken {
    id: Option<u64>,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl WrittenToken {
    fn spec(self) -> AddedTokenSpec {
        AddedTokenSpec {
            content: self.content,
            single_word: self.single_word,
            lstrip: self.lstrip,
            rstrip: self.rstrip,
            normalized: self.normalized.unwrap_or(!self.special),
            special: self.special,
        }
    }
}

/// What the files say of tokens.
pub(super) struct TokenLists {
    pub added_tokens: Vec<AddedTokenSpec>,
    pub special_tokens: Vec<String>,
    pub special_tokens_source: String,
    /// tokenizer_config.json, with special_tokens_map.json over it where that counts.
    pub config: Map<String, Value>,
}

impl TokenLists {
    /// * `of_tokenizer_json`: the added tokens of tokenizer.json.
    /// * `is_alone`: whether a tokenizer.json stands without a model and without settings. The tokens that it calls special
    ///   are then the only ones that anything names.
    pub fn read(
        reader: &mut SettingsReader,
        folder: &str,
        config: &Settings,
        class: &TokenizerClass,
        of_tokenizer_json: Option<&RawValue>,
        is_alone: bool,
    ) -> Result<Self, Error> {
        let mut settings = config.keys.clone();
        let mut source = config.file.clone();
        // By the number that a file gives them, which decides their order and nothing else.
        let mut declared: BTreeMap<u64, AddedTokenSpec> = BTreeMap::new();
        match config.get("added_tokens_decoder") {
            Some(decoder) => {
                let wrong = |what: &str| config.invalid(format!("`added_tokens_decoder` {what}"));
                let decoder = decoder.as_object().ok_or_else(|| wrong("is not an object"))?;
                for (id, token) in decoder {
                    let id = id.parse().map_err(|_| wrong(&format!("has the id `{id}`, not a number")))?;
                    let token = WrittenToken::deserialize(token)
                        .map_err(|error| wrong(&format!("has no token for {id}: {error}")))?;
                    declared.insert(id, token.spec());
                }
            }
            None => {
                if let Some(map) = reader.special_tokens_map(folder)? {
                    if map.keys.keys().any(|key| is_special_key(key)) {
                        source = map.file.clone();
                    }
                    merge_special_tokens(&mut settings, &map.keys);
                }
                let special_contents: HashSet<&str> = special_contents(&settings, class).collect();
                for (content, id) in reader.added_tokens(folder)? {
                    let special = special_contents.contains(content.as_str());
                    let token = AddedTokenSpec { normalized: !special, ..AddedTokenSpec::special(&content) };
                    declared.insert(id, AddedTokenSpec { special, ..token });
                }
                let file = reader.files().within(folder).describe(TOKENIZER_JSON);
                let written = of_tokenizer_json.map_or("[]", RawValue::get);
                let written: Vec<WrittenToken> = serde_json::from_str(written)
                    .map_err(|error| Error::invalid(&file, format!("`added_tokens`: {error}")))?;
                for token in written {
                    let id = token.id.ok_or_else(|| Error::invalid(&file, "an added token without an id"))?;
                    declared.insert(id, token.spec());
                }
            }
        }
        let named: Vec<AddedTokenSpec> = named_special_tokens(&settings, class, &declared, config)?;
        let extra = extra_special_tokens(&settings, config)?;
        // A class that uses tokenizer.json as it is has these already, with flags of their own.
        let present: HashSet<String> = match (class, of_tokenizer_json) {
            (TokenizerClass::Generic, Some(written)) => {
                let written: Vec<WrittenToken> = serde_json::from_str(written.get()).unwrap_or_default();
                written.into_iter().map(|token| token.content).collect()
            }
            _ => HashSet::new(),
        };
        // A file may hold a hundred thousand tokens: they are looked up, not searched for.
        let named_contents: HashSet<&str> = named.iter().map(|token| token.content.as_str()).collect();
        let mut added_tokens: Vec<AddedTokenSpec> = declared.into_values().collect();
        for token in &mut added_tokens {
            token.special |= named_contents.contains(token.content.as_str());
        }
        let mut added_contents: HashSet<String> =
            added_tokens.iter().map(|token| token.content.clone()).collect();
        let mut special_tokens: Vec<String> = Vec::new();
        if is_alone && matches!(class, TokenizerClass::Generic) && named.is_empty() && extra.is_empty() {
            let special = added_tokens.iter().filter(|token| token.special);
            special_tokens.extend(special.map(|token| token.content.clone()));
            source = reader.files().within(folder).describe(TOKENIZER_JSON);
        }
        let mut special_contents: HashSet<&str> = HashSet::new();
        for token in named.iter().chain(&extra) {
            if special_contents.insert(&token.content) {
                special_tokens.push(token.content.clone());
            }
            if !present.contains(&token.content) && added_contents.insert(token.content.clone()) {
                added_tokens.push(token.clone());
            }
        }
        if special_tokens.iter().all(|token| is_default(token, class)) && !has_special_keys(&settings) {
            source = "the defaults of the tokenizer class".into();
        }
        Ok(TokenLists { added_tokens, special_tokens, special_tokens_source: source, config: settings })
    }
}

fn is_special_key(key: &str) -> bool {
    key.ends_with("_token") || ["extra_special_tokens", "additional_special_tokens"].contains(&key)
}

fn has_special_keys(settings: &Map<String, Value>) -> bool {
    settings.iter().any(|(key, value)| is_special_key(key) && text(value).is_some())
}

fn is_default(token: &str, class: &TokenizerClass) -> bool {
    class.default_special_tokens().iter().any(|(_, default)| *default == token)
}

/// special_tokens_map.json over tokenizer_config.json, key by key.
fn merge_special_tokens(settings: &mut Map<String, Value>, map: &Map<String, Value>) {
    // The older key's tokens are moved before the file is read.
    if let Some(older) = settings.remove("additional_special_tokens") {
        let extra = settings.get("extra_special_tokens");
        if extra.is_none_or(|extra| extra.is_null() || extra.as_array().is_some_and(Vec::is_empty)) {
            settings.insert("extra_special_tokens".into(), older);
        }
    }
    for (key, value) in map {
        if let ("extra_special_tokens", Value::Array(new)) = (key.as_str(), value) {
            let mut tokens = match settings.remove(key) {
                Some(Value::Array(tokens)) => tokens,
                _ => Vec::new(),
            };
            let old: HashSet<&Value> = tokens.iter().collect();
            let added: Vec<Value> = new.iter().filter(|token| !old.contains(token)).cloned().collect();
            tokens.extend(added);
            settings.insert(key.clone(), Value::Array(tokens));
        } else {
            settings.insert(key.clone(), value.clone());
        }
    }
}

/// The token in every key that names a special one.
fn special_contents<'a>(
    settings: &'a Map<String, Value>,
    class: &'a TokenizerClass,
) -> impl Iterator<Item = &'a str> + 'a {
    let default = |key: &str| {
        let found = class.default_special_tokens().iter().find(|(name, _)| *name == key);
        found.map(|(_, token)| *token)
    };
    let named = SPECIAL_TOKEN_KEYS.into_iter().filter_map(move |key| match settings.get(key) {
        None => default(key),
        Some(value) => text(value),
    });
    let extra = settings.get("extra_special_tokens").and_then(Value::as_array).into_iter().flatten();
    named.chain(extra.filter_map(text))
}

/// The token of each key that names one, the seven usual ones first.
fn named_special_tokens(
    settings: &Map<String, Value>,
    class: &TokenizerClass,
    declared: &BTreeMap<u64, AddedTokenSpec>,
    config: &Settings,
) -> Result<Vec<AddedTokenSpec>, Error> {
    let none = Map::new();
    let of_model = match settings.get("extra_special_tokens") {
        Some(Value::Object(tokens)) => tokens,
        _ => &none,
    };
    let is_usual = |key: &str| SPECIAL_TOKEN_KEYS.contains(&key);
    let others = settings.iter().filter(|(key, value)| {
        key.ends_with("_token") && !is_usual(key) && text(value).is_some() && !of_model.contains_key(*key)
    });
    let usual = SPECIAL_TOKEN_KEYS.into_iter().filter_map(|key| match settings.get(key) {
        None => {
            let defaults = class.default_special_tokens();
            defaults.iter().find(|(name, _)| *name == key).map(|(_, token)| (key, Value::from(*token)))
        }
        Some(value) => Some((key, value.clone())),
    });
    let others = others.chain(of_model).map(|(key, value)| (key.as_str(), value.clone()));
    // Of several with one content, that of the largest number.
    let declared: HashMap<&str, &AddedTokenSpec> =
        declared.values().map(|token| (token.content.as_str(), token)).collect();
    let mut tokens: Vec<AddedTokenSpec> = Vec::new();
    let mut contents: HashSet<String> = HashSet::new();
    for (key, value) in usual.chain(others) {
        if value.is_null() {
            continue;
        }
        let token =
            token(&value).ok_or_else(|| config.invalid(format!("`{key}` is {value}, not a token")))?;
        let token = declared.get(token.content.as_str()).map_or(token, |declared| (*declared).clone());
        if contents.insert(token.content.clone()) {
            tokens.push(token);
        }
    }
    Ok(tokens)
}

fn extra_special_tokens(
    settings: &Map<String, Value>,
    config: &Settings,
) -> Result<Vec<AddedTokenSpec>, Error> {
    let is_empty = |value: &&Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    let extra = settings.get("extra_special_tokens").filter(|value| !is_empty(value));
    match extra.or_else(|| settings.get("additional_special_tokens")) {
        None | Some(Value::Null | Value::Object(_)) => Ok(Vec::new()),
        Some(Value::Array(tokens)) => {
            let read = |value: &Value| {
                token(value)
                    .ok_or_else(|| config.invalid(format!("`extra_special_tokens` has {value}, not a token")))
            };
            tokens.iter().map(read).collect()
        }
        Some(other) => {
            Err(config.invalid(format!("`extra_special_tokens` is {other}, not a list of tokens")))
        }
    }
}

/// A special token, written as a string or as an object with its flags.
fn token(value: &Value) -> Option<AddedTokenSpec> {
    match value {
        Value::String(content) => Some(AddedTokenSpec::special(content)),
        Value::Object(_) => {
            let token = WrittenToken::deserialize(value).ok()?;
            let normalized = token.normalized.unwrap_or(false);
            Some(AddedTokenSpec { normalized, special: true, ..token.spec() })
        }
        _ => None,
    }
}

/// The text of a token, written as a string or as `{"content": …}`.
pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}
