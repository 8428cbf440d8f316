//! The figures of `stats`, as text and as JSON.

use std::io::Write;

use serde_json::{json, Map, Value};

use super::counts::Counts;
use super::Stats;
use crate::cli::output::Output;

/// Percentiles that are shown.
const PERCENTILES: [f64; 8] = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0];

/// What the integers of BMP and PISA's compact indexes go up to.
const LARGEST_BYTE: f32 = 255.0;

/// The ceilings that a `sparse_vector` field has unless its mapping says otherwise (neural-search's
/// `SparseVectorFieldMapper`).
const DEFAULT_INGEST_CEILING: f32 = 3.0;
const DEFAULT_SEARCH_CEILING: f32 = 16.0;

/// What a store should be told.
struct Suggestions {
    /// The `--quantize` that puts the largest weight at the largest byte.
    scale: f32,
    /// The share of weights that this scale rounds to 0, which are kept as 1.
    share_raised: f64,
    /// The ceiling that cuts nothing off, and the share that the default one cuts off.
    ingest: (f32, f64),
    /// The same for queries, where they are known.
    search: Option<(f32, f64)>,
}

impl Suggestions {
    fn of(stats: &Stats) -> Self {
        let most = stats.documents.most_weight();
        // To two digits, down: the largest weight must not pass the largest byte.
        let exact = if most > 0.0 { LARGEST_BYTE / most } else { 1.0 };
        let unit = 10f32.powf(exact.log10().floor() - 1.0);
        let scale = (exact / unit).floor() * unit;
        let ceiling = |counts: &Counts, default: f32| {
            // To one decimal, up.
            ((counts.most_weight() * 10.0).ceil() / 10.0, counts.share_above(default))
        };
        Suggestions {
            scale,
            share_raised: stats.documents.share_below(0.5 / scale),
            ingest: ceiling(&stats.documents, DEFAULT_INGEST_CEILING),
            search: stats.queries.as_ref().map(|queries| ceiling(queries, DEFAULT_SEARCH_CEILING)),
        }
    }
}

pub(super) fn write(out: &mut Output, stats: &Stats, top: usize, as_json: bool) -> anyhow::Result<()> {
    let suggestions = Suggestions::of(stats);
    if as_json {
        writeln!(out, "{}", object(stats, &suggestions, top))?;
        return Ok(());
    }
    write_counts(out, "rows", &stats.documents, stats)?;
    if let Some(queries) = &stats.queries {
        write_counts(out, "queries", queries, stats)?;
        writeln!(out, "FLOPS                {:.4}", stats.flops.value())?;
    }
    let rows = stats.documents.rows() as f64;
    let (terms, weight) = stats.expansion.shares();
    match stats.expansion.rows {
        0 => {
            writeln!(out, "expansion            not known: no row has a text; `encode --keep text` keeps it")?
        }
        rows => writeln!(
            out,
            "expansion            {:.1} % of the terms, {:.1} % of the weight, of {rows} rows with a text",
            100.0 * terms,
            100.0 * weight
        )?,
    }
    let Suggestions { scale, share_raised, ingest, search } = suggestions;
    writeln!(
        out,
        "8-bit integers       --quantize {scale}; {:.2} % of the weights are below half a step, and become 1",
        100.0 * share_raised
    )?;
    write_ceiling(out, "ingest", ingest, DEFAULT_INGEST_CEILING)?;
    match search {
        Some(search) => write_ceiling(out, "search", search, DEFAULT_SEARCH_CEILING)?,
        None => writeln!(
            out,
            "sparse_vector        quantization_ceiling_search: name query vectors with --queries"
        )?,
    }
    let frequent = stats.flops.most_frequent();
    writeln!(out, "distinct terms       {}", frequent.len())?;
    write_terms(out, "most frequent terms", &frequent[..frequent.len().min(top)], rows)?;
    let expansions = stats.expansion.most_frequent(top);
    if !expansions.is_empty() {
        write_terms(out, "most frequent expansions", &expansions, stats.expansion.rows as f64)?;
    }
    Ok(())
}

fn write_counts(out: &mut Output, what: &str, counts: &Counts, stats: &Stats) -> anyhow::Result<()> {
    writeln!(out, "{what:<21}{}, {} of them without terms", counts.rows(), counts.empty_rows())?;
    let percentiles = |value: &dyn Fn(f64) -> String| {
        let each = PERCENTILES.iter().map(|&percent| format!("  {percent}% {}", value(percent)));
        each.collect::<String>()
    };
    writeln!(
        out,
        "  terms each         mean {:.2}{}  most {}",
        counts.mean_terms(),
        percentiles(&|percent| counts.terms_percentile(percent).to_string()),
        counts.terms_percentile(100.0)
    )?;
    match &stats.vocab_size {
        Ok(size) => {
            let ratio = counts.sparsity_ratio(*size);
            writeln!(out, "  sparsity ratio     {ratio:.6} of {size} terms")?;
        }
        Err(reason) => {
            writeln!(out, "  sparsity ratio     not known: {reason}; --model names the vectors' model")?
        }
    }
    writeln!(
        out,
        "  weights            mean {:.4}  least {}{}  most {:.4}",
        counts.mean_weight(),
        counts.least_weight(),
        percentiles(&|percent| format!("{:.4}", counts.weight_percentile(percent))),
        counts.most_weight()
    )?;
    Ok(())
}

fn write_ceiling(
    out: &mut Output,
    side: &str,
    (ceiling, cut): (f32, f64),
    default: f32,
) -> anyhow::Result<()> {
    writeln!(
        out,
        "sparse_vector        quantization_ceiling_{side} {ceiling}; the default {default} cuts off {:.2} % of the \
         weights",
        100.0 * cut
    )?;
    Ok(())
}

fn write_terms(out: &mut Output, title: &str, terms: &[(&str, u64)], rows: f64) -> anyhow::Result<()> {
    writeln!(out, "{title}")?;
    let width = terms.iter().map(|(term, _)| term.chars().count()).max().unwrap_or(0);
    for (term, count) in terms {
        writeln!(out, "  {term:<width$}  {count:>9}  {:>5.1} %", 100.0 * *count as f64 / rows)?;
    }
    Ok(())
}

fn object(stats: &Stats, suggestions: &Suggestions, top: usize) -> Value {
    let frequent = stats.flops.most_frequent();
    let terms = |terms: &[(&str, u64)]| -> Vec<Value> {
        terms.iter().map(|(term, rows)| json!({"term": term, "rows": rows})).collect()
    };
    let mut object = counts_object(&stats.documents, stats);
    object.insert("distinct_terms".into(), frequent.len().into());
    object.insert("most_frequent_terms".into(), terms(&frequent[..frequent.len().min(top)]).into());
    if let Some(queries) = &stats.queries {
        object.insert("queries".into(), counts_object(queries, stats).into());
        object.insert("flops".into(), stats.flops.value().into());
    }
    if stats.expansion.rows > 0 {
        let (share_of_terms, share_of_weight) = stats.expansion.shares();
        let expansion = json!({
            "rows_with_text": stats.expansion.rows,
            "share_of_terms": share_of_terms,
            "share_of_weight": share_of_weight,
            "most_frequent_terms": terms(&stats.expansion.most_frequent(top)),
        });
        object.insert("expansion".into(), expansion);
    }
    object.insert(
        "suggested".into(),
        json!({
            "quantize": suggestions.scale,
            "share_raised_to_1": suggestions.share_raised,
            "quantization_ceiling_ingest": suggestions.ingest.0,
            "share_cut_off_by_default_ingest": suggestions.ingest.1,
            "quantization_ceiling_search": suggestions.search.map(|(ceiling, _)| ceiling),
            "share_cut_off_by_default_search": suggestions.search.map(|(_, cut)| cut),
        }),
    );
    object.into()
}

fn counts_object(counts: &Counts, stats: &Stats) -> Map<String, Value> {
    let percentiles = |value: &dyn Fn(f64) -> Value| -> Map<String, Value> {
        PERCENTILES.iter().map(|&percent| (percent.to_string(), value(percent))).collect()
    };
    let mut terms = percentiles(&|percent| counts.terms_percentile(percent).into());
    terms.insert("mean".into(), counts.mean_terms().into());
    terms.insert("most".into(), counts.terms_percentile(100.0).into());
    let mut weights = percentiles(&|percent| counts.weight_percentile(percent).into());
    weights.insert("mean".into(), counts.mean_weight().into());
    weights.insert("least".into(), counts.least_weight().into());
    weights.insert("most".into(), counts.most_weight().into());
    let mut object = Map::new();
    object.insert("rows".into(), counts.rows().into());
    object.insert("rows_without_terms".into(), counts.empty_rows().into());
    object.insert("terms".into(), terms.into());
    object.insert("weights".into(), weights.into());
    // By the names of sentence-transformers.
    object.insert("active_dims".into(), counts.mean_terms().into());
    let ratio = stats.vocab_size.as_ref().ok().map(|&size| counts.sparsity_ratio(size));
    object.insert("sparsity_ratio".into(), ratio.into());
    object
}
