//! Which files of a folder are which part of a collection.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CollectionError, Corpus};
use crate::input::{json, Container, Fields, RowFile, Source};

/// Files of one kind.
#[derive(Debug)]
pub(super) struct Files {
    pub files: Vec<PathBuf>,
    pub form: Form,
}

/// What a row is.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// An object of JSON, in lines or made of a row of Parquet.
    Objects(Container),
    /// Columns with tabs between them.
    Tsv,
}

const COMPRESSED: [&str; 3] = ["", ".gz", ".zst"];

/// The documents.
pub(super) fn corpus(folder: &Path) -> Result<Corpus, CollectionError> {
    let expected = "corpus.jsonl or corpus/*.parquet";
    let found = part(folder, &["corpus"], &["jsonl"])?;
    let Some(Files { files, form: Form::Objects(container) }) = found else {
        return Err(missing(folder, "documents", expected));
    };
    let fields = fields(&files[0], container, &["title", "text"])?;
    Ok(Corpus { files, container, fields })
}

/// The queries, and the fields of theirs.
pub(super) fn queries(folder: &Path) -> Result<Files, CollectionError> {
    let found = part(folder, &["queries", "topics"], &["jsonl", "tsv"])?;
    found.ok_or_else(|| {
        missing(folder, "queries", "queries.jsonl, queries.tsv, topics.tsv or queries/*.parquet")
    })
}

/// The judgements of a split.
pub(super) fn qrels(folder: &Path, split: Option<&str>) -> Result<Files, CollectionError> {
    let within = folder.join("qrels");
    if !within.is_dir() {
        let single = ["txt", "tsv", "trec", "jsonl"].map(|end| format!("qrels.{end}"));
        let found = single.iter().find_map(|name| there(folder, name));
        let Some(file) = found else {
            return Err(missing(folder, "judgements", "qrels/test.tsv, qrels/*.parquet or qrels.txt"));
        };
        return Ok(of_one(file));
    }
    let mut splits: Vec<(String, PathBuf)> = Vec::new();
    for file in list(&within)? {
        splits.extend(split_name(&file).map(|split| (split, file)));
    }
    let mut names: Vec<&str> = splits.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let wanted = match (split, &names[..]) {
        (Some(split), _) => split,
        (None, [only]) => only,
        (None, _) => "test",
    };
    let files: Vec<PathBuf> =
        splits.iter().filter(|(name, _)| name == wanted).map(|(_, file)| file.clone()).collect();
    if files.is_empty() {
        if names.is_empty() {
            return Err(missing(folder, "judgements", "qrels/test.tsv, qrels/*.parquet or qrels.txt"));
        }
        let known = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let (folder, split) = (within.display().to_string(), wanted.to_string());
        return Err(CollectionError::Split { folder, split, known });
    }
    // A split may be there in several forms, as the hub's own and those that it was made of: one of them is all of it.
    let first = of_one(files[0].clone());
    let same = files.iter().filter(|file| extension(file) == extension(&files[0])).cloned().collect();
    Ok(Files { files: same, ..first })
}

/// `test` of `test.tsv`, `test.tsv.gz` and `test-00000-of-00001.parquet`.
fn split_name(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let (stem, _) = name.split_once('.')?;
    ["tsv", "txt", "trec", "jsonl", "parquet"].contains(&extension(file).as_str()).then_some(())?;
    // The hub's names end in -00000-of-00001.
    let parts: Vec<&str> = stem.rsplitn(4, '-').collect();
    let is_number = |part: &str| part.len() >= 5 && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts[..] {
        [last, "of", first, name] if is_number(last) && is_number(first) => Some(name.into()),
        _ => Some(stem.into()),
    }
}

/// The end of a name, without that of the compression.
fn extension(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
    plain.rsplit_once('.').map(|(_, end)| end.to_string()).unwrap_or_default()
}

/// A part as a file of its own, or as the files of a folder.
fn part(folder: &Path, names: &[&str], ends: &[&str]) -> Result<Option<Files>, CollectionError> {
    for name in names {
        for end in ends {
            if let Some(file) = there(folder, &format!("{name}.{end}")) {
                return Ok(Some(of_one(file)));
            }
        }
        let within = folder.join(name);
        if within.is_dir() {
            for end in ["parquet", "jsonl"] {
                let files: Vec<PathBuf> =
                    list(&within)?.into_iter().filter(|file| extension(file) == end).collect();
                if let Some(first) = files.first() {
                    return Ok(Some(Files { form: of_one(first.clone()).form, files }));
                }
            }
        }
    }
    Ok(None)
}

/// A file of this name, compressed or not.
fn there(folder: &Path, name: &str) -> Option<PathBuf> {
    COMPRESSED.iter().map(|end| folder.join(format!("{name}{end}"))).find(|path| path.is_file())
}

fn of_one(file: PathBuf) -> Files {
    let form = match extension(&file).as_str() {
        "parquet" => Form::Objects(Container::Rows(RowFile::Parquet)),
        "jsonl" => Form::Objects(Container::Lines),
        _ => Form::Tsv,
    };
    Files { files: vec![file], form }
}

/// The files of a folder, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>, CollectionError> {
    let failed = |source| CollectionError::List { folder: folder.display().to_string(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The fields of a file of objects: those of lsr-benchmark where its first row has them.
pub(super) fn fields(file: &Path, container: Container, text: &[&str]) -> Result<Fields, CollectionError> {
    let beir = Fields { text: text.iter().map(|name| name.to_string()).collect(), ..Fields::default() };
    let sources = Source::whole(&[file.to_path_buf()], container)?;
    let Some(line) = crate::input::InputFile::open(&sources[0], 0)?.next_line()? else { return Ok(beir) };
    // A row that cannot be read is an error where all are read.
    let Ok(entries) = json::entries(&line) else { return Ok(beir) };
    let has = |name: &str| entries.iter().any(|entry| entry.key == name);
    for (id, text) in [("doc_id", "default_text"), ("qid", "query")] {
        if has(id) && has(text) {
            return Ok(Fields { id: Some(id.into()), text: vec![text.into()], ..Fields::default() });
        }
    }
    Ok(beir)
}

fn missing(folder: &Path, part: &'static str, expected: &str) -> CollectionError {
    CollectionError::Missing { folder: folder.display().to_string(), part, expected: expected.into() }
}
