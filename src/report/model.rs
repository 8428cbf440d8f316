//! What is known of models, how a model is run, and what checks of it have found: as tables and as JSON.

use serde_json::{json, Value};

use super::Table;
use crate::check::golden::{Comparison, Difference};
use crate::check::verify::{Check, Outcome};
use crate::encoder::SparseEncoder;
use crate::known::KnownModel;
use crate::spec::{Dialect, Provenance, UnknownKey};

/// A row for each model.
pub fn known_table(models: &[KnownModel]) -> Table {
    let figure =
        |figure: Option<f32>, digits: usize| figure.map_or("-".into(), |figure| format!("{figure:.digits$}"));
    let row = |model: &KnownModel| {
        let marks = marks(model);
        vec![
            model.name.to_string(),
            model.architecture.to_string(),
            format!("{:.1} M", model.million_parameters),
            model.query_side.name().to_string(),
            figure(model.ndcg_at_10, 3),
            figure(model.mrr_at_10, 3),
            figure(model.flops, 1),
            model.licence.to_string(),
            if marks.is_empty() { "-".into() } else { marks.join(", ") },
            if model.hub_id == model.name { String::new() } else { model.hub_id.to_string() },
        ]
    };
    let titles = [
        "name",
        "architecture",
        "parameters",
        "query side",
        "NDCG@10",
        "MRR@10",
        "FLOPS",
        "licence",
        "marks",
        "hub id",
    ];
    titles.into_iter().fold(Table::new(), Table::text).rows(models.iter().map(row))
}

/// What a user of the model should know before its use.
fn marks(model: &KnownModel) -> Vec<&'static str> {
    let marks = [
        (model.is_non_commercial(), "non-commercial"),
        (model.gated, "gated"),
        (model.unconfirmed, "unconfirmed"),
    ];
    marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark).collect()
}

/// A model as an object.
pub fn known_json(model: &KnownModel) -> Value {
    // A figure by its own digits, not those of the f64 next to it.
    let figure = |figure: Option<f32>| figure.and_then(|figure| figure.to_string().parse::<f64>().ok());
    json!({
        "name": model.name,
        "hub_id": model.hub_id,
        "architecture": model.architecture,
        "million_parameters": figure(Some(model.million_parameters)),
        "query_side": model.query_side.name(),
        "ndcg@10": figure(model.ndcg_at_10),
        "mrr@10": figure(model.mrr_at_10),
        "flops": figure(model.flops),
        "licence": model.licence,
        "marks": marks(model),
    })
}

/// A row for each decision of how a model is run, and for each key of its files that is not followed.
pub fn decisions_table(encoder: &SparseEncoder) -> Table {
    let decisions = encoder
        .provenance()
        .iter()
        .map(|Provenance { what, value, source }| vec![what.to_string(), value.clone(), source.clone()]);
    let unknown = encoder.unknown_keys().iter().map(|UnknownKey { file, key }| {
        vec!["unknown key".to_string(), format!("`{key}` is not followed"), file.clone()]
    });
    let table = Table::new().text("what").text("how it is run").text("decided by");
    table.rows(decisions.chain(unknown))
}

/// The same as an object.
///
/// * `name`: the model as the user names it.
pub fn decisions_json(name: &str, encoder: &SparseEncoder) -> Value {
    let decisions = encoder.provenance().iter().map(
        |Provenance { what, value, source }| json!({"what": what, "value": value, "decided_by": source}),
    );
    let unknown =
        encoder.unknown_keys().iter().map(|UnknownKey { file, key }| json!({"key": key, "file": file}));
    json!({
        "model": name,
        "decisions": decisions.collect::<Vec<_>>(),
        "unknown_keys": unknown.collect::<Vec<_>>(),
        "notes": encoder.notes().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// A row for each check.
pub fn checks_table(checks: &[Check]) -> Table {
    let row = |check: &Check| {
        let outcome = match check.outcome {
            Outcome::Pass => "pass",
            Outcome::Fail => "FAIL",
            Outcome::None => "-",
        };
        vec![outcome.to_string(), check.what.clone(), check.found.clone()]
    };
    Table::new().text("").text("check").text("found").rows(checks.iter().map(row))
}

/// An object for each check.
pub fn checks_json(checks: &[Check]) -> Vec<Value> {
    let object = |check: &Check| {
        let pass = match check.outcome {
            Outcome::Pass => Some(true),
            Outcome::Fail => Some(false),
            Outcome::None => None,
        };
        json!({"check": check.what, "found": check.found, "pass": pass})
    };
    checks.iter().map(object).collect()
}

/// A row for each dialect that vectors were compared in.
pub fn dialects_table(compared: &[(Dialect, Comparison)]) -> Table {
    let row = |(dialect, comparison): &(Dialect, Comparison)| {
        vec![
            dialect.to_string(),
            format!("{} of {}", comparison.num_matching, comparison.num_rows),
            comparison.largest.as_ref().map_or("0".into(), |largest| format!("{:.1e}", largest.size())),
            first(comparison).unwrap_or_else(|| "-".into()),
        ]
    };
    let titles = ["dialect", "rows that match", "largest difference", "first that differs"];
    titles.into_iter().fold(Table::new(), Table::text).rows(compared.iter().map(row))
}

/// An object for each of them.
pub fn dialects_json(compared: &[(Dialect, Comparison)]) -> Vec<Value> {
    let object = |(dialect, comparison): &(Dialect, Comparison)| {
        json!({
            "dialect": dialect.name(),
            "matching": comparison.num_matching,
            "rows": comparison.num_rows,
            "largest_difference": comparison.largest.as_ref().map_or(0.0, Difference::size),
            "first_difference": first(comparison),
        })
    };
    compared.iter().map(object).collect()
}

fn first(comparison: &Comparison) -> Option<String> {
    comparison.first.as_ref().map(Difference::to_string)
}
