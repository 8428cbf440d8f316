//! The query side of the English inference-free models of opensearch-project, compiled in.
//!
//! They all have the same table of token weights and the same vocabulary, which is that of the built-in model. NOTICE
//! states its origin.

/// Its files, as a model folder holds them; a name in `.zst` is that of a compressed file.
pub(crate) const FILES: &[(&str, &[u8])] = &[
    ("idf.json.zst", include_bytes!("idf.json.zst")),
    ("tokenizer.json", include_bytes!("../tiny/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../tiny/tokenizer_config.json")),
];

#[cfg(test)]
mod tests {
    use crate::files::{sha256, ModelFiles};

    /// The hash that the file has in the repositories of the models.
    #[test]
    fn the_table_is_the_published_one() {
        let files = ModelFiles::built_in_queries("doc-v3-distill").expect("built in");
        let table = files.read("idf.json").expect("readable").expect("there");
        let published = "da23a1c0b9252776cc8c6d70fd14723e218f484d489cd9027ac6e4065d5b9edd";
        assert_eq!(sha256(&*table).expect("in memory"), published);
    }
}
