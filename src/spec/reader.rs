//! The settings files of a model, each read once, with every key accounted for.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::families::Family;
use super::keys::{self, FamilyKeys, SettingsFile, MAX_UNKNOWN_KEYS};
use super::settings::{parsed_bytes, Settings, MAX_PARSED_BYTES};
use crate::error::Error;
use crate::one_line::one_line;
use crate::source::ModelFiles;

pub(super) const CONFIG: &str = "config.json";
pub(super) const MODULES: &str = "modules.json";
pub(crate) const TOKENIZER_JSON: &str = "tokenizer.json";
pub(super) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
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

/// A key that no table lists: nobody has said yet whether it changes a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The file that has it.
    pub file: String,
    /// The key, on one line.
    pub key: String,
}

/// Reads settings files, and remembers the keys that no table lists.
pub(crate) struct SettingsReader<'a> {
    files: &'a ModelFiles,
    unknown: Vec<UnknownKey>,
    /// By the file's name and what it was read as: one config.json may have to be two modules'.
    read: BTreeMap<(String, SettingsFile), Rc<Settings>>,
    /// What is left of [`MAX_PARSED_BYTES`].
    room: Cell<usize>,
}

impl<'a> SettingsReader<'a> {
    pub fn new(files: &'a ModelFiles) -> Self {
        SettingsReader {
            files,
            unknown: Vec::new(),
            read: BTreeMap::new(),
            room: Cell::new(MAX_PARSED_BYTES),
        }
    }

    /// All files of the model.
    pub fn files(&self) -> &'a ModelFiles {
        self.files
    }

    /// The keys that no table lists, in the order of reading; at most [`MAX_UNKNOWN_KEYS`].
    pub fn into_unknown(self) -> Vec<UnknownKey> {
        self.unknown
    }

    /// The `model_type` of config.json, whatever else the file is.
    pub fn model_type(&self, folder: &str) -> Result<Option<String>, Error> {
        let room = self.room.get();
        let keys: Option<Map<String, Value>> = self.parsed(folder, CONFIG, "object")?;
        // Nothing of it is kept.
        self.room.set(room);
        Ok(keys.as_ref().and_then(|keys| keys.get("model_type")?.as_str()).map(String::from))
    }

    /// config.json of a transformer.
    pub fn config(&mut self, folder: &str) -> Result<Rc<Settings>, Error> {
        self.object(folder, CONFIG, SettingsFile::Config)
    }

    /// tokenizer_config.json.
    pub fn tokenizer_config(&mut self, folder: &str) -> Result<Rc<Settings>, Error> {
        self.object(folder, TOKENIZER_CONFIG, SettingsFile::TokenizerConfig)
    }

    /// special_tokens_map.json, where there is one.
    pub fn special_tokens_map(&mut self, folder: &str) -> Result<Option<Rc<Settings>>, Error> {
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
    pub fn transformer_settings(&mut self, folder: &str) -> Result<Rc<Settings>, Error> {
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
    pub fn sentence_transformers(&mut self) -> Result<Rc<Settings>, Error> {
        self.object("", SENTENCE_TRANSFORMERS, SettingsFile::SentenceTransformers)
    }

    /// The config.json of a module that is not a transformer.
    pub fn module(&mut self, folder: &str, kind: SettingsFile) -> Result<Rc<Settings>, Error> {
        self.object(folder, CONFIG, kind)
    }

    /// The config of a Router, by its newer name or its first one.
    pub fn router(&mut self, folder: &str) -> Result<Rc<Settings>, Error> {
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
                false => {
                    self.limit(&file, part.get().as_bytes())?;
                    serde_json::from_str(part.get()).map_err(invalid)?
                }
            };
            keys.insert(key, value);
        }
        self.account(&file, SettingsFile::TokenizerJson, &[], &keys)?;
        serde_json::from_slice(bytes).map_err(invalid)
    }

    /// modules.json, where there is one: each module's object.
    pub fn modules(&mut self) -> Result<Option<Vec<Map<String, Value>>>, Error> {
        let Some(modules) = self.parsed::<Vec<Map<String, Value>>>("", MODULES, "array of objects")? else {
            return Ok(None);
        };
        let file = self.files.describe(MODULES);
        for module in &modules {
            self.account(&file, SettingsFile::ModulesEntry, &[], module)?;
        }
        Ok(Some(modules))
    }

    /// The index of a sharded checkpoint.
    pub fn shard_index(&mut self, folder: &str, name: &str) -> Result<Option<Map<String, Value>>, Error> {
        self.parsed(folder, name, "object")
    }

    fn object(&mut self, folder: &str, name: &str, kind: SettingsFile) -> Result<Rc<Settings>, Error> {
        let read_as = (self.files.within(folder).inside(name), kind);
        if let Some(settings) = self.read.get(&read_as) {
            return Ok(Rc::clone(settings));
        }
        let keys = self.parsed::<Map<String, Value>>(folder, name, "object")?;
        let settings = Settings {
            exists: keys.is_some(),
            keys: keys.unwrap_or_default(),
            file: self.files.within(folder).describe(name),
            name: name.to_string(),
        };
        let model_type = settings.get("model_type").and_then(Value::as_str);
        let family = model_type.and_then(Family::of_model_type).map_or(&[] as &[_], |family| family.keys);
        self.account(&settings.file, kind, family, &settings.keys)?;
        let settings = Rc::new(settings);
        self.read.insert(read_as, Rc::clone(&settings));
        Ok(settings)
    }

    fn parsed<T: DeserializeOwned>(&self, folder: &str, name: &str, kind: &str) -> Result<Option<T>, Error> {
        let files = self.files.within(folder);
        let Some(bytes) = files.read(name)? else { return Ok(None) };
        let file = files.describe(name);
        self.limit(&file, &bytes)?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::invalid(file, format!("not a JSON {kind}: {error}")))
    }

    /// Refuses a text that would take more memory, parsed, than is left for settings.
    fn limit(&self, file: &str, json: &[u8]) -> Result<(), Error> {
        match self.room.get().checked_sub(parsed_bytes(json)) {
            Some(room) => {
                self.room.set(room);
                Ok(())
            }
            None => Err(Error::invalid(file, "holds more values than the settings of any model")),
        }
    }

    /// Refuses a key whose value would change a vector in a way that is not implemented, and remembers those that no
    /// table lists.
    fn account(
        &mut self,
        file: &str,
        kind: SettingsFile,
        family: FamilyKeys,
        keys: &Map<String, Value>,
    ) -> Result<(), Error> {
        let unknown =
            keys::check(kind, family, keys).map_err(|refusal| Error::invalid(file, refusal.to_string()))?;
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
        let room = MAX_UNKNOWN_KEYS - self.unknown.len();
        let remembered = unknown.into_iter().take(room).map(|key| one_line(&key).into_owned());
        self.unknown.extend(remembered.map(|key| UnknownKey { file: one_line(file).into_owned(), key }));
        Ok(())
    }
}
