//! Vectors in the forms in which search engines take them: a file a store.
//!
//! A [`Format`] turns documents into the bytes of a file that its store loads as it is, and knows the bodies of the
//! store's index and of its queries. What a store cannot hold is refused by row, what it holds only roughly is counted
//! as [`Findings`].

mod anserini;
mod assembly;
mod bulk;
mod ciff;
mod collection;
mod csr;
#[cfg(feature = "archive")]
mod csr_npz;
mod elasticsearch;
mod findings;
mod index;
mod json;
mod jsonl;
mod milvus;
mod opensearch;
mod opensearch_sparse_vector;
#[cfg(feature = "parquet")]
mod parquet;
mod pgvector;
mod pinecone;
mod qdrant;
mod requests;
mod row;
mod scaled;
mod seismic;
mod vespa;

use std::fmt::Debug;

pub use assembly::{Assembly, CollectedRows};
pub use bulk::Action;
pub use findings::Findings;
pub use index::{index, index_described_by};
pub use json::write_by_name;
pub use opensearch::{ingest_pipeline, two_phase_pipeline, Ingest};
pub use requests::Requests;
pub use row::{id_text, Content, Document, Row, Terms};

use crate::error::MissingFeature;
use crate::input::{Keep, RowError};
use crate::sparse::{Prune, SparseVector};
use row::{all_characters, as_object, kept_fields};

type New = fn(&Options) -> Result<Box<dyn Format>, FormatError>;

/// Every format by its name.
const FORMATS: [(&str, New); 16] = [
    ("jsonl", jsonl::new),
    ("opensearch", opensearch::new),
    ("opensearch-sparse-vector", opensearch_sparse_vector::new),
    ("elasticsearch", elasticsearch::new),
    ("qdrant", qdrant::new),
    ("milvus", milvus::new),
    ("pinecone", pinecone::new),
    ("vespa", vespa::new),
    ("pgvector", pgvector::new),
    ("anserini", anserini::new),
    ("seismic", seismic::new),
    ("csr-npz", new_csr_npz),
    ("lsr-benchmark", new_lsr_benchmark),
    ("csr", csr::new),
    ("ciff", ciff::new),
    ("parquet", new_parquet),
];

fn new_csr_npz(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    #[cfg(feature = "archive")]
    return csr_npz::new(options);
    #[cfg(not(feature = "archive"))]
    {
        let _ = options;
        Err(FormatError::Missing(MissingFeature { feature: "archive" }))
    }
}

fn new_lsr_benchmark(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    #[cfg(feature = "archive")]
    return csr_npz::new_lsr_benchmark(options);
    #[cfg(not(feature = "archive"))]
    {
        let _ = options;
        Err(FormatError::Missing(MissingFeature { feature: "archive" }))
    }
}

fn new_parquet(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    #[cfg(feature = "parquet")]
    return parquet::new(options);
    #[cfg(not(feature = "parquet"))]
    {
        let _ = options;
        Err(FormatError::Missing(MissingFeature { feature: "parquet" }))
    }
}

/// Why a format cannot be had, or not with these options.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FormatError {
    /// No format has this name; see [`names`].
    #[error("no format of this name")]
    UnknownName,
    /// The format is not in this build.
    #[error(transparent)]
    Missing(MissingFeature),
    /// It cannot follow an option.
    #[error("{reason}")]
    Option {
        /// The option.
        option: FormatOption,
        /// The value that it cannot have; `None` where the format knows no other than the default.
        value: Option<String>,
        /// Why.
        reason: String,
    },
}

impl FormatError {
    /// The format has one value of the option only, its default.
    fn fixed(option: FormatOption, reason: impl Into<String>) -> Self {
        FormatError::Option { option, value: None, reason: reason.into() }
    }

    /// The option cannot have this value.
    fn value(option: FormatOption, value: impl Into<String>, reason: impl Into<String>) -> Self {
        FormatError::Option { option, value: Some(value.into()), reason: reason.into() }
    }
}

/// An option of [`Options`], or of the files that a format's rows are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatOption {
    /// [`Options::vector_field`].
    VectorField,
    /// [`Options::index_name`].
    IndexName,
    /// [`Options::action`].
    Action,
    /// The most bytes of a file, where several may hold a collection: see [`Format::lines_of_a_request`].
    RequestBytes,
    /// [`Options::scale`].
    Scale,
    /// [`Options::keep`].
    Keep,
    /// [`Options::has_windows`].
    Windows,
    /// [`Options::two_phase`].
    TwoPhase,
    /// [`Options::without_plugin`].
    WithoutPlugin,
}

/// The names of the formats.
pub fn names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|(name, _)| *name)
}

/// The format of this name.
///
/// # Errors
///
/// A [`FormatError`] that names the option that it cannot follow.
pub fn named(name: &str, options: &Options) -> Result<Box<dyn Format>, FormatError> {
    let (_, new) = FORMATS.iter().find(|format| format.0 == name).ok_or(FormatError::UnknownName)?;
    new(options)
}

/// What a format is told. Each has a use for some of it only: see [`Format::takes`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The store's field that holds the vector.
    pub vector_field: String,
    /// The index, collection, table or document type.
    pub index_name: Option<String>,
    /// What a `_bulk` request does with a document.
    pub action: Option<Action>,
    /// What weights are multiplied by where a store takes integers only.
    pub scale: Option<f32>,
    /// The fields that documents come with.
    pub keep: Keep,
    /// Whether documents come as the vectors of their windows.
    pub has_windows: bool,
    /// Whether a query is run in two phases: its heavy terms first.
    pub two_phase: Option<TwoPhase>,
    /// Whether a query must do without the store's plugin for sparse vectors.
    pub without_plugin: bool,
    /// The largest weight that documents are expected to have.
    pub ingest_ceiling: f32,
    /// The same of queries.
    pub search_ceiling: f32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            vector_field: "vector".into(),
            index_name: None,
            action: None,
            scale: None,
            keep: Keep::Nothing,
            has_windows: false,
            two_phase: None,
            without_plugin: false,
            ingest_ceiling: 3.0,
            search_ceiling: 16.0,
        }
    }
}

/// How a query is run in two phases: `neural_sparse_two_phase_processor`, with its own defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoPhase {
    /// Which terms take part in the first phase.
    pub prune: Prune,
    /// So many times the hits asked for are scored again.
    pub expansion_rate: f32,
    /// But no more than these.
    pub max_window_size: u32,
}

impl Default for TwoPhase {
    fn default() -> Self {
        TwoPhase { prune: Prune::MaxRatio(0.4), expansion_rate: 5.0, max_window_size: 10_000 }
    }
}

/// What a format has to know of terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Their names.
    Names,
    /// Their names, and how many there are in all.
    NamesOfVocabulary,
    /// Their ids.
    Ids,
    /// Their ids, and how many there are in all.
    IdsOfVocabulary,
}

/// Which compressed files a store reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `.gz` and `.zst`: the rows are sent by something that can decompress them.
    Any,
    /// `.gz`.
    Gzip,
    /// None.
    Nothing,
}

/// The form in which one store takes vectors.
pub trait Format: Debug + Send + Sync {
    /// What it has to know of terms.
    fn keys(&self) -> Keys;

    /// Options other than the vector's field that change what it writes.
    fn takes(&self) -> &'static [FormatOption];

    /// Whether its vectors are to stay as the model gives them. Every other format goes to an engine that scores by dot
    /// product, so the vectors of a model that scores by cosine are normalised for it.
    fn keeps_raw_weights(&self) -> bool {
        false
    }

    /// Names that a kept field cannot have, because the store has them for something else.
    fn reserved_fields(&self) -> &'static [&'static str] {
        &["id"]
    }

    /// What the store takes for the id of a document that is called `id`: two documents with the same are one there.
    fn stored_id(&self, id: &str) -> String {
        id.to_string()
    }

    /// Appends one row.
    ///
    /// # Errors
    ///
    /// A [`RowError`] where the store cannot hold it; `out` may have a part of it then.
    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError>;

    /// Appends the windows of a document: by default a row for each of them.
    ///
    /// * `id`, `kept`: those of the document; see [`Document`].
    ///
    /// # Errors
    ///
    /// Those of [`Format::write_row`].
    fn write_windows(
        &self,
        (id, kept): (&str, &str),
        windows: &[SparseVector],
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        windows.iter().enumerate().try_for_each(|(number, vector)| {
            self.write_row(&Row { id, window: Some(number), kept, vector }, terms, out, findings)
        })
    }

    /// Appends a document.
    ///
    /// # Errors
    ///
    /// Those of [`Format::write_row`].
    fn write(
        &self,
        document: &Document,
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let (id, kept) = (document.id, document.kept);
        match &document.content {
            Content::Whole(vector) => {
                self.write_row(&Row { id, window: None, kept, vector }, terms, out, findings)
            }
            Content::Windows(windows) => self.write_windows((id, kept), windows, terms, out, findings),
        }
    }

    /// Whether the windows of a document stand together in it.
    fn nests_windows(&self) -> bool {
        false
    }

    /// Which compressed files the store reads.
    fn compression(&self) -> Compression {
        Compression::Any
    }

    /// Lines that one document is, where several files of rows may hold a collection: a `_bulk` request each.
    fn lines_of_a_request(&self) -> Option<usize> {
        None
    }

    /// How the file is made of the rows, where it is not the rows one after the other.
    fn assembly(&self) -> Option<Box<dyn Assembly>> {
        None
    }

    /// The body that creates the index, in the language of the store; `None` where there is no such thing.
    ///
    /// * `vocab_size`: V.
    fn mapping(&self, vocab_size: usize) -> Option<String> {
        let _ = vocab_size;
        None
    }

    /// The body of a query for the best `k` documents, on one line; `None` where the store has none.
    ///
    /// # Errors
    ///
    /// A [`RowError`] where the store does not take the query.
    fn query(
        &self,
        vector: &SparseVector,
        terms: Terms,
        k: usize,
        findings: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        let _ = (vector, terms, k, findings);
        Ok(None)
    }
}

/// Whether a name is letters, digits and `_`, and does not begin with a digit.
fn is_identifier(name: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    name.chars().all(is_part) && !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// An error of an id that is too long for a store.
fn long_id(most: usize, store: &str) -> RowError {
    RowError::new(format!("an id of more than {most} bytes, which is what {store} takes"))
}

/// An error that says how many terms a store takes.
fn too_many_terms(count: usize, most: usize, store: &str) -> RowError {
    RowError { max_terms: Some(most), ..RowError::new(format!("{count} terms, and {store} takes {most}")) }
}
