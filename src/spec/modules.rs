//! Which modules the texts of either side go through.
//!
//! Reads what sentence-transformers 5 and 6 write (modules.json and a Router's config), and knows what a plain folder
//! means that has neither.

use serde_json::{Map, Value};

use super::pooling::PoolingConfig;
use super::reader::{SettingsReader, CONFIG, MODULES};
use super::settings::Settings;
use super::table::TableSource;
use super::Note;
use crate::error::Error;
use crate::known::{KnownModel, QuerySide};
use crate::one_line::one_line;
use crate::source::path_in;

const ROUTER: &str = "router_config.json";

/// The modules of one side, before the folders are looked into.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Route {
    pub modules: RouteModules,
    /// The file that names the modules.
    pub source: String,
    /// Whether it is a table that stands beside a model and that no module names.
    pub is_table_beside: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum RouteModules {
    /// Weights of the text's own tokens.
    Table(TableSource),
    /// A masked language model and its pooling.
    Model(TransformerPlace),
    /// What a model gives for the text's own tokens, times their weights.
    OwnTokens(TransformerPlace, TableSource),
}

/// Where a masked language model is, and how it is pooled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TransformerPlace {
    /// Its folder below the model's files, `""` for themselves.
    pub folder: String,
    pub pooling: PoolingConfig,
    /// Whether it is a module of sentence-transformers, whose settings beside it then count.
    pub is_module: bool,
}

impl Route {
    fn new(modules: RouteModules, source: String) -> Self {
        Route { modules, source, is_table_beside: false }
    }

    pub fn transformer(&self) -> Option<&TransformerPlace> {
        match &self.modules {
            RouteModules::Table(_) => None,
            RouteModules::Model(transformer) | RouteModules::OwnTokens(transformer, _) => Some(transformer),
        }
    }
}

/// The routes of both sides. A side is absent where the files hold nothing for it.
#[derive(Debug)]
pub(super) struct Routes {
    pub query: Option<Route>,
    pub document: Option<Route>,
    pub notes: Vec<Note>,
}

impl Routes {
    /// Reads the routes of a model.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] naming the file and what in it cannot be followed.
    pub fn read(reader: &mut SettingsReader, known: Option<&KnownModel>) -> Result<Self, Error> {
        let mut finder = RouteFinder { reader, known, notes: Vec::new() };
        let (query, document) = match finder.reader.modules()? {
            Some(modules) => finder.of_modules(&modules)?,
            None if finder.reader.files().contains(ROUTER)? => {
                finder.routed(&[Module { class: "Router".into(), folder: String::new() }])?
            }
            None => finder.plain()?,
        };
        Ok(Routes { query, document, notes: finder.notes })
    }
}

/// The most modules of a side. Three are ever supported; a file may list a million.
const MAX_MODULES: usize = 100;

/// The most bytes of a module's folder below the model's files, as it is written.
const MAX_FOLDER_BYTES: usize = 255;

/// A module by the last part of its class's name, and the folder below the model's files that holds it.
#[derive(Clone, Debug)]
struct Module {
    class: String,
    folder: String,
}

struct RouteFinder<'r, 'a> {
    reader: &'r mut SettingsReader<'a>,
    known: Option<&'r KnownModel>,
    notes: Vec<Note>,
}

/// That of queries, and that of documents.
type Pair = (Option<Route>, Option<Route>);

impl RouteFinder<'_, '_> {
    /// The routes of both sides from modules.json.
    fn of_modules(&mut self, modules: &[Map<String, Value>]) -> Result<Pair, Error> {
        let file = self.reader.files().describe(MODULES);
        limit_modules(&file, modules.len())?;
        let mut listed = Vec::new();
        for module in modules {
            let key = |key: &str| module.get(key).and_then(Value::as_str);
            let (Some(class), Some(folder)) = (key("type"), key("path")) else {
                return Err(Error::invalid(file, "a module without `type` or `path`"));
            };
            listed.push(module_in(&file, "", class, folder)?);
        }
        if listed.iter().any(|module| is_router(&module.class)) {
            return self.routed(&listed);
        }
        let document = self.route(&file, &listed)?;
        Ok((self.unrouted_query(&document)?, Some(document)))
    }

    /// The query route where no Router tells one: that of the documents, unless a table stands beside the model, with
    /// which its cards then encode queries, or the model is known to have another and its files were copied without it.
    fn unrouted_query(&self, document: &Route) -> Result<Option<Route>, Error> {
        if let Some(table) = TableSource::beside(self.reader.files())? {
            return Ok(Some(Route { is_table_beside: true, ..self.table_alone(table) }));
        }
        Ok(match self.known.map_or(QuerySide::Model, |known| known.query_side) {
            QuerySide::Model => Some(document.clone()),
            QuerySide::BagOfWords => Some(self.table_alone(TableSource::ones())),
            QuerySide::OwnWords => {
                let modules = match document.transformer() {
                    Some(transformer) => RouteModules::OwnTokens(transformer.clone(), TableSource::ones()),
                    None => RouteModules::Table(TableSource::ones()),
                };
                Some(Route { modules, ..document.clone() })
            }
            QuerySide::Table if self.known.is_some_and(KnownModel::has_built_in_queries) => {
                Some(self.table_alone(TableSource::built_in()))
            }
            QuerySide::Table | QuerySide::AnotherModel => None,
        })
    }

    /// The routes of a model with a Router: what stands before and after it is on both.
    fn routed(&mut self, modules: &[Module]) -> Result<Pair, Error> {
        let place = modules.iter().position(|module| is_router(&module.class)).unwrap_or_default();
        let folder = modules[place].folder.clone();
        let (before, after) = (&modules[..place], &modules[place + 1..]);
        let config = self.reader.router(&folder)?;
        let object = |key: &str| config.get(key).and_then(Value::as_object);
        let (Some(types), Some(structure)) = (object("types"), object("structure")) else {
            // config.json was looked into because of its absence.
            if config.name != ROUTER && config.get("types").is_none() {
                let router = self.reader.files().within(&folder).inside(ROUTER);
                return Err(
                    config.lacks(router, "not the config of a Router, and `router_config.json` is not there")
                );
            }
            return Err(config.invalid("not the config of a Router: no `types` or no `structure`"));
        };
        if modules.iter().filter(|module| is_router(&module.class)).count() > 1 {
            return Err(config.invalid("one of several Routers, which is not supported"));
        }
        let mut side = |side: &str| -> Result<Route, Error> {
            let Some(Value::Array(ids)) = structure.get(side) else {
                let names: Vec<&str> = structure.keys().map(String::as_str).collect();
                return Err(config.invalid(format!("has no route `{side}`, only {}", names.join(", "))));
            };
            limit_modules(&config.file, ids.len())?;
            let mut modules = before.to_vec();
            for id in ids {
                let id = id.as_str().unwrap_or_default();
                let class = types.get(id).and_then(Value::as_str);
                let class = class.ok_or_else(|| config.invalid(format!("`types` has no `{id}`")))?;
                modules.push(module_in(&config.file, &folder, class, id)?);
            }
            modules.extend_from_slice(after);
            self.route(&config.file, &modules)
        };
        Ok((Some(side("query")?), Some(side("document")?)))
    }

    /// One side's modules, in order, as a route; `source` is the file that lists them.
    fn route(&mut self, source: &str, modules: &[Module]) -> Result<Route, Error> {
        let classes: Vec<&str> = modules.iter().map(|module| kind(&module.class)).collect();
        // In this order only: a module after another works on what that one gave.
        let modules = match (&classes[..], modules) {
            (["table"], [weights]) => RouteModules::Table(self.table(weights)?),
            (["model", "pooling"], [model, pooling]) => {
                RouteModules::Model(self.transformer(model, pooling)?)
            }
            (["model", "pooling", "table"], [model, pooling, weights]) => {
                RouteModules::OwnTokens(self.transformer(model, pooling)?, self.table(weights)?)
            }
            _ => {
                let names: Vec<&str> = modules.iter().map(|module| module.class.as_str()).collect();
                return Err(Error::invalid(
                    source,
                    format!(
                        "the modules `{}` in a row are not supported; a side is MLMTransformer (or Transformer for \
                         fill-mask) and SpladePooling, SparseStaticEmbedding, or all three in this order",
                        names.join("`, `")
                    ),
                ));
            }
        };
        Ok(Route::new(modules, source.to_string()))
    }

    fn table(&mut self, module: &Module) -> Result<TableSource, Error> {
        TableSource::module(self.reader, &module.folder)
    }

    fn transformer(&mut self, model: &Module, pooling: &Module) -> Result<TransformerPlace, Error> {
        let settings = self.reader.transformer_settings(&model.folder)?;
        if model.class == "Transformer" {
            insist_on_task(&settings)?;
        }
        let (config, is_there) = PoolingConfig::read(self.reader, &pooling.folder, self.known)?;
        if !is_there {
            let file = self.reader.files().within(&pooling.folder).describe(CONFIG);
            self.notes.push(Note::NoModuleConfig { file, module: pooling.class.clone() });
        }
        Ok(TransformerPlace { folder: model.folder.clone(), pooling: config, is_module: true })
    }

    /// A folder that sentence-transformers has not written: a masked language model, a table for queries, or both.
    fn plain(&mut self) -> Result<Pair, Error> {
        let files = self.reader.files();
        if !files.contains(CONFIG)? {
            if let Some(table) = TableSource::beside(files)? {
                return Ok((Some(self.table_alone(table)), None));
            }
        }
        let pooling = PoolingConfig::without_modules(self.reader, self.known)?;
        let modules =
            RouteModules::Model(TransformerPlace { folder: String::new(), pooling, is_module: false });
        let document = Route::new(modules, files.describe(CONFIG));
        Ok((self.unrouted_query(&document)?, Some(document)))
    }

    fn table_alone(&self, table: TableSource) -> Route {
        let source = self.reader.files().describe(&table.path().unwrap_or_default());
        Route::new(RouteModules::Table(table), source)
    }
}

fn limit_modules(file: &str, count: usize) -> Result<(), Error> {
    match count {
        0..=MAX_MODULES => Ok(()),
        _ => Err(Error::invalid(file, format!("lists {count} modules; {MAX_MODULES} at most are supported"))),
    }
}

/// A module that `file` lists, in a folder below `within`.
fn module_in(file: &str, within: &str, class: &str, folder: &str) -> Result<Module, Error> {
    // A name with other steps could read any file of the user's.
    let is_step = |step: &str| {
        !matches!(step, "" | "." | "..") && !step.contains(['\\', ':']) && !step.contains(char::is_control)
    };
    let is_below = folder.is_empty() || folder.split('/').all(is_step);
    if !is_below || folder.len() > MAX_FOLDER_BYTES {
        return Err(Error::invalid(file, format!("`{folder}` is not a folder beside it")));
    }
    let class = one_line(class.rsplit('.').next().unwrap_or_default()).into_owned();
    Ok(Module { class, folder: path_in(within, folder) })
}

fn is_router(class: &str) -> bool {
    matches!(class, "Router" | "Asym")
}

/// What a module is to us, by its class.
fn kind(class: &str) -> &'static str {
    match class {
        "MLMTransformer" | "Transformer" => "model",
        "SpladePooling" => "pooling",
        "SparseStaticEmbedding" | "IDF" => "table",
        _ => "unknown",
    }
}

/// A `Transformer` of sentence-transformers 6 is one of many kinds; only a masked language model gives term weights. The
/// table of keys has refused every other task than this one; without any, hidden states come out.
fn insist_on_task(settings: &Settings) -> Result<(), Error> {
    match settings.get("transformer_task") {
        Some(_) => Ok(()),
        None => Err(settings.invalid(
            "`transformer_task` is absent, not \"fill-mask\": this is a model of dense vectors, not of term weights",
        )),
    }
}
