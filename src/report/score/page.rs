//! The page of `score`: a query beside each document, their tokens shaded by what they put into the score, and the
//! terms that make it between them.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use super::ScoreTerm;
use crate::report::page::{counted, Escaped, Page};
use crate::report::text::{self, cut_note, first_words, TextData, TokenText};
use crate::{Explanation, ScoreOverflow, Similarity, SparseEncoder};

const STYLE: &str = include_str!("score.css");
const SCRIPT: &str = include_str!("score.js");

/// The page of a query and the documents that were scored against it.
#[derive(Debug)]
pub struct ScorePage<'a> {
    model: &'a str,
    encoder: &'a SparseEncoder,
    query: &'a str,
    query_explanation: &'a Explanation,
    /// Best first.
    documents: Vec<ScoredDocument<'a>>,
}

/// A document and its score.
#[derive(Debug)]
struct ScoredDocument<'a> {
    text: &'a str,
    explanation: &'a Explanation,
    score: f32,
    /// What the parts of the terms add up to.
    total: f32,
    /// Largest part first, each with the positions of the tokens that it came from, in the query and in the document,
    /// where it has one.
    terms: Vec<(ScoreTerm<'a>, [Option<usize>; 2])>,
}

/// What the page calls the parts of a score.
struct Words {
    /// The terms that have one.
    terms: &'static str,
    /// One term's.
    part: &'static str,
    /// What they add up to.
    total: &'static str,
    /// What is to be known of the weights or of the score.
    note: &'static str,
    /// What is said where no term has one.
    nothing: &'static str,
}

impl Words {
    fn of(similarity: Similarity) -> Self {
        match similarity {
            Similarity::Dot => Words {
                terms: "Shared terms",
                part: "Product",
                total: "score",
                note: "",
                nothing: "The query and the document share no term: the score is 0.",
            },
            Similarity::Cosine => Words {
                note: "The score is the cosine: the weights are those of the normalised vectors.",
                ..Words::of(Similarity::Dot)
            },
            Similarity::Euclidean => Words {
                terms: "Terms of either",
                part: "(q − d)²",
                total: "squared distance",
                note: "The score is the negative euclidean distance, the root of what the terms add up to.",
                nothing: "Neither text has a term: the score is 0.",
            },
            Similarity::Manhattan => Words {
                part: "|q − d|",
                total: "distance",
                note: "The score is the negative manhattan distance, which the terms add up to.",
                ..Words::of(Similarity::Euclidean)
            },
        }
    }
}

/// What the script works on.
#[derive(Serialize)]
struct Data<'a> {
    similarity: &'static str,
    /// What shares are of.
    total: &'static str,
    query: TextData<'a>,
    documents: Vec<DocumentData<'a>>,
}

#[derive(Serialize)]
struct DocumentData<'a> {
    text: TextData<'a>,
    score: f32,
    total: f32,
    terms: Vec<TermData<'a>>,
}

/// Term, weights, part, share, positions.
type TermData<'a> = (&'a str, [f32; 2], f32, f32, [Option<usize>; 2]);

impl<'a> ScorePage<'a> {
    /// Scores each document against the query, best first; documents of one score keep the order given.
    ///
    /// * `model`: what the page calls the model.
    /// * `encoder`: the encoder that explained the texts.
    /// * `query`, `documents`: each text with its explanation.
    ///
    /// # Errors
    ///
    /// [`ScoreOverflow`] where no f32 holds a score, a total or a part of it.
    pub fn new(
        model: &'a str,
        encoder: &'a SparseEncoder,
        (query, query_explanation): (&'a str, &'a Explanation),
        documents: impl IntoIterator<Item = (&'a str, &'a Explanation)>,
    ) -> Result<Self, ScoreOverflow> {
        let similarity = encoder.similarity();
        let scored = |(text, explanation): (&'a str, &'a Explanation)| {
            let vectors = [query_explanation, explanation].map(|explanation| &explanation.encoded.vector);
            let positions = |id| [query_explanation.source(id), explanation.source(id)];
            let terms = ScoreTerm::of_pair(encoder, vectors[0], vectors[1])?.into_iter();
            Ok(ScoredDocument {
                text,
                explanation,
                score: similarity.score(vectors[0], vectors[1])?,
                total: similarity.total(vectors[0], vectors[1])?,
                terms: terms
                    .map(|term| {
                        let positions = positions(term.id);
                        (term, positions)
                    })
                    .collect(),
            })
        };
        let mut documents: Vec<ScoredDocument> =
            documents.into_iter().map(scored).collect::<Result<_, _>>()?;
        // Stable.
        documents.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(ScorePage { model, encoder, query, query_explanation, documents })
    }

    /// Writes the page as one HTML file.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let query = TokenText::new(self.query, self.query_explanation, self.encoder);
        let documents: Vec<(&ScoredDocument, TokenText)> = self
            .documents
            .iter()
            .map(|document| (document, TokenText::new(document.text, document.explanation, self.encoder)))
            .collect();
        let similarity = self.encoder.similarity();
        let words = Words::of(similarity);
        let data = Data {
            similarity: similarity.name(),
            total: words.total,
            query: query.data(),
            documents: documents.iter().map(|(document, text)| document.data(text)).collect(),
        };
        let mut html = header(self, &words);
        for (index, (document, text)) in documents.iter().enumerate() {
            document.write(&mut html, index + 1, &words, &query, text);
        }
        // What lines are drawn in, on the screen only.
        html.push_str(
            "</main>\n<svg id=\"lines\" aria-hidden=\"true\"><path/></svg>\n<aside id=\"detail\" aria-label=\"What is \
             selected\"></aside>\n<p id=\"said\" class=\"heard\" aria-live=\"polite\"></p>",
        );
        let page = Page {
            title: &first_words(self.query),
            styles: &[text::STYLE, STYLE],
            body: &html,
            scripts: &[text::SCRIPT, SCRIPT],
        };
        page.write(out, &data)
    }
}

/// The query, and where there are several documents, which is the best.
fn header(scores: &ScorePage, words: &Words) -> String {
    let num_documents = scores.documents.len();
    let mut html = format!(
        "<header>\n<h1 dir=\"auto\">{}</h1>\n<p class=\"muted\">{} · {}</p>\n{}{}</header>\n<main>\n",
        Escaped(&first_words(scores.query)),
        Escaped(scores.model),
        counted(num_documents, "document"),
        match words.note {
            "" => String::new(),
            note => format!("<p class=\"muted\">{note}</p>\n"),
        },
        cut_note("The query", scores.query_explanation),
    );
    if num_documents == 1 {
        return html;
    }
    html.push_str(
        "<table class=\"ranking\">\n<thead><tr><th class=\"number\">Score<th>Document<th \
         class=\"number\">",
    );
    let _ = writeln!(html, "{}</thead>\n<tbody>", words.terms);
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

impl ScoredDocument<'_> {
    fn data<'a>(&'a self, text: &'a TokenText) -> DocumentData<'a> {
        let terms = self.terms.iter().map(|(term, positions)| {
            (term.term, [term.query, term.document], term.part.value(), term.share, *positions)
        });
        DocumentData { text: text.data(), score: self.score, total: self.total, terms: terms.collect() }
    }

    /// The query, the terms and the document beside each other.
    fn write(&self, html: &mut String, rank: usize, words: &Words, query: &TokenText, document: &TokenText) {
        let shaded = |text: &TokenText, side: usize| {
            let parts = self
                .terms
                .iter()
                .filter_map(|(term, positions)| Some((positions[side]?, term.part.value().into())));
            text.html(parts, &format!("Part of the {}", words.total))
        };
        let _ = write!(
            html,
            "<section class=\"pair\" id=\"document-{rank}\">\n<h2>Score {:.4} <bdi class=\"muted\">{}</bdi></h2>\n\
             {}<div class=\"sides\">\n<div class=\"side\">\n<h3>Query</h3>\n{}</div>\n\
             <div class=\"joined\">\n<h3>{}</h3>\n",
            self.score,
            Escaped(&first_words(self.text)),
            cut_note("The document", self.explanation),
            shaded(query, 0),
            words.terms,
        );
        self.write_terms(html, words);
        let _ = write!(
            html,
            "</div>\n<div class=\"side document\">\n<h3>Document</h3>\n{}</div>\n</div>\n</section>\n",
            shaded(document, 1),
        );
    }

    fn write_terms(&self, html: &mut String, words: &Words) {
        if self.terms.is_empty() {
            let _ = writeln!(html, "<p>{}</p>", words.nothing);
            return;
        }
        let _ = writeln!(
            html,
            "<p class=\"summary needs-script\"></p>\n<table class=\"shared\">\n<thead><tr><th>Term<th \
             class=\"number\">Query<th class=\"number\">Doc.<th class=\"number\">{}<th \
             class=\"number\">Share</thead>\n<tbody>",
            words.part
        );
        // Equal vectors have no distance, and no term has a share of it.
        let largest = self.terms[0].0.share.max(f32::MIN_POSITIVE);
        for (ScoreTerm { term, query, document, part, share, .. }, _) in &self.terms {
            let part = part.value();
            let _ = writeln!(
                html,
                "<tr style=--part:{:.3}><td><button>{}</button><td>{query:.4}<td>{document:.4}<td>{part:.4}\
                 <td>{:.1} %",
                share / largest,
                Escaped(term),
                share * 100.0,
            );
        }
        let _ = writeln!(
            html,
            "</tbody>\n<tfoot><tr><td>total<td><td><td>{:.4}<td></tfoot>\n</table>",
            self.total
        );
    }
}
