//! What vectors are like, in figures, and what a store should be told of them.

use serde_json::{json, Map, Value};

use super::Table;
use crate::eval::statistics::{Counts, Statistics};

/// Percentiles that are shown.
const PERCENTILES: [f64; 8] = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0];

/// What the integers of BMP and PISA's compact indexes go up to.
const LARGEST_BYTE: f32 = 255.0;

/// The ceiling that a `sparse_vector` field has for documents unless its mapping says otherwise (neural-search's
/// `SparseVectorFieldMapper`).
const DEFAULT_INGEST_CEILING: f32 = 3.0;

/// The same for queries.
const DEFAULT_SEARCH_CEILING: f32 = 16.0;

/// A ceiling for the weights of a `sparse_vector` field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceiling {
    /// The least one that cuts nothing off, to one decimal.
    pub value: f32,
    /// The share of weights that the default one cuts off.
    pub share_cut_by_default: f64,
}

/// What a store should be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestions {
    /// What weights are multiplied by so that the largest is at most the largest byte.
    pub scale: f32,
    /// The share of weights that this scale rounds to 0, which are kept as 1.
    pub share_raised: f64,
    /// For documents.
    pub ingest: Ceiling,
    /// For queries, where they are known.
    pub search: Option<Ceiling>,
}

impl Suggestions {
    /// What fits these vectors.
    pub fn of(statistics: &Statistics) -> Self {
        let most = statistics.documents.most_weight();
        // To two digits, down: the largest weight must not pass the largest byte.
        let exact = if most > 0.0 { LARGEST_BYTE / most } else { 1.0 };
        let unit = 10f32.powf(exact.log10().floor() - 1.0);
        let scale = (exact / unit).floor() * unit;
        let ceiling = |counts: &Counts, default: f32| Ceiling {
            // To one decimal, up.
            value: (counts.most_weight() * 10.0).ceil() / 10.0,
            share_cut_by_default: counts.share_above(default),
        };
        Suggestions {
            scale,
            share_raised: statistics.documents.share_below(0.5 / scale),
            ingest: ceiling(&statistics.documents, DEFAULT_INGEST_CEILING),
            search: statistics.queries.as_ref().map(|queries| ceiling(queries, DEFAULT_SEARCH_CEILING)),
        }
    }
}

/// What was counted and what a store should be told, a row each.
pub fn statistics_table(statistics: &Statistics) -> Table {
    let mut table = Table::new().text("what").text("found");
    let mut row = |what: &str, found: String| table.row(vec![what.into(), found]);
    for (what, counts) in [("rows", Some(&statistics.documents)), ("queries", statistics.queries.as_ref())] {
        let Some(counts) = counts else { continue };
        row(what, format!("{}, {} of them without terms", counts.rows(), counts.empty_rows()));
        let sparsity = match &statistics.vocab_size {
            Ok(size) => format!("{:.6} of {size} terms", counts.sparsity_ratio(*size)),
            Err(reason) => format!("not known: {reason}"),
        };
        row(&format!("sparsity ratio of {what}"), sparsity);
    }
    if statistics.queries.is_some() {
        row("FLOPS", format!("{:.4}", statistics.flops.value()));
    }
    let (terms, weight) = statistics.expansion.shares();
    let expansion = match statistics.expansion.rows {
        0 => "not known: no row has a text".into(),
        rows => format!(
            "{:.1} % of the terms, {:.1} % of the weight, of {rows} rows with a text",
            100.0 * terms,
            100.0 * weight
        ),
    };
    row("expansion", expansion);
    let Suggestions { scale, share_raised, ingest, search } = Suggestions::of(statistics);
    let raised = 100.0 * share_raised;
    row(
        "8-bit integers",
        format!("quantize by {scale}; {raised:.2} % of the weights are below half a step, and become 1"),
    );
    let ceiling = |ceiling: Ceiling, default: f32| {
        let cut = 100.0 * ceiling.share_cut_by_default;
        format!("{}; the default {default} cuts off {cut:.2} % of the weights", ceiling.value)
    };
    row("quantization_ceiling_ingest", ceiling(ingest, DEFAULT_INGEST_CEILING));
    let search = search.map_or("not known: no query vectors were named".into(), |search| {
        ceiling(search, DEFAULT_SEARCH_CEILING)
    });
    row("quantization_ceiling_search", search);
    row("distinct terms", statistics.flops.most_frequent().len().to_string());
    table
}

/// A row for each term: how many rows have it, and their share.
pub fn terms_table(terms: &[(&str, u64)], rows: u64) -> Table {
    let mut table = Table::new().text("term").number("rows").number("share");
    for (term, count) in terms {
        let share = format!("{:.1} %", 100.0 * *count as f64 / rows.max(1) as f64);
        table.row(vec![term.to_string(), count.to_string(), share]);
    }
    table
}

/// How terms and weights are distributed: a row for either of the rows, and of the queries where there are any.
pub fn distribution_table(statistics: &Statistics) -> Table {
    let titles = ["mean".to_string(), "least".into()].into_iter();
    let titles = titles.chain(PERCENTILES.map(|percent| format!("{percent}%"))).chain(["most".into()]);
    let mut table = titles.fold(Table::new().text(""), Table::number);
    for (what, counts) in [("rows", Some(&statistics.documents)), ("queries", statistics.queries.as_ref())] {
        let Some(counts) = counts else { continue };
        let terms = [0.0].into_iter().chain(PERCENTILES).chain([100.0]);
        let terms = terms.map(|percent| counts.terms_percentile(percent).to_string());
        let mean = [format!("terms of {what}"), format!("{:.2}", counts.mean_terms())];
        table.row(mean.into_iter().chain(terms).collect());
        let weights = PERCENTILES.map(|percent| counts.weight_percentile(percent));
        let weights = [counts.mean_weight() as f32, counts.least_weight()].into_iter().chain(weights);
        let weights = weights.chain([counts.most_weight()]).map(|weight| format!("{weight:.4}"));
        table.row([format!("weights of {what}")].into_iter().chain(weights).collect());
    }
    table
}

/// All figures as an object.
///
/// * `top`: how many of the most frequent terms it has.
pub fn statistics_json(statistics: &Statistics, top: usize) -> Map<String, Value> {
    let suggestions = Suggestions::of(statistics);
    let frequent = statistics.flops.most_frequent();
    let terms = |terms: &[(&str, u64)]| -> Vec<Value> {
        terms.iter().map(|(term, rows)| json!({"term": term, "rows": rows})).collect()
    };
    let mut object = counts_json(&statistics.documents, statistics);
    object.insert("distinct_terms".into(), frequent.len().into());
    object.insert("most_frequent_terms".into(), terms(&frequent[..frequent.len().min(top)]).into());
    if let Some(queries) = &statistics.queries {
        object.insert("queries".into(), counts_json(queries, statistics).into());
        object.insert("flops".into(), statistics.flops.value().into());
    }
    if statistics.expansion.rows > 0 {
        let (share_of_terms, share_of_weight) = statistics.expansion.shares();
        let expansion = json!({
            "rows_with_text": statistics.expansion.rows,
            "share_of_terms": share_of_terms,
            "share_of_weight": share_of_weight,
            "most_frequent_terms": terms(&statistics.expansion.most_frequent(top)),
        });
        object.insert("expansion".into(), expansion);
    }
    object.insert(
        "suggested".into(),
        json!({
            "quantize": suggestions.scale,
            "share_raised_to_1": suggestions.share_raised,
            "quantization_ceiling_ingest": suggestions.ingest.value,
            "share_cut_off_by_default_ingest": suggestions.ingest.share_cut_by_default,
            "quantization_ceiling_search": suggestions.search.map(|ceiling| ceiling.value),
            "share_cut_off_by_default_search": suggestions.search.map(|ceiling| ceiling.share_cut_by_default),
        }),
    );
    object
}

fn counts_json(counts: &Counts, statistics: &Statistics) -> Map<String, Value> {
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
    let ratio = statistics.vocab_size.as_ref().ok().map(|&size| counts.sparsity_ratio(size));
    object.insert("sparsity_ratio".into(), ratio.into());
    object
}
