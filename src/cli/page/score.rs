//! The page of `score`: a query beside each document, their tokens shaded by what they put into the score, and the
//! shared terms between them.

use std::fmt::Write as _;
use std::io::{self, Write};

use neural_sparse::{Explanation, SparseEncoder};
use serde::Serialize;

use super::text::{self, cut_note, first_words, TextData, TokenText};
use super::{Escaped, Page};
use crate::cli::counted;

const STYLE: &str = include_str!("score.css");
const SCRIPT: &str = include_str!("score.js");

/// What the page shows.
pub(in crate::cli) struct Scores<'a> {
    pub model: &'a str,
    pub encoder: &'a SparseEncoder,
    pub query: &'a str,
    pub query_explanation: &'a Explanation,
    /// Best first.
    pub documents: Vec<Document<'a>>,
}

/// A document and its score.
pub(in crate::cli) struct Document<'a> {
    pub text: &'a str,
    pub explanation: &'a Explanation,
    pub score: f32,
    /// Largest product first.
    pub terms: Vec<SharedTerm<'a>>,
}

/// A term that the query and a document share.
pub(in crate::cli) struct SharedTerm<'a> {
    pub term: &'a str,
    /// Weights in the query and in the document.
    pub weights: [f32; 2],
    pub product: f32,
    /// Of the score, from 0 to 1.
    pub share: f32,
    /// Positions of the tokens that it came from, in the query and in the document.
    pub positions: [usize; 2],
}

/// What the script works on.
#[derive(Serialize)]
struct Data<'a> {
    query: TextData<'a>,
    documents: Vec<DocumentData<'a>>,
}

#[derive(Serialize)]
struct DocumentData<'a> {
    text: TextData<'a>,
    score: f32,
    terms: Vec<TermData<'a>>,
}

/// Term, weights, product, share, positions.
type TermData<'a> = (&'a str, [f32; 2], f32, f32, [usize; 2]);

pub(in crate::cli) fn write(out: &mut impl Write, scores: &Scores) -> io::Result<()> {
    let query = TokenText::new(scores.query, scores.query_explanation, scores.encoder);
    let documents: Vec<(&Document, TokenText)> = scores
        .documents
        .iter()
        .map(|document| (document, TokenText::new(document.text, document.explanation, scores.encoder)))
        .collect();
    let data = Data {
        query: query.data(),
        documents: documents.iter().map(|(document, text)| document.data(text)).collect(),
    };
    let mut html = header(scores);
    for (index, (document, text)) in documents.iter().enumerate() {
        document.write(&mut html, index + 1, &query, text);
    }
    // What lines are drawn in, on the screen only.
    html.push_str(
        "</main>\n<svg id=\"lines\" aria-hidden=\"true\"><path/></svg>\n<aside id=\"detail\" aria-label=\"What is \
         selected\"></aside>\n<p id=\"said\" class=\"heard\" aria-live=\"polite\"></p>",
    );
    let page = Page {
        title: &first_words(scores.query),
        styles: &[text::STYLE, STYLE],
        body: &html,
        scripts: &[text::SCRIPT, SCRIPT],
    };
    super::write(out, &page, &data)
}

/// The query, and where there are several documents, which is the best.
fn header(scores: &Scores) -> String {
    let num_documents = scores.documents.len();
    let mut html = format!(
        "<header>\n<h1 dir=\"auto\">{}</h1>\n<p class=\"muted\">{} · {}</p>\n{}</header>\n<main>\n",
        Escaped(&first_words(scores.query)),
        Escaped(scores.model),
        counted(num_documents as u64, "document"),
        cut_note("The query", scores.query_explanation),
    );
    if num_documents == 1 {
        return html;
    }
    html.push_str(
        "<table class=\"ranking\">\n<thead><tr><th class=\"number\">Score<th>Document<th class=\"number\">Shared \
         terms</thead>\n<tbody>\n",
    );
    for (index, document) in scores.documents.iter().enumerate() {
        let _ = writeln!(
            html,
            "<tr><td class=\"number\">{:.4}<td><a href=\"#document-{}\"><bdi>{}</bdi></a><td class=\"number\">{}",
            document.score,
            index + 1,
            Escaped(&first_words(document.text)),
            document.terms.len(),
        );
    }
    html.push_str("</tbody>\n</table>\n");
    html
}

impl Document<'_> {
    fn data<'a>(&'a self, text: &'a TokenText) -> DocumentData<'a> {
        let terms =
            self.terms.iter().map(|term| (term.term, term.weights, term.product, term.share, term.positions));
        DocumentData { text: text.data(), score: self.score, terms: terms.collect() }
    }

    /// The query, the shared terms and the document beside each other.
    fn write(&self, html: &mut String, rank: usize, query: &TokenText, document: &TokenText) {
        let shaded = |text: &TokenText, side: usize| {
            let products = self.terms.iter().map(|term| (term.positions[side], f64::from(term.product)));
            text.html(products, "Part of the score")
        };
        let _ = write!(
            html,
            "<section class=\"pair\" id=\"document-{rank}\">\n<h2>Score {:.4} <bdi class=\"muted\">{}</bdi></h2>\n\
             {}<div class=\"sides\">\n<div class=\"side\">\n<h3>Query</h3>\n{}</div>\n\
             <div class=\"joined\">\n<h3>Shared terms</h3>\n",
            self.score,
            Escaped(&first_words(self.text)),
            cut_note("The document", self.explanation),
            shaded(query, 0),
        );
        self.write_terms(html);
        let _ = write!(
            html,
            "</div>\n<div class=\"side document\">\n<h3>Document</h3>\n{}</div>\n</div>\n</section>\n",
            shaded(document, 1),
        );
    }

    fn write_terms(&self, html: &mut String) {
        if self.terms.is_empty() {
            html.push_str("<p>The query and the document share no term: the score is 0.</p>\n");
            return;
        }
        html.push_str(
            "<p class=\"summary needs-script\"></p>\n<table class=\"shared\">\n<thead><tr><th>Term<th \
             class=\"number\">Query<th class=\"number\">Doc.<th class=\"number\">Product<th \
             class=\"number\">Share</thead>\n<tbody>\n",
        );
        let largest = self.terms[0].share;
        for SharedTerm { term, weights: [query, document], product, share, .. } in &self.terms {
            let _ = writeln!(
                html,
                "<tr style=--part:{:.3}><td><button>{}</button><td>{query:.4}<td>{document:.4}<td>{product:.4}\
                 <td>{:.1} %",
                share / largest,
                Escaped(term),
                share * 100.0,
            );
        }
        let _ = writeln!(
            html,
            "</tbody>\n<tfoot><tr><td>total<td><td><td>{:.4}<td></tfoot>\n</table>",
            self.score
        );
    }
}
