//! `eval`: how good a model is on judged collections, and runs that were made elsewhere.

mod collection;
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
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct EvalArgs {
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
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum EvalCommand {
    Sweep(Box<sweep::SweepArgs>),
}

/// How a collection is encoded and indexed.
#[derive(Args)]
struct EncodingArgs {
    /// Which judgements of a collection
    #[arg(long, value_name = "NAME", default_value = "test")]
    split: String,
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

pub(super) fn run(args: &EvalArgs) -> anyhow::Result<Exit> {
    if let Some(EvalCommand::Sweep(args)) = &args.command {
        return sweep::run(args);
    }
    let mut out = Output::one_shot(None)?;
    match (&args.run, &args.compare[..], &args.qrels) {
        (Some(run), _, Some(qrels)) => runs::judge(&mut out, run, qrels, args.json)?,
        (None, [first, second], Some(qrels)) => {
            runs::compare_two(&mut out, [first, second], qrels, args.json)?;
        }
        _ => evaluate_model(&mut out, args)?,
    }
    out.finish()?;
    Ok(Exit::Done)
}

fn evaluate_model(out: &mut Output, args: &EvalArgs) -> anyhow::Result<()> {
    if args.save_run.is_some() && args.data.len() > 1 {
        return Err(
            UsageError::new("--save-run: a run is of one collection, and --data names several").into()
        );
    }
    let mut saved = match &args.save_run {
        Some(path) => Some(Output::one_shot(Some(path))?),
        None => None,
    };
    let EncodingArgs { split, model, .. } = &args.encoding;
    let cache = args.encoding.cache()?;
    let setting =
        Setting { shape: args.shape.shape().in_dialect(model.dialect), codec: args.encoding.codec() };
    let mut all = Vec::new();
    for folder in &args.data {
        let collection = Collection::open(folder, split, model, args.on_long, &cache)?;
        let (evaluated, run) = collection.evaluate(&setting)?;
        if let Some(saved) = &mut saved {
            write_run(saved, &run, TAG).context("cannot write the run")?;
        }
        all.push(evaluated);
    }
    if let Some(saved) = saved {
        saved.finish()?;
    }
    report::write(out, &all, args.json)
}
