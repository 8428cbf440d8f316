//! A text whose tokens are shaded by what each contributes.

use std::fmt::Write;
use std::ops::Range;

use serde::Serialize;

use super::page::Escaped;
use crate::{Explanation, SparseEncoder, Token};

pub(super) const STYLE: &str = include_str!("text.css");
pub(super) const SCRIPT: &str = include_str!("text.js");

/// Shades that are told apart, none aside.
const NUM_SHADES: f64 = 8.0;

/// A text and what its tokens stand for.
pub(super) struct TokenText<'a> {
    text: &'a str,
    /// What the vocabulary calls each token.
    names: Vec<&'a str>,
    pieces: Vec<Piece>,
    num_cut: usize,
}

/// What is shaded as one: a token, or several that stand for the same character.
#[derive(Debug, PartialEq)]
struct Piece {
    /// Position of its first token; its last is the one before the next piece.
    first: usize,
    /// Bytes of the text; `None` where the model added the token.
    span: Option<Range<usize>>,
}

/// What the script is told of a text. Its pieces stand on the page in this order.
#[derive(Serialize)]
pub(super) struct TextData<'a> {
    tokens: &'a [&'a str],
    /// Position of the first token of each piece.
    pieces: Vec<usize>,
}

impl<'a> TokenText<'a> {
    pub fn new(text: &'a str, explanation: &Explanation, encoder: &'a SparseEncoder) -> Self {
        let name = |token: &Token| encoder.tokenizer().term(token.id).unwrap_or_default();
        TokenText {
            text,
            names: explanation.tokens.iter().map(name).collect(),
            pieces: pieces(&explanation.tokens),
            num_cut: explanation.num_cut,
        }
    }

    pub fn data(&self) -> TextData<'_> {
        TextData { tokens: &self.names, pieces: self.pieces.iter().map(|piece| piece.first).collect() }
    }

    /// Position of each token and what it contributes, as (position, part) pairs in any order, to what each piece does.
    fn parts(&self, contributions: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
        let mut parts = vec![0.0; self.pieces.len()];
        for (position, part) in contributions {
            let next = self.pieces.partition_point(|piece| piece.first <= position);
            parts[next - 1] += part;
        }
        parts
    }

    /// The text as it was given, every piece of it shaded, between the tokens that the model added before and after
    /// it, under a legend.
    ///
    /// * `contributions`: (position of a token, what it contributes), more than once where it does so in several ways.
    /// * `what`: what the shades stand for.
    pub fn html(&self, contributions: impl Iterator<Item = (usize, f64)>, what: &str) -> String {
        let parts = self.parts(contributions);
        let largest = parts.iter().copied().fold(0.0, f64::max);
        let shaded: Vec<(&Piece, usize)> =
            self.pieces.iter().zip(parts.iter().map(|part| shade(*part, largest))).collect();
        let num_before = self.pieces.iter().take_while(|piece| piece.span.is_none()).count();
        let (before, rest) = shaded.split_at(num_before);
        let num_inside = rest.iter().take_while(|(piece, _)| piece.span.is_some()).count();
        let (inside, after) = rest.split_at(num_inside);
        let mut html = legend(what, largest);
        html.push_str("<div class=\"shaded\">");
        self.write_added(&mut html, before);
        html.push_str("<div class=\"text\" dir=\"auto\">");
        let mut done = 0;
        for (piece, shade) in inside {
            let Some(span) = &piece.span else { continue };
            self.write_between(&mut html, done..span.start);
            write_piece(&mut html, &self.text[span.clone()], *shade);
            done = span.end;
        }
        self.write_between(&mut html, done..self.text.len());
        html.push_str("</div>");
        self.write_added(&mut html, after);
        html.push_str("</div>\n");
        html
    }

    /// Writes text that no token stands for. At either end of a text that was cut, the model did not read it.
    fn write_between(&self, html: &mut String, between: Range<usize>) {
        let is_at_end = between.start == 0 || between.end == self.text.len();
        let text = Escaped(&self.text[between.clone()]);
        let _ = match is_at_end && self.num_cut > 0 && !between.is_empty() {
            true => write!(html, "<i class=\"unread\">{text}</i>"),
            false => write!(html, "{text}"),
        };
    }

    fn write_added(&self, html: &mut String, added: &[(&Piece, usize)]) {
        if added.is_empty() {
            return;
        }
        html.push_str("<div class=\"added\" title=\"added by the model\">");
        for (piece, shade) in added {
            write_piece(html, self.names[piece.first], *shade);
            html.push(' ');
        }
        html.push_str("</div>");
    }
}

/// The tokens in pieces, in their order.
fn pieces(tokens: &[Token]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(tokens.len());
    for (position, token) in tokens.iter().enumerate() {
        let last = pieces.last_mut().and_then(|piece| piece.span.as_mut());
        match (last, &token.span) {
            // The bytes of one character are tokens of some vocabularies.
            (Some(last), Some(span)) if span.start < last.end || span.is_empty() => {
                last.end = last.end.max(span.end);
            }
            _ => pieces.push(Piece { first: position, span: token.span.clone() }),
        }
    }
    pieces
}

/// From 0, for nothing, to the darkest for the largest part.
fn shade(part: f64, largest: f64) -> usize {
    if part > 0.0 {
        (part / largest * NUM_SHADES).ceil().clamp(1.0, NUM_SHADES) as usize
    } else {
        0
    }
}

/// Kept short: a long text has thousands.
fn write_piece(html: &mut String, text: &str, shade: usize) {
    let text = Escaped(text);
    let _ = match shade {
        0 => write!(html, "<span>{text}</span>"),
        _ => write!(html, "<span class=s{shade}>{text}</span>"),
    };
}

fn legend(what: &str, largest: f64) -> String {
    let swatches: String = (1..=NUM_SHADES as usize).map(|shade| format!("<i class=s{shade}></i>")).collect();
    if largest == 0.0 {
        return format!("<p class=\"legend\">{what}: none</p>\n");
    }
    format!(
        "<p class=\"legend\">{what}: 0 <span class=\"swatches\" aria-hidden=\"true\"><i></i>{swatches}</span> \
         {largest:.4}</p>\n"
    )
}

/// Says that a text was cut, if it was.
pub(super) fn cut_note(which: &str, explanation: &Explanation) -> String {
    let Explanation { encoded, num_cut, .. } = explanation;
    let num_tokens = encoded.num_tokens;
    match num_cut {
        0 => String::new(),
        _ => format!(
            "<p class=\"cut\">{which} is longer than the limit: the model read {num_tokens} tokens of it, {} more \
             were cut.</p>\n",
            num_cut
        ),
    }
}

/// The first words of a text, to tell it by.
pub(super) fn first_words(text: &str) -> String {
    const MOST: usize = 80;
    let mut words = text.split_whitespace();
    let mut first = String::new();
    for word in words.by_ref() {
        if !first.is_empty() {
            if first.chars().count() + word.chars().count() >= MOST {
                return first + " …";
            }
            first.push(' ');
        }
        first.push_str(word);
    }
    match first.char_indices().nth(MOST) {
        // Some scripts have no spaces.
        Some((end, _)) => format!("{}…", &first[..end]),
        None if first.is_empty() => "(empty text)".into(),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(span: Option<Range<usize>>) -> Token {
        Token { id: 0, span }
    }

    #[test]
    fn tokens_of_one_character_are_one_piece() {
        let tokens = [None, Some(0..2), Some(3..7), Some(3..7), Some(7..7), Some(7..9), None].map(token);
        let expected = [(0, None), (1, Some(0..2)), (2, Some(3..7)), (5, Some(7..9)), (6, None)];
        assert_eq!(pieces(&tokens), expected.map(|(first, span)| Piece { first, span }));
    }

    #[test]
    fn shades_rise_with_the_part() {
        assert_eq!([0.0, 0.001, 1.0, 1.01, 8.0].map(|part| shade(part, 8.0)), [0, 1, 1, 2, 8]);
        assert_eq!(shade(0.0, 0.0), 0);
    }

    #[test]
    fn first_words_are_whole_where_there_are_words() {
        assert_eq!(first_words(" a\n b "), "a b");
        assert_eq!(first_words(""), "(empty text)");
        assert_eq!(first_words(&"word ".repeat(40)), format!("{}…", "word ".repeat(16)));
        assert_eq!(first_words(&"字".repeat(100)), format!("{}…", "字".repeat(80)));
    }
}
