//! Objects of JSON, their values checked and left as they were written.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::Deserializer;
use serde_json::value::RawValue;

use crate::input::row::RowError;

/// One field of a row.
pub(crate) struct Entry<'a> {
    pub(crate) key: String,
    /// The key as it was written, quotes and escapes included.
    pub(super) written_key: &'a RawValue,
    pub(crate) value: &'a RawValue,
}

/// The fields of the object in `line`, in their order; values are checked to be JSON and not read further.
pub(crate) fn entries(line: &[u8]) -> Result<Vec<Entry<'_>>, RowError> {
    let text = std::str::from_utf8(line)
        .map_err(|error| RowError::at(Some(error.valid_up_to() + 1), "not UTF-8"))?;
    if !text.trim_ascii_start().starts_with('{') {
        return match serde_json::from_str::<&RawValue>(text) {
            Ok(value) if value.get().starts_with('[') => Err(RowError::part("not a JSON object but a list")),
            Err(error) if error.is_eof() && text.trim_ascii_start().starts_with('[') => {
                Err(RowError::part("the beginning of a list"))
            }
            Ok(value) => Err(RowError::new(format!("not a JSON object but {}", kind(value)))),
            Err(error) => Err(not_json(&error)),
        };
    }
    if text.trim_ascii() == "{" {
        return Err(RowError::part("the beginning of an object on several lines"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let entries = deserializer.deserialize_map(EntriesVisitor).map_err(|error| not_json(&error))?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(entries)
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Vec<Entry<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut entries = Vec::new();
        while let Some((written_key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let key = serde_json::from_str(written_key.get()).map_err(serde::de::Error::custom)?;
            entries.push(Entry { key, written_key, value });
        }
        Ok(entries)
    }
}

/// Whether a value is null.
pub(crate) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// The value of the field `name`, or of the path that its dots make; an error where a key on the way is given twice.
pub(crate) fn find<'a>(entries: &[Entry<'a>], name: &str) -> Result<Option<&'a RawValue>, RowError> {
    let mut matching = entries.iter().filter(|entry| entry.key == name);
    if let Some(entry) = matching.next() {
        return match matching.next() {
            Some(_) => Err(RowError::new(format!("the field `{name}` is given twice"))),
            None => Ok(Some(entry.value)),
        };
    }
    let Some((outer, inner)) = name.split_once('.') else { return Ok(None) };
    match find(entries, outer)? {
        Some(value) if value.get().starts_with('{') => find(&self::entries(value.get().as_bytes())?, inner),
        _ => Ok(None),
    }
}

pub(crate) fn string(name: &str, value: &RawValue) -> Result<String, RowError> {
    if !value.get().starts_with('"') {
        return Err(RowError::new(format!("the field `{name}` is {}, not a string", kind(value))));
    }
    serde_json::from_str(value.get())
        .map_err(|error| RowError::new(format!("the string in `{name}` is not valid: {}", message(&error))))
}

pub(crate) fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes()[0] {
        b'"' => "a string",
        b'{' => "an object",
        b'[' => "a list",
        b't' | b'f' => "true or false",
        b'n' => "null",
        _ => "a number",
    }
}

pub(crate) fn not_json(error: &serde_json::Error) -> RowError {
    let column = if error.column() > 0 { Some(error.column()) } else { None };
    RowError::at(column, format!("not JSON: {}", message(error)))
}

/// serde_json's message without the line, which is always 1 here, and in words that say what is meant.
pub(crate) fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.contains("surrogate") || text.contains("unexpected end of hex escape") {
        return "a surrogate escape (\\ud800 to \\udfff) without its other half".into();
    }
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}
