//! A file of rows, each in the form that its fields tell.

use std::io;
use std::path::Path;

use serde_json::value::RawValue;

use super::predict::{responses, Parameters};
use super::source::Source;
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
/// * `keys`: what the keys of an object are, where nothing in the row says it.
///
/// # Errors
///
/// [`Error::Read`], or [`Error::Invalid`] with the line and the field: where the file has no rows or is not
/// JSON in UTF-8, a row has none of the forms, texts and vectors or ids and weights are not equally many, an id does
/// not fit 32 bits or comes twice, or a weight is negative or not finite.
pub fn read(path: impl AsRef<Path>, keys: Keys) -> Result<Vec<GoldenRow>, Error> {
    let path = path.as_ref();
    let file = path.display().to_string();
    let bytes = read_bytes(path).map_err(|error| match error {
        InputError::Open { source, .. } | InputError::Read { source, .. } => {
            Error::Read { file: file.clone(), source }
        }
        other => Error::Read { file: file.clone(), source: io::Error::other(other) },
    })?;
    parse(&bytes, keys).map_err(|reason| Error::Invalid { file, reason })
}

fn parse(bytes: &[u8], keys: Keys) -> Result<Vec<GoldenRow>, String> {
    let source = Source::new(bytes)?;
    let mut rows = Vec::new();
    for value in source.values()? {
        for object in objects(value).map_err(|error| source.at(value, &error))? {
            let read = Row::new(object, keys)
                .and_then(|row| row.read())
                .map_err(|error| source.at(object, &error))?;
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
    keys: Keys,
}

impl<'a> Row<'a> {
    fn new(whole: &'a RawValue, keys: Keys) -> Result<Self, RowError> {
        Ok(Row { whole, fields: json::entries(whole.get().as_bytes())?, keys })
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
            return vector(&format!("`{name}`"), value, self.keys);
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
        paired(("inputs", texts), (name, vectors), self.keys, self.side(None)?)
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
        paired(("text_docs", texts), ("inference_results", vectors), parameters.keys(self.keys)?, side)
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
mod tests;
