//! The files that are compiled in: a model, and the query side of the English inference-free models.
//!
//! NOTICE states where they come from.

/// The built-in model, rasyosef/splade-tiny with its tensors rounded to f16. `tests/fixtures/convert_tiny.py` made the
/// file.
pub(super) const TINY: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("tiny/config.json")),
    ("model.safetensors", include_bytes!("tiny/model.safetensors")),
    ("tokenizer.json", include_bytes!("tiny/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("tiny/tokenizer_config.json")),
];

/// The query side of the English inference-free models of opensearch-project. They share one table of token weights and
/// one vocabulary, which is that of the built-in model. `tests/fixtures/make_opensearch_query.py` made the file.
pub(super) const OPENSEARCH_QUERY: &[(&str, &[u8])] = &[
    ("query_0_SparseStaticEmbedding/model.safetensors", include_bytes!("opensearch-query/model.safetensors")),
    ("tokenizer.json", include_bytes!("tiny/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("tiny/tokenizer_config.json")),
];
