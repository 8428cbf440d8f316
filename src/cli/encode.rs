//! `encode`: texts in, vectors out.

use std::io::{self, BufReader, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use neural_sparse::format::{write_by_name, Terms};
use neural_sparse::run::{encode_lines, Answer, LinesError, Shape, Unfinished};
use neural_sparse::{Side, SparseEncoder, SparseVector};

use super::args::InputArgs;
use super::args::RowArgs;
use super::args::ShapeArgs;
use super::bulk::{encode_rows, say_truncated, Tally};
use super::failure::{complain, Exit};
use super::formats::FormatArgs;
use super::output::{Files, Output};
use super::ModelArgs;

/// Encode texts: one JSON object {"term": weight, …} a text, heaviest first
///
/// Without TEXT and --input, lines of standard input are encoded, each answered as soon as it is
/// ready. With --input, rows of JSON become rows {"id", "vector"}, in the same order.
#[derive(Args)]
pub(super) struct EncodeArgs {
    /// Texts to encode; put `--` before one that begins with a dash
    #[arg(value_name = "TEXT", conflicts_with = "files")]
    texts: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    /// File to write, compressed where its name ends in .gz or .zst; it appears under its name when it is complete
    /// [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    rows: RowArgs,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    shape: ShapeArgs,
}

pub(super) fn run(args: &EncodeArgs) -> anyhow::Result<Exit> {
    args.model.check_side()?;
    if args.input.files.is_empty() {
        return encode_unnamed(args);
    }
    let (keep, has_windows) = (args.rows.keep.keep(), args.rows.chunk_rows());
    let target = args.format.target(keep, has_windows, args.output.as_deref())?;
    let fields = args.rows.fields(args.format.reserved(has_windows)?)?;
    let run = args.input.prepare(
        args.rows.fields.container(),
        args.output.as_deref(),
        target.assembly,
        args.model.hub.quiet,
    )?;
    let Some(run) = run else { return Ok(Exit::Done) };
    let settings = args.format.settings().into_iter().collect();
    encode_rows(run, (&args.model, &args.rows, &args.shape), fields, target.format, settings)
}

/// Encodes the texts of the command line, or lines of standard input.
fn encode_unnamed(args: &EncodeArgs) -> anyhow::Result<Exit> {
    let encoder = args.model.load()?;
    let side = args.model.known_side(&encoder)?;
    let shape = args.shape.shape().in_dialect(args.model.dialect);
    // Lines may be there only once; texts of the command line can be encoded again.
    let unfinished = if args.texts.is_empty() { Unfinished::Kept } else { Unfinished::Removed };
    let mut out = match &args.output {
        Some(path) => Files::read([]).output("output", path, unfinished)?,
        None => Output::stdout(),
    };
    let mut tally = Tally::default();
    let quiet = args.model.hub.quiet;
    let exit = if args.texts.is_empty() {
        if io::stdin().is_terminal() && !quiet {
            complain(format_args!("note: reading texts from the terminal, one a line; Ctrl-D ends"));
        }
        match answer_lines(&encoder, side, &shape, &mut out, &mut tally) {
            Ok(exit) => exit,
            Err(error) => return Err(out.stopped(tally.rows_out, error)),
        }
    } else {
        for encoded in encoder.encode(&args.texts, side)? {
            tally.rows_in += 1;
            tally.count_text(encoded.num_tokens, encoded.is_cut);
            write_line(&mut out, &encoder, &shape.apply(encoded.vector))?;
        }
        Exit::Done
    };
    out.finish()?;
    if !quiet {
        say_truncated(&tally, encoder.max_length(side)?);
    }
    Ok(exit)
}

/// Answers each line of standard input with a line as soon as it can be. A line that has no vector is answered with `{}`,
/// so that the two never lose step, and the run ends as [`Exit::Rejected`].
fn answer_lines(
    encoder: &SparseEncoder,
    side: Side,
    shape: &Shape,
    out: &mut Output,
    tally: &mut Tally,
) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    let answered = encode_lines(BufReader::new(io::stdin()), encoder, side, |answer| match answer {
        Answer::Line { encoded: Ok(encoded), .. } => {
            tally.rows_in += 1;
            tally.count_text(encoded.num_tokens, encoded.is_cut);
            write_line(out, encoder, &shape.apply(encoded.vector))?;
            tally.rows_out += 1;
            Ok(())
        }
        Answer::Line { number, encoded: Err(reason) } => {
            complain(format_args!("error: standard input line {number}: {reason}; answered with {{}}"));
            exit = Exit::Rejected;
            write_line(out, encoder, &SparseVector::default())?;
            tally.rows_out += 1;
            Ok(())
        }
        Answer::Pause => out.flush(),
    });
    answered.map_err(|error| match error {
        LinesError::Read(error) => anyhow::Error::from(error).context("cannot read standard input"),
        LinesError::Write(error) => anyhow::Error::from(error).context("cannot write the output"),
        LinesError::Encoder(error) => error.into(),
        other => other.into(),
    })?;
    Ok(exit)
}

/// Writes one vector and a newline.
fn write_line(out: &mut Output, encoder: &SparseEncoder, vector: &SparseVector) -> io::Result<()> {
    let mut line = Vec::new();
    write_by_name(&mut line, vector, Terms::Vocabulary(encoder.tokenizer()));
    line.push(b'\n');
    out.write_all(&line)?;
    out.end_row()
}
