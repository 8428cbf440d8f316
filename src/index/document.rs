//! What an index keeps of a document beside its vector: an id, and an object of fields.

use std::fmt;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The id of a document: a string or a number, kept as it was written.
///
/// `"01"` stays a string and `1.50` keeps its digits. Two ids are equal if they are the same string, or the same number
/// written alike.
#[derive(Clone, Debug)]
pub struct DocumentId {
    /// A string or a number of JSON.
    json: String,
}

impl DocumentId {
    /// An id from its JSON; `None` unless that is a string or a number.
    pub fn from_json(json: &str) -> Option<Self> {
        id_json(json).map(|json| DocumentId::from_checked(json.to_string()))
    }

    /// An id from JSON that was checked when it was read.
    pub(crate) fn from_checked(json: String) -> Self {
        DocumentId { json }
    }

    /// The id as JSON, as it was written.
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        !self.json.starts_with('"')
    }
}

/// The string itself, or the number as it was written.
impl fmt::Display for DocumentId {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match serde_json::from_str::<String>(&self.json) {
            Ok(text) => out.write_str(&text),
            Err(_) => out.write_str(&self.json),
        }
    }
}

impl PartialEq for DocumentId {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
            || (self.is_number() == other.is_number() && self.to_string() == other.to_string())
    }
}

impl Eq for DocumentId {}

impl From<&str> for DocumentId {
    fn from(text: &str) -> Self {
        DocumentId { json: Value::from(text).to_string() }
    }
}

impl From<String> for DocumentId {
    fn from(text: String) -> Self {
        DocumentId::from(text.as_str())
    }
}

impl From<u64> for DocumentId {
    fn from(number: u64) -> Self {
        DocumentId { json: number.to_string() }
    }
}

impl From<i64> for DocumentId {
    fn from(number: i64) -> Self {
        DocumentId { json: number.to_string() }
    }
}

/// The JSON of an id, without space around it; `None` unless it is a string or a number.
pub(super) fn id_json(json: &str) -> Option<&str> {
    let json = serde_json::from_str::<&RawValue>(json).ok()?.get();
    json.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()).then_some(json)
}

/// The JSON of an object, without space around it; `None` unless it is one.
pub(super) fn object_json(json: &str) -> Option<&str> {
    let json = serde_json::from_str::<&RawValue>(json).ok()?.get();
    json.starts_with('{').then_some(json)
}

/// An object of JSON, kept as it was written: the fields of a document, or the metadata of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonObject {
    json: String,
}

impl JsonObject {
    /// An object from its JSON; `None` unless that is an object.
    pub fn from_json(json: &str) -> Option<Self> {
        object_json(json).map(|json| JsonObject::from_checked(json.to_string()))
    }

    /// An object from JSON that was checked when it was read.
    pub(crate) fn from_checked(json: String) -> Self {
        JsonObject { json }
    }

    /// The object as JSON, as it was written.
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// The object's fields. Of a name that is written twice, the last value counts.
    pub fn to_map(&self) -> Map<String, Value> {
        // Numbers beyond f64 are JSON and no `Value`: such an object has no map.
        serde_json::from_str(&self.json).unwrap_or_default()
    }
}

/// An object without fields.
impl Default for JsonObject {
    fn default() -> Self {
        JsonObject { json: "{}".into() }
    }
}

impl From<Map<String, Value>> for JsonObject {
    fn from(fields: Map<String, Value>) -> Self {
        JsonObject { json: Value::Object(fields).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_string_or_a_number_as_it_was_written() {
        for json in
            ["1", "-7", "1.50", "1e3", "123456789012345678901234567890", "\"01\"", "\"\"", "\"\\u00e9\""]
        {
            let id = DocumentId::from_json(json).expect("an id");
            assert_eq!(id.as_json(), json);
            assert_eq!(id.is_number(), !json.starts_with('"'));
        }
        for json in ["", "x", "null", "true", "[1]", "{}", "1 2", "01", "\"a", "1\n,2"] {
            assert_eq!(DocumentId::from_json(json), None, "{json}");
        }
        assert_eq!(DocumentId::from_json(" 7\n"), Some(7u64.into()));
        assert_eq!(DocumentId::from_json("\"\\u00e9\""), Some("é".into()));
        assert_ne!(DocumentId::from("1"), DocumentId::from(1u64));
        assert_eq!(DocumentId::from("a\"b").to_string(), "a\"b");
        assert_eq!(DocumentId::from(-1i64).to_string(), "-1");
    }

    #[test]
    fn an_object_is_one() {
        for json in ["", "[]", "\"{}\"", "{", "{}{}", "{\"a\":}"] {
            assert_eq!(JsonObject::from_json(json), None, "{json}");
        }
        let object = JsonObject::from_json(" {\"b\": 1, \"a\": [2]} ").expect("an object");
        assert_eq!(object.as_json(), "{\"b\": 1, \"a\": [2]}");
        assert_eq!(JsonObject::from(object.to_map()).as_json(), "{\"a\":[2],\"b\":1}");
        assert!(JsonObject::default().to_map().is_empty());
    }
}
