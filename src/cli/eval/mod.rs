//! `eval`: how good a model is on judged collections, and runs that were made elsewhere.

mod cache;
mod collection;
mod given;
mod measures;
mod report;
mod runs;
mod sweep;

use std::path::PathBuf;

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use neural_sparse::eval::write_run;
use neural_sparse::index::Codec;
use neural_sparse::run::LongTexts;

use super::failure::{Exit, UsageError};
use super::output::Output;
use super::search::TAG;
use super::shape::ShapeArgs;
use super::{environment, ModelArgs};
use collection::{Collection, Setting};
use given::Given;
use measures::{write_queries, MeasureArgs};
use runs::{CompareArgs, JudgeArgs};

/// Evaluate a model on judged collections, or judge and compare runs that were made elsewhere
///
/// With --data, folders in BEIR's layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv): the documents are encoded,
/// indexed and searched. A document's text is its title, a space and its text; 1,000 hits are taken for each judged
/// query, then a hit with the query's own id is left out, as BEIR does. Vectors are kept in a cache, and an interrupted
/// run goes on where it was. Every judged query counts, with or without hits.
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
    /// Judgements, in BEIR's form or TREC's
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
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

/// How a collection is encoded and indexed.
#[derive(Args)]
struct EncodingArgs {
    /// Which judgements of a collection [default: test, or the only ones that there are]
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// How the index keeps weights: f32; lucene9, as OpenSearch does; f16; or u8
    #[arg(long, value_name = "f32|lucene9|f16|u8", default_value = "f32", value_parser = PossibleValuesParser::new(Codec::ALL.map(Codec::name)))]
    codec: String,
    /// Folder for vectors and indexes [default: neural-sparse in the user's cache]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl EncodingArgs {
    fn codec(&self) -> Codec {
        Codec::named(&self.codec).expect("a known name, anything else is a bug")
    }

    fn cache(&self) -> Result<PathBuf, UsageError> {
        self.cache.clone().map_or_else(environment::cache_folder, Ok)
    }
}

/// The flags that matter to a run that is judged or compared.
const FLAGS_OF_RUNS: [&str; 6] = ["run", "compare", "qrels", "measures", "per_query", "json"];

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
            args.given.refuse_others::<EvalArgs>("--run", &FLAGS_OF_RUNS)?;
            runs::judge(&JudgeArgs { run: run.clone(), qrels, measures, json })
        }
        (None, [_, _], Some(qrels)) => {
            args.given.refuse_others::<EvalArgs>("--compare", &FLAGS_OF_RUNS)?;
            runs::compare_two(&CompareArgs { runs: args.compare.clone(), qrels, measures, json })
        }
        _ => {
            args.given.refuse::<EvalArgs>("eval: queries and documents are both encoded", &["side"])?;
            evaluate_model(args)
        }
    }
}

fn evaluate_model(args: &EvalArgs) -> anyhow::Result<Exit> {
    if args.save_run.is_some() && args.data.len() > 1 {
        return Err(
            UsageError::new("--save-run: a run is of one collection, and --data names several").into()
        );
    }
    let mut out = Output::one_shot(None)?;
    let mut per_query = args.measures.per_query()?;
    let mut saved = match &args.save_run {
        Some(path) => Some(Output::one_shot(Some(path))?),
        None => None,
    };
    let EncodingArgs { split, model, .. } = &args.encoding;
    let cache = args.encoding.cache()?;
    let setting =
        Setting { shape: args.shape.shape().in_dialect(model.dialect), codec: args.encoding.codec() };
    let (measures, names) = (args.measures.measures(), args.measures.names());
    let mut all = Vec::new();
    for folder in &args.data {
        let collection = Collection::open(folder, split.as_deref(), model, args.on_long, &cache)?;
        let (evaluated, evaluation, run) = collection.evaluate(&setting, &measures)?;
        if let Some(saved) = &mut saved {
            write_run(saved, &run, TAG).context("cannot write the run")?;
        }
        if let Some(file) = &mut per_query {
            write_queries(file, &evaluation, &names, Some(&evaluated.data))?;
        }
        all.push(evaluated);
    }
    for file in [saved, per_query].into_iter().flatten() {
        file.finish()?;
    }
    report::write(&mut out, &all, &names, args.json)?;
    out.finish()?;
    Ok(Exit::Done)
}
