//! `eval`: how good a model is on judged collections, and runs that were made elsewhere.

mod collection;
mod report;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::Args;
use neural_sparse::eval::{compare, evaluate, mean, read_qrels, read_run, write_run, Figures, Run};
use neural_sparse::index::Codec;
use serde_json::json;

use super::encode::Shape;
use super::failure::{Exit, UsageError};
use super::output::{cannot_write, Existing, Output};
use super::{environment, ModelArgs};
use collection::{Collection, Setting};
use report::FIGURES;

/// Evaluate a model on judged collections, or a run that was made elsewhere
///
/// With --data, folders in BEIR's layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv): the documents are encoded,
/// indexed and searched. A document's text is its title, a space and its text; 1,000 hits are taken for each judged
/// query, then a hit with the query's own id is left out, as BEIR does. Vectors are kept in a cache, and an interrupted
/// run goes on where it was.
///
/// With --run, a run of TREC's form is judged as it is. Figures are trec_eval's: hits are sorted by score, as f32, then by
/// id, both descending; grades of 1 and more are relevant; queries without judgements are left out. FLOPS is the expected
/// number of terms that a judged query and a document share.
#[derive(Args)]
pub(super) struct EvalArgs {
    /// Folder of a collection; several make a table with their average
    #[arg(long, value_name = "DIR", required_unless_present_any = ["run", "compare"], conflicts_with_all = ["run", "compare"])]
    data: Vec<PathBuf>,
    /// Which judgements of a collection
    #[arg(long, value_name = "NAME", default_value = "test")]
    split: String,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    shape: Shape,
    /// How the index keeps weights: f32, or lucene9 as OpenSearch does
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = PossibleValuesParser::new(Codec::ALL.map(Codec::name)))]
    codec: String,
    /// Folder for vectors and indexes [default: neural-sparse in the user's cache]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Write the hits as a run of TREC's form
    #[arg(long, value_name = "FILE", requires = "data")]
    save_run: Option<PathBuf>,
    /// A run of TREC's form to judge
    #[arg(long, value_name = "FILE", requires = "qrels")]
    run: Option<PathBuf>,
    /// Two runs to compare query by query, with a paired t test
    #[arg(long, value_names = ["RUN", "RUN"], num_args = 2, requires = "qrels", conflicts_with = "run")]
    compare: Vec<PathBuf>,
    /// Judgements, in BEIR's form or TREC's
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    qrels: Option<PathBuf>,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &EvalArgs) -> anyhow::Result<Exit> {
    let mut out = Output::open(None, Existing::Refuse)?;
    match (&args.run, &args.compare[..], &args.qrels) {
        (Some(run), _, Some(qrels)) => judge_run(&mut out, run, qrels, args.json)?,
        (None, [first, second], Some(qrels)) => compare_runs(&mut out, first, second, qrels, args.json)?,
        _ => evaluate_model(&mut out, args)?,
    }
    out.finish()?;
    Ok(Exit::Done)
}

fn judge_run(out: &mut Output, run: &Path, qrels: &Path, json: bool) -> anyhow::Result<()> {
    let queries = judged(run, qrels)?;
    let figures = mean(&queries);
    if json {
        let mut report = report::figures_json(&figures);
        report.insert("queries".into(), queries.len().into());
        writeln!(out, "{}", serde_json::Value::from(report))?;
    } else {
        for (name, figure) in FIGURES {
            writeln!(out, "{name:<12}{:.5}", figure(&figures))?;
        }
        writeln!(out, "{:<12}{}", "queries", queries.len())?;
    }
    Ok(())
}

/// The figures of a run's judged queries.
fn judged(run: &Path, qrels: &Path) -> anyhow::Result<Vec<(String, Figures)>> {
    let queries = evaluate(&read_qrels(qrels)?, &read_run(run)?);
    anyhow::ensure!(
        !queries.is_empty(),
        "no query of `{}` is judged in `{}`",
        run.display(),
        qrels.display()
    );
    Ok(queries)
}

fn compare_runs(
    out: &mut Output,
    first: &Path,
    second: &Path,
    qrels: &Path,
    json: bool,
) -> anyhow::Result<()> {
    let (first, second) = (judged(first, qrels)?, judged(second, qrels)?);
    let means = (mean(&first), mean(&second));
    if !json {
        writeln!(
            out,
            "{:<12}{:>9}{:>9}{:>11}{:>8}{:>8}{:>8}{:>10}",
            "", "first", "second", "difference", "better", "equal", "worse", "p"
        )?;
    }
    let mut report = serde_json::Map::new();
    for (name, figure) in FIGURES {
        let found = compare(&first, &second, figure);
        let (a, b) = (figure(&means.0), figure(&means.1));
        let (difference, p) = (found.difference, found.p_value);
        if json {
            let entry = json!({
                "first": a, "second": b, "difference": difference, "better": found.better, "equal": found.equal,
                "worse": found.worse, "p": p, "queries": found.num_queries,
            });
            report.insert(name.into(), entry);
        } else {
            let (better, equal, worse) = (found.better, found.equal, found.worse);
            writeln!(
                out,
                "{name:<12}{a:>9.5}{b:>9.5}{difference:>+11.5}{better:>8}{equal:>8}{worse:>8}{p:>10.4}"
            )?;
        }
    }
    if json {
        writeln!(out, "{}", serde_json::Value::from(report))?;
    }
    Ok(())
}

fn evaluate_model(out: &mut Output, args: &EvalArgs) -> anyhow::Result<()> {
    if args.save_run.is_some() && args.data.len() > 1 {
        return Err(
            UsageError::new("--save-run: a run is of one collection, and --data names several").into()
        );
    }
    let cache = args.cache.clone().map_or_else(environment::cache_folder, Ok)?;
    let setting = Setting {
        shape: args.shape.in_dialect(args.model.dialect),
        codec: Codec::named(&args.codec).expect("a known name, anything else is a bug"),
    };
    let mut all = Vec::new();
    for folder in &args.data {
        let mut collection = Collection::open(folder, &args.split, &args.model, &cache)?;
        let (evaluated, run) = collection.evaluate(&setting)?;
        if let Some(path) = &args.save_run {
            save(path, &run)?;
        }
        all.push(evaluated);
    }
    report::write(out, &all, args.json)
}

fn save(path: &Path, run: &Run) -> anyhow::Result<()> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        write_run(&mut file, run, "neural-sparse")?;
        file.flush()
    };
    write().with_context(|| cannot_write(path))
}
