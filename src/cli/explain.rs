//! `explain`: which input token gave which term.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use neural_sparse::input::{Fields, LineParser, Row, RowError};
use neural_sparse::report::{ExplainPage, ExplainedTerm, ExplainedText};
use neural_sparse::run::{JobError, WriteError};
use neural_sparse::{Error, Explanation, ScreenCount, Side, SparseEncoder};
use serde_json::value::RawValue;

use super::bulk::{say_truncated, InputArgs, InputLine, Job, Tally};
use super::failure::{refused, Exit};
use super::fields::FieldArgs;
use super::output::{say_where, Output};
use super::ModelArgs;

/// Show for every term of a text its weight and the input token that produced it, heaviest first
///
/// A literal term is one of the text's own tokens; any other is an expansion. With --input, each row becomes a line of
/// JSON: its id, its text, and what --json says of it.
#[derive(Args)]
pub(super) struct ExplainArgs {
    /// The text; put `--` before one that begins with a dash
    #[arg(id = "texts", value_name = "TEXT", conflicts_with = "files", required_unless_present = "files")]
    text: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    fields: FieldArgs,
    /// File to write, compressed where its name ends in .gz or .zst; it appears under its name when it is complete [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object instead of a table; its `start` and `end` count characters from 0
    #[arg(long)]
    json: bool,
    /// A page to open in a browser, in one file, instead of a table: the text with each token shaded by what came from
    /// it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "output", "json"])]
    html: Option<PathBuf>,
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<Exit> {
    args.model.check_side()?;
    match &args.text {
        Some(text) => explain_text(args, text),
        None => explain_rows(args),
    }
}

fn explain_text(args: &ExplainArgs, text: &str) -> anyhow::Result<Exit> {
    let file = args.html.as_deref().or(args.output.as_deref());
    let mut out = Output::one_shot(file)?;
    let encoder = args.model.load()?;
    let side = args.model.known_side(&encoder)?;
    let explanation = encoder.explain(text, side)?;
    let explained = ExplainedText::new(None, text, &explanation, &encoder);
    if args.html.is_some() {
        let (explained, explanation, encoder) = (&explained, &explanation, &encoder);
        ExplainPage { model: &args.model.model, side, explained, explanation, encoder }.write(&mut out)?;
    } else if args.json {
        serde_json::to_writer(&mut out, &explained)?;
        out.write_all(b"\n")?;
    } else {
        write_table(&mut out, &explained.terms)?;
    }
    out.finish()?;
    if !args.model.hub.quiet {
        say_where(args.html.as_deref());
        let mut tally = Tally { rows_in: 1, ..Tally::default() };
        tally.count_text(explanation.encoded.num_tokens, explanation.encoded.is_cut);
        say_truncated(&tally, encoder.max_length(side)?);
    }
    Ok(Exit::Done)
}

fn explain_rows(args: &ExplainArgs) -> anyhow::Result<Exit> {
    let run =
        args.input.prepare(args.fields.container(), args.output.as_deref(), None, args.model.hub.quiet)?;
    let Some(run) = run else { return Ok(Exit::Done) };
    let model_files = args.model.files()?;
    let encoder = args.model.open(&model_files, &args.model.options()?)?;
    let side = args.model.known_side(&encoder)?;
    let mut settings = args.model.settings(&encoder, side)?;
    settings.extend(args.fields.settings());
    settings.insert("the command".into(), "explain".into());
    let settings = args.model.run_settings(&model_files, &encoder, side, settings)?;
    let fields = Fields {
        text: args.fields.text_field.clone(),
        id: args.fields.id_field.clone(),
        ..Fields::default()
    };
    run.run(Explainer { encoder, side, parser: args.fields.parser(fields) }, settings)
}

/// Turns rows into explanations.
struct Explainer {
    encoder: SparseEncoder,
    side: Side,
    parser: LineParser,
}

impl Job for Explainer {
    type Row = Row;
    type Value = (Row, Explanation);
    const HAS_IDS: bool = true;

    fn parse(&self, line: &[u8]) -> Result<Row, RowError> {
        self.parser.parse(line)
    }

    fn id<'r>(&self, row: &'r Row) -> Option<Cow<'r, str>> {
        row.id.as_deref().map(|id| Cow::Owned(neural_sparse::format::id_text(id)))
    }

    fn compute(&self, rows: Vec<Row>) -> Result<Vec<Result<Self::Value, RowError>>, JobError> {
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let explanations = self.encoder.explain_each(&texts, self.side)?;
        let value = |(row, explanation): (Row, Result<Explanation, Error>)| {
            explanation.map(|explanation| (row, explanation)).map_err(refused)
        };
        Ok(rows.into_iter().zip(explanations).map(value).collect())
    }

    fn screen_count(&self) -> ScreenCount {
        self.encoder.screen_count()
    }

    fn write(
        &self,
        line: &InputLine,
        (row, explanation): Self::Value,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        let id = RawValue::from_string(line.id(row.id)?)?;
        let encoded = &explanation.encoded;
        tally.count_text(encoded.num_tokens, encoded.is_cut);
        tally.count_vector(&encoded.vector);
        tally.rows_out += 1;
        serde_json::to_writer(
            &mut *out,
            &ExplainedText::new(Some(&id), &row.text, &explanation, &self.encoder),
        )?;
        out.push(b'\n');
        Ok(())
    }
}

fn write_table(out: &mut Output, terms: &[ExplainedTerm]) -> io::Result<()> {
    let source = |term: &ExplainedTerm| match (term.start, term.end) {
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
        let ExplainedTerm { term, weight, .. } = term;
        writeln!(
            out,
            "{weight:>8.4}  {term:<term_width$}  {from:<from_width$}  {place:<place_width$}  {kind}"
        )?;
    }
    Ok(())
}
