//! The known models: their names, their published figures, and the numbers that tell whether one runs right.
//!
//! Data only. Scores and tables are those that the model cards and the slow
//! tests of sentence-transformers publish.

use crate::model::DecoderReading;
use crate::pooling::Activation;

/// The model that is used when none is named.
pub const DEFAULT_MODEL: &str = "v2-distill";

/// A model that this program knows by name.
#[derive(Debug)]
pub struct KnownModel {
    /// Short name, as `--model` takes it.
    pub name: &'static str,
    /// Where it lives on the hub, or `built in`.
    pub hub_id: &'static str,
    /// Architecture of its transformer.
    pub architecture: &'static str,
    /// Parameters in use, in millions.
    pub million_parameters: f32,
    /// How queries are encoded: `model` or `table`.
    pub query_side: &'static str,
    /// Mean NDCG@10 over the 13 BEIR sets of its card; `None` where none is published.
    pub ndcg_at_10: Option<f32>,
    /// FLOPS of the same table: the expected number of terms that a query and a document share.
    pub flops: Option<f32>,
    /// Whether this program runs it.
    pub supported: bool,
    /// What is applied to the largest logit, for a copy of the model without its pooling config.
    pub activation: Activation,
    /// What to make of a stored decoder that differs from the embeddings. The cards of v1 and doc-v1, whose
    /// files hold a second matrix, were written with transformers 4, which overwrote it.
    pub decoder: DecoderReading,
    /// Published scores.
    pub goldens: &'static [Golden],
    /// Published shared terms of [`CARD_QUERY`] and [`CARD_DOCUMENT`]: term, weight in the query, weight in the document.
    pub card_terms: &'static [(&'static str, f32, f32)],
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
}

/// The query of the model cards' example.
pub const CARD_QUERY: &str = "What's the weather in ny now?";
/// The document of the model cards' example.
pub const CARD_DOCUMENT: &str = "Currently New York is rainy.";

const PLANET_QUERY: &str = "Which planet is known as the Red Planet?";
const PLANET_DOCUMENTS: [&str; 4] = [
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
];

const fn card(score: f32, source: &'static str) -> Golden {
    Golden { query: CARD_QUERY, document: CARD_DOCUMENT, score, tolerance: 1e-3, source }
}

/// A score against the planet document of this number, counted from 0.
const fn planet(document: usize, score: f32, tolerance: f32, source: &'static str) -> Golden {
    Golden { query: PLANET_QUERY, document: PLANET_DOCUMENTS[document], score, tolerance, source }
}

/// The four planet scores of the slow tests of sentence-transformers.
const fn planets(scores: [f32; 4]) -> [Golden; 4] {
    const SOURCE: &str = "sentence-transformers tests";
    [
        planet(0, scores[0], 1e-2, SOURCE),
        planet(1, scores[1], 1e-2, SOURCE),
        planet(2, scores[2], 1e-2, SOURCE),
        planet(3, scores[3], 1e-2, SOURCE),
    ]
}

const fn with_card(card: Golden, planets: [Golden; 4]) -> [Golden; 5] {
    [card, planets[0], planets[1], planets[2], planets[3]]
}

const TINY_SOURCE: &str = "PyTorch on the f16-rounded tensors";

/// Every known model, in the order in which `model list` prints them.
pub const KNOWN_MODELS: [KnownModel; 9] = [
    KnownModel {
        name: "tiny",
        hub_id: "built in",
        architecture: "BERT",
        million_parameters: 4.4,
        query_side: "model",
        ndcg_at_10: None,
        flops: None,
        supported: true,
        activation: Activation::Relu,
        decoder: DecoderReading::Stored,
        goldens: &[
            card(17.6849, TINY_SOURCE),
            planet(0, 4.99108, 1e-3, TINY_SOURCE),
            planet(1, 18.6242, 1e-3, TINY_SOURCE),
            planet(2, 12.62068, 1e-3, TINY_SOURCE),
            planet(3, 13.89753, 1e-3, TINY_SOURCE),
        ],
        card_terms: &[],
    },
    KnownModel {
        name: "v1",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-v1",
        architecture: "BERT",
        million_parameters: 109.5,
        query_side: "model",
        ndcg_at_10: Some(0.524),
        flops: Some(11.4),
        supported: true,
        activation: Activation::Relu,
        decoder: DecoderReading::Tied,
        goldens: &with_card(card(22.3299, "model card"), planets([7.81391, 20.89011, 17.19859, 18.00109])),
        card_terms: &[],
    },
    KnownModel {
        name: "v2-distill",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-v2-distill",
        architecture: "DistilBERT",
        million_parameters: 67.0,
        query_side: "model",
        ndcg_at_10: Some(0.528),
        flops: Some(8.3),
        supported: true,
        activation: Activation::Relu,
        decoder: DecoderReading::Stored,
        goldens: &with_card(card(38.6112, "model card"), planets([11.66555, 39.72486, 31.46797, 29.06855])),
        card_terms: &V2_DISTILL_CARD_TERMS,
    },
    KnownModel {
        name: "doc-v1",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v1",
        architecture: "BERT",
        million_parameters: 109.5,
        query_side: "table",
        ndcg_at_10: Some(0.490),
        flops: Some(2.3),
        supported: true,
        activation: Activation::Relu,
        decoder: DecoderReading::Tied,
        goldens: &with_card(card(12.8465, "model card"), planets([5.60338, 15.5549, 11.63231, 14.3729])),
        card_terms: &[],
    },
    KnownModel {
        name: "doc-v2-distill",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-distill",
        architecture: "DistilBERT",
        million_parameters: 67.0,
        query_side: "table",
        ndcg_at_10: Some(0.504),
        flops: Some(1.8),
        supported: true,
        activation: Activation::Relu,
        decoder: DecoderReading::Stored,
        goldens: &with_card(
            card(17.5307, "sentence-transformers tests"),
            planets([8.87648, 21.10651, 16.59742, 18.52468]),
        ),
        card_terms: &[],
    },
    KnownModel {
        name: "doc-v2-mini",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-mini",
        architecture: "BERT",
        million_parameters: 22.7,
        query_side: "table",
        ndcg_at_10: Some(0.497),
        flops: Some(1.7),
        supported: true,
        activation: Activation::Relu,
        decoder: DecoderReading::Stored,
        goldens: &with_card(card(13.8344, "model card"), planets([5.63165, 14.10177, 12.41127, 13.27736])),
        card_terms: &[],
    },
    KnownModel {
        name: "doc-v3-distill",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill",
        architecture: "DistilBERT",
        million_parameters: 67.0,
        query_side: "table",
        ndcg_at_10: Some(0.517),
        flops: Some(1.8),
        supported: true,
        activation: Activation::Log1pRelu,
        decoder: DecoderReading::Stored,
        goldens: &with_card(
            card(11.1105, "sentence-transformers tests"),
            planets([5.40216, 11.59338, 9.66898, 10.57229]),
        ),
        card_terms: &[],
    },
    KnownModel {
        name: "doc-v3-gte",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-gte",
        architecture: "GTE (new)",
        million_parameters: 137.4,
        query_side: "table",
        ndcg_at_10: Some(0.546),
        flops: Some(1.7),
        supported: false,
        activation: Activation::Log1pRelu,
        decoder: DecoderReading::Stored,
        goldens: &planets([6.5672, 14.57547, 10.91119, 12.51505]),
        card_terms: &[],
    },
    KnownModel {
        name: "multilingual-v1",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-multilingual-v1",
        architecture: "BERT",
        million_parameters: 167.5,
        query_side: "table",
        ndcg_at_10: Some(0.500),
        flops: None,
        supported: true,
        activation: Activation::Relu,
        decoder: DecoderReading::Stored,
        goldens: &planets([4.70941, 12.14164, 9.9167, 10.65915]),
        card_terms: &[],
    },
];

/// The known model of this short name or hub id.
pub fn find(name: &str) -> Option<&'static KnownModel> {
    KNOWN_MODELS.iter().find(|model| model.name == name || model.hub_id == name)
}

/// The known model whose name on the hub is part of this file's, the longest such name.
pub(crate) fn contained_in(file: &str) -> Option<&'static KnownModel> {
    let name = |model: &KnownModel| model.hub_id.rsplit('/').next().unwrap_or_default();
    let matching = KNOWN_MODELS.iter().filter(|model| model.hub_id.contains('/') && file.contains(name(model)));
    matching.max_by_key(|model| name(model).len())
}

/// The hub id behind a short name.
pub(crate) fn hub_id(name: &str) -> Option<&'static str> {
    find(name).map(|model| model.hub_id)
}

/// Every short name.
pub(crate) fn short_names() -> impl Iterator<Item = &'static str> {
    KNOWN_MODELS.iter().map(|model| model.name)
}

/// The shared terms of the example on v2-distill's model card, complete; their products sum to 38.6112.
#[expect(clippy::approx_constant, reason = "a published weight that happens to be near one")]
const V2_DISTILL_CARD_TERMS: [(&str, f32, f32); 49] = [
    ("york", 2.7273, 2.9088),
    ("now", 2.5734, 0.9208),
    ("ny", 2.3895, 1.7237),
    ("weather", 2.2184, 1.2368),
    ("current", 1.8693, 1.4146),
    ("today", 1.5887, 0.7450),
    ("sunny", 1.4704, 0.9247),
    ("nyc", 1.4374, 1.9737),
    ("currently", 1.4347, 1.6019),
    ("climate", 1.1605, 0.9794),
    ("upstate", 1.0944, 0.7141),
    ("forecast", 1.0471, 0.5519),
    ("verve", 0.9268, 0.6692),
    ("huh", 0.9126, 0.4486),
    ("greene", 0.8960, 0.7706),
    ("picturesque", 0.8779, 0.7120),
    ("pleasantly", 0.8471, 0.4183),
    ("windy", 0.8079, 0.2140),
    ("favorable", 0.7537, 0.4925),
    ("rain", 0.7519, 2.1456),
    ("skies", 0.7277, 0.3818),
    ("lena", 0.6995, 0.8593),
    ("sunshine", 0.6895, 0.2410),
    ("johnny", 0.6621, 0.3016),
    ("skyline", 0.6604, 0.1933),
    ("sasha", 0.6117, 0.2197),
    ("vibe", 0.5962, 0.0414),
    ("hardly", 0.5381, 0.7560),
    ("prevailing", 0.4582, 0.4243),
    ("unpredictable", 0.4539, 0.5073),
    ("presently", 0.4350, 0.8463),
    ("hail", 0.3674, 0.2496),
    ("shivered", 0.3324, 0.5506),
    ("wind", 0.3281, 0.1964),
    ("rudy", 0.3052, 0.5785),
    ("looming", 0.2797, 0.0357),
    ("atmospheric", 0.2712, 0.0870),
    ("vicky", 0.2471, 0.3490),
    ("sandy", 0.2247, 0.2383),
    ("crowded", 0.2154, 0.5737),
    ("chilly", 0.1723, 0.1857),
    ("blizzard", 0.1700, 0.4110),
    ("##cken", 0.1183, 0.0613),
    ("unrest", 0.0923, 0.6363),
    ("russ", 0.0624, 0.2127),
    ("blackout", 0.0558, 0.5542),
    ("kahn", 0.0549, 0.1589),
    ("2020", 0.0160, 0.0566),
    ("nighttime", 0.0125, 0.3753),
];
