//! The layouts of sentence-transformers on the hub: what is downloaded of each, and when the cache has enough.

use std::fs;

use neural_sparse::hub::{self, HubError, Parts, Pulled};
use neural_sparse::ModelFiles;

use crate::hub::{Setting, ID};
use crate::hub_server::COMMIT;

/// Files of any content, but for those whose content decides what is needed.
fn files(names: &[&str]) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|name| (name.to_string(), text_of(name).into_bytes())).collect()
}

fn text_of(name: &str) -> String {
    match name {
        "router_config.json" => router(&[
            ("query_0_SparseStaticEmbedding", "SparseStaticEmbedding"),
            ("document_0_MLMTransformer", "MLMTransformer"),
            ("document_1_SpladePooling", "SpladePooling"),
        ]),
        "config.json" | "document_0_MLMTransformer/config.json" => r#"{"model_type": "distilbert"}"#.into(),
        "query_0_MLMTransformer/config.json" => r#"{"model_type": "bert"}"#.into(),
        _ => format!("content of {name} ").repeat(9),
    }
}

/// A Router's config; classes are written as sentence-transformers writes them.
fn router(modules: &[(&str, &str)]) -> String {
    let types: serde_json::Map<String, serde_json::Value> = modules
        .iter()
        .map(|(folder, class)| {
            let class = format!("sentence_transformers.sparse_encoder.models.{class}.{class}");
            (folder.to_string(), class.into())
        })
        .collect();
    serde_json::json!({ "types": types, "structure": {}, "parameters": {} }).to_string()
}

fn with(mut files: Vec<(String, Vec<u8>)>, name: &str, text: &str) -> Vec<(String, Vec<u8>)> {
    files.retain(|(file, _)| file != name);
    files.push((name.into(), text.into()));
    files
}

/// As sentence-transformers 5 saves a model without inference on the query side.
fn inference_free() -> Vec<(String, Vec<u8>)> {
    files(&[
        "README.md",
        "config_sentence_transformers.json",
        "document_0_MLMTransformer/config.json",
        "document_0_MLMTransformer/model.safetensors",
        "document_0_MLMTransformer/sentence_bert_config.json",
        "document_0_MLMTransformer/special_tokens_map.json",
        "document_0_MLMTransformer/tokenizer.json",
        "document_0_MLMTransformer/tokenizer_config.json",
        "document_0_MLMTransformer/vocab.txt",
        "document_1_SpladePooling/config.json",
        "modules.json",
        "query_0_SparseStaticEmbedding/config.json",
        "query_0_SparseStaticEmbedding/model.safetensors",
        "query_0_SparseStaticEmbedding/special_tokens_map.json",
        "query_0_SparseStaticEmbedding/tokenizer.json",
        "query_0_SparseStaticEmbedding/tokenizer_config.json",
        "query_0_SparseStaticEmbedding/vocab.txt",
        "router_config.json",
    ])
}

/// As the OpenSearch models are: the document side in the root.
fn table_beside_the_root() -> Vec<(String, Vec<u8>)> {
    let files = files(&[
        "config.json",
        "idf.json",
        "model.safetensors",
        "query_0_SparseStaticEmbedding/config.json",
        "query_0_SparseStaticEmbedding/model.safetensors",
        "query_0_SparseStaticEmbedding/tokenizer.json",
        "tokenizer.json",
    ]);
    let modules = [("query_0_SparseStaticEmbedding", "SparseStaticEmbedding"), ("", "MLMTransformer")];
    with(files, "router_config.json", &router(&modules))
}

impl Setting {
    fn pull(&self, parts: Parts) -> Result<Pulled, HubError> {
        hub::pull(ID, None, parts, &self.options())
    }

    fn cached(&self, parts: Parts) -> Result<ModelFiles, HubError> {
        Ok(hub::resolve(ID, None, parts, &self.offline())?.files)
    }

    /// The file that the cache is said to lack.
    fn lack(&self, parts: Parts) -> String {
        let snapshot = self.snapshot();
        match self.cached(parts) {
            Err(HubError::Incomplete { file, .. }) => {
                let file = file.strip_prefix(snapshot).expect("a file of the snapshot");
                file.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
            }
            other => panic!("{other:?}"),
        }
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.snapshot().join(file)).expect(file);
    }

    /// Whether the server was asked for a file of this name, be it only for its size.
    fn was_asked_for(&self, file: &str) -> bool {
        self.server.requests().iter().any(|request| request.path.ends_with(file))
    }
}

fn downloaded(pulled: &Pulled) -> Vec<&str> {
    pulled.downloaded.iter().map(|file| file.name.as_str()).collect()
}

#[test]
fn a_model_may_lie_in_folders_alone() {
    let setting = Setting::new(inference_free());
    let pulled = setting.pull(Parts::Whole).expect("a model");
    assert_eq!(
        downloaded(&pulled),
        [
            "document_0_MLMTransformer/config.json",
            "document_0_MLMTransformer/tokenizer.json",
            "document_0_MLMTransformer/tokenizer_config.json",
            "document_0_MLMTransformer/special_tokens_map.json",
            "document_0_MLMTransformer/sentence_bert_config.json",
            "modules.json",
            "config_sentence_transformers.json",
            "router_config.json",
            "document_1_SpladePooling/config.json",
            "query_0_SparseStaticEmbedding/config.json",
            "query_0_SparseStaticEmbedding/special_tokens_map.json",
            "query_0_SparseStaticEmbedding/tokenizer.json",
            "query_0_SparseStaticEmbedding/tokenizer_config.json",
            "query_0_SparseStaticEmbedding/model.safetensors",
            "document_0_MLMTransformer/model.safetensors",
        ]
    );
    setting.cached(Parts::Whole).expect("the cached model");
    setting.cached(Parts::QuerySide).expect("its query side");
    for file in [
        "document_0_MLMTransformer/model.safetensors",
        "document_0_MLMTransformer/tokenizer.json",
        "document_0_MLMTransformer/config.json",
    ] {
        setting.remove(file);
        assert_eq!(setting.lack(Parts::Whole), file);
    }
    setting.pull(Parts::Whole).expect("a model");
    setting.remove("query_0_SparseStaticEmbedding/model.safetensors");
    for parts in [Parts::Whole, Parts::QuerySide] {
        assert_eq!(setting.lack(parts), "query_0_SparseStaticEmbedding/model.safetensors");
    }
}

#[test]
fn a_folder_that_the_router_names_is_missed() {
    let setting = Setting::new(inference_free());
    setting.pull(Parts::Whole).expect("a model");
    for folder in ["document_0_MLMTransformer", "query_0_SparseStaticEmbedding"] {
        fs::remove_dir_all(setting.snapshot().join(folder)).expect(folder);
        assert!(setting.lack(Parts::Whole).starts_with(folder));
        setting.pull(Parts::Whole).expect("a model");
    }
    let setting = Setting::new(table_beside_the_root());
    setting.pull(Parts::Whole).expect("a model");
    setting.remove("model.safetensors");
    assert_eq!(setting.lack(Parts::Whole), "model.safetensors");
}

#[test]
fn the_first_routers_and_tables_had_other_names() {
    let names = |name: &str| name.replace("SparseStaticEmbedding", "IDF");
    let files = inference_free().into_iter().filter(|(name, _)| name != "router_config.json");
    let files = files.map(|(name, bytes)| (names(&name), bytes)).collect();
    let modules = [("query_0_IDF", "IDF"), ("document_0_MLMTransformer", "MLMTransformer")];
    let setting = Setting::new(with(files, "config.json", &router(&modules)));
    let pulled = setting.pull(Parts::QuerySide).expect("a model");
    assert!(downloaded(&pulled).contains(&"query_0_IDF/model.safetensors"));
    assert!(!downloaded(&pulled).contains(&"document_0_MLMTransformer/model.safetensors"));
    setting.cached(Parts::QuerySide).expect("the query side");
    assert_eq!(setting.lack(Parts::Whole), "document_0_MLMTransformer/model.safetensors");
    setting.pull(Parts::Whole).expect("a model");
    setting.cached(Parts::Whole).expect("the cached model");
}

#[test]
fn a_transformer_in_the_root_and_one_in_a_folder_are_both_needed() {
    for folder in ["query_0_MLMTransformer", "document_0_Transformer"] {
        let own =
            ["config.json", "model.safetensors", "tokenizer.json"].map(|file| format!("{folder}/{file}"));
        let mut names = vec!["config.json", "pytorch_model.bin", "tokenizer.json"];
        names.extend(own.iter().map(String::as_str));
        let modules = [(folder, "MLMTransformer"), ("", "MLMTransformer")];
        let setting = Setting::new(with(files(&names), "router_config.json", &router(&modules)));
        // Queries need a transformer: there is no half of it.
        let pulled = setting.pull(Parts::QuerySide).expect("a model");
        assert_eq!(pulled.downloaded.len(), 7, "{:?}", pulled.downloaded);
        setting.cached(Parts::Whole).expect("the cached model");
        for file in ["pytorch_model.bin", own[1].as_str()] {
            setting.remove(file);
            for parts in [Parts::Whole, Parts::QuerySide] {
                assert_eq!(setting.lack(parts), file.replace("pytorch_model.bin", "model.safetensors"));
            }
            setting.pull(Parts::Whole).expect("a model");
        }
    }
}

#[test]
fn a_sharded_checkpoint_may_lie_in_a_folder() {
    let folder = "document_0_MLMTransformer";
    let files =
        inference_free().into_iter().filter(|(name, _)| name != &format!("{folder}/model.safetensors"));
    let files = with(files.collect(), &format!("{folder}/a.safetensors"), "a shard");
    let index = format!("{folder}/model.safetensors.index.json");
    let setting = Setting::new(with(files, &index, r#"{"weight_map": {"x": "a.safetensors"}}"#));
    let pulled = setting.pull(Parts::Whole).expect("a model");
    assert!(downloaded(&pulled).ends_with(&[&index, "document_0_MLMTransformer/a.safetensors"]));
    setting.remove("document_0_MLMTransformer/a.safetensors");
    assert_eq!(setting.lack(Parts::Whole), "document_0_MLMTransformer/a.safetensors");
    setting.cached(Parts::QuerySide).expect("the query side");
}

#[test]
fn only_folders_of_modules_are_looked_into() {
    let setting = Setting::new(files(&[
        "0_MLMTransformer/onnx/model.safetensors",
        "config.json",
        "model.safetensors",
        "onnx/config.json",
        "openvino/model.safetensors",
        "passage_0_MLMTransformer/config.json",
        "query_0_SpladePooling/config.json",
        "query_SpladePooling/config.json",
        "query_x_SpladePooling/config.json",
        "tokenizer.json",
        "x1_SpladePooling/config.json",
        "1_Splade-Pooling/config.json",
        "query_0_SparseStaticEmbedding/../config.json",
    ]));
    let pulled = setting.pull(Parts::Whole).expect("a model");
    assert_eq!(
        downloaded(&pulled),
        ["config.json", "tokenizer.json", "query_0_SpladePooling/config.json", "model.safetensors"]
    );
    setting.cached(Parts::Whole).expect("the cached model");
}

#[test]
fn any_json_in_its_folder_may_be_the_table() {
    let files =
        inference_free().into_iter().filter(|(name, _)| !name.ends_with("Embedding/model.safetensors"));
    let files = with(files.collect(), "query_0_SparseStaticEmbedding/weights.json", "{}");
    let setting = Setting::new(files);
    let pulled = setting.pull(Parts::QuerySide).expect("a model");
    assert!(downloaded(&pulled).contains(&"query_0_SparseStaticEmbedding/weights.json"));
    setting.cached(Parts::QuerySide).expect("the query side");
    setting.remove("query_0_SparseStaticEmbedding/weights.json");
    assert!(setting.cached(Parts::QuerySide).is_err());
}

#[test]
fn queries_alone_need_no_checkpoint() {
    let own = files(&["config.json", "model.safetensors", "query_token_weights.txt", "vocab.txt"]);
    for (files, checkpoint) in [
        (inference_free(), "document_0_MLMTransformer/model.safetensors"),
        (table_beside_the_root(), "model.safetensors"),
        (own, "model.safetensors"),
    ] {
        let setting = Setting::new(files);
        let model = hub::resolve(ID, None, Parts::QuerySide, &setting.options()).expect("the query side");
        assert_eq!(model.files.path(), Some(setting.snapshot().as_path()));
        let checkpoint_path = format!("/{COMMIT}/{checkpoint}");
        assert!(!setting.was_asked_for(&checkpoint_path), "{checkpoint}");

        setting.cached(Parts::QuerySide).expect("the cached query side");
        hub::resolve(ID, None, Parts::QuerySide, &setting.options()).expect("the cached query side");
        assert!(setting.server.requests().is_empty());
        assert_eq!(setting.lack(Parts::Whole), checkpoint);
        let error = setting.cached(Parts::Whole).expect_err("no checkpoint");
        assert!(matches!(error, HubError::Incomplete { has_query_side: true, .. }), "{error}");

        // The rest comes when it is needed, and nothing twice.
        let pulled = setting.pull(Parts::Whole).expect("a model");
        assert_eq!(downloaded(&pulled), [checkpoint]);
        setting.cached(Parts::Whole).expect("the cached model");
    }
}

#[test]
fn where_queries_need_the_transformer_its_checkpoint_comes_with_them() {
    let only_picks = with(
        files(&[
            "config.json",
            "model.safetensors",
            "query_2_SparseStaticEmbedding/model.safetensors",
            "vocab.txt",
        ]),
        "router_config.json",
        &router(&[("query_2_SparseStaticEmbedding", "SparseStaticEmbedding"), ("", "MLMTransformer")]),
    );
    for files in [files(&["config.json", "model.safetensors", "vocab.txt"]), only_picks] {
        let setting = Setting::new(files);
        let pulled = setting.pull(Parts::QuerySide).expect("a model");
        assert_eq!(downloaded(&pulled).last(), Some(&"model.safetensors"));
        setting.cached(Parts::Whole).expect("the cached model");
    }
}

#[test]
fn a_whole_model_stays_whole_when_its_query_side_is_pulled() {
    let setting = Setting::new(table_beside_the_root());
    setting.pull(Parts::Whole).expect("a model");
    let files = with(table_beside_the_root(), "idf.json", "a new table");
    setting.server.publish(&"f".repeat(40), files.clone());
    let pulled = setting.pull(Parts::QuerySide).expect("the query side");
    assert_eq!(downloaded(&pulled), ["idf.json"]);
    assert!(pulled.present.iter().any(|file| file.name == "model.safetensors"));
    setting.cached(Parts::Whole).expect("the cached model");

    // A new checkpoint was not asked for.
    setting.server.publish(&"e".repeat(40), with(files, "model.safetensors", "new parameters"));
    let pulled = setting.pull(Parts::QuerySide).expect("the query side");
    assert!(pulled.downloaded.is_empty(), "{:?}", pulled.downloaded);
    setting.cached(Parts::QuerySide).expect("the query side");
    assert!(setting.cached(Parts::Whole).is_err());
}

#[test]
fn an_architecture_that_cannot_be_run_is_refused_before_anything_large() {
    let t5 = r#"{"model_type": "t5"}"#;
    let whole = ["config.json", "model.safetensors", "tokenizer.json"];
    for (files, config) in [
        (with(files(&whole), "config.json", t5), "config.json"),
        // For that, and not for what else it lacks.
        (with(files(&["tf_model.h5"]), "config.json", t5), "config.json"),
        (
            with(inference_free(), "document_0_MLMTransformer/config.json", t5),
            "document_0_MLMTransformer/config.json",
        ),
    ] {
        for parts in [Parts::Whole, Parts::QuerySide] {
            let setting = Setting::new(files.clone());
            let error = setting.pull(parts).expect_err("another architecture");
            assert!(matches!(error, HubError::Model(_)), "{error}");
            assert_eq!(error.to_string(), format!("`{ID}/{config}`: model_type `t5` is not supported"));
            let requests = setting.server.requests();
            let asked = |part: &str| requests.iter().any(|request| request.path.contains(part));
            assert!(
                asked("config.json") && !asked("model.safetensors") && !asked("tokenizer"),
                "{requests:?}"
            );
            assert!(setting.cached(parts).is_err());
        }
    }
}
