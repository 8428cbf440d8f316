//! The settings files of a model, each read once, with every key accounted for.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::families::Family;
use super::keys::{self, SettingsFile};
use super::tokenizer::{TOKENIZER_CONFIG, TOKENIZER_JSON};
use crate::error::Error;
use crate::source::ModelFiles;

const CONFIG: &str = "config.json";
const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";
const SENTENCE_TRANSFORMERS: &str = "config_sentence_transformers.json";

/// The settings of a transformer, in the order in which sentence-transformers looks for them.
const TRANSFORMER_SETTINGS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// One settings file: an object of JSON.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub keys: Map<String, Value>,
    /// Its path, for messages.
    pub file: String,
    /// Its name in its folder.
    pub name: String,
    /// Whether the file is there.
    pub exists: bool,
}

impl Settings {
    /// The value of a key; `None` where it is absent or null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    /// That `file`, below the model's files, is not there, although this file asks for it.
    pub fn lacks(&self, file: String, reason: impl Into<String>) -> Error {
        Error::NoModel { place: self.file.clone(), reason: reason.into(), file }
    }

    /// That this file cannot be followed.
    pub fn invalid(&self, reason: impl Into<String>) -> Error {
        Error::invalid(&self.file, reason)
    }
}

/// A key that no table lists: nobody has said yet whether it changes a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The file that has it.
    pub file: String,
    /// The key.
    pub key: String,
}

/// Reads settings files, and remembers the keys that no table lists.
pub(crate) struct SettingsReader<'a> {
    files: &'a ModelFiles,
    unknown: Vec<UnknownKey>,
    read: BTreeMap<String, Settings>,
}

impl<'a> SettingsReader<'a> {
    pub fn new(files: &'a ModelFiles) -> Self {
        SettingsReader { files, unknown: Vec::new(), read: BTreeMap::new() }
    }

    /// All files of the model.
    pub fn files(&self) -> &'a ModelFiles {
        self.files
    }

    /// The keys that no table lists, in the order of reading.
    pub fn into_unknown(self) -> Vec<UnknownKey> {
        self.unknown
    }

    /// The `model_type` of config.json, whatever else the file is.
    pub fn model_type(&self, folder: &str) -> Result<Option<String>, Error> {
        let keys: Option<Map<String, Value>> = self.parsed(folder, CONFIG, "object")?;
        Ok(keys.as_ref().and_then(|keys| keys.get("model_type")?.as_str()).map(String::from))
    }

    /// config.json of a transformer.
    pub fn config(&mut self, folder: &str) -> Result<Settings, Error> {
        self.object(folder, CONFIG, SettingsFile::Config)
    }

    /// tokenizer_config.json.
    pub fn tokenizer_config(&mut self, folder: &str) -> Result<Settings, Error> {
        self.object(folder, TOKENIZER_CONFIG, SettingsFile::TokenizerConfig)
    }

    /// special_tokens_map.json, where there is one.
    pub fn special_tokens_map(&mut self, folder: &str) -> Result<Option<Settings>, Error> {
        let map = self.object(folder, SPECIAL_TOKENS_MAP, SettingsFile::SpecialTokensMap)?;
        Ok(Some(map).filter(|map| map.exists))
    }

    /// The tokens of added_tokens.json with their numbers.
    pub fn added_tokens(&mut self, folder: &str) -> Result<Vec<(String, u64)>, Error> {
        let tokens = self.object(folder, ADDED_TOKENS, SettingsFile::AddedTokens)?;
        let token = |(token, id): (&String, &Value)| match id.as_u64() {
            Some(id) => Ok((token.clone(), id)),
            None => Err(tokens.invalid(format!("the id of `{token}` is {id}, not a number"))),
        };
        tokens.keys.iter().map(token).collect()
    }

    /// The settings that sentence-transformers keeps beside a transformer, by whichever name.
    pub fn transformer_settings(&mut self, folder: &str) -> Result<Settings, Error> {
        for name in TRANSFORMER_SETTINGS {
            let settings = self.object(folder, name, SettingsFile::SentenceBert)?;
            // An empty object counts as none, as in sentence-transformers.
            if !settings.keys.is_empty() {
                return Ok(settings);
            }
        }
        self.object(folder, TRANSFORMER_SETTINGS[0], SettingsFile::SentenceBert)
    }

    /// config_sentence_transformers.json.
    pub fn sentence_transformers(&mut self) -> Result<Settings, Error> {
        self.object("", SENTENCE_TRANSFORMERS, SettingsFile::SentenceTransformers)
    }

    /// The config.json of a module that is not a transformer.
    pub fn module(&mut self, folder: &str, kind: SettingsFile) -> Result<Settings, Error> {
        self.object(folder, CONFIG, kind)
    }

    /// The config of a Router, by its newer name or its first one.
    pub fn router(&mut self, folder: &str) -> Result<Settings, Error> {
        let router = self.object(folder, "router_config.json", SettingsFile::Router)?;
        match router.exists {
            true => Ok(router),
            false => self.object(folder, CONFIG, SettingsFile::Router),
        }
    }

    /// What tokenizer.json says besides its components, read into `T`.
    pub fn tokenizer_json<'b, T: Deserialize<'b>>(
        &mut self,
        folder: &str,
        bytes: &'b [u8],
    ) -> Result<T, Error> {
        let file = self.files.within(folder).describe(TOKENIZER_JSON);
        let invalid = |error: serde_json::Error| Error::invalid(&file, error.to_string());
        let parts: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).map_err(invalid)?;
        let mut keys = Map::new();
        for (key, part) in parts {
            // The components are the tokenizers library's own.
            let is_component =
                ["model", "normalizer", "pre_tokenizer", "post_processor", "decoder"].contains(&key.as_str());
            let value = match is_component {
                true => Value::Bool(true),
                false => serde_json::from_str(part.get()).map_err(invalid)?,
            };
            keys.insert(key, value);
        }
        self.account(&file, SettingsFile::TokenizerJson, None, &keys)?;
        serde_json::from_slice(bytes).map_err(invalid)
    }

    /// modules.json, where there is one: each module's object.
    pub fn modules(&mut self) -> Result<Option<Vec<Map<String, Value>>>, Error> {
        const MODULES: &str = "modules.json";
        let Some(modules) = self.parsed::<Vec<Map<String, Value>>>("", MODULES, "array of objects")? else {
            return Ok(None);
        };
        let file = self.files.describe(MODULES);
        for module in &modules {
            self.account(&file, SettingsFile::ModulesEntry, None, module)?;
        }
        Ok(Some(modules))
    }

    /// The index of a sharded checkpoint.
    pub fn shard_index(&mut self, folder: &str, name: &str) -> Result<Option<Map<String, Value>>, Error> {
        self.parsed(folder, name, "object")
    }

    fn object(&mut self, folder: &str, name: &str, kind: SettingsFile) -> Result<Settings, Error> {
        let path = self.files.within(folder).inside(name);
        if let Some(settings) = self.read.get(&path) {
            return Ok(settings.clone());
        }
        let keys = self.parsed::<Map<String, Value>>(folder, name, "object")?;
        let settings = Settings {
            exists: keys.is_some(),
            keys: keys.unwrap_or_default(),
            file: self.files.within(folder).describe(name),
            name: name.to_string(),
        };
        let model_type = settings.get("model_type").and_then(Value::as_str);
        let family = model_type.and_then(Family::of_model_type).and(model_type);
        self.account(&settings.file, kind, family, &settings.keys)?;
        self.read.insert(path, settings.clone());
        Ok(settings)
    }

    fn parsed<T: DeserializeOwned>(&self, folder: &str, name: &str, kind: &str) -> Result<Option<T>, Error> {
        let files = self.files.within(folder);
        let Some(bytes) = files.read(name)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::invalid(files.describe(name), format!("not a JSON {kind}: {error}")))
    }

    /// Refuses a key whose value would change a vector in a way that is not implemented, and remembers those that no
    /// table lists.
    fn account(
        &mut self,
        file: &str,
        kind: SettingsFile,
        model_type: Option<&str>,
        keys: &Map<String, Value>,
    ) -> Result<(), Error> {
        let unknown = keys::check(kind, model_type, keys)
            .map_err(|refusal| Error::invalid(file, refusal.to_string()))?;
        // sentence-transformers hands these keys to constructors, which fail at one that they do not take.
        let is_closed = matches!(
            kind,
            SettingsFile::SentenceBert | SettingsFile::SpladePooling | SettingsFile::SparseStaticEmbedding
        );
        if let Some(key) = unknown.first().filter(|_| is_closed) {
            return Err(Error::invalid(
                file,
                format!("`{key}` is no setting that sentence-transformers has for it"),
            ));
        }
        self.unknown.extend(unknown.into_iter().map(|key| UnknownKey { file: file.to_string(), key }));
        Ok(())
    }
}
