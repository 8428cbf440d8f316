//! The known models: their names, licences and published figures, and the numbers that tell whether one runs right.
//!
//! Data only. Scores and tables are those that the model cards, and the documentation and slow tests of
//! sentence-transformers, publish.

mod card_terms;
mod models;

pub use models::KNOWN_MODELS;

use crate::conventions::{PoolingActivation, UntiedDecoder};

/// The model that is used when none is named.
pub const DEFAULT_MODEL: &str = "v2-distill";

/// A model that this program knows by name.
#[derive(Debug)]
pub struct KnownModel {
    /// Short name; the hub id where it has none.
    pub name: &'static str,
    /// Where it lives on the hub, or `built in`.
    pub hub_id: &'static str,
    /// Architecture of its transformer; of both, the documents' first, where queries have one of their own.
    pub architecture: &'static str,
    /// Parameters in use, in millions, of all its transformers.
    pub million_parameters: f32,
    /// How queries are encoded.
    pub query_side: QuerySide,
    /// Mean NDCG@10 over 13 BEIR sets; `None` where none is published.
    pub ndcg_at_10: Option<f32>,
    /// MRR@10 on the development queries of MS MARCO; `None` where none is published.
    pub mrr_at_10: Option<f32>,
    /// FLOPS of the table of NDCG@10: the expected number of terms that a query and a document share.
    pub flops: Option<f32>,
    /// The vocabulary of its vectors.
    pub vocabulary: Vocabulary,
    /// Its licence, by the name that SPDX gives it.
    pub licence: &'static str,
    /// Whether the hub gives it only to those who have accepted its conditions there.
    pub gated: bool,
    /// Whether its published scores have yet to be reproduced from its real files.
    pub unconfirmed: bool,
    /// What is applied to the largest logit, for a copy of the model without its pooling config.
    pub activation: PoolingActivation,
    /// What to make of a stored decoder that differs from the embeddings. The cards of v1 and doc-v1, whose
    /// files hold a second matrix, were written with transformers 4, which overwrote it.
    pub decoder: UntiedDecoder,
    /// Published scores.
    pub goldens: &'static [Golden],
    /// Published shared terms of [`CARD_QUERY`] and [`CARD_DOCUMENT`]: term, weight in the query, weight in the document.
    pub card_terms: &'static [(&'static str, f32, f32)],
}

/// How a known model encodes queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuerySide {
    /// As documents are.
    Model,
    /// By a smaller or differently trained transformer, which is in the same repository.
    AnotherModel,
    /// A weight for each of their tokens, no forward pass.
    Table,
    /// The weight 1 for each of their tokens, no forward pass.
    BagOfWords,
    /// As documents are, but only the terms that the query itself holds.
    OwnWords,
}

impl QuerySide {
    /// It in a word or two.
    pub fn name(self) -> &'static str {
        match self {
            QuerySide::Model => "model",
            QuerySide::AnotherModel => "another model",
            QuerySide::Table => "table",
            QuerySide::BagOfWords => "bag of words",
            QuerySide::OwnWords => "its own words",
        }
    }
}

/// The vocabulary of a known model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// That of `bert-base-uncased`, which the built-in model has too.
    BertUncased,
    /// One of so many tokens.
    Other(usize),
}

impl Vocabulary {
    /// V.
    pub fn size(self) -> usize {
        match self {
            Vocabulary::BertUncased => 30_522,
            Vocabulary::Other(size) => size,
        }
    }
}

/// The models whose table of query weights is compiled in: they all have the same one, and the same vocabulary.
const BUILT_IN_QUERIES: [&str; 4] = ["doc-v1", "doc-v2-distill", "doc-v2-mini", "doc-v3-distill"];

impl KnownModel {
    /// Whether its query side is compiled in: a table and a vocabulary.
    pub fn has_built_in_queries(&self) -> bool {
        BUILT_IN_QUERIES.contains(&self.name)
    }

    /// Whether its licence forbids commercial use.
    pub fn is_non_commercial(&self) -> bool {
        self.licence.contains("-NC-")
    }
}

/// A published score of one query and one document.
#[derive(Clone, Copy, Debug)]
pub struct Golden {
    /// The query.
    pub query: &'static str,
    /// The document.
    pub document: &'static str,
    /// Their score.
    pub score: f32,
    /// How far a right implementation may be from it: the figure's own precision.
    pub tolerance: f32,
    /// Who published it.
    pub source: &'static str,
    /// Whether special tokens kept their weights when it was computed, as sentence-transformers does it;
    /// the cards of the OpenSearch models set them to 0.
    pub kept_special_tokens: bool,
}

/// The query of the model cards' example.
pub const CARD_QUERY: &str = "What's the weather in ny now?";
/// The document of the model cards' example.
pub const CARD_DOCUMENT: &str = "Currently New York is rainy.";

/// The known model of this short name or hub id.
pub fn find(name: &str) -> Option<&'static KnownModel> {
    KNOWN_MODELS.iter().find(|model| model.name == name || model.hub_id == name)
}

/// The known model of this hub id.
#[cfg(feature = "hub")]
pub(crate) fn find_by_hub_id(id: &str) -> Option<&'static KnownModel> {
    KNOWN_MODELS.iter().find(|model| model.hub_id == id)
}

/// The known model whose name on the hub is part of this file's, the longest such name.
pub fn contained_in(file: &str) -> Option<&'static KnownModel> {
    let name = |model: &KnownModel| model.hub_id.rsplit('/').next().unwrap_or_default();
    let matching =
        KNOWN_MODELS.iter().filter(|model| model.hub_id.contains('/') && file.contains(name(model)));
    matching.max_by_key(|model| name(model).len())
}

/// The hub id behind a short name.
#[cfg(feature = "hub")]
pub(crate) fn hub_id(name: &str) -> Option<&'static str> {
    find(name).map(|model| model.hub_id)
}

/// Every short name.
#[cfg(feature = "hub")]
pub(crate) fn short_names() -> impl Iterator<Item = &'static str> {
    KNOWN_MODELS.iter().map(|model| model.name).filter(|name| !name.contains('/'))
}
