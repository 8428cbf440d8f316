//! A zip archive as a model's files: a tokenizer and a table of token weights, as ml-commons registers them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::max_bytes;
use crate::error::Error;

/// Bytes that an archive may hold, unpacked: a tokenizer and a table of weights are a few million.
const MAX_ARCHIVE_BYTES: u64 = 128 << 20;

/// Files that an archive may hold.
const MAX_ENTRIES: usize = 1000;

/// Every file of a tokenizer archive by its name.
///
/// # Errors
///
/// [`Error::Read`] or [`Error::Invalid`] when it cannot be read, or is no tokenizer archive; [`Error::TorchScript`] for
/// one with a compiled model.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let file = path.display().to_string();
    let invalid = |reason: String| Error::invalid(&file, reason);
    let opened = File::open(path).map_err(|source| Error::Read { file: file.clone(), source })?;
    let mut archive = zip::ZipArchive::new(opened)
        .map_err(|error| invalid(format!("is a file, not a folder, and no zip archive either: {error}")))?;
    if archive.len() > MAX_ENTRIES {
        return Err(invalid(format!("holds {} files: no tokenizer model", archive.len())));
    }
    let names: Vec<Cow<str>> =
        archive.file_names().collect::<Result<_, _>>().map_err(|error| invalid(error.to_string()))?;
    let is_program = |name: &Cow<str>| [".pt", ".ptc", "data.pkl"].iter().any(|end| name.ends_with(end));
    if names.iter().any(is_program) {
        return Err(Error::TorchScript { file });
    }
    if let Some(model) =
        names.iter().find(|name| name.ends_with("config.json") && !name.ends_with("tokenizer_config.json"))
    {
        return Err(invalid(format!("an archive with a model (`{model}`): unpack it, and name the folder")));
    }
    if !names.iter().any(|name| name == "tokenizer.json") {
        let first = names.first().map(|name| format!(", but `{name}`")).unwrap_or_default();
        return Err(invalid(format!(
            "an archive without `tokenizer.json` at its top{first}: no tokenizer model"
        )));
    }
    if !names.iter().any(|name| name == "idf.json") {
        return Err(invalid("an archive without `idf.json` at its top: no token weights".into()));
    }
    let mut files = BTreeMap::new();
    let mut room = MAX_ARCHIVE_BYTES;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| invalid(error.to_string()))?;
        let name = entry.name().map_err(|error| invalid(error.to_string()))?.into_owned();
        let limit = room.min(max_bytes(&name));
        let mut bytes = Vec::new();
        // The size that an entry states may be wrong.
        let read = entry.by_ref().take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| invalid(format!("`{name}`: {error}")))?;
        if bytes.len() as u64 > limit {
            return Err(invalid(format!(
                "`{name}` unpacks to more than {} MiB: no tokenizer model",
                limit >> 20
            )));
        }
        room -= bytes.len() as u64;
        files.insert(name, bytes);
    }
    Ok(files)
}
