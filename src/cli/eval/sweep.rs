//! `eval sweep`: what pruning costs and saves.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::eval::collection::{folder_name, has_vectors};
use neural_sparse::eval::sweep::{compare, Baseline, Grid, Point};
use neural_sparse::report::SweepReport;
use neural_sparse::run::LongTexts;
use neural_sparse::Prune;

use super::encoding::{refuse_idle_models, EncodingArgs, Failed};
use crate::cli::args::{parse_top_k, Given};
use crate::cli::bulk::Watcher;
use crate::cli::failure::{complain, Exit, UsageError};
use crate::cli::output::{Files, Output};
use crate::cli::{print, ModelArgs};

/// Measure what pruning, chunking and shorter texts cost in quality, and save in bytes and postings
///
/// Every rule of --prune is combined with every --top-k, --max-length and --on-long; documents without pruning are
/// always among them. Quality is given as a share of the nDCG@10 of the baseline, which is the best of the settings
/// without pruning unless --baseline names one, and is printed. Only documents are pruned. Documents are encoded once
/// for each length and chunking, and kept in the cache.
#[derive(Args)]
pub(in crate::cli) struct SweepArgs {
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
    /// Folder of a collection in BEIR's layout; the figures of several are averaged
    #[arg(long, value_name = "DIR", required = true)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    encoding: EncodingArgs,
    /// Rules and their values: max_ratio=R,R,…, alpha_mass=R,R,… or abs_value=W,W,…; may be repeated
    #[arg(long, value_name = "RULE", value_parser = parse_rules)]
    prune: Vec<Rules>,
    /// Keep so many of the heaviest terms; several with commas
    #[arg(long, value_name = "NUM", value_delimiter = ',', value_parser = parse_top_k)]
    top_k: Vec<NonZeroUsize>,
    /// The same as --max-length, which takes several lengths with commas here
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', conflicts_with = "max_length", hide = true)]
    max_lengths: Vec<NonZeroUsize>,
    /// What becomes of longer documents: truncate, chunk[=OVERLAP] or chunk-rows[=OVERLAP]; several with commas
    #[arg(long, value_name = "RULE", value_delimiter = ',', default_value = "truncate")]
    on_long: Vec<LongTexts>,
    /// The setting that the others are compared with, as max_length=512,on_long=chunk [default: the best of those without
    /// pruning]
    #[arg(long, value_name = "SETTING")]
    baseline: Option<Baseline>,
    /// Name the smallest index that keeps this share of the baseline's nDCG@10, as 0.99
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    keep_quality: Option<f64>,
    /// Write the table as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a page with the table and plots of quality against size; it needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// JSON, a line for each setting, instead of a table
    #[arg(long)]
    json: bool,
}

/// A value of `--prune`.
#[derive(Clone)]
struct Rules(Vec<Prune>);

fn parse_rules(value: &str) -> Result<Rules, String> {
    let (name, numbers) =
        value.split_once('=').ok_or("the rules are max_ratio=R,…, alpha_mass=R,… and abs_value=W,…")?;
    let rule = |number: &str| format!("{name}={}", number.trim()).parse();
    numbers.split(',').map(rule).collect::<Result<_, _>>().map(Rules)
}

fn parse_share(value: &str) -> Result<f64, String> {
    let share: f64 = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err(format!("{value} is not a share above 0, up to 1"))
    }
}

pub(super) fn run(args: &SweepArgs) -> anyhow::Result<Exit> {
    args.given.refuse(&["--as"], "queries and documents are both encoded")?;
    refuse_idle_models(&args.data, &args.given)?;
    let mut out = Output::stdout();
    let mut files = Files::read([]);
    let mut open =
        |what, path: &Option<PathBuf>| path.as_ref().map(|path| files.results(what, Some(path))).transpose();
    let (csv, html) = (open("file of --csv", &args.csv)?, open("page of --html", &args.html)?);
    let Some(mut points) = args.encoding.interruptible(|watcher| args.measure(watcher))? else {
        return Ok(Exit::Interrupted);
    };
    let not_measured = |error| {
        let hint = "name one of those that --max-length, --on-long, --prune and --top-k make";
        UsageError::with_hint(format!("--baseline: {error}"), hint)
    };
    compare(&mut points, args.baseline.as_ref()).map_err(not_measured)?;
    let report = SweepReport::new(&points, args.keep_quality);
    let report = report.expect("a sweep has a baseline, anything else is a bug");
    if args.json {
        report.write_json(&mut out)?;
    } else {
        print::report(&mut out, &report)?;
    }
    if let Some(mut csv) = csv {
        report.write_csv(&mut csv)?;
        csv.finish()?;
    }
    if let Some(mut html) = html {
        let names: Vec<String> = args.data.iter().map(|folder| folder_name(folder)).collect();
        report.write_page(&mut html, &names.join(", "))?;
        html.finish()?;
    }
    out.finish()?;
    Ok(Exit::Done)
}

impl SweepArgs {
    /// Everything that is to be measured.
    fn measure(&self, watcher: &mut Watcher) -> Result<Vec<Point>, Failed> {
        let model = &self.encoding.model;
        let lengths = match &self.max_lengths[..] {
            [] => &model.max_length,
            lengths => lengths,
        };
        let lengths = match lengths {
            [] => vec![None],
            lengths => lengths.iter().copied().map(Some).collect(),
        };
        let rules = self.prune.iter().flat_map(|rules| rules.0.iter().copied());
        let grid = Grid::with_unpruned(lengths, self.on_long.clone(), rules, &self.top_k);
        if grid.len() == 1 {
            let hint = "name rules and values, as in --prune max_ratio=0.05,0.1,0.2";
            return Err(
                anyhow::Error::from(UsageError::with_hint("there is nothing to compare", hint)).into()
            );
        }
        let (codec, dialect) = (self.encoding.codec, model.dialect);
        grid.measure(
            codec,
            dialect,
            watcher,
            |length, long, observer| {
                let model = ModelArgs { max_length: length.into_iter().collect(), ..model.clone() };
                let open = |folder: &PathBuf| match has_vectors(folder) {
                    true => self.encoding.open_vectors(folder, None),
                    false => self.encoding.open(folder, &model, long, observer),
                };
                self.data.iter().map(open).collect()
            },
            |number, point| {
                if !model.hub.quiet {
                    let (count, label, gain) = (grid.len(), point.label(), point.gain());
                    complain(format_args!("{number} of {count}: {label}: nDCG@10 {gain:.5}"));
                }
            },
        )
    }
}
