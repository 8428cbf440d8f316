//! Judged collections as folders: where documents, queries and judgements lie, and in which form.
//!
//! BEIR's layout (`corpus.jsonl`, `queries.jsonl`, `qrels/SPLIT.tsv`), that of the hub and of NanoBEIR (`corpus/*.parquet`,
//! `queries/*.parquet`, `qrels/*.parquet`), and lsr-benchmark's (`corpus.jsonl.gz`, `queries.jsonl`, `qrels.txt`). Any part
//! may have any of these forms; files of lines are plain, gzip or zstd; documents and queries may be `id<TAB>text` in
//! `corpus.tsv`, `queries.tsv` or `topics.tsv`, or comma-separated values with a line of names.
//!
//! On the hub, a table is `corpus/NAME-00000-of-00001.parquet`, `corpus/NAME/0000.parquet` where the hub converted it. Where
//! documents or queries lie in one table, it is read whatever its name; of several, as in
//! `sentence-transformers/NanoBEIR-en`, that with the judgements' name. mteb has the judgements in `data`.

mod files;
mod rows;
mod vectors;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub use vectors::{has_vectors, VectorCollection};

use super::{EvalError, Qrels};
use crate::input::{Fields, InputFormat};

/// A judged collection.
#[derive(Debug)]
pub struct Collection {
    /// What it is called: its folder's own name.
    pub name: String,
    /// Its documents.
    pub corpus: Corpus,
    /// The queries that are judged, in the order of their file.
    pub queries: Vec<Query>,
    /// Its judgements.
    pub qrels: Qrels,
    /// Judged queries that have no text; they count as queries without hits.
    pub missing: Vec<String>,
}

/// Where a collection's documents are, and which fields of a row make one.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// One after the other.
    pub files: Vec<PathBuf>,
    /// What they are written in.
    pub format: InputFormat,
    /// The fields of id and text; a document's text is its title, a space and its text.
    pub fields: Fields,
}

/// A judged query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
}

/// Why a folder is no collection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// A part is not there.
    #[error("`{folder}` has no {part}: expected {expected}")]
    Missing {
        /// The folder.
        folder: String,
        /// Documents, queries or judgements.
        part: &'static str,
        /// The files that would do.
        expected: String,
    },
    /// The tables have other names than the one that is asked for.
    #[error("`{folder}` has no {part} called `{split}`, only {known}")]
    Split {
        /// Rows or judgements.
        part: &'static str,
        /// The folder of the tables.
        folder: String,
        /// The name that is asked for.
        split: String,
        /// The names that are there.
        known: String,
    },
    /// None of the queries has a judgement.
    #[error("no query of `{file}` is judged")]
    NothingJudged {
        /// The file of queries.
        file: String,
    },
    /// A folder cannot be listed.
    #[error("cannot read the folder `{folder}`")]
    List {
        /// The folder.
        folder: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of it cannot be used.
    #[error(transparent)]
    File(#[from] EvalError),
}

impl From<crate::input::InputError> for CollectionError {
    fn from(error: crate::input::InputError) -> Self {
        CollectionError::File(error.into())
    }
}

impl Collection {
    /// Reads queries and judgements, and finds the documents.
    ///
    /// * `split`: which judgements; `None` stands for `test`, or for the only ones that there are. Where documents or
    ///   queries lie in several tables of a folder, those of this name are read.
    ///
    /// # Errors
    ///
    /// A [`CollectionError`] that names the part that is missing, or the file and line that is wrong.
    pub fn open(folder: &Path, split: Option<&str>) -> Result<Self, CollectionError> {
        files::check_documents(folder)?;
        let judgements = files::qrels(folder, split)?;
        let corpus = files::corpus(folder, &judgements.split)?;
        let queries = files::queries(folder, &judgements.split)?;
        let qrels = rows::read_qrels_of(&judgements.files)?;
        let judged = rows::judged_queries(&queries, &qrels)?;
        if judged.is_empty() {
            return Err(CollectionError::NothingJudged { file: queries.files[0].display().to_string() });
        }
        let known: HashSet<&str> = judged.iter().map(|query| query.id.as_str()).collect();
        let missing = qrels.queries().filter(|query| !known.contains(query)).map(String::from).collect();
        Ok(Collection { name: folder_name(folder), corpus, queries: judged, qrels, missing })
    }
}

/// A folder's own name.
pub fn folder_name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
