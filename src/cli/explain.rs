//! `explain`: which input token gave which term.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::report::{ExplainPage, ExplainTexts, ExplainedText};

use super::args::InputArgs;
use super::bulk::{say_truncated, Tally};
use super::failure::Exit;
use super::fields::FieldArgs;
use super::output::{say_where, Files};
use super::{print, ModelArgs};

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
    #[arg(long, conflicts_with = "files")]
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
    let mut out = Files::read([]).results("output", file)?;
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
        print::table(&mut out, &explained.table(), file.is_none())?;
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
    let fields = args.fields.fields()?;
    run.run(ExplainTexts { encoder, side, parser: args.fields.parser(fields) }, settings)
}
