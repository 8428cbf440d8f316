//! What a format is given: a document, its vectors, and what names their terms.

use serde_json::Value;

use crate::input::json::{entries, Entry};
use crate::sparse::SparseVector;
use crate::tokenizer::Tokenizer;

/// A document with its vector, as a format writes it.
#[derive(Debug)]
pub struct Document<'a> {
    /// Its id as JSON: a string that is not empty, or a number.
    pub id: &'a str,
    /// The kept fields as JSON, `"name":value,` each.
    pub kept: &'a str,
    /// What was made of its text.
    pub content: Content,
}

/// The vectors of a document.
#[derive(Debug)]
pub enum Content {
    /// One of the whole text.
    Whole(SparseVector),
    /// One of each window of the text, each a row or a nested object of its own.
    Windows(Vec<SparseVector>),
}

impl Content {
    /// The vectors, one or those of the windows.
    pub fn vectors(&self) -> &[SparseVector] {
        match self {
            Content::Whole(vector) => std::slice::from_ref(vector),
            Content::Windows(vectors) => vectors,
        }
    }
}

/// One row of a store: a document or one of its windows.
#[derive(Debug)]
pub struct Row<'a> {
    /// The document's id as JSON.
    pub id: &'a str,
    /// The number of the window, from 0.
    pub window: Option<usize>,
    /// The kept fields as JSON, `"name":value,` each.
    pub kept: &'a str,
    /// Its vector.
    pub vector: &'a SparseVector,
}

impl Row<'_> {
    /// The id as text; a window's ends with `#` and its number, as Anserini's passages do.
    pub(super) fn id_text(&self) -> String {
        let text = id_text(self.id);
        match self.window {
            Some(number) => format!("{text}#{number}"),
            None => text,
        }
    }

    /// [`Row::id_text`] as a string of JSON.
    pub(super) fn id_string(&self) -> String {
        match self.window {
            None if self.id.starts_with('"') => self.id.to_string(),
            _ => Value::from(self.id_text()).to_string(),
        }
    }

    /// The number of the window and the kept fields, `"name":value,` each.
    pub(super) fn fields(&self) -> String {
        match self.window {
            Some(number) => format!("\"chunk\":{number},{}", self.kept),
            None => self.kept.to_string(),
        }
    }
}

/// An id as text: what a string says, what a number looks like.
pub fn id_text(id: &str) -> String {
    serde_json::from_str(id).unwrap_or_else(|_| id.to_string())
}

/// The kept fields one by one. An object's worth of JSON, checked when it was read.
pub(super) fn kept_fields(object: &str) -> Vec<Entry<'_>> {
    entries(object.as_bytes()).expect("fields that were read from a row, anything else is a bug")
}

/// `"name":value,` each, as an object.
pub(super) fn as_object(fields: &str) -> String {
    format!("{{{}}}", fields.strip_suffix(',').unwrap_or(fields))
}

/// What names the terms of vectors.
#[derive(Clone, Copy, Debug)]
pub enum Terms<'a> {
    /// A model's vocabulary: the number of a term is its id.
    Vocabulary(&'a Tokenizer),
    /// A row's own terms, where no vocabulary is at hand: the number of a term is its place here.
    Listed(&'a [String]),
    /// Nothing: only ids are known, all below this.
    Ids(usize),
}

impl<'a> Terms<'a> {
    /// The term's name.
    pub(super) fn name(self, index: u32) -> &'a str {
        let name = match self {
            Terms::Vocabulary(tokenizer) => tokenizer.term(index),
            Terms::Listed(terms) => terms.get(index as usize).map(String::as_str),
            Terms::Ids(_) => None,
        };
        name.expect("a term without a name is never given a weight: this is a bug")
    }

    /// One more than the largest id.
    pub(super) fn vocab_size(self) -> usize {
        match self {
            Terms::Vocabulary(tokenizer) => tokenizer.vocab_size(),
            Terms::Listed(terms) => terms.len(),
            Terms::Ids(size) => size,
        }
    }
}

/// Whether all characters of the strings in a value are such.
pub(super) fn all_characters(value: &str, is_good: impl Fn(char) -> bool + Copy) -> bool {
    // What is not escaped is no control character.
    if value.is_ascii() && !value.contains('\\') {
        return true;
    }
    match serde_json::from_str(value) {
        Ok(Value::String(text)) => text.chars().all(is_good),
        Ok(Value::Array(values)) => values.iter().all(|value| all_characters(&value.to_string(), is_good)),
        Ok(Value::Object(values)) => values
            .iter()
            .all(|(name, value)| name.chars().all(is_good) && all_characters(&value.to_string(), is_good)),
        _ => true,
    }
}
