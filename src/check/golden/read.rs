//! A file of rows, each in the form that its fields tell.

use std::io;
use std::path::Path;
use std::str;

use serde_json::value::RawValue;

use super::predict::{responses, Parameters};
use super::{unexpected, Entries, Golden, GoldenRow};
use crate::encoder::Side;
use crate::error::Error;
use crate::input::json::weights::{list, lists, missing, number, vector, Keys};
use crate::input::json::{self, Entry};
use crate::input::{read_bytes, InputError, RowError};

/// Names that the field of a vector may have.
const VECTOR_FIELDS: [&str; 4] = ["vector", "embedding", "sparse_embedding", "sparse_vector"];

/// Names that a reply may have beside the request's `inputs`.
const REPLY_FIELDS: [&str; 3] = ["outputs", "embeddings", "response"];

const EMBED_SPARSE_FORM: &str = "a reply of /embed_sparse needs the request's texts beside it: \
    {\"inputs\": [\"text\", …], \"outputs\": [[{\"index\": id, \"value\": weight}, …], …]}";

const PREDICT_FORM: &str = "a reply of _predict needs the request's texts beside it: \
    {\"text_docs\": [\"text\", …], \"inference_results\": […]}";

const FORMS: &str = "{\"text\": …, \"vector\": …}, {\"text\": …, \"indices\": […], \"values\": […]}, \
    {\"inputs\": …, \"outputs\": …}, {\"text_docs\": …, \"inference_results\": …} or \
    {\"query\": …, \"document\": …, \"score\": …}";

/// Reads vectors and scores that were computed elsewhere.
///
/// The file is plain, gzip or zstd; `-` is standard input. It has one JSON value a line, or values of several lines one after another. An object is a row, a list
/// stands for the rows in it. The forms:
///
/// ```text
/// {"text": "…", "vector": VECTOR}                       also `embedding`, `sparse_embedding`, `sparse_vector`
/// {"text": "…", "indices": [id, …], "values": [weight, …]}
/// {"inputs": "…" or ["…", …], "outputs": [VECTOR, …]}   a request to TEI's /embed_sparse and its reply;
///                                                       also `embeddings`, `response`
/// {"text_docs": ["…", …], "inference_results": […]}     a request to ml-commons' _predict and its reply
/// {"query": "…", "document": "…", "score": 12.34}
///
/// VECTOR   {"term": weight, …}   [{"index": id, "value": weight}, …]   {"indices": […], "values": […]}
/// ```
///
/// A text whose field is called `query` or `document` instead of `text` is of that side; so is one beside a field
/// `side` or `as` that says so, or with ml-commons' parameter `content_type`. The terms of a _predict reply are
/// ids where the parameter `sparse_embedding_format` of the request, kept in the row, is `token_id`.
/// Other fields are passed over.
///
/// # Errors
///
/// [`Error::Read`], or [`Error::Invalid`] with the line and the field: where the file has no rows or is not
/// JSON in UTF-8, a row has none of the forms, texts and vectors or ids and weights are not equally many, an id does
/// not fit 32 bits or comes twice, or a weight is negative or not finite.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<GoldenRow>, Error> {
    let path = path.as_ref();
    let file = path.display().to_string();
    let bytes = read_bytes(path).map_err(|error| match error {
        InputError::Open { source, .. } | InputError::Read { source, .. } => {
            Error::Read { file: file.clone(), source }
        }
        other => Error::Read { file: file.clone(), source: io::Error::other(other) },
    })?;
    parse(&bytes).map_err(|reason| Error::Invalid { file, reason })
}

fn parse(bytes: &[u8]) -> Result<Vec<GoldenRow>, String> {
    let source = Source::new(bytes)?;
    let mut rows = Vec::new();
    for value in source.values()? {
        for object in objects(value).map_err(|error| source.at(value, &error))? {
            let read =
                Row::new(object).and_then(|row| row.read()).map_err(|error| source.at(object, &error))?;
            rows.extend(read.into_iter().map(|(part, side, what)| {
                let line = source.line(part.get());
                GoldenRow { line, side, what }
            }));
        }
    }
    if rows.is_empty() {
        return Err(format!("nothing to compare with: no rows; expected {FORMS}"));
    }
    Ok(rows)
}

/// The text of a file, and where its lines begin.
struct Source<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let text = str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            format!("line {}: not UTF-8", 1 + before.iter().filter(|byte| **byte == b'\n').count())
        })?;
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Ok(Source { text, line_starts })
    }

    /// One value a line. Where the first line is no whole value, the values are of several lines: a reply is
    /// usually saved as it was printed.
    fn values(&self) -> Result<Vec<&'a RawValue>, String> {
        let mut lines = self.text.lines().filter(|line| !line.trim_ascii().is_empty()).peekable();
        if lines.peek().is_some_and(|first| serde_json::from_str::<&RawValue>(first).is_ok()) {
            let value = |line| {
                serde_json::from_str(line).map_err(|error| {
                    let error = json::not_json(&error);
                    format!("line {}, column {}: {error}", self.line(line), error.column.unwrap_or(1))
                })
            };
            return lines.map(value).collect();
        }
        let values = serde_json::Deserializer::from_str(self.text).into_iter();
        let named = |error: serde_json::Error| {
            format!("line {}, column {}: {}", error.line(), error.column(), json::not_json(&error))
        };
        values.map(|value| value.map_err(named)).collect()
    }

    /// The line of a part of the text.
    fn line(&self, part: &str) -> usize {
        let offset = part.as_ptr() as usize - self.text.as_ptr() as usize;
        self.line_starts.partition_point(|start| *start <= offset)
    }

    fn at(&self, value: &RawValue, error: &RowError) -> String {
        format!("line {}: {error}", self.line(value.get()))
    }
}

/// The rows of a value: itself, or what the list has.
fn objects(value: &RawValue) -> Result<Vec<&RawValue>, RowError> {
    if !value.get().starts_with('[') {
        return Ok(vec![value]);
    }
    let objects = list("the row", value)?;
    match objects.iter().any(|object| object.get().starts_with('[')) {
        true => Err(RowError::new(format!("vectors without texts: {EMBED_SPARSE_FORM}"))),
        false => Ok(objects),
    }
}

/// What a row holds: for each text or pair the part of the file that it is in, and its side.
type Read<'a> = Vec<(&'a RawValue, Option<Side>, Golden)>;

/// The fields of a row.
struct Row<'a> {
    whole: &'a RawValue,
    fields: Vec<Entry<'a>>,
}

impl<'a> Row<'a> {
    fn new(whole: &'a RawValue) -> Result<Self, RowError> {
        Ok(Row { whole, fields: json::entries(whole.get().as_bytes())? })
    }

    fn read(&self) -> Result<Read<'a>, RowError> {
        if self.has("text_docs") || self.has("inference_results") {
            self.predicted()
        } else if self.has("inputs") {
            self.embedded()
        } else if self.has("query") && self.has("document") {
            self.scored()
        } else {
            self.with_text()
        }
    }

    /// A text and its vector.
    fn with_text(&self) -> Result<Read<'a>, RowError> {
        let Some((name, text)) = self.one_of(&["text", "query", "document"])? else {
            let form = if self.has("index") && self.has("value") { EMBED_SPARSE_FORM } else { FORMS };
            return Err(RowError::new(format!("no text; expected {form}")));
        };
        let side = self.side(side_named(name))?;
        let text = json::string(name, text)?;
        Ok(vec![(self.whole, side, Golden::Vector { text, entries: self.entries()? })])
    }

    fn entries(&self) -> Result<Entries, RowError> {
        if let Some((name, value)) = self.one_of(&VECTOR_FIELDS)? {
            return vector(&format!("`{name}`"), value, Keys::Terms);
        }
        match (self.get("indices")?, self.get("values")?) {
            (Some(indices), Some(values)) => lists("the row", indices, values),
            (None, None) => Err(RowError::new(format!("no vector; expected {FORMS}"))),
            (Some(_), None) => Err(missing("the row", "values")),
            (None, Some(_)) => Err(missing("the row", "indices")),
        }
    }

    /// The texts of a request to text-embeddings-inference, and its reply.
    fn embedded(&self) -> Result<Read<'a>, RowError> {
        let texts = texts("inputs", self.require("inputs")?)?;
        let Some((name, reply)) = self.one_of(&REPLY_FIELDS)? else {
            return Err(RowError::new(format!("`inputs` without `outputs`: {EMBED_SPARSE_FORM}")));
        };
        let vectors = list(&format!("`{name}`"), reply)?;
        paired(("inputs", texts), (name, vectors), Keys::Terms, self.side(None)?)
    }

    /// The texts of a request to ml-commons, and its reply.
    fn predicted(&self) -> Result<Read<'a>, RowError> {
        let (Some(docs), Some(results)) = (self.get("text_docs")?, self.get("inference_results")?) else {
            return Err(RowError::new(PREDICT_FORM));
        };
        let parameters = match self.get("parameters")? {
            Some(value) => Parameters::read(value)?,
            None => Parameters::default(),
        };
        let side = self.side(parameters.side()?)?;
        let vectors = responses(results)?;
        let texts = texts("text_docs", docs)?;
        paired(("text_docs", texts), ("inference_results", vectors), parameters.keys()?, side)
    }

    /// A query, a document and their score.
    fn scored(&self) -> Result<Read<'a>, RowError> {
        let text = |name| json::string(name, self.require(name)?);
        let (query, document) = (text("query")?, text("document")?);
        let score =
            number(self.require("score")?).map_err(|reason| RowError::new(format!("`score` {reason}")))?;
        Ok(vec![(self.whole, None, Golden::Score { query, document, score })])
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.key == name)
    }

    fn get(&self, name: &str) -> Result<Option<&'a RawValue>, RowError> {
        json::find(&self.fields, name)
    }

    fn require(&self, name: &str) -> Result<&'a RawValue, RowError> {
        self.get(name)?.ok_or_else(|| missing("the row", name))
    }

    /// The one field that the row has of these.
    fn one_of<'n>(&self, names: &[&'n str]) -> Result<Option<(&'n str, &'a RawValue)>, RowError> {
        let mut found = None;
        for name in names {
            match (self.get(name)?, &found) {
                (None, _) => {}
                (Some(value), None) => found = Some((*name, value)),
                (Some(_), Some((first, _))) => {
                    return Err(RowError::new(format!("both `{first}` and `{name}`: only one is expected")));
                }
            }
        }
        Ok(found)
    }

    /// The side that the row names, which `implied` must not contradict.
    fn side(&self, implied: Option<Side>) -> Result<Option<Side>, RowError> {
        let Some((name, value)) = self.one_of(&["side", "as"])? else { return Ok(implied) };
        let named = json::string(name, value)?;
        match (side_named(&named), implied) {
            (None, _) => Err(unexpected(name, &named, "`query` or `document`")),
            (Some(side), Some(other)) if side != other => {
                Err(RowError::new(format!("`{name}` is `{named}`, and another field says that it is not")))
            }
            (side, _) => Ok(side),
        }
    }
}

/// One text, or a list of them.
fn texts(name: &str, value: &RawValue) -> Result<Vec<String>, RowError> {
    if value.get().starts_with('"') {
        return Ok(vec![json::string(name, value)?]);
    }
    list(&format!("`{name}`"), value)?.into_iter().map(|text| json::string(name, text)).collect()
}

/// Each text with the vector in its place.
fn paired<'a>(
    (texts_name, texts): (&str, Vec<String>),
    (vectors_name, vectors): (&str, Vec<&'a RawValue>),
    keys: Keys,
    side: Option<Side>,
) -> Result<Read<'a>, RowError> {
    let (num_texts, num_vectors) = (texts.len(), vectors.len());
    if num_texts != num_vectors {
        let reason =
            format!("texts in `{texts_name}`: {num_texts}, vectors in `{vectors_name}`: {num_vectors}");
        return Err(RowError::new(reason));
    }
    let pair = |(index, (text, value)): (usize, (String, &'a RawValue))| {
        let entries = vector(&format!("vector {} of `{vectors_name}`", index + 1), value, keys)?;
        Ok((value, side, Golden::Vector { text, entries }))
    };
    texts.into_iter().zip(vectors).enumerate().map(pair).collect()
}

fn side_named(name: &str) -> Option<Side> {
    match name {
        "query" => Some(Side::Query),
        "document" => Some(Side::Document),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::golden::Written;

    fn rows(file: &str) -> Vec<GoldenRow> {
        parse(file.as_bytes()).expect("a good file")
    }

    fn reason(file: impl AsRef<[u8]>) -> String {
        parse(file.as_ref()).expect_err("a bad file")
    }

    fn written(value: f32, rounding: f32) -> Written {
        Written { value, rounding }
    }

    fn terms(weights: &[(&str, f32, f32)]) -> Entries {
        Entries::Terms(weights.iter().map(|(term, w, r)| (term.to_string(), written(*w, *r))).collect())
    }

    fn ids(weights: &[(u32, f32, f32)]) -> Entries {
        Entries::Ids(weights.iter().map(|(id, w, r)| (*id, written(*w, *r))).collect())
    }

    fn row(line: usize, side: Option<Side>, text: &str, entries: Entries) -> GoldenRow {
        GoldenRow { line, side, what: Golden::Vector { text: text.into(), entries } }
    }

    #[test]
    fn a_text_and_its_terms_keep_their_order_and_their_rounding() {
        let file = "\u{feff}{\"id\":7,\"text\":\"a\",\"vector\":{\"b\":1.25,\"a\":2.5e-3,\"c\":1,\"d\":1.0}}\r\n\n\
                    {\"query\":\"q\",\"embedding\":{}}\n{\"document\":\"d\",\"vector\":{}}\n\
                    {\"text\":\"t\",\"vector\":{},\"side\":\"query\"}\n{\"text\":\"t\",\"vector\":{},\"as\":\"document\"}";
        let first = terms(&[("b", 1.25, 0.005), ("a", 0.0025, 0.00005), ("c", 1.0, 0.0), ("d", 1.0, 0.0)]);
        let (query, document) = (Some(Side::Query), Some(Side::Document));
        let expected = [
            row(1, None, "a", first),
            row(3, query, "q", terms(&[])),
            row(4, document, "d", terms(&[])),
            row(5, query, "t", terms(&[])),
            row(6, document, "t", terms(&[])),
        ];
        assert_eq!(rows(file), expected);
    }

    #[test]
    fn ids_and_weights_come_in_two_lists_or_in_pairs() {
        let expected = [row(1, None, "a", ids(&[(7, 0.5, 0.05), (3, 2.0, 0.0)]))];
        for vector in [
            r#""indices":[7,3],"values":[0.5,2.0]"#,
            r#""vector":{"indices":[7,3],"values":[0.5,2.0]}"#,
            r#""sparse_embedding":[{"index":7,"value":0.5},{"index":3,"value":2.0}]"#,
        ] {
            assert_eq!(rows(&format!("{{\"text\":\"a\",{vector}}}")), expected, "{vector}");
        }
        let words = rows(r#"{"text":"a","vector":{"indices":0.5,"values":2.0}}"#);
        assert_eq!(words, [row(1, None, "a", terms(&[("indices", 0.5, 0.05), ("values", 2.0, 0.0)]))]);
    }

    #[test]
    fn a_reply_of_embed_sparse_stands_beside_its_texts() {
        let expected = [row(1, None, "a", ids(&[(7, 0.25, 0.005)])), row(1, None, "b", ids(&[]))];
        for field in REPLY_FIELDS {
            let reply = format!(r#""{field}":[[{{"index":7,"value":0.25}}],[]]"#);
            assert_eq!(rows(&format!(r#"{{"inputs":["a","b"],{reply}}}"#)), expected);
        }
        let one = rows(r#"{"inputs":"a","outputs":[[{"index":7,"value":0.25}]]}"#);
        assert_eq!(one, expected[..1]);
    }

    #[test]
    fn a_reply_of_predict_is_read_as_it_was_printed() {
        let file = r#"{
            "text_docs": ["a", "b"],
            "inference_results": [
                {"output": [{"name": "output", "dataAsMap": {"response": [
                    {"7": 0.25}
                ]}}]},
                {"output": [{"name": "output", "dataAsMap": {"response": [{}]}}]}
            ]PARAMETERS
        }"#;
        let lexical = rows(&file.replace("PARAMETERS", ""));
        assert_eq!(lexical, [row(5, None, "a", terms(&[("7", 0.25, 0.005)])), row(7, None, "b", terms(&[]))]);
        let parameters =
            r#", "parameters": {"sparse_embedding_format": "TOKEN_ID", "content_type": "QUERY"}"#;
        let by_id = rows(&file.replace("PARAMETERS", parameters));
        let side = Some(Side::Query);
        assert_eq!(by_id, [row(5, side, "a", ids(&[(7, 0.25, 0.005)])), row(7, side, "b", ids(&[]))]);
        let together = r#"{"text_docs":["a","b"],"inference_results":[{"output":[{"dataAsMap":{"response":[{},{}]}}]}]}"#;
        assert_eq!(rows(together).len(), 2);
    }

    #[test]
    fn a_score_has_a_query_and_a_document() {
        let (query, document) = ("q".to_string(), "d".to_string());
        let what = Golden::Score { query, document, score: written(12.5, 0.05) };
        assert_eq!(
            rows(r#"{"query":"q","document":"d","score":12.5}"#),
            [GoldenRow { line: 1, side: None, what }]
        );
    }

    #[test]
    fn a_list_stands_for_its_rows() {
        let (a, b) = (r#"{"text":"a","vector":{}}"#, r#"{"text":"b","vector":{}}"#);
        let lines = |file: String| rows(&file).iter().map(|row| row.line).collect::<Vec<_>>();
        assert_eq!(lines(format!("[{a},{b}]")), [1, 1]);
        assert_eq!(lines(format!("[\n  {a},\n  {b}\n]\n")), [2, 3]);
        assert_eq!(lines(format!("[\n  {a}\n]\n[\n  {b}\n]")), [2, 5], "several values of several lines");
    }

    #[test]
    fn what_cannot_be_compared_is_refused_with_its_place() {
        let good = r#"{"text":"a","vector":{}}"#;
        for (bad, what) in [
            (r#"{"text":"a","vector":"#, "line 2, column 21: not JSON: EOF"),
            (r#"{"text":"a","vector":{"b":NaN}}"#, "line 2, column 27: not JSON: expected value"),
            ("7", "line 2: not a JSON object but a number"),
            (r#"{"id":7}"#, "line 2: no text; expected {\"text\": …, \"vector\": …}"),
            (r#"[[{"index":7,"value":0.5}]]"#, "line 2: vectors without texts: a reply of /embed_sparse needs"),
            (r#"[{"index":7,"value":0.5}]"#, "line 2: no text; expected a reply of /embed_sparse needs"),
            (r#"{"inputs":"a"}"#, "line 2: `inputs` without `outputs`: a reply of /embed_sparse needs"),
            (r#"{"inputs":["a",7],"outputs":[]}"#, "line 2: the field `inputs` is a number, not a string"),
            (r#"{"inputs":["a","b"],"outputs":[[]]}"#, "line 2: texts in `inputs`: 2, vectors in `outputs`: 1"),
            (r#"{"inputs":"a","outputs":[[{"index":7}]]}"#, "line 2: vector 1 of `outputs`: missing field `value`"),
            (r#"{"inference_results":[]}"#, "line 2: a reply of _predict needs the request's texts"),
            (r#"{"text_docs":["a"]}"#, "line 2: a reply of _predict needs the request's texts"),
            (
                r#"{"text_docs":["a"],"inference_results":[{"output":[{"data":[0.5]}]}]}"#,
                "line 2: `inference_results`: missing field `dataAsMap`",
            ),
            (
                r#"{"text_docs":["a"],"inference_results":[],"parameters":{"sparse_embedding_format":"x"}}"#,
                "line 2: `sparse_embedding_format` is `x`, expected `word`, `lexical` or `token_id`",
            ),
            (
                r#"{"text_docs":["a"],"parameters":{"sparse_embedding_format":"token_id"},"inference_results":[{"output":[{"dataAsMap":{"response":[{"a":1}]}}]}]}"#,
                "line 2: vector 1 of `inference_results` has the index a, expected a whole number of 0 to 4294967295",
            ),
            (r#"{"query":"q","document":"d"}"#, "line 2: the row has no field `score`"),
            (r#"{"query":"q","document":"d","score":"1"}"#, "line 2: `score` is a string, not a number"),
            (r#"{"text":"a","query":"a","vector":{}}"#, "line 2: both `text` and `query`: only one is expected"),
            (r#"{"text":"a","text":"a","vector":{}}"#, "line 2: the field `text` is given twice"),
            (r#"{"text":"a","side":"left","vector":{}}"#, "line 2: `side` is `left`, expected `query` or `document`"),
            (r#"{"query":"a","as":"document","vector":{}}"#, "line 2: `as` is `document`, and another field says"),
            (r#"{"text":"a"}"#, "line 2: no vector; expected"),
            (r#"{"text":"a","indices":[1]}"#, "line 2: the row has no field `values`"),
            (r#"{"text":"a","indices":[1,2],"values":[0.5]}"#, "line 2: the row has 2 `indices` and 1 `values`"),
            (r#"{"text":"a","vector":{"indices":[1],"values":0.5}}"#, "line 2: `values` of `vector` is a number"),
            (r#"{"text":"a","vector":{"values":[0.5]}}"#, "line 2: `vector` has no field `indices`"),
            (r#"{"text":"a","vector":0.5}"#, "line 2: `vector` is a number, expected {\"term\": weight, …}"),
            (r#"{"text":"a","indices":[1,1],"values":[0.5,0.5]}"#, "line 2: the row has `1` twice"),
            (r#"{"text":"a","vector":{"b":1,"b":1}}"#, "line 2: `vector` has `b` twice"),
            (r#"{"text":"a","indices":[4294967296],"values":[1]}"#, "line 2: the row has the index 4294967296, expec"),
            (r#"{"text":"a","indices":[-1],"values":[1]}"#, "line 2: the row has the index -1, expected"),
            (r#"{"text":"a","indices":[1.0],"values":[1]}"#, "line 2: the row has the index 1.0, expected"),
            (r#"{"text":"a","vector":{"b":-0.5}}"#, "line 2: the weight of `b` in `vector` is -0.5, expected at least 0"),
            (r#"{"text":"a","vector":{"b":1e39}}"#, "line 2: the weight of `b` in `vector` is 1e39, not a finite 32-"),
            (r#"{"text":"a","vector":{"b":null}}"#, "line 2: the weight of `b` in `vector` is null, not a number"),
        ] {
            let found = reason(format!("{good}\n{bad}\n{good}"));
            assert!(found.starts_with(what), "{bad}: {found}");
        }
        assert_eq!(reason(b"\n{\"text\":\"\xff\"}"), "line 2: not UTF-8");
        assert!(reason("[\n{\"text\":\"a\",\n}]").starts_with("line 3, column 1: not JSON: "));
        for empty in ["", "\n \n", "[]"] {
            assert!(reason(empty).starts_with("nothing to compare with: no rows; expected"), "{empty:?}");
        }
    }

    #[test]
    fn an_error_names_the_file() {
        let missing = read("no/such/golden.jsonl").expect_err("no such file");
        assert!(matches!(missing, Error::Read { file, .. } if file == "no/such/golden.jsonl"));
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let empty = read(file.path()).expect_err("nothing in it").to_string();
        assert!(
            empty.starts_with(&format!("`{}`: nothing to compare with", file.path().display())),
            "{empty}"
        );
    }
}
