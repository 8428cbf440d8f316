//! Rows of JSON, one a line: texts in, vectors out.
//!
//! A row is read exactly or refused with a reason; values that are passed
//! through keep the bytes that they had.

mod vectors;
pub(crate) mod weights;

use std::fmt;
use std::io::{self, Write};

use serde::de::{MapAccess, Visitor};
use serde::Deserializer;
use serde_json::value::RawValue;

pub use vectors::{is_vector_row, parse_vector, VectorRow};
pub use weights::{Entries, Written};

/// Why a row cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct RowError {
    /// Byte in the line where the trouble is, counted from 1, when it is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub reason: String,
    /// The most terms that the store takes, where the row's vector has more.
    pub max_terms: Option<usize>,
}

impl RowError {
    /// An error somewhere in the row.
    pub fn new(reason: impl Into<String>) -> Self {
        RowError { column: None, reason: reason.into(), max_terms: None }
    }

    /// An error at a byte of the line, counted from 1, where that is known.
    pub fn at(column: Option<usize>, reason: impl Into<String>) -> Self {
        RowError { column, ..RowError::new(reason) }
    }
}

/// Which fields of a row are read, and which go through to the output.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// Text fields, joined by one space; those that a row lacks are skipped unless it lacks them all.
    /// `doc.body` is the field of that very name, else the field `body` of the object `doc`.
    pub text: Vec<String>,
    /// The id field; when `None`, `_id`, else `id`, else the row has no id of its own.
    pub id: Option<String>,
    /// Fields that go through.
    pub keep: Keep,
    /// Names that the output has for something else: a row whose kept fields have one of them is refused.
    pub reserved: Vec<String>,
    /// A field that holds a vector in other inputs: a row of text that has such a vector is refused.
    pub no_vector: Option<String>,
}

/// Which fields of a row go through to the output.
#[derive(Clone, Debug, Default)]
pub enum Keep {
    /// None.
    #[default]
    Nothing,
    /// Those of these names that a row has.
    Named(Vec<String>),
    /// Every field but the id.
    All,
}

/// One row to encode.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The id as JSON, byte for byte as it was written; `None` where the row has none.
    pub id: Option<String>,
    /// The text.
    pub text: String,
    /// The kept fields as JSON, `"name":value,` each, byte for byte and in the order that they had.
    pub kept: String,
}

/// Reads one line of JSONL with a text.
///
/// # Errors
///
/// A [`RowError`] when the line is not UTF-8, not JSON, not an object, has no text field, a text that is
/// not a string, an id that is neither a number nor a string with something in it, either of them twice, or
/// a field to keep whose name the output has for something else.
pub fn parse_row(line: &[u8], fields: &Fields) -> Result<Row, RowError> {
    let entries = entries(line)?;
    if let Some(name) = &fields.no_vector {
        if vectors::has_vector(&entries, name)? {
            return Err(RowError::new(format!(
                "has a vector in `{name}`, and the rows before it have texts"
            )));
        }
    }
    let mut text: Option<String> = None;
    for name in &fields.text {
        let Some(value) = find(&entries, name)? else { continue };
        let part = string(name, value)?;
        match &mut text {
            Some(text) => {
                text.push(' ');
                text.push_str(&part);
            }
            None => text = Some(part),
        }
    }
    let text = text.ok_or_else(|| RowError::new(format!("no field {}", quoted(&fields.text))))?;
    let (id_field, id) = id(&entries, fields)?;
    Ok(Row { id, text, kept: kept(&entries, fields, &[id_field])? })
}

/// The id of a row as JSON, if it has one, and the name of its field.
fn id<'a>(entries: &[Entry], fields: &'a Fields) -> Result<(&'a str, Option<String>), RowError> {
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
fn kept(entries: &[Entry], fields: &Fields, read: &[&str]) -> Result<String, RowError> {
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

/// Reads one line of JSONL with a `query` and a `document`, both strings.
///
/// # Errors
///
/// A [`RowError`] as for [`parse_row`], or when the row has a `score` already.
pub fn parse_pair(line: &[u8]) -> Result<(String, String), RowError> {
    let entries = entries(line)?;
    if find(&entries, "score")?.is_some() {
        return Err(RowError::new("has a field `score` already"));
    }
    let field = |name: &str| match find(&entries, name)? {
        Some(value) => string(name, value),
        None => Err(RowError::new(format!("no field `{name}`"))),
    };
    Ok((field("query")?, field("document")?))
}

/// Writes the row that `line` holds with a field `score` added at its end; its own bytes stay as they are.
///
/// `line` is one that [`parse_pair`] has accepted.
///
/// # Errors
///
/// Those of `out`.
pub fn write_scored(out: &mut impl Write, line: &[u8], score: f32) -> io::Result<()> {
    let object = line.trim_ascii();
    out.write_all(&object[..object.len() - 1])?;
    out.write_all(b",\"score\":")?;
    write_f32(out, score)?;
    out.write_all(b"}\n")
}

/// Writes the shortest decimal that reads back to the same f32.
///
/// # Errors
///
/// Those of `out`.
pub fn write_f32(out: &mut impl Write, value: f32) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &value)?)
}

/// One field of a row.
pub(crate) struct Entry<'a> {
    pub(crate) key: String,
    /// The key as it was written, quotes and escapes included.
    written_key: &'a RawValue,
    pub(crate) value: &'a RawValue,
}

/// The fields of the object in `line`, in their order; values are checked to be JSON and not read further.
pub(crate) fn entries(line: &[u8]) -> Result<Vec<Entry<'_>>, RowError> {
    let text = std::str::from_utf8(line)
        .map_err(|error| RowError::at(Some(error.valid_up_to() + 1), "not UTF-8"))?;
    if !text.trim_ascii_start().starts_with('{') {
        return match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => Err(RowError::new(format!("not a JSON object but {}", kind(value)))),
            Err(error) => Err(not_json(&error)),
        };
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

/// An id as it was written: a number, or a string that is not empty.
fn checked_id(value: &RawValue) -> Result<String, RowError> {
    match value.get().as_bytes()[0] {
        b'"' if value.get() == "\"\"" => Err(RowError::new("the id is an empty string")),
        b'"' => string("id", value).map(|_| value.get().to_string()),
        b'-' | b'0'..=b'9' => Ok(value.get().to_string()),
        _ => Err(RowError::new(format!("the id is {}, not a string or a number", kind(value)))),
    }
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

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            text: vec!["text".into()],
            reserved: vec!["id".into(), "vector".into()],
            ..Fields::default()
        }
    }

    fn id(line: &str) -> Option<String> {
        parse_row(line.as_bytes(), &fields()).expect("a good row").id
    }

    fn reason(line: &[u8]) -> String {
        parse_row(line, &fields()).expect_err("a bad row").reason
    }

    #[test]
    fn ids_keep_the_bytes_they_had() {
        assert_eq!(id(r#"{"id":"01","text":""}"#).as_deref(), Some(r#""01""#));
        assert_eq!(id(r#"{"id":1e400,"text":""}"#).as_deref(), Some("1e400"));
        assert_eq!(
            id(r#"{"id":12345678901234567890123,"text":""}"#).as_deref(),
            Some("12345678901234567890123")
        );
        assert_eq!(id(r#"{"id":"\u00e9","text":""}"#).as_deref(), Some(r#""\u00e9""#));
        assert_eq!(id(r#"{"text":""}"#), None);
    }

    #[test]
    fn underscore_id_goes_before_id() {
        assert_eq!(id(r#"{"id":1,"text":"","_id":2}"#).as_deref(), Some("2"));
    }

    #[test]
    fn text_fields_are_joined_by_one_space_and_a_missing_one_is_skipped() {
        let fields = Fields { text: vec!["title".into(), "text".into()], ..fields() };
        let text = |line: &str| parse_row(line.as_bytes(), &fields).map(|row| row.text);
        assert_eq!(text(r#"{"text":"b","title":"a"}"#).as_deref(), Ok("a b"));
        assert_eq!(text(r#"{"text":"b"}"#).as_deref(), Ok("b"));
        assert_eq!(text("{}").expect_err("none of them").reason, "no field `title` or `text`");
    }

    #[test]
    fn dots_lead_into_objects_unless_a_field_has_that_very_name() {
        let fields = Fields { text: vec!["doc.body.en".into()], ..fields() };
        let text = |line: &str| parse_row(line.as_bytes(), &fields).map(|row| row.text);
        assert_eq!(text(r#"{"doc":{"body":{"en":"a"}}}"#).as_deref(), Ok("a"));
        assert_eq!(text(r#"{"doc":{"body.en":"a"}}"#).as_deref(), Ok("a"));
        assert_eq!(text(r#"{"doc":{"body":{"en":"a"}},"doc.body.en":"b"}"#).as_deref(), Ok("b"));
        assert_eq!(text(r#"{"doc":["body"]}"#).expect_err("no object").reason, "no field `doc.body.en`");
        let twice = text(r#"{"doc":{"body":{"en":"a","en":"b"}}}"#).expect_err("twice").reason;
        assert_eq!(twice, "the field `en` is given twice");
    }

    #[test]
    fn kept_fields_keep_their_bytes_and_their_order() {
        let line =
            r#"{"z":1e400, "text":"a", "id":3,"\u0061" : [1, {"b":12345678901234567890123}],"n":null}"#;
        let kept = |keep: Keep| parse_row(line.as_bytes(), &Fields { keep, ..fields() }).map(|row| row.kept);
        assert_eq!(kept(Keep::Nothing).as_deref(), Ok(""));
        let named = kept(Keep::Named(vec!["a".into(), "z".into(), "missing".into()]));
        assert_eq!(named.as_deref(), Ok(r#""z":1e400,"\u0061":[1, {"b":12345678901234567890123}],"#));
        let all = r#""z":1e400,"text":"a","\u0061":[1, {"b":12345678901234567890123}],"n":null,"#;
        assert_eq!(kept(Keep::All).as_deref(), Ok(all));
    }

    #[test]
    fn a_kept_field_that_the_output_has_for_something_else_is_an_error() {
        let fields = Fields { keep: Keep::All, ..fields() };
        for line in [r#"{"text":"a","vector":1}"#, r#"{"text":"a","_id":1,"id":2}"#] {
            let reason = parse_row(line.as_bytes(), &fields).expect_err("a collision").reason;
            assert!(reason.contains("cannot be kept"), "{reason}");
        }
    }

    #[test]
    fn an_escaped_key_is_the_key() {
        assert_eq!(id(r#"{"te\u0078t":"a","id":3}"#).as_deref(), Some("3"));
    }

    #[test]
    fn bad_rows_say_what_is_wrong() {
        for (line, what) in [
            (&br#"{"text":1}"#[..], "the field `text` is a number, not a string"),
            (br#"{"text":null}"#, "the field `text` is null, not a string"),
            (br#"{"id":1}"#, "no field `text`"),
            (br#"["a"]"#, "not a JSON object but a list"),
            (br#""a""#, "not a JSON object but a string"),
            (br#"{"text":"a","text":"b"}"#, "the field `text` is given twice"),
            (br#"{"text":"a","id":1,"id":1}"#, "the field `id` is given twice"),
            (br#"{"text":"a","id":null}"#, "the id is null, not a string or a number"),
            (br#"{"text":"a","id":""}"#, "the id is an empty string"),
            (br#"{"text":"a","id":[1]}"#, "the id is a list, not a string or a number"),
            (b"{\"text\":\"\xff\"}", "not UTF-8"),
            (b"{\"text\":\"a\"", "not JSON: EOF while parsing an object"),
            (b"{\"text\":\"a\"} x", "not JSON: trailing characters"),
            (
                br#"{"text":"\ud800"}"#,
                r"the string in `text` is not valid: a surrogate escape (\ud800 to \udfff) without its other half",
            ),
        ] {
            assert_eq!(reason(line), what, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_bad_byte_is_found_at_its_column() {
        assert_eq!(parse_row(b"{\"text\":\"\xff\"}", &fields()).expect_err("bad").column, Some(10));
    }

    #[test]
    fn a_field_may_hold_any_json_at_any_depth() {
        let deep = format!(r#"{{"text":"a","x":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert_eq!(parse_row(deep.as_bytes(), &fields()).map(|row| row.text).as_deref(), Ok("a"));
    }

    #[test]
    fn a_scored_row_keeps_its_bytes() {
        let line = br#" {"query":"a", "document":"b","n":1e400} "#;
        parse_pair(line).expect("a good row");
        let mut out = Vec::new();
        write_scored(&mut out, line, 1.5).expect("memory");
        assert_eq!(out, b"{\"query\":\"a\", \"document\":\"b\",\"n\":1e400,\"score\":1.5}\n");
    }

    #[test]
    fn weights_are_the_shortest_decimals_of_an_f32() {
        let mut out = Vec::new();
        write_f32(&mut out, 0.1).expect("memory");
        assert_eq!(out, b"0.1");
    }
}
