//! OpenSearch: `_bulk` requests for a field of type `rank_features`, whose features are terms.
//!
//! A document whose windows are rows gets a nested field, as the `text_chunking` and `sparse_encoding` processors of
//! its ingest pipelines make it: `"vector":[{"sparse_encoding":{…}},…]`.

use super::bulk::{self, Bulk};
use super::{json, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms, TwoPhase};
use crate::input::RowError;
use crate::sparse::{Prune, SparseVector};

/// What the processors call the vector of a window.
const NESTED: &str = "sparse_encoding";

/// The largest weight of a clause in Lucene's `FeatureField.newLinearQuery`.
const MAX_QUERY_WEIGHT: f32 = 64.0;

/// Clauses of a boolean query, by the default of `indices.query.bool.max_clause_count`.
const MAX_CLAUSES: usize = 1024;

#[derive(Debug)]
struct OpenSearch {
    bulk: Bulk,
    vector_field: String,
    has_windows: bool,
    two_phase: Option<TwoPhase>,
    without_plugin: bool,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    Ok(Box::new(OpenSearch {
        bulk: Bulk::new(options),
        vector_field: options.vector_field.clone(),
        has_windows: options.has_windows,
        two_phase: options.two_phase,
        without_plugin: options.without_plugin,
    }))
}

impl Format for OpenSearch {
    fn keys(&self) -> Keys {
        Keys::Names
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[
            FormatOption::IndexName,
            FormatOption::Action,
            FormatOption::RequestBytes,
            FormatOption::TwoPhase,
            FormatOption::WithoutPlugin,
            FormatOption::Windows,
        ]
    }

    fn reserved_fields(&self) -> &'static [&'static str] {
        bulk::METADATA
    }

    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let vector = bulk::features(row.vector, findings);
        self.bulk.write(row.id, row.kept, Some(json::by_name(&vector, terms)), out)
    }

    fn write_windows(
        &self,
        (id, kept): (&str, &str),
        windows: &[SparseVector],
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let object = |vector| {
            let vector = bulk::features(vector, findings);
            format!("{{\"{NESTED}\":{}}}", json::by_name(&vector, terms))
        };
        let objects: Vec<String> = windows.iter().map(object).collect();
        self.bulk.write(id, kept, Some(format!("[{}]", objects.join(","))), out)
    }

    fn nests_windows(&self) -> bool {
        true
    }

    fn lines_of_a_request(&self) -> Option<usize> {
        Some(bulk::LINES)
    }

    fn mapping(&self, _: usize) -> Option<String> {
        let features = "{\"type\":\"rank_features\"}".to_string();
        let field = if self.has_windows {
            format!("{{\"type\":\"nested\",\"properties\":{{\"{NESTED}\":{features}}}}}")
        } else {
            features
        };
        let name = json::string(&self.vector_field);
        Some(json::pretty(&format!("{{\"mappings\":{{\"properties\":{{{name}:{field}}}}}}}")))
    }

    fn query(
        &self,
        vector: &SparseVector,
        terms: Terms,
        k: usize,
        findings: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        // A nested query adds a clause of its own.
        let max_terms = if self.has_windows { MAX_CLAUSES - 1 } else { MAX_CLAUSES };
        if vector.len() > max_terms {
            return Err(super::too_many_terms(vector.len(), max_terms, "a query"));
        }
        if !self.without_plugin {
            check_weights(vector, terms)?;
        }
        bulk::check_hits(k)?;
        let path = if self.has_windows {
            format!("{}.{NESTED}", self.vector_field)
        } else {
            self.vector_field.clone()
        };
        let clause = |vector: &SparseVector, findings: &mut Findings| {
            let query = if self.without_plugin {
                rank_features(&path, vector, terms, findings)
            } else {
                let tokens = json::by_name(vector, terms);
                format!("{{\"neural_sparse\":{{{}:{{\"query_tokens\":{tokens}}}}}}}", json::string(&path))
            };
            self.nested(query)
        };
        let body = match (self.two_phase, self.without_plugin) {
            (None, _) => format!("\"query\":{}", clause(vector, findings)),
            (Some(phases), false) => {
                check_window(phases, k)?;
                let processor = processor(phases);
                format!(
                    "\"query\":{},\"search_pipeline\":{{\"request_processors\":[{processor}]}}",
                    clause(vector, findings)
                )
            }
            (Some(phases), true) => {
                let heavy = vector.prune(phases.prune);
                let light = SparseVector::from_pairs(
                    vector.iter().filter(|(index, _)| heavy.weight(*index) == 0.0).collect(),
                );
                let light = light.expect("a part of a vector, anything else is a bug");
                let window = (k as f64 * f64::from(phases.expansion_rate)) as u64;
                let window = window.min(phases.max_window_size.into()).max(k as u64);
                let (first, second) = (clause(&heavy, findings), clause(&light, findings));
                format!(
                    "\"query\":{first},\"rescore\":{{\"window_size\":{window},\"query\":{{\"rescore_query\":{second},\
                     \"query_weight\":1.0,\"rescore_query_weight\":1.0}}}}"
                )
            }
        };
        Ok(Some(format!("{{\"size\":{k},{body}}}")))
    }
}

impl OpenSearch {
    /// `query` over the windows of a document, the best of which is the document's score.
    fn nested(&self, query: String) -> String {
        if !self.has_windows {
            return query;
        }
        let path = json::string(&self.vector_field);
        format!("{{\"nested\":{{\"path\":{path},\"score_mode\":\"max\",\"query\":{query}}}}}")
    }
}

/// The plugin makes of each term a clause of Lucene's, whose weight has a limit.
pub(super) fn check_weights(vector: &SparseVector, terms: Terms) -> Result<(), RowError> {
    let heavy = vector.iter().find(|(_, weight)| *weight > MAX_QUERY_WEIGHT);
    let Some((index, weight)) = heavy else { return Ok(()) };
    let name = match terms {
        Terms::Ids(_) => index.to_string(),
        terms => terms.name(index).to_string(),
    };
    Err(RowError::new(format!("`{name}` weighs {weight}, and a term of a query {MAX_QUERY_WEIGHT} at most")))
}

/// The processor refuses a query whose second phase would be larger than its limit.
fn check_window(phases: TwoPhase, k: usize) -> Result<(), RowError> {
    let window = k as f64 * f64::from(phases.expansion_rate);
    if window <= f64::from(phases.max_window_size) {
        return Ok(());
    }
    let most = (f64::from(phases.max_window_size) / f64::from(phases.expansion_rate)) as usize;
    Err(RowError::new(format!("{k} documents in two phases, {most} are the most")))
}

/// The same sum in clauses that the server has without a plugin, one a term.
fn rank_features(path: &str, vector: &SparseVector, terms: Terms, findings: &mut Findings) -> String {
    let mut clauses = Vec::new();
    for (index, weight) in vector.heaviest_first() {
        let name = terms.name(index);
        // The server takes what stands before the last dot for the field.
        if name.contains('.') {
            findings.add("terms left out of a query: a rank_feature clause cannot name one with a dot", 1);
            continue;
        }
        let field = json::string(&format!("{path}.{name}"));
        let mut boost = Vec::new();
        json::write_f32(&mut boost, weight);
        let boost = String::from_utf8_lossy(&boost);
        clauses.push(format!("{{\"rank_feature\":{{\"field\":{field},\"linear\":{{}},\"boost\":{boost}}}}}"));
    }
    // A boolean query without clauses would match everything.
    match &clauses[..] {
        [] => "{\"match_none\":{}}".into(),
        clauses => format!("{{\"bool\":{{\"should\":[{}]}}}}", clauses.join(",")),
    }
}

/// The request processor that runs `neural_sparse` queries in two phases.
fn processor(phases: TwoPhase) -> String {
    let TwoPhase { prune, expansion_rate, max_window_size } = phases;
    let prune = pruning(prune);
    format!(
        "{{\"neural_sparse_two_phase_processor\":{{\"enabled\":true,\"two_phase_parameter\":{{{prune},\
         \"expansion_rate\":{expansion_rate:?},\"max_window_size\":{max_window_size}}}}}}}"
    )
}

/// `"prune_type":…,"prune_ratio":…`.
fn pruning(rule: Prune) -> String {
    let (name, ratio) = match rule {
        Prune::MaxRatio(ratio) | Prune::AboveMaxRatio(ratio) => ("max_ratio", ratio),
        Prune::AlphaMass(ratio) => ("alpha_mass", ratio),
        Prune::AbsValue(weight) => ("abs_value", weight),
    };
    format!("\"prune_type\":\"{name}\",\"prune_ratio\":{ratio:?}")
}

/// The body of a search pipeline that runs `neural_sparse` queries in two phases.
pub fn two_phase_pipeline(phases: TwoPhase) -> String {
    json::pretty(&format!("{{\"request_processors\":[{}]}}", processor(phases)))
}

/// An ingest pipeline: how a cluster is to encode documents by itself.
#[derive(Debug)]
pub struct Ingest<'a> {
    /// The id that the cluster gave the model.
    pub model_id: &'a str,
    /// The field of a document's text, and that of its vector.
    pub text_field: &'a str,
    /// See [`Ingest::text_field`].
    pub vector_field: &'a str,
    /// What is dropped from vectors.
    pub prune: Option<Prune>,
    /// Whether long texts are cut into windows, for a nested field.
    pub has_windows: bool,
}

/// The body of an ingest pipeline.
pub fn ingest_pipeline(ingest: &Ingest) -> String {
    let model = json::string(ingest.model_id);
    let (text, vector) = (json::string(ingest.text_field), json::string(ingest.vector_field));
    let chunks = json::string(&format!("{}_chunks", ingest.text_field));
    let prune = ingest.prune.map(|rule| format!("{},", pruning(rule))).unwrap_or_default();
    let (chunking, source) = if ingest.has_windows {
        let processor = format!(
            "{{\"text_chunking\":{{\"algorithm\":{{\"fixed_token_length\":{{\"token_limit\":384,\
             \"overlap_rate\":0.1,\"tokenizer\":\"standard\"}}}},\"field_map\":{{{text}:{chunks}}}}}}},"
        );
        (processor, &chunks)
    } else {
        (String::new(), &text)
    };
    json::pretty(&format!(
        "{{\"processors\":[{chunking}{{\"sparse_encoding\":{{\"model_id\":{model},{prune}\
         \"field_map\":{{{source}:{vector}}}}}}}]}}"
    ))
}
