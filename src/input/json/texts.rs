//! Rows with a text.

use super::fields::{id, kept};
use super::object::{entries, find, is_null, string};
use super::vectors::has_vector;
use crate::input::row::{Fields, Row, RowError};

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
        if has_vector(&entries, name)? {
            return Err(RowError::new(format!(
                "has a vector in `{name}`, and the rows before it have texts"
            )));
        }
    }
    let mut text: Option<String> = None;
    for name in &fields.text {
        // A null field is one that is not there.
        let Some(value) = find(&entries, name)?.filter(|value| !is_null(value)) else { continue };
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

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::row::Keep;

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
            (br#"{"text":null}"#, "no field `text`"),
            (br#"{"id":1}"#, "no field `text`"),
            (br#"["a"]"#, "not a JSON object but a list: expected one object per line"),
            (b" [{\"text\":\"a\"},", "the beginning of a list: expected one object per line"),
            (b"[", "the beginning of a list: expected one object per line"),
            (b"{ ", "the beginning of an object on several lines: expected one object per line"),
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
}
