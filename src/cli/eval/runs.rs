//! Runs that were made elsewhere.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use neural_sparse::eval::{compare, evaluate, read_qrels, read_run, Evaluation};
use neural_sparse::report::{comparison_json, comparison_table, judged_json, judged_table};
use serde_json::Value;

use super::measures::{write_queries, MeasureArgs};
use crate::cli::failure::Exit;
use crate::cli::output::{Files, Output};
use crate::cli::print;

/// Judge a run of TREC's form that was made elsewhere
///
/// Figures are trec_eval's. Both averages are printed: over all judged queries, where one without hits counts with 0, as
/// `trec_eval -c` and ir_measures have it; and over the judged queries that the run has hits for, as trec_eval without -c.
#[derive(Args)]
pub(in crate::cli) struct JudgeArgs {
    /// The run, plain, gzip or zstd
    #[arg(long, value_name = "FILE")]
    pub run: PathBuf,
    /// Judgements, in BEIR's form or TREC's
    #[arg(long, value_name = "FILE")]
    pub qrels: PathBuf,
    #[command(flatten)]
    pub measures: MeasureArgs,
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Compare two runs of TREC's form query by query, with a paired t test
///
/// Every judged query counts that either run has hits for; the other run's values are 0 then.
#[derive(Args)]
pub(in crate::cli) struct CompareArgs {
    /// The two runs, plain, gzip or zstd
    #[arg(value_names = ["RUN", "RUN"], num_args = 2, required = true)]
    pub runs: Vec<PathBuf>,
    /// Judgements, in BEIR's form or TREC's
    #[arg(long, value_name = "FILE")]
    pub qrels: PathBuf,
    #[command(flatten)]
    pub measures: MeasureArgs,
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Judges a run.
pub(super) fn judge(args: &JudgeArgs) -> anyhow::Result<Exit> {
    let mut out = Output::stdout();
    let mut files = Files::read([("the run", &*args.run), ("the file of judgements", &*args.qrels)]);
    let per_query = args.measures.per_query(&mut files)?;
    let evaluation = judged(&args.run, &args.qrels, &args.measures)?;
    let names = args.measures.names();
    if args.json {
        writeln!(out, "{}", Value::from(judged_json(&evaluation, &names)))?;
    } else {
        print::table(&mut out, &judged_table(&evaluation, &names), true)?;
        writeln!(
            out,
            "\nall judged: the mean over every judged query, 0 for one without hits (trec_eval -c)"
        )?;
        writeln!(out, "answered: the mean over the judged queries with hits (trec_eval without -c)")?;
    }
    if let Some(mut file) = per_query {
        write_queries(&mut file, &evaluation, &names, None)?;
        file.finish()?;
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// The figures of a run's judged queries.
fn judged(run: &Path, qrels: &Path, measures: &MeasureArgs) -> anyhow::Result<Evaluation> {
    let evaluation = evaluate(&read_qrels(qrels)?, &read_run(run)?, &measures.measures());
    anyhow::ensure!(
        evaluation.num_answered() > 0,
        "no query of `{}` is judged in `{}`",
        run.display(),
        qrels.display()
    );
    Ok(evaluation)
}

/// Compares two runs query by query.
pub(super) fn compare_two(args: &CompareArgs) -> anyhow::Result<Exit> {
    let mut out = Output::stdout();
    let runs = args.runs.iter().map(|run| ("the run", run.as_path()));
    let mut files = Files::read(runs.chain([("the file of judgements", &*args.qrels)]));
    let mut per_query = args.measures.per_query(&mut files)?;
    let names = args.measures.names();
    let judge = |path: &PathBuf| judged(path, &args.qrels, &args.measures);
    let (first, second) = (judge(&args.runs[0])?, judge(&args.runs[1])?);
    let comparisons = compare(&first, &second);
    if args.json {
        writeln!(out, "{}", Value::from(comparison_json(&comparisons, &names)))?;
    } else {
        print::table(&mut out, &comparison_table(&comparisons, &names), true)?;
        let (both, judged) = (comparisons.first().map_or(0, |found| found.num_queries), first.num_judged());
        writeln!(out, "{both} queries: those of {judged} judged ones that either run has hits for")?;
    }
    if let Some(file) = &mut per_query {
        write_queries(file, &first, &names, Some("first"))?;
        write_queries(file, &second, &names, Some("second"))?;
    }
    if let Some(file) = per_query {
        file.finish()?;
    }
    out.finish()?;
    Ok(Exit::Done)
}
