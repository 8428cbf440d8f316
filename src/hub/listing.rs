//! What lies where in a model's repository, or in its cached copy.
//!
//! A model lies in the root, or in the folders that sentence-transformers
//! makes for the modules of a Router's routes, such as
//! `query_0_SparseStaticEmbedding` and `document_0_MLMTransformer`, or in
//! both. Only names are looked at, but for those that a Router's config holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::is_plain;

pub(super) const CONFIG: &str = "config.json";
pub(super) const ROUTER_CONFIG: &str = "router_config.json";

/// The root, among the folders that files can be in.
pub(super) const ROOT: &str = "";

/// The files of a repository or of its cached copy, as far as a model can need them.
pub(super) struct Listing {
    /// Paths with `/`: files of the root, and of folders of modules.
    files: BTreeSet<String>,
    /// The folders of modules: those with files, and those that a Router's config names.
    folders: BTreeSet<String>,
    /// Whether a Router's config says that one of its transformers is in the root.
    is_transformer_in_root: bool,
}

impl Listing {
    /// Of the files that a repository has.
    pub(super) fn of_names(names: impl IntoIterator<Item = String>) -> Self {
        let mut listing =
            Listing { files: BTreeSet::new(), folders: BTreeSet::new(), is_transformer_in_root: false };
        for name in names {
            match name.split_once('/') {
                None if is_plain(&name) => {}
                Some((folder, file)) if is_module(folder) && is_plain(file) => {
                    listing.folders.insert(folder.to_string());
                }
                // Formats for other programs, and whatever else is in folders of its own.
                _ => continue,
            }
            listing.files.insert(name);
        }
        listing
    }

    /// Of a cached copy. What cannot be read counts as absent: writing it then says why.
    pub(super) fn of_snapshot(snapshot: &Path) -> Self {
        let names = |folder: &Path| -> Vec<String> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        let mut files = names(snapshot);
        for folder in files.clone().iter().filter(|name| is_module(name)) {
            files.extend(names(&snapshot.join(folder)).iter().map(|file| format!("{folder}/{file}")));
        }
        // Also without the links to nothing.
        files.retain(|file| snapshot.join(file).is_file());
        let mut listing = Listing::of_names(files);
        listing.add_routes(snapshot);
        listing
    }

    /// Adds what a Router's config names, so that it is missed where it is not there.
    fn add_routes(&mut self, snapshot: &Path) {
        let object = |file: &str| serde_json::from_slice::<Value>(&fs::read(snapshot.join(file)).ok()?).ok();
        // The first Routers had it in config.json.
        let router = [ROUTER_CONFIG, CONFIG].into_iter().filter_map(object);
        let Some(router) = router.into_iter().find(|config| config["structure"].is_object()) else { return };
        for (place, class) in router["types"].as_object().into_iter().flatten() {
            if place == ROOT {
                self.is_transformer_in_root |=
                    class.as_str().is_some_and(|class| class.ends_with("Transformer"));
            } else if is_module(place) {
                self.folders.insert(place.clone());
            }
        }
    }

    pub(super) fn has(&self, place: &str, file: &str) -> bool {
        self.files.contains(&path(place, file))
    }

    /// The first of `files` that is in `place`.
    pub(super) fn first_of(&self, place: &str, files: &[&'static str]) -> Option<&'static str> {
        files.iter().copied().find(|file| self.has(place, file))
    }

    /// The names of all files in `folder`.
    pub(super) fn files_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.iter().filter_map(move |file| file.strip_prefix(folder)?.strip_prefix('/'))
    }

    pub(super) fn transformer_folders(&self) -> impl Iterator<Item = &str> {
        self.folders().filter(|folder| is_transformer(folder))
    }

    /// The folders of tables of token weights.
    pub(super) fn table_folders(&self) -> impl Iterator<Item = &str> {
        self.folders().filter(|folder| is_table(folder))
    }

    /// The folders of modules that only have settings, such as the pooling.
    pub(super) fn other_folders(&self) -> impl Iterator<Item = &str> {
        self.folders().filter(|folder| !is_transformer(folder) && !is_table(folder))
    }

    fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(String::as_str)
    }

    /// Whether the root is known to have a transformer, apart from its files.
    pub(super) fn is_transformer_in_root(&self) -> bool {
        self.is_transformer_in_root || self.transformer_folders().next().is_none()
    }
}

/// The path of `file` in `place`.
pub(super) fn path(place: &str, file: &str) -> String {
    if place == ROOT {
        file.into()
    } else {
        format!("{place}/{file}")
    }
}

/// Whether a folder is that of a module: `1_SpladePooling`, or `query_0_SparseStaticEmbedding` in a route.
fn is_module(folder: &str) -> bool {
    let rest = folder.strip_prefix("query_").or(folder.strip_prefix("document_")).unwrap_or(folder);
    let Some((position, class)) = rest.split_once('_') else { return false };
    let are_all = |text: &str, is: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|byte| is(&byte));
    are_all(position, u8::is_ascii_digit) && are_all(class, u8::is_ascii_alphanumeric)
}

/// `MLMTransformer`, and `Transformer` since sentence-transformers 5.4.
fn is_transformer(module: &str) -> bool {
    module.ends_with("Transformer")
}

/// `IDF` was the first name of the other.
fn is_table(module: &str) -> bool {
    module.ends_with("_SparseStaticEmbedding") || module.ends_with("_IDF")
}
