//! The list itself.

use super::{card_terms, Golden, KnownModel, QuerySide, Vocabulary, CARD_DOCUMENT, CARD_QUERY};
use crate::conventions::PoolingActivation;
use crate::conventions::UntiedDecoder;

const CARD_SOURCE: &str = "model card";
const TESTS_SOURCE: &str = "sentence-transformers tests";
const TINY_SOURCE: &str = "PyTorch on the f16-rounded tensors";

const PLANET_QUERY: &str = "Which planet is known as the Red Planet?";
const PLANET_DOCUMENTS: [&str; 4] = [
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
];

const fn card(score: f32, source: &'static str) -> Golden {
    Golden {
        query: CARD_QUERY,
        document: CARD_DOCUMENT,
        score,
        tolerance: 1e-3,
        source,
        kept_special_tokens: false,
    }
}

/// The score of the cards' example in the slow tests of sentence-transformers.
const fn tested_card(score: f32) -> Golden {
    Golden { kept_special_tokens: true, ..card(score, TESTS_SOURCE) }
}

/// A score against the planet document of this number, counted from 0.
const fn planet(document: usize, score: f32) -> Golden {
    Golden {
        query: PLANET_QUERY,
        document: PLANET_DOCUMENTS[document],
        score,
        tolerance: 1e-2,
        source: TESTS_SOURCE,
        kept_special_tokens: true,
    }
}

/// The four planet scores of the slow tests of sentence-transformers.
const fn planets(scores: [f32; 4]) -> [Golden; 4] {
    [planet(0, scores[0]), planet(1, scores[1]), planet(2, scores[2]), planet(3, scores[3])]
}

const fn with_card(card: Golden, planets: [Golden; 4]) -> [Golden; 5] {
    [card, planets[0], planets[1], planets[2], planets[3]]
}

/// A planet score of the built-in model, whose tensors are rounded to f16.
const fn tiny_planet(document: usize, score: f32) -> Golden {
    Golden {
        score,
        tolerance: 1e-3,
        source: TINY_SOURCE,
        kept_special_tokens: false,
        ..planet(document, score)
    }
}

/// What an entry has unless it says otherwise.
const PLAIN: KnownModel = KnownModel {
    name: "",
    hub_id: "",
    architecture: "",
    million_parameters: 0.0,
    query_side: QuerySide::Model,
    ndcg_at_10: None,
    mrr_at_10: None,
    flops: None,
    vocabulary: Vocabulary::BertUncased,
    licence: "Apache-2.0",
    gated: false,
    unconfirmed: false,
    activation: PoolingActivation::Relu,
    decoder: UntiedDecoder::UseStored,
    goldens: &[],
    card_terms: &[],
};

/// A model without a short name.
const fn hosted(id: &'static str, licence: &'static str) -> KnownModel {
    KnownModel { name: id, hub_id: id, licence, ..PLAIN }
}

const fn naver(id: &'static str) -> KnownModel {
    hosted(id, "CC-BY-NC-SA-4.0")
}

/// Every known model, in the order in which `model list` prints them.
pub static KNOWN_MODELS: [KnownModel; 28] = [
    KnownModel {
        name: "tiny",
        hub_id: "built in",
        architecture: "BERT",
        million_parameters: 4.4,
        // Published for rasyosef/splade-tiny, whose tensors these are before they are rounded.
        ndcg_at_10: Some(0.406),
        mrr_at_10: Some(0.309),
        licence: "MIT",
        goldens: &[
            card(17.6849, TINY_SOURCE),
            tiny_planet(0, 4.99108),
            tiny_planet(1, 18.6242),
            tiny_planet(2, 12.62068),
            tiny_planet(3, 13.89753),
        ],
        ..PLAIN
    },
    KnownModel {
        name: "v1",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-v1",
        architecture: "BERT",
        million_parameters: 109.5,
        ndcg_at_10: Some(0.524),
        flops: Some(11.4),
        decoder: UntiedDecoder::UseEmbeddings,
        goldens: &with_card(card(22.3299, CARD_SOURCE), planets([7.81391, 20.89011, 17.19859, 18.00109])),
        ..PLAIN
    },
    KnownModel {
        name: "v2-distill",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-v2-distill",
        architecture: "DistilBERT",
        million_parameters: 67.0,
        ndcg_at_10: Some(0.528),
        flops: Some(8.3),
        goldens: &with_card(card(38.6112, CARD_SOURCE), planets([11.66555, 39.72486, 31.46797, 29.06855])),
        card_terms: &card_terms::V2_DISTILL,
        ..PLAIN
    },
    KnownModel {
        name: "doc-v1",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v1",
        architecture: "BERT",
        million_parameters: 109.5,
        query_side: QuerySide::Table,
        ndcg_at_10: Some(0.490),
        flops: Some(2.3),
        decoder: UntiedDecoder::UseEmbeddings,
        goldens: &with_card(card(12.8465, CARD_SOURCE), planets([5.60338, 15.5549, 11.63231, 14.3729])),
        ..PLAIN
    },
    KnownModel {
        name: "doc-v2-distill",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-distill",
        architecture: "DistilBERT",
        million_parameters: 67.0,
        query_side: QuerySide::Table,
        ndcg_at_10: Some(0.504),
        flops: Some(1.8),
        goldens: &with_card(tested_card(17.5307), planets([8.87648, 21.10651, 16.59742, 18.52468])),
        ..PLAIN
    },
    KnownModel {
        name: "doc-v2-mini",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-mini",
        architecture: "BERT",
        million_parameters: 22.7,
        query_side: QuerySide::Table,
        ndcg_at_10: Some(0.497),
        flops: Some(1.7),
        goldens: &with_card(card(13.8344, CARD_SOURCE), planets([5.63165, 14.10177, 12.41127, 13.27736])),
        ..PLAIN
    },
    KnownModel {
        name: "doc-v3-distill",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill",
        architecture: "DistilBERT",
        million_parameters: 67.0,
        query_side: QuerySide::Table,
        ndcg_at_10: Some(0.517),
        flops: Some(1.8),
        activation: PoolingActivation::Log1pRelu,
        goldens: &with_card(tested_card(11.1105), planets([5.40216, 11.59338, 9.66898, 10.57229])),
        ..PLAIN
    },
    KnownModel {
        name: "doc-v3-gte",
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-gte",
        architecture: "GTE (new)",
        million_parameters: 137.4,
        query_side: QuerySide::Table,
        ndcg_at_10: Some(0.546),
        flops: Some(1.7),
        activation: PoolingActivation::Log1pRelu,
        unconfirmed: true,
        goldens: &planets([6.5672, 14.57547, 10.91119, 12.51505]),
        ..PLAIN
    },
    KnownModel {
        name: "multilingual-v1",
        vocabulary: Vocabulary::Other(105_879),
        hub_id: "opensearch-project/opensearch-neural-sparse-encoding-multilingual-v1",
        architecture: "BERT",
        million_parameters: 167.5,
        query_side: QuerySide::Table,
        ndcg_at_10: Some(0.500),
        goldens: &planets([4.70941, 12.14164, 9.9167, 10.65915]),
        ..PLAIN
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 109.5,
        ndcg_at_10: Some(0.505),
        mrr_at_10: Some(0.383),
        goldens: &planets([8.3984, 22.53437, 17.49611, 17.43306]),
        ..naver("naver/splade-cocondenser-ensembledistil")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 109.5,
        ndcg_at_10: Some(0.507),
        mrr_at_10: Some(0.376),
        goldens: &planets([7.46435, 19.78329, 17.04635, 18.57447]),
        ..naver("naver/splade-cocondenser-selfdistil")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 109.5,
        ndcg_at_10: Some(0.517),
        mrr_at_10: Some(0.402),
        gated: true,
        goldens: &planets([12.14491, 26.104, 22.00245, 23.3877]),
        ..naver("naver/splade-v3")
    },
    KnownModel {
        architecture: "DistilBERT",
        million_parameters: 67.0,
        ndcg_at_10: Some(0.500),
        mrr_at_10: Some(0.387),
        goldens: &planets([14.09051, 26.74469, 20.17685, 21.46064]),
        ..naver("naver/splade-v3-distilbert")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 109.5,
        query_side: QuerySide::BagOfWords,
        ndcg_at_10: Some(0.470),
        mrr_at_10: Some(0.378),
        gated: true,
        goldens: &planets([2.59649, 5.20825, 3.98631, 4.80111]),
        ..naver("naver/splade-v3-doc")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 109.5,
        query_side: QuerySide::OwnWords,
        ndcg_at_10: Some(0.491),
        mrr_at_10: Some(0.400),
        goldens: &planets([2.72184, 5.90968, 5.28795, 5.69247]),
        ..naver("naver/splade-v3-lexical")
    },
    KnownModel {
        architecture: "DistilBERT, DistilBERT",
        million_parameters: 134.0,
        query_side: QuerySide::AnotherModel,
        mrr_at_10: Some(0.388),
        goldens: &planets([4.91852, 13.95462, 11.87605, 12.65839]),
        ..naver("naver/efficient-splade-V-large-doc")
    },
    KnownModel {
        architecture: "DistilBERT, DistilBERT",
        million_parameters: 134.0,
        query_side: QuerySide::AnotherModel,
        mrr_at_10: Some(0.388),
        goldens: &planets([4.91852, 13.95462, 11.87605, 12.65839]),
        ..naver("naver/efficient-splade-V-large-query")
    },
    KnownModel {
        architecture: "DistilBERT, BERT",
        million_parameters: 71.4,
        query_side: QuerySide::AnotherModel,
        mrr_at_10: Some(0.380),
        goldens: &planets([4.89399, 13.49699, 11.25572, 12.38231]),
        ..naver("naver/efficient-splade-VI-BT-large-doc")
    },
    KnownModel {
        architecture: "DistilBERT, BERT",
        million_parameters: 71.4,
        query_side: QuerySide::AnotherModel,
        mrr_at_10: Some(0.380),
        ..naver("naver/efficient-splade-VI-BT-large-query")
    },
    KnownModel {
        architecture: "DistilBERT",
        million_parameters: 67.0,
        ndcg_at_10: Some(0.464),
        mrr_at_10: Some(0.340),
        goldens: &planets([9.8665, 21.85902, 15.46679, 19.21293]),
        ..naver("naver/splade_v2_max")
    },
    KnownModel {
        architecture: "DistilBERT",
        million_parameters: 67.0,
        ndcg_at_10: Some(0.506),
        mrr_at_10: Some(0.368),
        goldens: &planets([10.31571, 27.80097, 21.33898, 24.31745]),
        ..naver("naver/splade_v2_distil")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 109.5,
        ndcg_at_10: Some(0.487),
        mrr_at_10: Some(0.372),
        goldens: &planets([7.53973, 21.1464, 15.389, 16.90205]),
        ..hosted("prithivida/Splade_PP_en_v1", "Apache-2.0")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 109.5,
        ndcg_at_10: Some(0.494),
        mrr_at_10: Some(0.378),
        goldens: &planets([6.62724, 19.52456, 16.87119, 16.45899]),
        ..hosted("prithivida/Splade_PP_en_v2", "Apache-2.0")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 11.2,
        ndcg_at_10: Some(0.445),
        mrr_at_10: Some(0.341),
        goldens: &planets([5.89081, 17.4685, 13.97732, 16.45229]),
        ..hosted("rasyosef/splade-mini", "MIT")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 28.8,
        mrr_at_10: Some(0.354),
        ..hosted("rasyosef/splade-small", "MIT")
    },
    KnownModel {
        architecture: "RoBERTa",
        vocabulary: Vocabulary::Other(50_265),
        million_parameters: 30.3,
        ndcg_at_10: Some(0.508),
        goldens: &planets([6.04771, 16.77029, 10.85245, 10.59154]),
        ..hosted("ibm-granite/granite-embedding-30m-sparse", "Apache-2.0")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 4.4,
        goldens: &planets([137.20848, 152.30518, 151.26659, 152.64423]),
        ..hosted("sparse-encoder-testing/splade-bert-tiny-nq", "Apache-2.0")
    },
    KnownModel {
        architecture: "BERT",
        million_parameters: 4.4,
        query_side: QuerySide::Table,
        ..hosted("sparse-encoder-testing/inference-free-splade-bert-tiny-nq", "Apache-2.0")
    },
];
