//! Rows that hold vectors: what this program wrote, and what other programs did.

use super::fields::{id, kept};
use super::object::{entries, find, Entry};
use super::weights::{self, Entries, Keys};
use crate::input::row::{Fields, Keep, RowError};

/// One row with a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorRow {
    /// The id as JSON, byte for byte as it was written; `None` where the row has none.
    pub id: Option<String>,
    /// The kept fields as JSON, `"name":value,` each, byte for byte and in the order that they had.
    pub kept: String,
    /// The number of the window of a text that the vector is of, from the field `chunk`.
    pub window: Option<usize>,
    /// Whether it has fields that are not kept.
    pub has_more: bool,
    /// The vector, in the order of the row.
    pub entries: Entries,
}

/// Reads one line of JSONL with a vector: an object of terms and weights, `{"indices": […], "values": […]}` or
/// `[{"index", "value"}, …]` in the field `vector_field`; or `indices` and `values` in the row itself. `keys` says what
/// the keys of an object are.
///
/// # Errors
///
/// A [`RowError`] as for [`super::parse_row`], or when there is no such vector, a term stands in it twice, or a weight
/// is not a finite number of at least 0.
pub fn parse_vector(
    line: &[u8],
    fields: &Fields,
    vector_field: &str,
    keys: Keys,
) -> Result<VectorRow, RowError> {
    let row = entries(line)?;
    let (id_field, id) = id(&row, fields)?;
    let lists = (find(&row, "indices")?, find(&row, "values")?);
    let (read, entries): (&[&str], _) = match (find(&row, vector_field)?, lists) {
        (Some(vector), _) => (&[id_field, vector_field], weights::vector("the vector", vector, keys)?),
        (None, (Some(indices), Some(values))) => {
            (&[id_field, "indices", "values"], weights::lists("the row", indices, values)?)
        }
        _ => return Err(RowError::new(format!("no field `{vector_field}`"))),
    };
    let window = match find(&row, "chunk")? {
        Some(number) => serde_json::from_str(number.get()).ok(),
        None => None,
    };
    let mut read = read.to_vec();
    if window.is_some() {
        read.push("chunk");
    }
    let kept = kept(&row, fields, &read)?;
    let is_left = |key: &str| match &fields.keep {
        Keep::All => false,
        Keep::Nothing => !read.contains(&key),
        Keep::Named(names) => !read.contains(&key) && !names.iter().any(|name| name == key),
    };
    let has_more = row.iter().any(|entry| is_left(&entry.key));
    Ok(VectorRow { id, kept, window, has_more, entries })
}

/// Whether a line has a vector in the field `vector_field`, in any form that [`parse_vector`] reads; or is one itself, and
/// has no text.
///
/// # Errors
///
/// A [`RowError`] when the line is not an object of JSON, or has a field twice.
pub fn is_vector_row(line: &[u8], fields: &Fields, vector_field: &str) -> Result<bool, RowError> {
    let row = entries(line)?;
    let is_list =
        |name| Ok::<_, RowError>(find(&row, name)?.is_some_and(|value| value.get().starts_with('[')));
    let mut has_text = false;
    for name in &fields.text {
        has_text |= find(&row, name)?.is_some();
    }
    Ok(has_vector(&row, vector_field)? || (!has_text && is_list("indices")? && is_list("values")?))
}

pub(super) fn has_vector(row: &[Entry], vector_field: &str) -> Result<bool, RowError> {
    let Some(value) = find(row, vector_field)? else { return Ok(false) };
    let keys = |text: &str| -> Result<Vec<String>, RowError> {
        Ok(entries(text.as_bytes())?.into_iter().map(|entry| entry.key).collect())
    };
    match value.get().as_bytes()[0] {
        b'[' => {
            let elements = weights::list("the vector", value)?;
            let Some(first) = elements.first().filter(|first| first.get().starts_with('{')) else {
                return Ok(false);
            };
            let keys = keys(first.get())?;
            Ok(["index", "value"].iter().all(|name| keys.iter().any(|key| key == name)))
        }
        b'{' => {
            let is_weight = |entry: &Entry| {
                let value = entry.value.get();
                let is_list = matches!(&entry.key[..], "indices" | "values") && value.starts_with('[');
                is_list || value.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            };
            Ok(entries(value.get().as_bytes())?.iter().all(is_weight))
        }
        _ => Ok(false),
    }
}
