//! Runs that were made elsewhere.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use neural_sparse::eval::{compare, evaluate, mean, read_qrels, read_run, Figures};
use serde_json::{json, Map, Value};

use super::report::{self, FIGURES};
use crate::cli::output::Output;

/// Judges a run.
pub(super) fn judge(out: &mut Output, run: &Path, qrels: &Path, as_json: bool) -> anyhow::Result<()> {
    let queries = judged(run, qrels)?;
    let figures = mean(&queries);
    if as_json {
        let mut report = report::figures_json(&figures);
        report.insert("queries".into(), queries.len().into());
        writeln!(out, "{}", Value::from(report))?;
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

/// Compares two runs query by query, over the queries that both have.
pub(super) fn compare_two(
    out: &mut Output,
    paths: [&Path; 2],
    qrels: &Path,
    as_json: bool,
) -> anyhow::Result<()> {
    let (mut first, mut second) = (judged(paths[0], qrels)?, judged(paths[1], qrels)?);
    // The means of different queries would not differ by the mean difference.
    let queries = |judged: &[(String, Figures)]| -> HashSet<String> {
        judged.iter().map(|(query, _)| query.clone()).collect()
    };
    let (in_first, in_second) = (queries(&first), queries(&second));
    first.retain(|(query, _)| in_second.contains(query));
    second.retain(|(query, _)| in_first.contains(query));
    anyhow::ensure!(
        !first.is_empty(),
        "`{}` and `{}` have no judged query in common",
        paths[0].display(),
        paths[1].display()
    );
    let means = (mean(&first), mean(&second));
    if !as_json {
        writeln!(
            out,
            "{:<12}{:>9}{:>9}{:>11}{:>8}{:>8}{:>8}{:>10}",
            "", "first", "second", "difference", "better", "equal", "worse", "p"
        )?;
    }
    let mut report = Map::new();
    for (name, figure) in FIGURES {
        let found = compare(&first, &second, figure);
        let (a, b) = (figure(&means.0), figure(&means.1));
        let (difference, p) = (found.difference, found.p_value);
        if as_json {
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
    if as_json {
        writeln!(out, "{}", Value::from(report))?;
    }
    Ok(())
}
