//! `encode`: texts in, vectors out.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::format::{write_by_name, Findings, Format, Terms};
use neural_sparse::{Dialect, EncoderOptions, Prune, Similarity, SparseEncoder, SparseVector};
use serde_json::Value;

use super::bulk::{InputArgs, Tally};
use super::encode_rows::RowArgs;
use super::failure::{complain, Exit, Failure};
use super::formats::FormatArgs;
use super::output::{Existing, Output};
use super::{lines, ModelArgs};

/// Encode texts: one JSON object {"term": weight, …} a text, heaviest first
///
/// Without TEXT and --input, lines of standard input are encoded, each answered as soon as it is
/// ready. With --input, rows of JSON become rows {"id", "vector"}, in the same order.
#[derive(Args)]
#[command(next_help_heading = "Output")]
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
    shape: Shape,
}

/// What is kept of each vector.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Vectors")]
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
    /// What vectors are prepared for; the dot product leaves them as they are.
    #[arg(skip)]
    similarity: Similarity,
}

impl Shape {
    pub fn new(prune: Option<Prune>, top_k: Option<NonZeroUsize>) -> Self {
        Shape { top_k, prune, ..Shape::default() }
    }

    /// The same, pruning as the dialect does.
    pub fn in_dialect(&self, dialect: Dialect) -> Self {
        let prune = match self.prune {
            Some(Prune::MaxRatio(ratio)) if dialect.drops_equal_ratio() => Some(Prune::AboveMaxRatio(ratio)),
            rule => rule,
        };
        Shape { prune, ..self.clone() }
    }

    /// The same for what is written in `format`: see [`Shape::for_dot_products`].
    pub fn for_format(
        &self,
        format: &dyn Format,
        similarity: Similarity,
        model: &str,
    ) -> Result<Self, Failure> {
        if format.keeps_raw_weights() {
            return Ok(self.clone());
        }
        self.for_dot_products(similarity, model)
    }

    /// The same for vectors that will be compared by dot product, in an engine or in an index: those of a model that
    /// compares by cosine are normalised, after they are pruned and before they are rounded. A distance is refused.
    ///
    /// * `model`: as the user names it.
    pub fn for_dot_products(&self, similarity: Similarity, model: &str) -> Result<Self, Failure> {
        if similarity.is_dot_of_prepared() {
            return Ok(Shape { similarity, ..self.clone() });
        }
        Err(Failure {
            message: format!(
                "`{model}` compares vectors by {similarity} distance, which cannot be ranked by sums of products, as \
                 inverted indexes and search engines do"
            ),
            hint: "`neural-sparse score` computes it for pairs of texts, and `encode` without --format writes the \
                   vectors themselves"
                .into(),
        })
    }

    /// Says of so many vectors how they differ from the model's.
    pub fn count_normalized(&self, vectors: usize, findings: &mut Findings) {
        if self.similarity == Similarity::Cosine {
            findings.add(
                "vectors normalised: the model compares by cosine, which is the dot product of normalised vectors",
                vectors,
            );
        }
    }

    /// What is kept of a vector: pruned, cut to the heaviest terms, prepared for the similarity, rounded.
    pub fn apply(&self, mut vector: SparseVector) -> SparseVector {
        if let Some(rule) = self.prune {
            vector = vector.prune(rule);
        }
        if let Some(count) = self.top_k {
            vector = vector.top_k(count.get());
        }
        vector = self.similarity.prepared(vector);
        match self.decimals {
            Some(decimals) => rounded(&vector, decimals.into()),
            None => vector,
        }
    }

    /// The options and their values, which decide what is written.
    pub fn settings(&self) -> Vec<(String, Value)> {
        let prune = self.prune.map(|rule| {
            let (name, value) = named(rule);
            format!("{name}={value}")
        });
        let mut settings = vec![
            ("--top-k".to_string(), self.top_k.map(NonZeroUsize::get).into()),
            ("--prune".into(), prune.into()),
            ("--decimals".into(), self.decimals.into()),
        ];
        if self.similarity != Similarity::Dot {
            settings.push(("the similarity".into(), self.similarity.name().into()));
        }
        settings
    }
}

/// The weights rounded to so many decimals, each the f32 that is nearest to the decimal number.
fn rounded(vector: &SparseVector, decimals: usize) -> SparseVector {
    let round =
        |weight: f32| format!("{weight:.decimals$}").parse().expect("a printed f32, anything else is a bug");
    let pairs = vector.iter().map(|(id, weight)| (id, round(weight))).collect();
    SparseVector::from_pairs(pairs).expect("the ids of a vector, anything else is a bug")
}

pub(super) fn run(args: &EncodeArgs) -> anyhow::Result<Exit> {
    args.model.check_side()?;
    if args.input.files.is_empty() {
        return encode_unnamed(args);
    }
    let (keep, has_windows) = (args.rows.keep.keep(), args.rows.chunk_rows);
    let target = args.format.target(keep, has_windows, args.output.as_deref())?;
    let parser = args.rows.fields.parser(args.rows.fields(args.format.reserved(has_windows)?)?);
    let run = args.input.prepare(
        args.rows.fields.container(),
        args.output.as_deref(),
        target.assembly,
        args.model.hub.quiet,
    )?;
    let Some(run) = run else { return Ok(Exit::Done) };
    let model_files = args.model.files()?;
    let options =
        EncoderOptions { batch_tokens: Some(args.rows.batch_tokens.get()), ..args.model.options()? };
    let encoder = args.model.open(&model_files, &options)?;
    let side = args.model.known_side(&encoder)?;
    let mut settings = args.model.settings(&encoder, side)?;
    settings.extend(args.rows.settings());
    settings.extend(args.format.settings());
    let shape = args.shape.in_dialect(args.model.dialect);
    let shape = shape.for_format(&*target.format, encoder.similarity(), &args.model.model)?;
    settings.extend(shape.settings());
    let around = args.model.surroundings(&model_files, &encoder, side, settings)?;
    run.run(args.rows.job(encoder, side, shape, parser, target.format), around)
}

/// Encodes the texts of the command line, or lines of standard input.
fn encode_unnamed(args: &EncodeArgs) -> anyhow::Result<Exit> {
    let encoder = args.model.load()?;
    let side = args.model.known_side(&encoder)?;
    let shape = args.shape.in_dialect(args.model.dialect);
    let mut out = Output::open(args.output.as_deref(), Existing::Refuse)?;
    let mut tally = Tally::default();
    let quiet = args.model.hub.quiet;
    let exit = if args.texts.is_empty() {
        if io::stdin().is_terminal() && !quiet {
            complain(format_args!("note: reading texts from the terminal, one a line; Ctrl-D ends"));
        }
        lines::encode_lines(&encoder, side, &shape, &mut out, &mut tally)?
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
        tally.say_truncated(encoder.max_length(side)?);
    }
    Ok(exit)
}

/// Writes one vector and a newline.
pub(super) fn write_line(out: &mut Output, encoder: &SparseEncoder, vector: &SparseVector) -> io::Result<()> {
    let mut line = Vec::new();
    write_by_name(&mut line, vector, Terms::Vocabulary(encoder.tokenizer()));
    line.push(b'\n');
    out.write_all(&line)?;
    out.end_row().map(drop)
}

pub(super) fn parse_top_k(value: &str) -> Result<NonZeroUsize, String> {
    match value.parse::<usize>() {
        Ok(count) => NonZeroUsize::new(count).ok_or_else(|| "0 would leave every vector empty".into()),
        Err(_) => Err("not a number of terms".into()),
    }
}

/// The name of a rule of `--prune` and its value.
pub(super) fn named(rule: Prune) -> (&'static str, f32) {
    match rule {
        Prune::MaxRatio(ratio) | Prune::AboveMaxRatio(ratio) => ("max_ratio", ratio),
        Prune::AlphaMass(ratio) => ("alpha_mass", ratio),
        Prune::AbsValue(weight) => ("abs_value", weight),
    }
}

pub(super) fn parse_prune(value: &str) -> Result<Prune, String> {
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
