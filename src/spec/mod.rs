//! What a model's files say: everything that decides a vector, apart from the values of tensors and vocabularies.
//!
//! [`ModelSpec::read`] is the only place that decides what a model is. It opens no tensor and builds no tokenizer. The
//! loader opens what the spec says, and whoever fetches a model asks the same spec which files that takes.

mod adapter;
mod checkpoint;
mod config;
mod dialect;
pub(crate) mod families;
mod keys;
mod modules;
mod pooling;
mod provenance;
mod reader;
mod settings;
mod similarity;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod tokenizer;
mod transformer;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use adapter::AdapterSpec;
pub(crate) use checkpoint::{CheckpointFormat, CheckpointSpec};
pub(crate) use config::{Blocks, HiddenActivation, ModelConfig, RotaryBlocks};
pub use dialect::Dialect;
pub(crate) use pooling::PoolingConfig;
pub use provenance::Provenance;
pub(crate) use reader::SettingsReader;
pub use reader::UnknownKey;
pub(crate) use table::{TableKind, TableSource, TableSpec};
pub(crate) use tokenizer::TokenizerSpec;
pub(crate) use transformer::TransformerSpec;

use crate::error::Error;
use crate::known::KnownModel;
use crate::similarity::Similarity;
use crate::source::ModelFiles;
use modules::{Route, RouteModules, Routes, TransformerPlace};
use reader::CONFIG;
use settings::Settings;
use transformer::{read_config, refuse_model_type, tokenizer_of};

/// Everything that a model's files decide about a vector, and the file and key behind each decision.
#[derive(Clone)]
pub struct ModelSpec {
    /// `None` where the files lack what the model is known to have for queries.
    pub(crate) query: Option<SideSpec>,
    /// `None` where the files hold a table for queries and nothing else.
    pub(crate) document: Option<SideSpec>,
    /// Terms of a vector that are kept, the heaviest; all of them when `None`.
    pub(crate) max_active_dims: Option<usize>,
    similarity: Similarity,
    provenance: Vec<Provenance>,
    unknown_keys: Vec<UnknownKey>,
    notes: Vec<Note>,
}

/// What the texts of one side go through.
#[derive(Clone)]
pub(crate) struct SideSpec {
    pub modules: Modules,
    /// Put before each text.
    pub prompt: String,
    /// The most tokens of a text, where the model has another limit for this side.
    pub max_length: Option<usize>,
    /// The file that names the modules.
    pub source: String,
    /// Whether it is a table that stands beside a model and that no module names.
    pub is_table_beside: bool,
}

/// The modules of a side.
#[derive(Clone)]
pub(crate) enum Modules {
    /// Weights of the text's own tokens.
    Table(Box<TableSpec>),
    /// A masked language model and its pooling.
    Model(Arc<TransformerSpec>),
    /// What a model gives for the text's own tokens, times their weights.
    OwnTokens(Arc<TransformerSpec>, TableSource),
}

impl Modules {
    pub fn transformer(&self) -> Option<&Arc<TransformerSpec>> {
        match self {
            Modules::Table(_) => None,
            Modules::Model(transformer) | Modules::OwnTokens(transformer, _) => Some(transformer),
        }
    }

    /// Whether two sides go through the same modules.
    fn same_as(&self, other: &Modules) -> bool {
        match (self, other) {
            (Modules::Table(one), Modules::Table(other)) => one == other,
            (Modules::Model(one), Modules::Model(other)) => Arc::ptr_eq(one, other),
            (Modules::OwnTokens(one, table), Modules::OwnTokens(other, other_table)) => {
                Arc::ptr_eq(one, other) && table == other_table
            }
            _ => false,
        }
    }
}

/// Something about a model that its user may want to know, and that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A module is listed and has no config: it has its defaults, as in sentence-transformers.
    NoModuleConfig {
        /// The file that is not there.
        file: String,
        /// The module's class.
        module: String,
    },
    /// The checkpoint stores a decoder that differs from its embeddings, and nothing says which one is meant.
    TwoDecoders {
        /// The checkpoint.
        file: String,
        /// Whether the stored one is in use.
        uses_stored: bool,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::NoModuleConfig { file, module } => {
                write!(f, "`{file}` is not there: {module} has its defaults, as in sentence-transformers")
            }
            Note::TwoDecoders { file, uses_stored } => {
                let (used, other) = match uses_stored {
                    true => (
                        "the stored one is used, as transformers 5 does",
                        "the embeddings, as transformers 4 did",
                    ),
                    false => (
                        "the embeddings are used, as transformers 4 did",
                        "the stored one, as transformers 5 does",
                    ),
                };
                write!(
                    f,
                    "`{file}` stores a decoder that differs from its embeddings: {used}; the other reading is {other}"
                )
            }
        }
    }
}

/// How much of a model is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// All of it: queries and documents can be encoded.
    Whole,
    /// What encodes queries, where that is a table of token weights: its files, settings and vocabularies, a few
    /// megabytes, without any checkpoint. Where queries need a transformer, the same as [`Parts::Whole`].
    QuerySide,
}

/// Every decision by the file and key behind it.
impl fmt::Debug for ModelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelSpec")
            .field("has_query_table", &self.has_query_table())
            .field("sides_differ", &self.sides_differ())
            .field("max_active_dims", &self.max_active_dims)
            .field("unknown_keys", &self.unknown_keys)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

impl ModelSpec {
    /// Reads what `files` say.
    ///
    /// * `known`: the model that they are a copy of, where that is certain. It decides only what the files of such
    ///   copies leave out.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedModel`], [`Error::NoModel`], or [`Error::Invalid`] naming the file and key that cannot be
    /// followed.
    pub fn read(files: &ModelFiles, known: Option<&'static KnownModel>) -> Result<Self, Error> {
        let mut reader = SettingsReader::new(files);
        refuse_model_type(&reader, "")?;
        let Routes { query, document, notes } = Routes::read(&mut reader, known)?;
        let settings = reader.sentence_transformers()?;
        let mut builder = SpecBuilder { reader, known, transformers: Vec::new(), provenance: Vec::new() };
        check_default_prompt(&settings)?;
        let max_active_dims = builder.max_active_dims(&settings)?;
        let (similarity, of_similarity) = similarity::similarity(&settings)?;
        builder.provenance.push(of_similarity);
        let document_place = document.as_ref().and_then(Route::transformer).cloned();
        let document = builder.side(document, &settings, "document", document_place.as_ref())?;
        let query = builder.side(query, &settings, "query", document_place.as_ref())?;
        let SpecBuilder { reader, provenance, .. } = builder;
        Ok(ModelSpec {
            query,
            document,
            max_active_dims,
            similarity,
            provenance,
            unknown_keys: reader.into_unknown(),
            notes,
        })
    }

    /// The tokenizer in a folder that holds nothing else.
    #[cfg(test)]
    pub(crate) fn read_tokenizer(files: &ModelFiles) -> Result<TokenizerSpec, Error> {
        TokenizerSpec::read(&mut SettingsReader::new(files), "", tokenizer::Surroundings::default())
    }

    /// Whether a text has another vector as a query than as a document.
    pub fn sides_differ(&self) -> bool {
        match (&self.query, &self.document) {
            (Some(query), Some(document)) => {
                !query.modules.same_as(&document.modules)
                    || query.prompt != document.prompt
                    || query.max_length != document.max_length
            }
            _ => true,
        }
    }

    /// How a query and a document are compared.
    pub fn similarity(&self) -> Similarity {
        self.similarity
    }

    /// The decisions that belong to no single transformer or table.
    pub(crate) fn provenance(&self) -> &[Provenance] {
        &self.provenance
    }

    /// Keys that are neither followed nor known to be harmless.
    pub fn unknown_keys(&self) -> &[UnknownKey] {
        &self.unknown_keys
    }

    /// What the user may want to know about the files.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Whether queries are encoded without a transformer.
    pub fn has_query_table(&self) -> bool {
        matches!(&self.query, Some(SideSpec { modules: Modules::Table(_), .. }))
    }

    /// The files that `parts` of the model take, beside the settings that were read already: vocabularies and tables
    /// first, then the parameters.
    pub fn required_files(&self, parts: Parts) -> Vec<String> {
        let is_query_side = parts == Parts::QuerySide && self.has_query_table();
        let document = self.document.as_ref().filter(|_| !is_query_side);
        let sides: Vec<&SideSpec> = document.into_iter().chain(&self.query).collect();
        let mut files = Distinct::default();
        for side in &sides {
            if let Some(transformer) = side.modules.transformer() {
                files.extend(transformer.tokenizer.files());
            }
            match &side.modules {
                Modules::Table(table) => {
                    files.extend(table.tokenizer.files());
                    files.extend(table.source.path());
                }
                Modules::OwnTokens(_, table) => files.extend(table.path()),
                Modules::Model(_) => {}
            }
        }
        files.extend(self.checkpoint_files_of(&sides));
        files.names
    }

    /// The files of every checkpoint, the index of a sharded one first.
    pub fn checkpoint_files(&self) -> Vec<String> {
        self.checkpoint_files_of(&self.document.iter().chain(&self.query).collect::<Vec<_>>())
    }

    fn checkpoint_files_of(&self, sides: &[&SideSpec]) -> Vec<String> {
        let mut files = Distinct::default();
        for transformer in sides.iter().filter_map(|side| side.modules.transformer()) {
            let paths = match &transformer.checkpoint {
                Some(checkpoint) => checkpoint.paths().collect(),
                None => vec![CheckpointSpec::usual_path(&transformer.folder)],
            };
            let adapter = transformer.adapter.iter().flat_map(|adapter| adapter.checkpoint.paths());
            files.extend(adapter.chain(paths));
        }
        files.names
    }

    /// The tokenizer of whichever side has one; both have the same vocabulary.
    pub(crate) fn any_tokenizer(&self) -> Option<&TokenizerSpec> {
        let side = self.document.as_ref().or(self.query.as_ref())?;
        Some(match &side.modules {
            Modules::Table(table) => &table.tokenizer,
            Modules::Model(transformer) | Modules::OwnTokens(transformer, _) => &transformer.tokenizer,
        })
    }
}

/// Names in the order in which they came first.
#[derive(Default)]
struct Distinct {
    names: Vec<String>,
    seen: BTreeSet<String>,
}

impl Distinct {
    fn extend(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            if self.seen.insert(name.clone()) {
                self.names.push(name);
            }
        }
    }
}

/// Looks into the folders that the routes name.
struct SpecBuilder<'a> {
    reader: SettingsReader<'a>,
    known: Option<&'static KnownModel>,
    /// The transformers so far: both sides may have the same.
    transformers: Vec<(TransformerPlace, Arc<TransformerSpec>)>,
    provenance: Vec<Provenance>,
}

impl SpecBuilder<'_> {
    fn side(
        &mut self,
        route: Option<Route>,
        settings: &Settings,
        side: &str,
        document: Option<&TransformerPlace>,
    ) -> Result<Option<SideSpec>, Error> {
        let Some(Route { modules, source, is_table_beside }) = route else { return Ok(None) };
        let settings_of = |place: &TransformerPlace| Some(place.folder.clone()).filter(|_| place.is_module);
        let (folder, modules) = match modules {
            RouteModules::Model(place) => (settings_of(&place), Modules::Model(self.transformer(place)?)),
            RouteModules::OwnTokens(place, table) => {
                (settings_of(&place), Modules::OwnTokens(self.transformer(place)?, table))
            }
            RouteModules::Table(source) => {
                let tokenizer = self.table_tokenizer(&source, document)?;
                (None, Modules::Table(Box::new(TableSpec { source, tokenizer })))
            }
        };
        let prompt = prompt(settings, side)?;
        if !prompt.is_empty() {
            let source = format!("{}: prompts", settings.file);
            self.provenance.push(Provenance::new(format!("{side} prompt"), format!("{prompt:?}"), source));
        }
        let max_length = match folder {
            Some(folder) => self.own_length(&folder, &format!("{side}_length"))?,
            None => None,
        };
        Ok(Some(SideSpec { modules, prompt, max_length, source, is_table_beside }))
    }

    fn transformer(&mut self, place: TransformerPlace) -> Result<Arc<TransformerSpec>, Error> {
        if let Some((_, transformer)) = self.transformers.iter().find(|(opened, _)| *opened == place) {
            return Ok(Arc::clone(transformer));
        }
        let spec = TransformerSpec::read(&mut self.reader, &place, self.known)?;
        let spec = Arc::new(spec);
        self.transformers.push((place, Arc::clone(&spec)));
        Ok(spec)
    }

    /// The tokenizer of a table: its own, else that of the model that the documents go through.
    fn table_tokenizer(
        &mut self,
        source: &TableSource,
        document: Option<&TransformerPlace>,
    ) -> Result<TokenizerSpec, Error> {
        let files = self.reader.files();
        let mut folder = None;
        for candidate in
            [Some(source.folder.as_str()), document.map(|place| place.folder.as_str())].into_iter().flatten()
        {
            if tokenizer::VocabularyFile::in_folder(&files.within(candidate))?.is_some() {
                folder = Some(candidate);
                break;
            }
        }
        let folder = folder.unwrap_or_default();
        // The config beside a table's own tokenizer is the table's.
        let is_own = !source.folder.is_empty() && folder == source.folder;
        if is_own {
            return TokenizerSpec::read(&mut self.reader, folder, tokenizer::Surroundings::default());
        }
        let max_positions = match files.within(folder).contains(CONFIG)? {
            true => Some(read_config(&mut self.reader, folder)?.1.max_tokens()),
            false => None,
        };
        let is_module = document.is_some_and(|place| place.is_module && place.folder == folder);
        tokenizer_of(&mut self.reader, folder, max_positions, is_module)
    }

    /// The limit that a transformer's settings have for one side only.
    fn own_length(&mut self, folder: &str, key: &str) -> Result<Option<usize>, Error> {
        let settings = self.reader.transformer_settings(folder)?;
        let Some(value) = settings.get(key) else { return Ok(None) };
        let length = value.as_u64().filter(|length| *length >= 1);
        let length =
            length.ok_or_else(|| settings.invalid(format!("`{key}` is {value}, not a number of tokens")))?;
        let (what, source) = (key.replace('_', " "), format!("{}: {key}", settings.file));
        self.provenance.push(Provenance::new(what, format!("at most {length} tokens"), source));
        Ok(Some(length as usize))
    }

    fn max_active_dims(&mut self, settings: &Settings) -> Result<Option<usize>, Error> {
        let Some(value) = settings.get("max_active_dims") else { return Ok(None) };
        let count = value.as_u64().filter(|count| *count > 0);
        let count = count.ok_or_else(|| {
            settings.invalid(format!("`max_active_dims` is {value}, not a number of terms"))
        })?;
        let (kept, source) = (format!("the {count} heaviest"), format!("{}: max_active_dims", settings.file));
        self.provenance.push(Provenance::new("terms kept", kept, source));
        Ok(Some(count as usize))
    }
}

/// Refuses a default prompt that is not among the prompts, as sentence-transformers does.
fn check_default_prompt(settings: &Settings) -> Result<(), Error> {
    let Some(name) = settings.get("default_prompt_name") else { return Ok(()) };
    let prompts = settings.get("prompts").and_then(Value::as_object);
    match name.as_str() {
        Some("query" | "document") => Ok(()),
        Some(name) if prompts.is_some_and(|prompts| prompts.contains_key(name)) => Ok(()),
        _ => Err(settings.invalid(format!("`default_prompt_name` is {name}, which is no name of a prompt"))),
    }
}

/// The prompt of one side, as `encode_query` and `encode_document` of sentence-transformers choose it for sparse models:
/// these two names always have one, if an empty one, so others are never looked for.
fn prompt(settings: &Settings, name: &str) -> Result<String, Error> {
    let empty = Map::new();
    let prompts = match settings.get("prompts") {
        None => &empty,
        Some(Value::Object(prompts)) => prompts,
        Some(_) => return Err(settings.invalid("`prompts` is not an object")),
    };
    match prompts.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(prompt)) => Ok(prompt.clone()),
        Some(other) => Err(settings.invalid(format!("the prompt `{name}` is {other}, not a string"))),
    }
}
