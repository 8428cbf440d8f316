//! What a model's files are made of: which modules the texts of either side go through.
//!
//! Reads the settings that sentence-transformers 5 and 6 write (modules.json, a Router's own file, a config for each
//! module), and knows what a plain folder means that has none of them. Opens no weights and no tokenizer.

use serde_json::{Map, Value};

use super::PoolingConfig;
use crate::error::Error;
use crate::known::{self, KnownModel, QuerySide};
use crate::query::TableSource;
use crate::source::ModelFiles;
use crate::spec::Provenance;
use crate::tokenizer::transformer_settings;

const MODULES: &str = "modules.json";
const ROUTER: &str = "router_config.json";
const SENTENCE_TRANSFORMERS: &str = "config_sentence_transformers.json";
const CONFIG: &str = "config.json";

/// The modules of a model, by side.
#[derive(Debug)]
pub(crate) struct Layout {
    /// `None` where the files lack what the model is known to have for them.
    pub query: Option<Route>,
    /// `None` where the files hold a table for queries and nothing else.
    pub document: Option<Route>,
    /// Terms of a vector that are kept, the heaviest; all of them when `None`.
    pub max_active_dims: Option<usize>,
    /// What decided all this, but for the modules themselves.
    pub decisions: Vec<Provenance>,
}

/// What the texts of one side go through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    pub modules: Modules,
    /// Put before each text.
    pub prompt: String,
    /// The most tokens of a text, where the model has another limit for this side.
    pub max_length: Option<usize>,
    /// The file that names the modules.
    pub source: String,
}

/// The modules of a route.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Modules {
    /// Weights of the text's own tokens.
    Table(TableSource),
    /// A masked language model and its pooling.
    Model(TransformerSource),
    /// What a model gives for the text's own tokens, times their weights.
    OwnTokens(TransformerSource, TableSource),
}

/// Where a masked language model is, and how it is pooled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TransformerSource {
    /// Its folder below the model's files, `""` for themselves.
    pub folder: String,
    pub pooling: PoolingConfig,
}

impl Route {
    fn new(modules: Modules, source: String) -> Self {
        Route { modules, prompt: String::new(), max_length: None, source }
    }

    pub fn transformer(&self) -> Option<&TransformerSource> {
        match &self.modules {
            Modules::Table(_) => None,
            Modules::Model(transformer) | Modules::OwnTokens(transformer, _) => Some(transformer),
        }
    }
}

impl Layout {
    /// Whether a text has another vector as a query than as a document.
    pub fn sides_differ(&self) -> bool {
        let modules = |route: &Option<Route>| {
            route.as_ref().map(|route| Route { source: String::new(), ..route.clone() })
        };
        modules(&self.query) != modules(&self.document)
    }

    /// Reads the layout of a model.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] naming the file and what in it cannot be followed.
    pub fn read(files: &ModelFiles) -> Result<Layout, Error> {
        let (query, document) = match files.read_json_array(MODULES)? {
            Some(modules) => routes_of_modules(files, &modules)?,
            None if files.contains(ROUTER) => {
                let router = Module { class: "Router".into(), folder: String::new() };
                routed(files, &[router])?
            }
            None => plain(files)?,
        };
        let settings = files.read_json(SENTENCE_TRANSFORMERS)?.unwrap_or_default();
        let file = files.describe(SENTENCE_TRANSFORMERS);
        let prompt = |name: &str| prompt(&settings, name).map_err(|reason| Error::invalid(&file, reason));
        let (query_prompt, document_prompt) = (prompt("query")?, prompt("document")?);
        let mut decisions = Vec::new();
        for (what, prompt) in [("query prompt", &query_prompt), ("document prompt", &document_prompt)] {
            if !prompt.is_empty() {
                decisions.push(Provenance::new(what, format!("{prompt:?}"), format!("{file}: prompts")));
            }
        }
        let max_active_dims = match settings.get("max_active_dims") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_u64().filter(|count| *count > 0) {
                Some(count) => {
                    let kept = format!("the {count} heaviest");
                    decisions.push(Provenance::new("terms kept", kept, format!("{file}: max_active_dims")));
                    Some(count as usize)
                }
                None => {
                    let reason = format!("`max_active_dims` is {value}, not a number of terms");
                    return Err(Error::invalid(file, reason));
                }
            },
        };
        let mut completed = |route: Option<Route>, prompt: String, key: &str| -> Result<_, Error> {
            let Some(route) = route else { return Ok(None) };
            let max_length = own_length(files, &route, key, &mut decisions)?;
            Ok(Some(Route { prompt, max_length, ..route }))
        };
        let query = completed(query, query_prompt, "query_length")?;
        let document = completed(document, document_prompt, "document_length")?;
        Ok(Layout { query, document, max_active_dims, decisions })
    }
}

/// That of queries, and that of documents.
type Routes = (Option<Route>, Option<Route>);

/// A module by the last part of its class's name, and the folder below the model's files that holds it.
#[derive(Clone, Debug)]
struct Module {
    class: String,
    folder: String,
}

impl Module {
    fn new(files: &ModelFiles, file: &str, class: &str, folder: &str) -> Result<Self, Error> {
        // A name with more steps could read any file of the user's.
        if folder.contains(['/', '\\']) || folder == ".." {
            let reason = format!("`{folder}` is not a folder beside it");
            return Err(Error::invalid(files.describe(file), reason));
        }
        let class = class.rsplit('.').next().unwrap_or_default();
        Ok(Module { class: class.to_string(), folder: folder.to_string() })
    }
}

/// The routes of both sides from modules.json.
fn routes_of_modules(files: &ModelFiles, modules: &[Value]) -> Result<Routes, Error> {
    let mut listed = Vec::new();
    for module in modules {
        let key = |key: &str| module.get(key).and_then(Value::as_str);
        let (Some(class), Some(folder)) = (key("type"), key("path")) else {
            let reason = "a module without `type` or `path`";
            return Err(Error::invalid(files.describe(MODULES), reason));
        };
        listed.push(Module::new(files, MODULES, class, folder)?);
    }
    if listed.iter().any(|module| is_router(&module.class)) {
        return routed(files, &listed);
    }
    let document = route(files, MODULES, &listed)?;
    Ok((unrouted_query(files, &document), Some(document)))
}

/// The query route where no Router tells one: that of the documents, unless a table stands beside the model, with which
/// its cards then encode queries, or the model is known to have another and its files were copied without it.
fn unrouted_query(files: &ModelFiles, document: &Route) -> Option<Route> {
    if let Some(table) = TableSource::beside(files) {
        return Some(table_alone(files, table));
    }
    let known = known::find(files.name());
    match known.map_or(QuerySide::Model, |known| known.query_side) {
        QuerySide::Model => Some(document.clone()),
        QuerySide::BagOfWords => Some(table_alone(files, TableSource::ones())),
        QuerySide::OwnWords => {
            let modules = match document.transformer() {
                Some(transformer) => Modules::OwnTokens(transformer.clone(), TableSource::ones()),
                None => Modules::Table(TableSource::ones()),
            };
            Some(Route { modules, ..document.clone() })
        }
        QuerySide::Table if known.is_some_and(KnownModel::has_built_in_queries) => {
            Some(table_alone(files, TableSource::built_in()))
        }
        QuerySide::Table | QuerySide::AnotherModel => None,
    }
}

fn is_router(class: &str) -> bool {
    matches!(class, "Router" | "Asym")
}

/// The routes of a model with a Router: what stands before and after it is on both.
fn routed(files: &ModelFiles, modules: &[Module]) -> Result<Routes, Error> {
    let place = modules.iter().position(|module| is_router(&module.class)).unwrap_or_default();
    let folder = &modules[place].folder;
    let (before, after) = (&modules[..place], &modules[place + 1..]);
    let router = files.within(folder);
    let name = if router.contains(ROUTER) { ROUTER } else { CONFIG };
    let config = router.read_json(name)?.unwrap_or_default();
    let invalid = |reason: String| Error::invalid(router.describe(name), reason);
    let types = config.get("types").and_then(Value::as_object);
    let structure = config.get("structure").and_then(Value::as_object);
    let (Some(types), Some(structure)) = (types, structure) else {
        return Err(invalid("not the config of a Router: no `types` or no `structure`".into()));
    };
    let mappings = config.get("parameters").and_then(|parameters| parameters.get("route_mappings"));
    if mappings.is_some_and(|mappings| !is_empty(mappings)) {
        return Err(invalid("`route_mappings` are not supported".into()));
    }
    if modules.iter().filter(|module| is_router(&module.class)).count() > 1 {
        return Err(invalid("one of several Routers, which is not supported".into()));
    }
    let side = |side: &str| -> Result<Route, Error> {
        let Some(Value::Array(ids)) = structure.get(side) else {
            let names: Vec<&str> = structure.keys().map(String::as_str).collect();
            return Err(invalid(format!("has no route `{side}`, only {}", names.join(", "))));
        };
        let mut modules = before.to_vec();
        for id in ids {
            let id = id.as_str().unwrap_or_default();
            let class = types.get(id).and_then(Value::as_str);
            let class = class.ok_or_else(|| invalid(format!("`types` has no `{id}`")))?;
            let module = Module::new(&router, name, class, id)?;
            modules.push(Module { folder: joined(folder, &module.folder), ..module });
        }
        modules.extend_from_slice(after);
        route(files, &joined(folder, name), &modules)
    };
    Ok((Some(side("query")?), Some(side("document")?)))
}

/// Whether a setting is absent in all but name.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

fn joined(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_string(),
        (folder, "") => folder.to_string(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

/// One side's modules, in order, as a route; `source` names the file that lists them.
fn route(files: &ModelFiles, source: &str, modules: &[Module]) -> Result<Route, Error> {
    let invalid = |reason: String| Error::invalid(files.describe(source), reason);
    let classes: Vec<&str> = modules.iter().map(|module| kind(&module.class)).collect();
    let transformer = |model: &Module, pooling: &Module| -> Result<_, Error> {
        if model.class == "Transformer" {
            insist_on_fill_mask(&files.within(&model.folder))?;
        }
        refuse_unfollowed_settings(&files.within(&model.folder))?;
        let pooling = PoolingConfig::read(files, &pooling.folder)?;
        Ok(TransformerSource { folder: model.folder.clone(), pooling })
    };
    let table = |module: &Module| TableSource::module(files, &module.folder);
    // In this order only: a module after another works on what that one gave.
    let modules = match (&classes[..], modules) {
        (["table"], [weights]) => Modules::Table(table(weights)?),
        (["model", "pooling"], [model, pooling]) => Modules::Model(transformer(model, pooling)?),
        (["model", "pooling", "table"], [model, pooling, weights]) => {
            Modules::OwnTokens(transformer(model, pooling)?, table(weights)?)
        }
        _ => {
            let names: Vec<&str> = modules.iter().map(|module| module.class.as_str()).collect();
            return Err(invalid(format!(
                "the modules `{}` in a row are not supported; a side is MLMTransformer (or Transformer for fill-mask) and \
                 SpladePooling, SparseStaticEmbedding, or all three in this order",
                names.join("`, `")
            )));
        }
    };
    Ok(Route::new(modules, files.describe(source)))
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

/// Settings of a transformer that change its vectors, and that nothing here follows.
fn refuse_unfollowed_settings(files: &ModelFiles) -> Result<(), Error> {
    let (settings, file) = transformer_settings(files)?;
    let keys = ["processing_kwargs", "query_expansion"];
    match keys.into_iter().find(|key| settings.get(*key).is_some_and(|value| !is_empty(value))) {
        None => Ok(()),
        Some(key) => {
            let reason = format!("`{key}` {} is not supported", settings[key]);
            Err(Error::invalid(files.describe(file), reason))
        }
    }
}

/// A `Transformer` of sentence-transformers 6 is one of many kinds; only a masked language model gives term weights.
fn insist_on_fill_mask(files: &ModelFiles) -> Result<(), Error> {
    let (config, file) = transformer_settings(files)?;
    match config.get("transformer_task").and_then(Value::as_str) {
        Some("fill-mask") => Ok(()),
        task => {
            let task = task.map_or("absent".to_string(), |task| format!("\"{task}\""));
            let reason = format!(
                "`transformer_task` is {task}, not \"fill-mask\": this is a model of dense vectors, not of term weights"
            );
            Err(Error::invalid(files.describe(file), reason))
        }
    }
}

/// A folder that sentence-transformers has not written: a masked language model, a table for queries, or both.
fn plain(files: &ModelFiles) -> Result<Routes, Error> {
    if !files.contains(CONFIG) {
        if let Some(table) = TableSource::beside(files) {
            return Ok((Some(table_alone(files, table)), None));
        }
    }
    let pooling = PoolingConfig::without_modules(files)?;
    let modules = Modules::Model(TransformerSource { folder: String::new(), pooling });
    let document = Route::new(modules, files.describe(CONFIG));
    Ok((unrouted_query(files, &document), Some(document)))
}

fn table_alone(files: &ModelFiles, table: TableSource) -> Route {
    let source = files.describe(&table.file);
    Route::new(Modules::Table(table), source)
}

/// The limit that a transformer's settings have for one side only.
fn own_length(
    files: &ModelFiles,
    route: &Route,
    key: &str,
    decisions: &mut Vec<Provenance>,
) -> Result<Option<usize>, Error> {
    let Some(transformer) = route.transformer() else { return Ok(None) };
    let files = files.within(&transformer.folder);
    let (settings, file) = transformer_settings(&files)?;
    let value = match settings.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let file = files.describe(file);
    match value.as_u64().filter(|length| *length >= 1) {
        Some(length) => {
            let what = key.replace('_', " ");
            decisions.push(Provenance::new(
                what,
                format!("at most {length} tokens"),
                format!("{file}: {key}"),
            ));
            Ok(Some(length as usize))
        }
        None => Err(Error::invalid(file, format!("`{key}` is {value}, not a number of tokens"))),
    }
}

/// The prompt of one side, as `encode_query` and `encode_document` of sentence-transformers choose it for sparse models:
/// these two names always have one, if an empty one, so others are never looked for.
fn prompt(settings: &Map<String, Value>, name: &str) -> Result<String, String> {
    let prompts = match settings.get("prompts") {
        None | Some(Value::Null) => return Ok(String::new()),
        Some(Value::Object(prompts)) => prompts,
        Some(_) => return Err("`prompts` is not an object".into()),
    };
    match prompts.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(prompt)) => Ok(prompt.clone()),
        Some(other) => Err(format!("the prompt `{name}` is {other}, not a string")),
    }
}
