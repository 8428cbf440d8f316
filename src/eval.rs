//! How good a ranking is: judgements, runs, and the figures of trec_eval and BEIR.
//!
//! The conventions are trec_eval's, as pytrec_eval applies them: hits are sorted by score, as f32, descending, then by
//! document id, as bytes, descending; ranks that a run states are not used. A judged query is one that has a judgement,
//! whatever its grade. trec_eval averages over the judged queries that a run has hits for, with `-c` over all judged
//! queries, and ir_measures does the latter; [`Evaluation`] has both means. None of them leaves out a query because no
//! document is relevant for it: it counts with 0. Hits for queries that are not judged are left out.

pub mod cache;
pub mod collection;
mod compare;
mod encoded;
mod evaluated;
mod files;
mod flops;
mod judge;
mod measures;
mod qrels;
mod run;
pub mod statistics;
pub mod sweep;

pub use collection::{has_vectors, Collection, CollectionError, VectorCollection};
pub use compare::{compare, Comparison};
pub use encoded::{CollectionModel, EncodedCollection, EvaluationError, Setting};
pub use evaluated::Evaluated;
pub use files::{read_qrels, read_run, write_ranking, write_run, EvalError, RUN_TAG};
pub use flops::Flops;
pub use judge::{evaluate, Evaluation, QueryFigures};
pub use measures::{parse_measures, Measure, MeasureError, Relevant};
pub use qrels::Qrels;
pub use run::{Run, RunHit};
