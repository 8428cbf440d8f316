//! The query side of the English inference-free models of opensearch-project, compiled in.
//!
//! They all have the same table of token weights and the same vocabulary, which is that of the built-in model. NOTICE
//! states its origin; `tests/fixtures/make_opensearch_query.py` made the file.

/// The folder of the table in the models' repositories.
pub(crate) const TABLE_FOLDER: &str = "query_0_SparseStaticEmbedding";

/// Its files, as a model folder holds them.
pub(crate) const FILES: &[(&str, &[u8])] = &[
    ("query_0_SparseStaticEmbedding/model.safetensors", include_bytes!("model.safetensors")),
    ("tokenizer.json", include_bytes!("../tiny/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../tiny/tokenizer_config.json")),
];

#[cfg(test)]
mod tests {
    use super::TABLE_FOLDER;
    use crate::files::{sha256, ModelFiles};

    /// The hash that the file has in the repositories of the models.
    #[test]
    fn the_table_is_the_published_one() {
        let files = ModelFiles::built_in_queries("doc-v3-distill").expect("built in");
        let table = files.within(TABLE_FOLDER).read("model.safetensors").expect("readable").expect("there");
        let published = "711ec64837a7962d2ae106996079782b7ee87860089a0b2348bf7cb840f252d3";
        assert_eq!(sha256(&*table).expect("in memory"), published);
    }
}
