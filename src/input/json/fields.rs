//! The id of a row, and the fields that go through.

use serde_json::value::RawValue;

use super::object::{find, kind, string, Entry};
use crate::input::row::{Fields, Keep, RowError};

/// The id of a row as JSON, if it has one, and the name of its field.
pub(super) fn id<'a>(entries: &[Entry], fields: &'a Fields) -> Result<(&'a str, Option<String>), RowError> {
    let (name, id) = match &fields.id {
        Some(name) => match find(entries, name)? {
            Some(value) => (name.as_str(), Some(value)),
            None => return Err(RowError::new(format!("no field `{name}`, which is the id field"))),
        },
        None => match (find(entries, "_id")?, find(entries, "id")?) {
            (Some(value), _) => ("_id", Some(value)),
            (None, value) => ("id", value),
        },
    };
    Ok((name, id.map(checked_id).transpose()?))
}

/// The kept fields of a row, `"name":value,` each; `Keep::All` leaves out those of `read`.
pub(super) fn kept(entries: &[Entry], fields: &Fields, read: &[&str]) -> Result<String, RowError> {
    let mut kept = String::new();
    for entry in entries {
        let wanted = match &fields.keep {
            Keep::Nothing => false,
            Keep::Named(names) => names.contains(&entry.key),
            Keep::All => !read.contains(&entry.key.as_str()),
        };
        if !wanted {
            continue;
        }
        if fields.reserved.contains(&entry.key) {
            let reason = format!("the field `{}` cannot be kept: the output has one of that name", entry.key);
            return Err(RowError::new(reason));
        }
        kept.extend([entry.written_key.get(), ":", entry.value.get(), ","]);
    }
    Ok(kept)
}

/// An id as it was written: a number, or a string that is not empty.
fn checked_id(value: &RawValue) -> Result<String, RowError> {
    match value.get().as_bytes()[0] {
        b'"' if value.get() == "\"\"" => Err(RowError::new("the id is an empty string")),
        b'"' => string("id", value).map(|_| value.get().to_string()),
        b'-' | b'0'..=b'9' => Ok(value.get().to_string()),
        _ => Err(RowError::new(format!("the id is {}, not a string or a number", kind(value)))),
    }
}
