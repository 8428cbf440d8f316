//! Which of a repository's files make a model, or its query side: what the model's spec says.

use std::path::Path;

use super::Parts;
use crate::error::Error;
use crate::known::{self, QuerySide};
use crate::source::ModelFiles;
use crate::spec::{ModelSpec, Modules, SideSpec, TableKind};

/// The file of a table that opensearch-project's models have.
const IDF: &str = "idf.json";
const ROUTER: &str = "router_config.json";

/// The first of the files that the cached copy of `id` in `snapshot` lacks to be `parts` of the model; `None` where it
/// is complete.
///
/// # Errors
///
/// Those of [`ModelSpec::read`], with the paths of cached files, for a model that cannot be run or whose settings are
/// damaged.
pub(super) fn missing(id: &str, snapshot: &Path, parts: Parts) -> Result<Option<String>, Error> {
    let names = names_below(snapshot, "", 0);
    let files = ModelFiles::partial(snapshot.display().to_string(), snapshot, names.iter().cloned());
    names.iter().for_each(|name| files.make_available(name));
    let spec = match ModelSpec::read(&files, known::find_by_hub_id(id)) {
        Ok(spec) => spec,
        Err(Error::NoModel { file, .. }) => return Ok(Some(file)),
        Err(error) => return Err(error),
    };
    let lacks = spec.required_files(parts).into_iter().find(|file| !names.contains(file));
    Ok(lacks.or_else(|| lacks_query_side(id, &spec)))
}

/// The file that a known model has for its queries, where a copy of it lacks what encodes them: other programs cache
/// such models without it.
pub(super) fn lacks_query_side(id: &str, spec: &ModelSpec) -> Option<String> {
    let known = known::find_by_hub_id(id)?;
    let is_there = match &spec.query {
        Some(SideSpec { modules: Modules::Table(table), .. }) => table.source.kind != TableKind::BuiltIn,
        other => other.is_some(),
    };
    match known.query_side {
        QuerySide::Table if !is_there => Some(IDF.into()),
        QuerySide::AnotherModel if !is_there => Some(ROUTER.into()),
        _ => None,
    }
}

/// The files below a folder, links to nothing left out, by their paths with `/`.
fn names_below(folder: &Path, prefix: &str, depth: usize) -> Vec<String> {
    /// A module's files lie one folder down, two where a Router has a folder of its own.
    const MAX_DEPTH: usize = 3;
    let mut names = Vec::new();
    // What cannot be read counts as absent: writing it then says why.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (path, name) = (entry.path(), format!("{prefix}{name}"));
        if path.is_file() {
            names.push(name);
        } else if path.is_dir() && depth < MAX_DEPTH {
            names.extend(names_below(&path, &format!("{name}/"), depth + 1));
        }
    }
    names
}
