//! The `_bulk` requests of OpenSearch and Elasticsearch: an action on a line, a document on the next.

use super::{as_object, json, kept_fields, FormatOption, Options};
use crate::input::RowError;
use crate::sparse::SparseVector;

/// The options that every store with `_bulk` requests has a use for.
pub(super) const OPTIONS: &[FormatOption] =
    &[FormatOption::IndexName, FormatOption::Action, FormatOption::RequestBytes];

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
    /// Adds its fields to the document that has its id. Objects are merged: a vector that is there keeps its terms.
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

    /// All of them.
    pub const ALL: [Action; 3] = [Action::Index, Action::Create, Action::Update];

    /// The action of this name.
    pub fn named(name: &str) -> Option<Self> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    /// What it does, in a line.
    pub fn description(self) -> &'static str {
        match self {
            Action::Index => "Add it, in place of one with its id",
            Action::Create => "Add it, unless there is one with its id",
            Action::Update => {
                "Add its fields to the document with its id; a vector that it has already is merged with this one"
            }
        }
    }
}

/// Names that a server has for itself: it refuses a document with a field of one of them.
pub(super) const METADATA: &[&str] = &[
    "_id",
    "_index",
    "_source",
    "_routing",
    "_field_names",
    "_feature",
    "_ignored",
    "_nested_path",
    "_seq_no",
    "_primary_term",
    "_version",
    "_doc_count",
    "_data_stream_timestamp",
];

/// Bytes of an id: a longer one has a whole request refused.
const MAX_ID_BYTES: usize = 512;

/// Hits of a query, by the default of `index.max_result_window`; no more can be scored again either.
pub(super) const MAX_HITS: usize = 10_000;

/// Writes documents into `_bulk` requests.
#[derive(Debug)]
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

    /// Appends both lines.
    ///
    /// * `id`: JSON. The action's `_id` is always a string.
    /// * `fields`: JSON, `"name":value,` each.
    /// * `vector`: JSON, the value of the vector's field; without it, the document has no such field.
    pub fn write(
        &self,
        id: &str,
        fields: &str,
        vector: Option<String>,
        out: &mut Vec<u8>,
    ) -> Result<(), RowError> {
        let id = super::id_text(id);
        if id.len() > MAX_ID_BYTES {
            return Err(super::long_id(MAX_ID_BYTES, "the server"));
        }
        for field in kept_fields(&as_object(fields)) {
            self.check_name(&field.key)?;
        }
        let index = match &self.index_name {
            Some(name) => format!("\"_index\":{},", json::string(name)),
            None => String::new(),
        };
        let (action, id) = (self.action.name(), json::string(&id));
        let name = json::string(&self.vector_field);
        let vector = vector.map(|vector| format!("{name}:{vector},")).unwrap_or_default();
        let source = as_object(&format!("{fields}{vector}"));
        let source = match self.action {
            Action::Update => format!("{{\"doc\":{source}}}"),
            Action::Index | Action::Create => source,
        };
        let request = format!("{{\"{action}\":{{{index}\"_id\":{id}}}}}\n{source}\n");
        out.extend_from_slice(request.as_bytes());
        Ok(())
    }

    /// The server reads dots as the path of an object.
    fn check_name(&self, name: &str) -> Result<(), RowError> {
        let is_path = !name.is_empty() && name.split('.').all(|part| !part.is_empty());
        let is_within = name.strip_prefix(&self.vector_field).is_some_and(|rest| rest.starts_with('.'));
        if is_path && !is_within {
            return Ok(());
        }
        let reason =
            format!("the field `{name}` cannot be kept: the server takes its dots for the path of an object");
        Err(RowError::new(reason))
    }
}

/// An error where more hits are asked for than the server gives.
pub(super) fn check_hits(k: usize) -> Result<(), RowError> {
    match k {
        0..=MAX_HITS => Ok(()),
        _ => Err(RowError::new(format!("{k} documents, and a query gives {MAX_HITS} at most"))),
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
