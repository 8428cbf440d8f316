//! `encode`: texts in, vectors out.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::jsonl;
use neural_sparse::{Encoded, EncoderOptions, Prune, Side, SparseEncoder, SparseVector};

use super::encode_rows::{RowArgs, RowEncoder};
use super::failure::{complain, Exit};
use super::lines;
use super::output::Output;
use super::rows::InputArgs;
use super::{counted, ModelArgs};

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
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    rows: RowArgs,
    #[command(flatten)]
    shape: Shape,
}

/// What is kept of each vector.
#[derive(Args)]
pub(super) struct Shape {
    /// Keep the heaviest terms only, after --prune
    #[arg(long, value_name = "NUM", value_parser = parse_top_k)]
    top_k: Option<NonZeroUsize>,
    /// Drop small weights as OpenSearch does: max_ratio=R, alpha_mass=R (R from 0, below 1) or abs_value=W
    #[arg(long, value_name = "RULE", value_parser = parse_prune)]
    prune: Option<Prune>,
    /// Round weights to this many decimals; a term that becomes 0 is left out
    #[arg(long, value_name = "NUM", value_parser = clap::value_parser!(u8).range(0..=9))]
    decimals: Option<u8>,
}

impl Shape {
    pub fn apply(&self, mut vector: SparseVector) -> SparseVector {
        if let Some(rule) = self.prune {
            vector = vector.prune(rule);
        }
        if let Some(count) = self.top_k {
            vector = vector.top_k(count.get());
        }
        match self.decimals {
            Some(decimals) => rounded(&vector, decimals.into()),
            None => vector,
        }
    }
}

/// The weights rounded to so many decimals, each the f32 that is nearest to the decimal number.
fn rounded(vector: &SparseVector, decimals: usize) -> SparseVector {
    let round =
        |weight: f32| format!("{weight:.decimals$}").parse().expect("a printed f32, anything else is a bug");
    let pairs = vector.iter().map(|(id, weight)| (id, round(weight))).collect();
    SparseVector::from_pairs(pairs).expect("the ids of a vector, anything else is a bug")
}

/// What the note at the end counts.
#[derive(Default)]
pub(super) struct Tally {
    pub num_texts: usize,
    pub num_blank: usize,
    num_cut: usize,
}

impl Tally {
    pub fn count(&mut self, encoded: &Encoded) {
        self.num_texts += 1;
        self.num_cut += usize::from(encoded.num_cut > 0);
    }

    /// Says how many texts were cut, lines skipped and rows rejected, unless none was or `quiet`.
    pub fn note(&self, encoder: &SparseEncoder, num_rejected: usize, quiet: bool) {
        if self.num_cut > 0 && !quiet {
            complain(format_args!(
                "note: {} of {} cut to {} tokens",
                self.num_cut,
                counted(self.num_texts, "text"),
                encoder.tokenizer().max_length()
            ));
        }
        if self.num_blank > 0 && !quiet {
            complain(format_args!("note: {} skipped", counted(self.num_blank, "blank line")));
        }
        if num_rejected > 0 && !quiet {
            complain(format_args!("note: {} rejected", counted(num_rejected, "row")));
        }
    }
}

pub(super) fn run(args: &EncodeArgs) -> anyhow::Result<Exit> {
    let fields = args.rows.fields()?;
    let options = EncoderOptions { batch_tokens: Some(args.rows.batch_tokens.get()), ..args.model.options() };
    let encoder = args.model.load_with(&args.model.model, options)?;
    let side = args.model.known_side(&encoder)?;
    let mut out = Output::open(args.output.as_deref())?;
    let mut rejects = args.input.open_rejects()?;
    let mut tally = Tally::default();
    let outcome = if !args.input.files.is_empty() {
        let windows = args.input.windows(args.rows.parser(fields));
        let rows = RowEncoder { args: &args.rows, shape: &args.shape, encoder: &encoder, side };
        rows.encode_all(windows, &mut out, &mut rejects, &mut tally).map(|()| Exit::Done)
    } else if !args.texts.is_empty() {
        encode_texts(args, &encoder, side, &mut out, &mut tally)
    } else {
        if io::stdin().is_terminal() && !args.model.hub.quiet {
            complain(format_args!("note: reading texts from the terminal, one a line; Ctrl-D ends"));
        }
        lines::encode_lines(&encoder, side, &args.shape, &mut out, &mut tally)
    };
    let exit = match outcome {
        Ok(exit) => exit,
        Err(error) => return Err(error.context(out.stop(tally.num_texts))),
    };
    out.finish()?;
    tally.note(&encoder, rejects.num_rejected, args.model.hub.quiet);
    match rejects.finish()? {
        Exit::Done => Ok(exit),
        rejected => Ok(rejected),
    }
}

fn encode_texts(
    args: &EncodeArgs,
    encoder: &SparseEncoder,
    side: Side,
    out: &mut Output,
    tally: &mut Tally,
) -> anyhow::Result<Exit> {
    for encoded in encoder.encode(&args.texts, side)? {
        tally.count(&encoded);
        write_line(out, encoder, &args.shape.apply(encoded.vector))?;
    }
    Ok(Exit::Done)
}

/// Writes one vector and a newline.
pub(super) fn write_line(out: &mut Output, encoder: &SparseEncoder, vector: &SparseVector) -> io::Result<()> {
    jsonl::write_vector(out, vector, encoder.tokenizer())?;
    out.write_all(b"\n")?;
    out.end_row()
}

fn parse_top_k(value: &str) -> Result<NonZeroUsize, String> {
    match value.parse::<usize>() {
        Ok(count) => NonZeroUsize::new(count).ok_or_else(|| "0 would leave every vector empty".into()),
        Err(_) => Err("not a number of terms".into()),
    }
}

fn parse_prune(value: &str) -> Result<Prune, String> {
    let (rule, number) =
        value.split_once('=').ok_or("the rules are max_ratio=R, alpha_mass=R and abs_value=W")?;
    let number: f32 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
    let ratio = if (0.0..1.0).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{number} is not a ratio of at least 0 and below 1"))
    };
    match rule {
        "max_ratio" => Ok(Prune::MaxRatio(ratio?)),
        "alpha_mass" => Ok(Prune::AlphaMass(ratio?)),
        "abs_value" if number >= 0.0 && number.is_finite() => Ok(Prune::AbsValue(number)),
        "abs_value" => Err(format!("{number} is not a weight of at least 0")),
        _ => Err(format!("no rule `{rule}`; the rules are max_ratio=R, alpha_mass=R and abs_value=W")),
    }
}
