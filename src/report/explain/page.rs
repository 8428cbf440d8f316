//! The page of `explain`: a text, its tokens shaded by the weight that came from them, and its terms.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use super::{ExplainedTerm, ExplainedText};
use crate::report::page::{counted, Escaped, Page};
use crate::report::text::{self, first_words, TextData, TokenText};
use crate::{Explanation, Side, SparseEncoder};

const STYLE: &str = include_str!("explain.css");
const SCRIPT: &str = include_str!("explain.js");

/// Terms that are printed: the rest of thousands is for the screen.
const NUM_PRINTED: usize = 100;

/// The page of an explained text: the text with its tokens shaded by the weight that came from them, and its terms.
#[derive(Debug)]
pub struct ExplainPage<'a> {
    /// What the page calls the model.
    pub model: &'a str,
    /// The side that the text was encoded on.
    pub side: Side,
    /// What the page shows: the text, its tokens and its terms.
    pub explained: &'a ExplainedText<'a>,
    /// Where `explained` came from.
    pub explanation: &'a Explanation,
    /// What explained the text.
    pub encoder: &'a SparseEncoder,
}

/// What the script works on.
#[derive(Serialize)]
struct Data<'a> {
    text: TextData<'a>,
    /// Term, weight, whether it is literal, position of the token that it came from.
    terms: Vec<(&'a str, f32, bool, usize)>,
}

impl ExplainPage<'_> {
    /// Writes the page as one HTML file.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let ExplainedText { text: given, terms, .. } = self.explained;
        let text = TokenText::new(given, self.explanation, self.encoder);
        let title = first_words(given);
        let terms = terms.iter().map(|term| (term.term, term.weight, term.literal, term.position));
        let data = Data { text: text.data(), terms: terms.collect() };
        let page = Page {
            title: &title,
            styles: &[text::STYLE, STYLE],
            body: &body(self, &text, &title),
            scripts: &[text::SCRIPT, SCRIPT],
        };
        page.write(out, &data)
    }
}

fn body(page: &ExplainPage, text: &TokenText, title: &str) -> String {
    let encoded = &page.explanation.encoded;
    let terms = &page.explained.terms;
    let weights = terms.iter().map(|term| (term.position, f64::from(term.weight)));
    let total: f64 = terms.iter().map(|term| f64::from(term.weight)).sum();
    let mut html = format!(
        "<header>\n<h1 dir=\"auto\">{}</h1>\n<p class=\"muted\">{} · {} side · {} · {} · total weight {total:.4}</p>\n",
        Escaped(title),
        Escaped(page.model),
        page.side.name(),
        counted(encoded.num_tokens, "token"),
        counted(encoded.vector.len(), "term"),
    );
    html.push_str(&text::cut_note("The text", page.explanation));
    html.push_str("</header>\n<main class=\"columns\">\n<section class=\"reading\">\n<h2>Text</h2>\n");
    html.push_str(&text.html(weights, "Weight that came from a token"));
    html.push_str(
        "</section>\n<div class=\"answers\">\n<aside id=\"detail\" aria-label=\"What is selected\"></aside>\n\
         <section class=\"terms\">\n<h2>Terms, heaviest first</h2>\n",
    );
    write_terms(&mut html, terms);
    html.push_str("</section>\n</div>\n</main>\n<p id=\"said\" class=\"heard\" aria-live=\"polite\"></p>");
    html
}

fn write_terms(html: &mut String, terms: &[ExplainedTerm]) {
    let heaviest = terms.first().map_or(1.0, |term| term.weight);
    html.push_str(
        "<table id=\"terms\">\n<thead><tr><th class=\"number\">Weight<th>Term<th>From<th>Kind</thead>\n<tbody>\n",
    );
    for ExplainedTerm { term, weight, literal, token, start, surface, .. } in terms {
        let source = if start.is_some() { surface } else { token };
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
