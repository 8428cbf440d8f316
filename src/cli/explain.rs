//! `explain`: which input token gave which term.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::{Explanation, SparseEncoder};
use serde::Serialize;

use super::encode::Tally;
use super::failure::Exit;
use super::output::Output;
use super::ModelArgs;

/// Show for every term of a text its weight and the input token that produced it, heaviest first
///
/// A literal term is one of the text's own tokens; any other is an expansion.
#[derive(Args)]
pub(super) struct ExplainArgs {
    /// The text; put `--` before one that begins with a dash
    #[arg(value_name = "TEXT")]
    text: String,
    #[command(flatten)]
    model: ModelArgs,
    /// File to write; it appears under its name when it is complete [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object instead of a table; its `start` and `end` count characters from 0
    #[arg(long)]
    json: bool,
}

/// An explained text, as `--json` writes it.
#[derive(Serialize)]
struct Explained<'a> {
    text: &'a str,
    tokens: Vec<InputToken<'a>>,
    terms: Vec<Term<'a>>,
}

/// A token of the text.
#[derive(Clone, Serialize)]
struct InputToken<'a> {
    token: &'a str,
    id: u32,
    /// Characters of the text that it stands for, from 0; absent for an added special token.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<usize>,
    #[serde(skip)]
    surface: &'a str,
}

/// A term of the vector and the token whose logit for it was the largest.
#[derive(Serialize)]
struct Term<'a> {
    term: &'a str,
    weight: f32,
    /// Whether the term is one of the text's own tokens.
    literal: bool,
    /// Position of the token, special tokens counted, from 0.
    position: usize,
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<usize>,
    #[serde(skip)]
    surface: &'a str,
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<Exit> {
    let encoder = args.model.load()?;
    let side = args.model.known_side(&encoder)?;
    let explanation = encoder.explain(&args.text, side)?;
    let mut out = Output::open(args.output.as_deref())?;
    let mut tally = Tally::default();
    tally.count(&explanation.encoded);
    let explained = explained(&args.text, &explanation, &encoder);
    if args.json {
        serde_json::to_writer(&mut out, &explained)?;
        out.write_all(b"\n")?;
    } else {
        write_table(&mut out, &explained.terms)?;
    }
    out.finish()?;
    tally.note(&encoder, 0, args.model.hub.quiet);
    Ok(Exit::Done)
}

/// The explanation with terms by name, heaviest first, and places in characters.
fn explained<'a>(text: &'a str, explanation: &Explanation, encoder: &'a SparseEncoder) -> Explained<'a> {
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
        let entry =
            vector.indices().binary_search(&id).expect("an id of this vector, anything else is a bug");
        let position = explanation.positions[entry];
        let InputToken { token, start, end, surface, .. } = tokens[position].clone();
        let literal = explanation.tokens.iter().any(|token| token.id == id);
        Term { term: name(id), weight, literal, position, token, start, end, surface }
    });
    Explained { text, terms: heaviest.collect(), tokens }
}

fn write_table(out: &mut Output, terms: &[Term]) -> std::io::Result<()> {
    let source = |term: &Term| match (term.start, term.end) {
        (Some(start), Some(end)) => (format!("{:?}", term.surface), format!("{start}-{end}")),
        _ => (term.token.to_string(), "-".to_string()),
    };
    let sources: Vec<(String, String)> = terms.iter().map(source).collect();
    let widest =
        |lengths: &mut dyn Iterator<Item = usize>, title: &str| lengths.max().unwrap_or(0).max(title.len());
    let term_width = widest(&mut terms.iter().map(|term| term.term.chars().count()), "term");
    let from_width = widest(&mut sources.iter().map(|source| source.0.chars().count()), "from");
    let place_width = widest(&mut sources.iter().map(|source| source.1.len()), "characters");
    writeln!(
        out,
        "{:>8}  {:<term_width$}  {:<from_width$}  {:<place_width$}  kind",
        "weight", "term", "from", "characters"
    )?;
    for (term, (from, place)) in terms.iter().zip(&sources) {
        let kind = if term.literal { "literal" } else { "expansion" };
        let Term { term, weight, .. } = term;
        writeln!(
            out,
            "{weight:>8.4}  {term:<term_width$}  {from:<from_width$}  {place:<place_width$}  {kind}"
        )?;
    }
    Ok(())
}
