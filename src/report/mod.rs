//! Reports: what a text, a score or an evaluation consists of, as values and as pages.
//!
//! A page is one HTML file that needs nothing else. It carries its style, its data and its script, and its policy lets it
//! fetch nothing. All of its content is in the HTML, so the page can be read without the script and printed; the script
//! only answers the pointer and the keys.
//!
//! This module writes where it is told to. It knows no file, no terminal and no command.

mod comparison;
mod evaluation;
mod explain;
mod index;
mod model;
mod page;
mod score;
mod statistics;
mod sweep;
mod table;
mod text;

pub use comparison::{comparison_json, comparison_table};
pub use evaluation::{evaluation_json, evaluation_table, judged_json, judged_table, per_query_json};
pub use explain::{ExplainPage, ExplainTexts, ExplainedTerm, ExplainedText, InputToken};
pub use index::{index_json, index_tables};
pub use model::{
    checks_json, checks_table, decisions_json, decisions_table, dialects_json, dialects_table, known_json,
    known_table,
};
pub use score::{ScorePage, ScoreTerm, ScoredPair, TermShare};
pub use statistics::{
    distribution_table, statistics_json, statistics_table, terms_table, Ceiling, Suggestions,
};
pub use sweep::{SweepPage, SweepPoint, SweepReport};
pub use table::Table;
