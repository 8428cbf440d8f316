//! Queries, as texts or as vectors, and what an index answers them.

mod hits;
mod queries;

pub use hits::{answer_json, rankings, write_hits, Found, SharedTerm};
pub use queries::{encode_queries, read_queries, EncodeError, Query, QueryError, QueryRows};
