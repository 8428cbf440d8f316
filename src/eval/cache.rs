//! Vectors and indexes of collections, kept between evaluations.
//!
//! Each collection, model and set of options has a folder of its own, named after the collection and a hash of everything
//! that decides the vectors: the documents' bytes, the model's files, the options, the instruction set, and the versions
//! of this program and of its index. It holds `about.json`, `vectors.jsonl` and an index for each setting.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::index::VERSION;
use crate::source::sha256;

const ABOUT: &str = "about.json";
const VECTORS: &str = "vectors.jsonl";

/// What a folder of the cache is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The collection's own name.
    pub data: String,
    /// The model, as it was named.
    pub model: String,
    /// SHA-256 of the documents, and of the model's files.
    pub documents_sha256: String,
    /// See [`About::documents_sha256`].
    pub model_sha256: String,
    /// Each option that decides the vectors, the instruction set among them.
    pub settings: BTreeMap<String, Value>,
    /// The version of this program.
    pub program: String,
    /// The version of its index.
    pub index_version: u32,
}

impl About {
    /// What this program makes of such documents with such a model.
    pub fn new(
        data: &str,
        model: &str,
        documents_sha256: String,
        model_sha256: String,
        settings: BTreeMap<String, Value>,
    ) -> Self {
        About {
            data: data.into(),
            model: model.into(),
            documents_sha256,
            model_sha256,
            settings,
            program: env!("CARGO_PKG_VERSION").into(),
            index_version: VERSION,
        }
    }

    /// Whether this program would make it anew.
    pub fn is_outdated(&self) -> bool {
        self.program != env!("CARGO_PKG_VERSION") || self.index_version != VERSION
    }

    /// The name of its folder: by what decides the vectors, not by what the model is called.
    fn folder_name(&self) -> io::Result<String> {
        let decisive = About { model: String::new(), ..self.clone() };
        let key = sha256(serde_json::to_string(&decisive)?.as_bytes())?;
        Ok(format!("{}-{}", self.data, &key[..16]))
    }
}

/// A folder of the cache.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where it is.
    pub folder: PathBuf,
    /// What its files take.
    pub bytes: u64,
    /// What it is of; `None` where an earlier version of this program made it.
    pub about: Option<About>,
}

/// The folder for `about` in the cache, made where it is not there.
///
/// # Errors
///
/// Those of the file system.
pub fn folder_of(cache: &Path, about: &About) -> io::Result<PathBuf> {
    let folder = cache.join(about.folder_name()?);
    fs::create_dir_all(&folder)?;
    let description = folder.join(ABOUT);
    if !description.is_file() {
        // Under another name first: a reader never sees half of it.
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        serde_json::to_writer_pretty(&mut file, about)?;
        file.persist(&description)?;
    }
    Ok(folder)
}

/// The file of the documents' vectors in a folder of the cache.
pub fn vectors_path(folder: &Path) -> PathBuf {
    folder.join(VECTORS)
}

/// The folders of the cache, by name; a cache that is not there is empty. Other files in it are left out.
///
/// # Errors
///
/// Those of the file system.
pub fn list(cache: &Path) -> io::Result<Vec<Kept>> {
    let entries = match fs::read_dir(cache) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut kept = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        if is_kept(&folder) {
            let about = fs::read(folder.join(ABOUT)).ok();
            let about = about.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            kept.push(Kept { bytes: size(&folder)?, about, folder });
        }
    }
    kept.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(kept)
}

/// Removes what [`list`] lists, and returns it.
///
/// # Errors
///
/// Those of the file system; what was removed before stays removed.
pub fn clear(cache: &Path) -> io::Result<Vec<Kept>> {
    let kept = list(cache)?;
    for folder in &kept {
        fs::remove_dir_all(&folder.folder)?;
    }
    Ok(kept)
}

/// Whether a folder is one of the cache's own: a name that ends in a key, and nothing in it but what is put there.
fn is_kept(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let key = name.rsplit_once('-').map_or("", |(_, key)| key);
    if key.len() != 16 || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) || folder.is_symlink() {
        return false;
    }
    let Ok(mut entries) = fs::read_dir(folder) else { return false };
    entries.all(|entry| {
        let name = entry.map(|entry| entry.file_name().to_string_lossy().into_owned()).unwrap_or_default();
        name == ABOUT || name.starts_with(VECTORS) || name.starts_with("index-") || name.starts_with(".tmp")
    })
}

/// The bytes of all files below a folder.
fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        bytes += if found.is_dir() { size(&entry.path())? } else { found.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        let settings = [("the kernel".to_string(), Value::from("avx2"))].into_iter().collect();
        About::new("data", "tiny", "d".into(), "m".into(), settings)
    }

    #[test]
    fn whatever_decides_the_vectors_has_a_folder_of_its_own() {
        let name = about().folder_name().expect("a name");
        let others = [
            About { data: "other".into(), ..about() },
            About { documents_sha256: "e".into(), ..about() },
            About { model_sha256: "n".into(), ..about() },
            About {
                settings: [("the kernel".to_string(), "avx512".into())].into_iter().collect(),
                ..about()
            },
            About { program: "0.0.1".into(), ..about() },
            About { index_version: VERSION + 1, ..about() },
        ];
        for other in &others {
            assert_ne!(other.folder_name().expect("a name"), name, "{other:?}");
        }
        assert_eq!(About { model: "./tiny".into(), ..about() }.folder_name().expect("a name"), name);
        assert!(!about().is_outdated() && others[4].is_outdated() && others[5].is_outdated());
    }

    #[test]
    fn nothing_but_its_own_folders_is_listed_and_cleared() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = folder_of(cache.path(), &about()).expect("a folder of the cache");
        fs::write(vectors_path(&folder), "12345").expect("a file");
        let strange = cache.path().join("mine-0123456789abcdef");
        fs::create_dir(&strange).expect("a folder");
        fs::write(strange.join("letters.txt"), "dear").expect("a file");
        fs::create_dir(cache.path().join("films")).expect("a folder");
        let kept = list(cache.path()).expect("a list");
        assert_eq!(kept.len(), 1);
        assert_eq!((&kept[0].folder, kept[0].about.as_ref()), (&folder, Some(&about())));
        assert!(kept[0].bytes > 5);
        assert_eq!(clear(cache.path()).expect("cleared").len(), 1);
        assert!(!folder.exists() && strange.exists() && cache.path().join("films").exists());
        assert!(list(&cache.path().join("nowhere")).expect("an empty list").is_empty());
    }
}
