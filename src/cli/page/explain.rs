//! The page of `explain`: a text, its tokens shaded by the weight that came from them, and its terms.

use std::fmt::Write as _;
use std::io::{self, Write};

use neural_sparse::{Explanation, Side, SparseEncoder};
use serde::Serialize;

use super::text::{self, first_words, TextData, TokenText};
use super::{Escaped, Page};
use crate::cli::counted;

const STYLE: &str = include_str!("explain.css");
const SCRIPT: &str = include_str!("explain.js");

/// Terms that are printed: the rest of thousands is for the screen.
const NUM_PRINTED: usize = 100;

/// What the page shows.
pub(in crate::cli) struct Explained<'a> {
    pub model: &'a str,
    pub side: Side,
    pub text: &'a str,
    pub explanation: &'a Explanation,
    pub encoder: &'a SparseEncoder,
    /// Heaviest first.
    pub terms: Vec<Term<'a>>,
}

/// A term of the vector.
pub(in crate::cli) struct Term<'a> {
    pub term: &'a str,
    pub weight: f32,
    /// Whether the term is one of the text's own tokens.
    pub literal: bool,
    /// Position of the token that it came from.
    pub position: usize,
    /// The characters of that token, or its name where the model added it.
    pub source: &'a str,
}

/// What the script works on.
#[derive(Serialize)]
struct Data<'a> {
    text: TextData<'a>,
    /// Term, weight, whether it is literal, position of the token that it came from.
    terms: Vec<(&'a str, f32, bool, usize)>,
}

pub(in crate::cli) fn write(out: &mut impl Write, explained: &Explained) -> io::Result<()> {
    let text = TokenText::new(explained.text, explained.explanation, explained.encoder);
    let title = first_words(explained.text);
    let terms = explained.terms.iter().map(|term| (term.term, term.weight, term.literal, term.position));
    let data = Data { text: text.data(), terms: terms.collect() };
    let page = Page {
        title: &title,
        styles: &[text::STYLE, STYLE],
        body: &body(explained, &text, &title),
        scripts: &[text::SCRIPT, SCRIPT],
    };
    super::write(out, &page, &data)
}

fn body(explained: &Explained, text: &TokenText, title: &str) -> String {
    let encoded = &explained.explanation.encoded;
    let weights = explained.terms.iter().map(|term| (term.position, f64::from(term.weight)));
    let total: f64 = explained.terms.iter().map(|term| f64::from(term.weight)).sum();
    let mut html = format!(
        "<header>\n<h1 dir=\"auto\">{}</h1>\n<p class=\"muted\">{} · {} side · {} · {} · total weight {total:.4}</p>\n",
        Escaped(title),
        Escaped(explained.model),
        explained.side.name(),
        counted(encoded.num_tokens as u64, "token"),
        counted(encoded.vector.len() as u64, "term"),
    );
    html.push_str(&text::cut_note("The text", explained.explanation));
    html.push_str("</header>\n<main class=\"columns\">\n<section class=\"reading\">\n<h2>Text</h2>\n");
    html.push_str(&text.html(weights, "Weight that came from a token"));
    html.push_str(
        "</section>\n<div class=\"answers\">\n<aside id=\"detail\" aria-label=\"What is selected\"></aside>\n\
         <section class=\"terms\">\n<h2>Terms, heaviest first</h2>\n",
    );
    write_terms(&mut html, &explained.terms);
    html.push_str("</section>\n</div>\n</main>\n<p id=\"said\" class=\"heard\" aria-live=\"polite\"></p>");
    html
}

fn write_terms(html: &mut String, terms: &[Term]) {
    let heaviest = terms.first().map_or(1.0, |term| term.weight);
    html.push_str(
        "<table id=\"terms\">\n<thead><tr><th class=\"number\">Weight<th>Term<th>From<th>Kind</thead>\n<tbody>\n",
    );
    for Term { term, weight, literal, source, .. } in terms {
        // Without the end tags that HTML does without: there may be thousands.
        let _ = writeln!(
            html,
            "<tr style=--part:{:.3}><td>{weight:.4}<td><button>{}</button><td><bdi>{}</bdi><td>{}",
            weight / heaviest,
            Escaped(term),
            Escaped(source),
            if *literal { "literal" } else { "expansion" },
        );
    }
    html.push_str("</tbody>\n</table>\n");
    if terms.len() > NUM_PRINTED {
        let _ =
            writeln!(html, "<p class=\"print-only\">The first {NUM_PRINTED} of {} terms.</p>", terms.len());
    }
}
