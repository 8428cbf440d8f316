//! An explained text: its tokens, its terms, and which token gave which term.

mod job;
mod page;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Table;
use crate::{Explanation, SparseEncoder};

pub use job::ExplainTexts;
pub use page::ExplainPage;

/// An explained text, with tokens and terms by name and places in characters. It serialises to the JSON that an
/// explanation is printed as.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedText<'a> {
    /// The id of the row that the text stands in; absent from the JSON where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a RawValue>,
    /// The text as it was given.
    pub text: &'a str,
    /// Its tokens in their order, the special tokens that the model added included.
    pub tokens: Vec<InputToken<'a>>,
    /// The terms of its vector, heaviest first, ties by ascending term id.
    pub terms: Vec<ExplainedTerm<'a>>,
}

/// A token of the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InputToken<'a> {
    /// What the vocabulary calls it.
    pub token: &'a str,
    /// Its vocabulary id.
    pub id: u32,
    /// The first character of the text that it stands for, from 0; absent for an added special token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<usize>,
    /// The character after its last; absent for an added special token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<usize>,
    /// Those characters; empty for an added special token. Not in the JSON.
    #[serde(skip)]
    pub surface: &'a str,
}

/// A term of the vector and the token whose logit for it was the largest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedTerm<'a> {
    /// What the vocabulary calls it.
    pub term: &'a str,
    /// Its weight in the vector.
    pub weight: f32,
    /// Whether the term is one of the text's own tokens.
    pub literal: bool,
    /// Position of the token, special tokens counted, from 0.
    pub position: usize,
    /// What the vocabulary calls the token.
    pub token: &'a str,
    /// The token's [`InputToken::start`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<usize>,
    /// The token's [`InputToken::end`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<usize>,
    /// The token's [`InputToken::surface`]. Not in the JSON.
    #[serde(skip)]
    pub surface: &'a str,
}

impl<'a> ExplainedText<'a> {
    /// A row for each term: its weight, and the token and the characters that it is from.
    pub fn table(&self) -> Table {
        let titles = ["term", "from", "characters", "kind"];
        let mut table = titles.into_iter().fold(Table::new().number("  weight"), Table::text);
        for term in &self.terms {
            let (from, place) = match (term.start, term.end) {
                (Some(start), Some(end)) => (format!("{:?}", term.surface), format!("{start}-{end}")),
                _ => (term.token.to_string(), "-".to_string()),
            };
            let kind = if term.literal { "literal" } else { "expansion" };
            table.row(vec![format!("{:.4}", term.weight), term.term.to_string(), from, place, kind.into()]);
        }
        table
    }

    /// Names the tokens and terms of `explanation`.
    ///
    /// * `text`: the text that was explained.
    /// * `encoder`: the encoder that explained it.
    ///
    /// # Panics
    ///
    /// If `explanation` is that of another text or another encoder.
    pub fn new(
        id: Option<&'a RawValue>,
        text: &'a str,
        explanation: &Explanation,
        encoder: &'a SparseEncoder,
    ) -> Self {
        let name = |id| encoder.tokenizer().term(id).unwrap_or_default();
        let characters = |byte: usize| text[..byte].chars().count();
        let tokens: Vec<InputToken> = explanation
            .tokens
            .iter()
            .map(|token| InputToken {
                token: name(token.id),
                id: token.id,
                start: token.span.as_ref().map(|span| characters(span.start)),
                end: token.span.as_ref().map(|span| characters(span.end)),
                surface: token.span.as_ref().map_or("", |span| &text[span.clone()]),
            })
            .collect();
        let vector = &explanation.encoded.vector;
        let heaviest = vector.heaviest_first().into_iter().map(|(id, weight)| {
            let position = explanation.source(id).expect("an id of this vector, anything else is a bug");
            let InputToken { token, start, end, surface, .. } = tokens[position].clone();
            let literal = explanation.tokens.iter().any(|token| token.id == id);
            ExplainedTerm { term: name(id), weight, literal, position, token, start, end, surface }
        });
        ExplainedText { id, text, terms: heaviest.collect(), tokens }
    }
}
