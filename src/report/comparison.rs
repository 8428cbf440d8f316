//! Two runs compared query by query, as a table and as JSON.

use serde_json::{json, Map, Value};

use super::Table;
use crate::eval::Comparison;

/// A row for each measure.
pub fn comparison_table(comparisons: &[Comparison], names: &[String]) -> Table {
    let titles = ["first", "second", "difference", "better", "equal", "worse", "p"];
    let mut table = titles.into_iter().fold(Table::new().text(""), Table::number);
    for (name, found) in names.iter().zip(comparisons) {
        table.row(vec![
            name.clone(),
            format!("{:.5}", found.first),
            format!("{:.5}", found.second),
            format!("{:+.5}", found.difference),
            found.better.to_string(),
            found.equal.to_string(),
            found.worse.to_string(),
            format!("{:.4}", found.p_value),
        ]);
    }
    table
}

/// An object with an entry for each measure.
pub fn comparison_json(comparisons: &[Comparison], names: &[String]) -> Map<String, Value> {
    let entry = |found: &Comparison| {
        json!({
            "first": found.first, "second": found.second, "difference": found.difference, "better": found.better,
            "equal": found.equal, "worse": found.worse, "p": found.p_value, "queries": found.num_queries,
        })
    };
    names.iter().zip(comparisons).map(|(name, found)| (name.clone(), entry(found))).collect()
}
