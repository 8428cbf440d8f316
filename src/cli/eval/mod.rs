//! `eval`: how good a model is on judged collections, and runs that were made elsewhere.

mod cache;
mod encoding;
mod measures;
mod runs;
mod sweep;

use std::path::PathBuf;

use std::io::Write;

use anyhow::Context;
use clap::{Args, Subcommand};
use neural_sparse::eval::{has_vectors, write_run, Evaluated, Setting, RUN_TAG};
use neural_sparse::report::{evaluation_json, evaluation_table};
use neural_sparse::run::LongTexts;
use serde_json::Value;

use super::args::{Given, ShapeArgs};
use super::failure::{Exit, UsageError};
use super::output::{Files, Output};
use super::print;
use encoding::{refuse_idle_models, EncodingArgs};
use measures::{write_queries, MeasureArgs};
use runs::{CompareArgs, JudgeArgs};

/// Evaluate a model on judged collections, or judge and compare runs that were made elsewhere
///
/// With --data, folders in BEIR's layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv): the documents are encoded,
/// indexed and searched. A document's text is its title, a space and its text; 1,000 hits are taken for each judged
/// query, then a hit with the query's own id is left out, as BEIR does. Vectors are kept in a cache, and an interrupted
/// run goes on where it was. Every judged query counts, with or without hits. Other layouts are taken too: the hub's and
/// NanoBEIR's (corpus/*.parquet, queries/*.parquet, qrels/*.parquet, of several collections the one that --split names),
/// and lsr-benchmark's (corpus.jsonl.gz, queries.jsonl, qrels.txt). Of a folder with lsr-benchmark's vectors
/// (doc/doc-embeddings.npz, query/query-embeddings.npz) these are searched, and nothing is encoded.
///
/// Figures are trec_eval's: hits are sorted by score, as f32, then by id, both descending; grades of 1 and more are
/// relevant; hits for queries without judgements are left out. FLOPS is the expected number of terms that a judged query
/// and a document share. `eval --run` is `eval judge --run`, and `eval --compare` is `eval compare`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct EvalArgs {
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
    #[command(subcommand)]
    command: Option<EvalCommand>,
    /// Folder of a collection; several make a table with their average
    #[arg(long, value_name = "DIR", required_unless_present_any = ["run", "compare"], conflicts_with_all = ["run", "compare"])]
    data: Vec<PathBuf>,
    #[command(flatten)]
    encoding: EncodingArgs,
    /// What becomes of documents of more tokens than --max-length: truncate, chunk[=OVERLAP] (windows, and each term's
    /// largest weight in any), or chunk-rows[=OVERLAP] (a document scores what its best window does)
    #[arg(long, value_name = "RULE", default_value = "truncate")]
    on_long: LongTexts,
    #[command(flatten)]
    shape: ShapeArgs,
    /// Write the hits as a run of TREC's form
    #[arg(long, value_name = "FILE", requires = "data")]
    save_run: Option<PathBuf>,
    /// A run of TREC's form to judge
    #[arg(long, value_name = "FILE", requires = "qrels")]
    run: Option<PathBuf>,
    /// Two runs to compare query by query, with a paired t test
    #[arg(long, value_names = ["RUN", "RUN"], num_args = 2, requires = "qrels", conflicts_with = "run")]
    compare: Vec<PathBuf>,
    /// Judgements, in BEIR's form or TREC's: of a run, or of a folder of vectors
    #[arg(long, value_name = "FILE")]
    qrels: Option<PathBuf>,
    #[command(flatten)]
    measures: MeasureArgs,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum EvalCommand {
    Judge(JudgeArgs),
    Compare(CompareArgs),
    Sweep(Box<sweep::SweepArgs>),
    Cache(cache::CacheArgs),
}

/// The flags that matter to a run that is judged or compared.
const FLAGS_OF_RUNS: [&str; 6] = ["--run", "--compare", "--qrels", "--measures", "--per-query", "--json"];

pub(super) fn run(args: &EvalArgs) -> anyhow::Result<Exit> {
    match &args.command {
        Some(EvalCommand::Judge(args)) => return runs::judge(args),
        Some(EvalCommand::Compare(args)) => return runs::compare_two(args),
        Some(EvalCommand::Sweep(args)) => return sweep::run(args),
        Some(EvalCommand::Cache(args)) => return cache::run(args),
        None => {}
    }
    let (measures, json) = (args.measures.clone(), args.json);
    match (&args.run, &args.compare[..], args.qrels.clone()) {
        (Some(run), _, Some(qrels)) => {
            args.given.refuse_others(&FLAGS_OF_RUNS, "--run")?;
            runs::judge(&JudgeArgs { run: run.clone(), qrels, measures, json })
        }
        (None, [_, _], Some(qrels)) => {
            args.given.refuse_others(&FLAGS_OF_RUNS, "--compare")?;
            runs::compare_two(&CompareArgs { runs: args.compare.clone(), qrels, measures, json })
        }
        _ => {
            args.given.refuse(&["--as"], "queries and documents are both encoded")?;
            args.check_vectors()?;
            evaluate_model(args)
        }
    }
}

impl EvalArgs {
    /// An error where a flag goes with folders of vectors and there is none, or the other way round.
    fn check_vectors(&self) -> Result<(), UsageError> {
        let count = self.data.iter().filter(|folder| has_vectors(folder)).count();
        if count == 0 {
            return self.given.refuse(&["--qrels"], "a collection has its own judgements");
        }
        if self.qrels.is_some() {
            if self.data.len() > 1 {
                return Err(UsageError::new(
                    "--qrels: judgements are of one folder, and --data names several",
                ));
            }
            self.given.refuse(&["--split"], "--qrels names the judgements")?;
        }
        refuse_idle_models(&self.data, &self.given)
    }
}

fn evaluate_model(args: &EvalArgs) -> anyhow::Result<Exit> {
    if args.save_run.is_some() && args.data.len() > 1 {
        return Err(
            UsageError::new("--save-run: a run is of one collection, and --data names several").into()
        );
    }
    let mut out = Output::stdout();
    let mut files = Files::read([]);
    let mut per_query = args.measures.per_query(&mut files)?;
    let mut saved = args.save_run.as_ref().map(|path| files.results("run", Some(path))).transpose()?;
    let model = &args.encoding.model;
    let shape = args.shape.shape().in_dialect(model.dialect);
    let setting = Setting { shape, codec: args.encoding.codec };
    let (measures, names) = (args.measures.measures(), args.measures.names());
    let mut all = Vec::new();
    for folder in &args.data {
        let evaluated = args.encoding.interruptible(|watcher| {
            let collection = match has_vectors(folder) {
                true => args.encoding.open_vectors(folder, args.qrels.as_deref())?,
                false => args.encoding.open(folder, model, args.on_long, watcher)?,
            };
            Ok(collection.evaluate(&setting, &measures, watcher)?)
        })?;
        let Some((evaluated, evaluation, run)) = evaluated else { return Ok(Exit::Interrupted) };
        if let Some(saved) = &mut saved {
            write_run(saved, &run, RUN_TAG).context("cannot write the run")?;
        }
        if let Some(file) = &mut per_query {
            write_queries(file, &evaluation, &names, Some(&evaluated.data))?;
        }
        all.push(evaluated);
    }
    for file in [saved, per_query].into_iter().flatten() {
        file.finish()?;
    }
    if all.len() > 1 {
        all.push(Evaluated::average(&all));
    }
    if args.json {
        for found in &all {
            writeln!(out, "{}", Value::from(evaluation_json(found, &names)))?;
        }
    } else {
        print::table(&mut out, &evaluation_table(&all, &names), true)?;
    }
    out.finish()?;
    Ok(Exit::Done)
}
