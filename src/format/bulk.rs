//! The `_bulk` requests of OpenSearch and Elasticsearch: an action on a line, a document on the next.

use super::{json, Options, Row};
use crate::jsonl::RowError;
use crate::sparse::SparseVector;

/// The flags that every store with `_bulk` requests has a use for.
pub(super) const FLAGS: &[&str] = &["--index-name", "--bulk-action", "--bulk-mb"];

/// Lines of a document.
pub(super) const LINES: usize = 2;

/// What a `_bulk` request does with a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Adds it, in place of one with its id.
    #[default]
    Index,
    /// Adds it; one with its id is an error.
    Create,
    /// Adds its fields to the document that has its id.
    Update,
}

impl Action {
    /// As the request names it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Index => "index",
            Action::Create => "create",
            Action::Update => "update",
        }
    }
}

/// Names that a server has for itself: it refuses a document with a field of one of them.
pub(super) const METADATA: &[&str] = &[
    "_id",
    "_index",
    "_source",
    "_routing",
    "_type",
    "_field_names",
    "_ignored",
    "_nested_path",
    "_seq_no",
    "_primary_term",
    "_version",
    "_tier",
];

/// Writes documents into `_bulk` requests.
pub(super) struct Bulk {
    index_name: Option<String>,
    action: Action,
    vector_field: String,
}

impl Bulk {
    pub fn new(options: &Options) -> Self {
        let (index_name, action) = (options.index_name.clone(), options.action.unwrap_or_default());
        Bulk { index_name, action, vector_field: options.vector_field.clone() }
    }

    /// Appends both lines; `write_vector` appends the value of the vector's field.
    ///
    /// * `id`: JSON. The action's `_id` is always a string.
    /// * `fields`: JSON, `"name":value,` each.
    pub fn write(&self, id: &str, fields: &str, out: &mut Vec<u8>, write_vector: impl FnOnce(&mut Vec<u8>)) {
        let id = json::string(&super::id_text(id));
        let index = match &self.index_name {
            Some(name) => format!("\"_index\":{},", json::string(name)),
            None => String::new(),
        };
        let action = self.action.name();
        out.extend_from_slice(format!("{{\"{action}\":{{{index}\"_id\":{id}}}}}\n").as_bytes());
        let (before, after) = match self.action {
            Action::Update => ("{\"doc\":{", "}}\n"),
            Action::Index | Action::Create => ("{", "}\n"),
        };
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(fields.as_bytes());
        out.extend_from_slice(format!("{}:", json::string(&self.vector_field)).as_bytes());
        write_vector(out);
        out.extend_from_slice(after.as_bytes());
    }
}

/// An error where a row is a window of a document: in one request, the last window would take the place of the others.
pub(super) fn refuse_window(row: &Row) -> Result<(), RowError> {
    match row.window {
        Some(_) => Err(RowError::new(
            "a window of a text, whose document is elsewhere: `encode --chunk-rows` with this format puts the windows \
             of a document together",
        )),
        None => Ok(()),
    }
}

/// The weights that Lucene's `FeatureField` can hold, which both stores use: those of at least the smallest normal f32.
/// It keeps 9 significant bits, cut off and not rounded.
pub(super) fn features(vector: &SparseVector, findings: &mut super::Findings) -> SparseVector {
    let kept = vector.prune(crate::Prune::AbsValue(f32::MIN_POSITIVE));
    findings.add("terms left out: a weight below 1.2e-38 cannot be indexed", vector.len() - kept.len());
    let cut = kept.weights().iter().filter(|weight| weight.to_bits() & 0x7fff != 0).count();
    findings.add("weights that the index keeps with 9 significant bits, less than 0.4 % smaller", cut);
    kept
}
