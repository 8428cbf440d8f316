//! Which files of a folder are which part of a collection.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CollectionError, Corpus};
use crate::input::{first_row, json, Fields, InputFormat, Source};

/// Files of one form.
#[derive(Debug)]
pub(super) struct Files {
    pub files: Vec<PathBuf>,
    pub format: InputFormat,
}

/// How the name of a file of documents or queries ends.
const ENDS: [&str; 3] = ["jsonl", "tsv", "csv"];

const COMPRESSED: [&str; 3] = ["", ".gz", ".zst"];

/// The documents.
pub(super) fn corpus(folder: &Path, split: &str) -> Result<Corpus, CollectionError> {
    let Files { files, format } = part(folder, &["corpus"], split)?.ok_or_else(|| no_documents(folder))?;
    let fields = fields(&files[0], format, &["title", "text"])?;
    Ok(Corpus { files, format, fields })
}

/// An error for a folder that is not there, or has no documents in any form.
pub(super) fn check_documents(folder: &Path) -> Result<(), CollectionError> {
    let has_file = ENDS.iter().any(|end| there(folder, &format!("corpus.{end}")).is_some());
    match has_file || folder.join("corpus").is_dir() {
        true => Ok(()),
        false => Err(no_documents(folder)),
    }
}

fn no_documents(folder: &Path) -> CollectionError {
    missing(folder, "documents", "corpus.jsonl, corpus.tsv, corpus.csv or corpus/*.parquet")
}

/// The queries, and the fields of theirs.
pub(super) fn queries(folder: &Path, split: &str) -> Result<Files, CollectionError> {
    let expected = "queries.jsonl, queries.tsv, queries.csv, topics.tsv or queries/*.parquet";
    part(folder, &["queries", "topics"], split)?.ok_or_else(|| missing(folder, "queries", expected))
}

/// Judgements, and which they are.
#[derive(Debug)]
pub(super) struct Judgements {
    pub split: String,
    pub files: Files,
}

/// The judgements of a split; `None` stands for `test`, or for the only ones that there are.
pub(super) fn qrels(folder: &Path, split: Option<&str>) -> Result<Judgements, CollectionError> {
    let expected = "qrels/test.tsv, qrels/*.parquet or qrels.txt";
    let single =
        ["txt", "tsv", "trec", "jsonl"].iter().find_map(|end| there(folder, &format!("qrels.{end}")));
    let within = JUDGEMENTS.map(|name| folder.join(name)).into_iter().find(|within| within.is_dir());
    let within = match (within, single) {
        (Some(within), None) => within,
        (Some(within), Some(_)) if within.ends_with(JUDGEMENTS[0]) => within,
        (_, Some(file)) => return only_judgements(folder, file, split),
        (None, None) => return Err(missing(folder, "judgements", expected)),
    };
    let tables: Vec<Table> = tables(&within)?.into_iter().filter(Table::has_judgements).collect();
    let names = names(&tables);
    let wanted = match (split, &names[..]) {
        (Some(split), _) => split,
        (None, [only]) => only,
        (None, _) => DEFAULT_SPLIT,
    };
    let files: Vec<PathBuf> = of_split(&tables, wanted);
    match &files[..] {
        [] if names.is_empty() => Err(missing(folder, "judgements", expected)),
        [] => Err(no_split("judgements", &within, wanted, &names)),
        // A split may be there in several forms, as the hub's own and those that it was made of: one of them is all of
        // it.
        [first, ..] => {
            let same = files.iter().filter(|file| extension(file) == extension(first)).cloned().collect();
            Ok(Judgements { split: wanted.into(), files: judgements(same) })
        }
    }
}

/// The judgements that are taken where several are there and nothing else is said.
const DEFAULT_SPLIT: &str = "test";

/// Folders of judgements: BEIR's, and those of the hub's default table, which mteb has for them.
const JUDGEMENTS: [&str; 3] = ["qrels", "data", "default"];

/// Judgements in a file of their own, which have no other name.
fn only_judgements(folder: &Path, file: PathBuf, split: Option<&str>) -> Result<Judgements, CollectionError> {
    match split {
        Some(split) if split != DEFAULT_SPLIT => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            Err(no_split("judgements", folder, split, &[&name]))
        }
        _ => Ok(Judgements { split: DEFAULT_SPLIT.into(), files: judgements(vec![file]) }),
    }
}

/// Files of judgements: objects, or lines of columns, whatever their name.
fn judgements(files: Vec<PathBuf>) -> Files {
    let format = match extension(&files[0]).as_str() {
        "jsonl" => InputFormat::Jsonl,
        "parquet" => InputFormat::Parquet,
        _ => InputFormat::Tsv,
    };
    Files { files, format }
}

/// A file of a folder of rows.
struct Table {
    /// What its rows are called, by its name or that of its folder.
    split: String,
    /// Whether the hub has named it, so that another split is another collection.
    is_of_hub: bool,
    file: PathBuf,
}

impl Table {
    /// Whether judgements can have its form.
    fn has_judgements(&self) -> bool {
        ["tsv", "txt", "trec", "jsonl", "parquet"].contains(&extension(&self.file).as_str())
    }
}

/// The files of a folder and of the folders in it, by name: `test.tsv`, `test-00000-of-00001.parquet` as datasets are
/// stored on the hub, `test/0000.parquet` as the hub itself converts them.
fn tables(within: &Path) -> Result<Vec<Table>, CollectionError> {
    let mut tables = Vec::new();
    for path in list(within)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let files = list(&path)?.into_iter().filter(|file| extension(file) == "parquet");
            tables.extend(files.map(|file| Table { split: name.clone(), is_of_hub: true, file }));
        } else {
            let (split, is_of_hub) = split_name(&name);
            tables.push(Table { split, is_of_hub, file: path });
        }
    }
    Ok(tables)
}

/// The names of splits, in the order of their files.
fn names(tables: &[Table]) -> Vec<&str> {
    let mut names: Vec<&str> = tables.iter().map(|table| table.split.as_str()).collect();
    names.dedup();
    names
}

fn of_split(tables: &[Table], split: &str) -> Vec<PathBuf> {
    tables.iter().filter(|table| table.split == split).map(|table| table.file.clone()).collect()
}

fn no_split(part: &'static str, folder: &Path, split: &str, known: &[&str]) -> CollectionError {
    let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    CollectionError::Split { part, folder: folder.display().to_string(), split: split.into(), known }
}

/// `test` of `test.tsv`, `test.tsv.gz` and `test-00000-of-00001.parquet`, and whether it is a name of the hub's, as the
/// last.
fn split_name(name: &str) -> (String, bool) {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let parts: Vec<&str> = stem.rsplitn(4, '-').collect();
    let is_number = |part: &str| part.len() >= 5 && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts[..] {
        [last, "of", first, name] if is_number(last) && is_number(first) => (name.into(), true),
        _ => (stem.into(), false),
    }
}

/// The end of a name, without that of the compression.
fn extension(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
    plain.rsplit_once('.').map(|(_, end)| end.to_string()).unwrap_or_default()
}

/// A part as a file of its own, or as the files of a folder: those of the split where several tables are there, as in
/// NanoBEIR, or all of the only one, whatever it is called.
///
/// Source: `_get_split` in mteb's `abstasks/retrieval_dataset_loaders.py`.
fn part(folder: &Path, names_of_part: &[&str], split: &str) -> Result<Option<Files>, CollectionError> {
    for name in names_of_part {
        for end in ENDS {
            if let Some(file) = there(folder, &format!("{name}.{end}")) {
                return Ok(Some(of_one(file)));
            }
        }
        let within = folder.join(name);
        if within.is_dir() {
            for end in ["parquet", "jsonl"] {
                let mut tables = tables(&within)?;
                tables.retain(|table| extension(&table.file) == end);
                if let Some(first) = tables.first() {
                    let format = InputFormat::of_path(&first.file);
                    return Ok(Some(Files { files: rows_of(&within, &tables, split)?, format }));
                }
            }
        }
    }
    Ok(None)
}

/// The files of a split, or of the only table.
fn rows_of(within: &Path, tables: &[Table], split: &str) -> Result<Vec<PathBuf>, CollectionError> {
    let names = names(tables);
    if names.contains(&split) {
        return Ok(of_split(tables, split));
    }
    if names.len() > 1 && tables.iter().any(|table| table.is_of_hub) {
        return Err(no_split("rows", within, split, &names));
    }
    Ok(tables.iter().map(|table| table.file.clone()).collect())
}

/// A file of this name, compressed or not.
fn there(folder: &Path, name: &str) -> Option<PathBuf> {
    COMPRESSED.iter().map(|end| folder.join(format!("{name}{end}"))).find(|path| path.is_file())
}

fn of_one(file: PathBuf) -> Files {
    let format = InputFormat::of_path(&file);
    Files { files: vec![file], format }
}

/// What is in a folder, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>, CollectionError> {
    let failed = |source| CollectionError::List { folder: folder.display().to_string(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.sort();
    Ok(files)
}

/// The fields of a file of rows: those of lsr-benchmark where its first row has them.
pub(super) fn fields(file: &Path, format: InputFormat, text: &[&str]) -> Result<Fields, CollectionError> {
    let beir = Fields { text: text.iter().map(|name| name.to_string()).collect(), ..Fields::default() };
    let sources = Source::whole(&[file.to_path_buf()], format.container())?;
    let Some(line) = first_row(&sources[0])? else { return Ok(beir) };
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

/// The error of a part that is not there.
pub(super) fn missing(folder: &Path, part: &'static str, expected: &str) -> CollectionError {
    CollectionError::Missing { folder: folder.display().to_string(), part, expected: expected.into() }
}
