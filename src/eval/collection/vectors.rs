//! Judged vectors that another program made, in the layout of lsr-benchmark: documents in `doc/doc-embeddings.npz` with
//! their ids in `doc/doc-ids.txt`, queries in `query/query-embeddings.npz` and `query/query-ids.txt`.
//!
//! Nothing in such a folder names terms: a term is the number of its column. Judgements may lie beside the vectors, as
//! `qrels.txt` or in `qrels`. Source: the function `embeddings` in lsr-benchmark's `lsr_benchmark/irds.py`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{files, folder_name, rows, CollectionError};
use crate::eval::{read_qrels, EvalError, Qrels};
use crate::format::id_text;
use crate::input::json::{parse_vector, Entries, Keys};
use crate::input::{each_row, lsr_ids_path, Fields, InputFormat};
use crate::sparse::SparseVector;

/// Vectors of documents and of judged queries.
#[derive(Debug)]
pub struct VectorCollection {
    /// What it is called: its folder's own name.
    pub name: String,
    /// The matrix of the documents, (N, V), whose ids stand beside it.
    pub documents: PathBuf,
    /// The judged queries by their ids, in the order of their file.
    pub queries: Vec<(String, SparseVector)>,
    /// Its judgements.
    pub qrels: Qrels,
    /// Judged queries that have no vector; they count as queries without hits.
    pub missing: Vec<String>,
}

/// Whether a folder has vectors in this layout, and no texts to encode.
pub fn has_vectors(folder: &Path) -> bool {
    let has_texts = files::check_documents(folder).is_ok();
    !has_texts && ["doc", "query"].iter().all(|part| matrix(folder, part).is_file())
}

fn matrix(folder: &Path, part: &str) -> PathBuf {
    folder.join(part).join(format!("{part}-embeddings.npz"))
}

impl VectorCollection {
    /// Reads the queries and the judgements, and finds the documents.
    ///
    /// * `qrels`: the file of the judgements; `None` stands for those in the folder, of which `split` names some as for
    ///   [`Collection::open`](super::Collection::open).
    ///
    /// # Errors
    ///
    /// A [`CollectionError`] that names the part that is missing, or the file and row that is wrong.
    pub fn open(folder: &Path, qrels: Option<&Path>, split: Option<&str>) -> Result<Self, CollectionError> {
        for (part, what) in [("doc", "ids of documents"), ("query", "ids of queries")] {
            if !lsr_ids_path(&matrix(folder, part)).is_file() {
                return Err(files::missing(folder, what, &format!("{part}/{part}-ids.txt")));
            }
        }
        let qrels = match qrels {
            Some(file) => read_qrels(file)?,
            None => rows::read_qrels_of(&files::qrels(folder, split)?.files)?,
        };
        let file = matrix(folder, "query");
        let queries = judged_queries(&file, &qrels)?;
        if queries.is_empty() {
            return Err(CollectionError::NothingJudged { file: file.display().to_string() });
        }
        let known: HashSet<&str> = queries.iter().map(|(id, _)| id.as_str()).collect();
        let missing = qrels.queries().filter(|query| !known.contains(query)).map(String::from).collect();
        let (name, documents) = (folder_name(folder), matrix(folder, "doc"));
        Ok(VectorCollection { name, documents, queries, qrels, missing })
    }

    /// The files that decide the documents' vectors.
    pub(in crate::eval) fn document_files(&self) -> [PathBuf; 2] {
        [self.documents.clone(), lsr_ids_path(&self.documents)]
    }
}

fn judged_queries(file: &Path, qrels: &Qrels) -> Result<Vec<(String, SparseVector)>, CollectionError> {
    let (fields, mut seen) = (Fields::default(), HashSet::new());
    let mut judged = Vec::new();
    each_row(file, InputFormat::CsrNpz.container(), |line, row| {
        let fault = |reason: &str| EvalError::line(file, line, reason);
        let row =
            parse_vector(row, &fields, "vector", Keys::Ids).map_err(|error| fault(&error.to_string()))?;
        let id = row.id.as_deref().map(|id| id_text(id).to_string()).ok_or_else(|| fault("no id"))?;
        if !seen.insert(id.clone()) {
            return Err(fault(&format!("the query `{id}` is there a second time")).into());
        }
        let pairs = match row.entries {
            Entries::Ids(ids) => ids.into_iter().map(|(id, weight)| (id, weight.value)).collect(),
            Entries::Terms(_) => return Err(fault("terms without numbers").into()),
        };
        let vector = SparseVector::from_pairs(pairs).expect("checked entries, anything else is a bug");
        if qrels.has(&id) {
            judged.push((id, vector));
        }
        Ok::<(), CollectionError>(())
    })?;
    Ok(judged)
}
