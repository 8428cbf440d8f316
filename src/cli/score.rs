//! `score`: how well documents match a query.

use std::io::Write;
use std::iter;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::input::json::{self, PairFields};
use neural_sparse::report::{ScorePage, ScoredPair};
use neural_sparse::run::ScorePairs;
use neural_sparse::{Encoded, Error, Side};
use serde_json::Value;

use super::args::InputArgs;
use super::bulk::{say_truncated, Container, Tally};
use super::failure::{Exit, UsageError};
use super::output::{say_where, Files, Output};
use super::{print, ModelArgs};

/// Score documents against a query, one score a line: the dot product of their vectors, unless the model names another
/// similarity
///
/// A model's `similarity_fn_name` may be `dot`, `cosine`, `euclidean` or `manhattan`. The last two are negative distances:
/// in all four a larger score is a better match. With --input, each row {"query", "document"} is written with a field "score" added.
#[derive(Args)]
pub(super) struct ScoreArgs {
    /// The query, then one or more documents
    #[arg(value_names = ["QUERY", "DOCUMENT"], num_args = 0.., conflicts_with = "files")]
    texts: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    /// Field of a row that holds its query, `a.b` for a field of an object
    #[arg(long, value_name = "NAME", default_value = "query")]
    query_field: String,
    /// Field of a row that holds its document
    #[arg(long, value_name = "NAME", default_value = "document")]
    document_field: String,
    /// Field of a row that holds its id, which every row must have then [default: rows need no id]
    #[arg(long, value_name = "NAME")]
    id_field: Option<String>,
    /// File to write, compressed where its name ends in .gz or .zst; it appears under its name when it is complete
    /// [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show the terms that make the score: weight in the query, weight in the document, product, share of the score.
    /// For cosine the weights are those of the normalised vectors. For a distance the terms are those of either text,
    /// with the difference of their weights, or its square, and the share of the distance, or of its square
    #[arg(long, conflicts_with = "files")]
    explain: bool,
    /// One JSON object a document instead of text
    #[arg(long, conflicts_with = "files")]
    json: bool,
    /// A page to open in a browser, in one file, instead of text: the query beside each document, the tokens shaded by
    /// what they put into the score, and the terms that they share
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "output", "explain", "json"])]
    html: Option<PathBuf>,
}

pub(super) fn run(args: &ScoreArgs) -> anyhow::Result<Exit> {
    if args.input.files.is_empty() {
        return score_texts(args);
    }
    let run = args.input.prepare(Container::Lines, args.output.as_deref(), None, args.model.hub.quiet)?;
    let Some(run) = run else { return Ok(Exit::Done) };
    let model_files = args.model.files()?;
    let options = args.model.options()?;
    let encoder = args.model.open(&model_files, &options)?;
    let scorer = ScorePairs { fields: args.fields(), ..ScorePairs::new(encoder, args.model.side) };
    let mut settings = args.model.settings(&scorer.encoder, scorer.document_side)?;
    settings.insert("--as".into(), args.model.side.map(Side::name).into());
    settings.insert("the command".into(), Value::from("score"));
    settings.insert("--query-field".into(), args.query_field.clone().into());
    settings.insert("--document-field".into(), args.document_field.clone().into());
    settings.insert("--id-field".into(), args.id_field.clone().into());
    let settings = args.model.run_settings(&model_files, &scorer.encoder, scorer.document_side, settings)?;
    run.run(scorer, settings)
}

impl ScoreArgs {
    fn fields(&self) -> PairFields {
        let (query, document) = (self.query_field.clone(), self.document_field.clone());
        PairFields { query, document, id: self.id_field.clone() }
    }
}

fn score_texts(args: &ScoreArgs) -> anyhow::Result<Exit> {
    let [query, documents @ ..] = &args.texts[..] else { return Err(nothing_to_score()) };
    if documents.is_empty() {
        return Err(nothing_to_score());
    }
    let file = args.html.as_deref().or(args.output.as_deref());
    let mut out = Files::read([]).results("output", file)?;
    let scorer = ScorePairs::new(args.model.load()?, args.model.side);
    if args.html.is_some() {
        return write_page(args, &scorer, out);
    }
    let pairs: Vec<(&str, &str)> =
        documents.iter().map(|document| (query.as_str(), document.as_str())).collect();
    let encoded = scorer.encode(&pairs)?.into_iter().collect::<Result<Vec<_>, Error>>()?;
    for (index, ((query_text, document_text), document)) in encoded.iter().zip(documents).enumerate() {
        let vectors = (&query_text.vector, &document_text.vector);
        let scored = ScoredPair::new(&scorer.encoder, (query, document), vectors, args.explain)?;
        if args.json {
            serde_json::to_writer(&mut out, &scored)?;
            out.write_all(b"\n")?;
        } else if let Some(table) = scored.table() {
            if documents.len() > 1 {
                let gap = if index > 0 { "\n" } else { "" };
                writeln!(out, "{gap}{document}")?;
            }
            print::table(&mut out, &table, args.output.is_none())?;
        } else {
            json::write_f32(&mut out, scored.score)?;
            out.write_all(b"\n")?;
        }
    }
    out.finish()?;
    if !args.model.hub.quiet {
        let query = encoded.iter().map(|pair| &pair.0).take(1);
        say_cut(&query.chain(encoded.iter().map(|pair| &pair.1)).collect::<Vec<_>>());
    }
    Ok(Exit::Done)
}

/// Writes the page of `--html`.
fn write_page(args: &ScoreArgs, scorer: &ScorePairs, mut out: Output) -> anyhow::Result<Exit> {
    let (query, texts) = (&args.texts[0], &args.texts[1..]);
    let encoder = &scorer.encoder;
    let query_explanation = encoder.explain(query, scorer.query_side)?;
    let explanations = encoder.explain_all(texts, scorer.document_side)?;
    let documents = texts.iter().map(String::as_str).zip(&explanations);
    ScorePage::new(&args.model.model, encoder, (query, &query_explanation), documents)?.write(&mut out)?;
    out.finish()?;
    if !args.model.hub.quiet {
        say_where(args.html.as_deref());
        let texts: Vec<&Encoded> =
            iter::once(&query_explanation).chain(&explanations).map(|text| &text.encoded).collect();
        say_cut(&texts);
    }
    Ok(Exit::Done)
}

/// Says how many of the texts were cut. Either side may have a limit of its own: the larger is named.
fn say_cut(texts: &[&Encoded]) {
    let mut tally = Tally::default();
    for text in texts {
        tally.rows_in += 1;
        tally.count_text(text.num_tokens, text.is_cut);
    }
    let cut = texts.iter().filter(|text| text.is_cut);
    say_truncated(&tally, cut.map(|text| text.num_tokens).max().unwrap_or(0));
}

fn nothing_to_score() -> anyhow::Error {
    UsageError::with_hint(
        "score needs a query and at least one document",
        "neural-sparse score QUERY DOCUMENT..., or --input FILE with rows {\"query\", \"document\"}",
    )
    .into()
}
