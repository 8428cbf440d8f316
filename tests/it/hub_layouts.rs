//! The layouts of sentence-transformers on the hub: what is downloaded of each, and when the cache has enough.

use std::fs;

use neural_sparse::hub::{self, HubError, Parts, Pulled};
use neural_sparse::ModelFiles;

use crate::hub::{Setting, ID};
use crate::hub_contents::{bert, files, model_files, router, with};
use crate::hub_server::COMMIT;

const TABLE: (&str, &str) = ("query_0_SparseStaticEmbedding", "SparseStaticEmbedding");
const ROOT: (&str, &str) = ("", "MLMTransformer");
const POOLING: (&str, &str) = ("document_1_SpladePooling", "SpladePooling");

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
        "document_1_SpladePooling/config.json",
        "idf.json",
        "model.safetensors",
        "query_0_SparseStaticEmbedding/config.json",
        "query_0_SparseStaticEmbedding/model.safetensors",
        "query_0_SparseStaticEmbedding/tokenizer.json",
        "tokenizer.json",
    ]);
    with(files, "router_config.json", &router(&[TABLE], &[ROOT, POOLING]))
}

/// A table and nothing else beside the model.
fn table_in_text() -> Vec<(String, Vec<u8>)> {
    files(&["config.json", "model.safetensors", "query_token_weights.txt", "vocab.txt"])
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
            "modules.json",
            "router_config.json",
            "query_0_SparseStaticEmbedding/config.json",
            "document_0_MLMTransformer/sentence_bert_config.json",
            "document_1_SpladePooling/config.json",
            "config_sentence_transformers.json",
            "document_0_MLMTransformer/config.json",
            "document_0_MLMTransformer/tokenizer_config.json",
            "document_0_MLMTransformer/tokenizer.json",
            "document_0_MLMTransformer/special_tokens_map.json",
            "query_0_SparseStaticEmbedding/tokenizer_config.json",
            "query_0_SparseStaticEmbedding/tokenizer.json",
            "query_0_SparseStaticEmbedding/special_tokens_map.json",
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
    let modules =
        router(&[("query_0_IDF", "IDF")], &[("document_0_MLMTransformer", "MLMTransformer"), POOLING]);
    let setting = Setting::new(with(files, "config.json", &modules));
    let pulled = setting.pull(Parts::QuerySide).expect("a model");
    assert!(downloaded(&pulled).contains(&"query_0_IDF/model.safetensors"));
    assert!(!downloaded(&pulled).contains(&"document_0_MLMTransformer/model.safetensors"));
    setting.cached(Parts::QuerySide).expect("the query side");
    assert_eq!(setting.lack(Parts::Whole), "document_0_MLMTransformer/model.safetensors");
    setting.pull(Parts::Whole).expect("a model");
    setting.cached(Parts::Whole).expect("the cached model");
}

/// A file that a module names, and that is not there.
#[test]
fn a_file_that_the_settings_name_is_missed() {
    let table = with(
        inference_free(),
        "query_0_SparseStaticEmbedding/config.json",
        r#"{"path": "/home/author/idf.json"}"#,
    );
    let mut config = bert();
    config["transformers_weights"] = "own.safetensors".into();
    let named = with(model_files(), "config.json", &config.to_string());
    let adapter = with(model_files(), "adapter_config.json", r#"{"peft_type": "LORA", "r": 1}"#);
    let router = inference_free().into_iter().filter(|(name, _)| name != "router_config.json");
    for (files, file) in [
        (table, "query_0_SparseStaticEmbedding/idf.json"),
        (named, "own.safetensors"),
        (adapter, "adapter_model.safetensors"),
        (router.collect(), "router_config.json"),
    ] {
        let setting = Setting::new(files);
        let error = setting.pull(Parts::Whole).expect_err(file);
        assert!(matches!(&error, HubError::NoCheckpoint { missing, .. } if missing == &[file]), "{error}");
    }
}

#[test]
fn a_transformer_in_the_root_and_one_in_a_folder_are_both_needed() {
    let is_query = |folder: &str| folder.starts_with("query");
    for folder in ["query_0_MLMTransformer", "document_0_MLMTransformer"] {
        let own =
            ["config.json", "model.safetensors", "tokenizer.json"].map(|file| format!("{folder}/{file}"));
        let mut names = vec!["config.json", "pytorch_model.bin", "tokenizer.json"];
        names.extend(own.iter().map(String::as_str));
        let (one, other) = ([(folder, "MLMTransformer"), POOLING], [ROOT, POOLING]);
        let modules = if is_query(folder) { router(&one, &other) } else { router(&other, &one) };
        let setting = Setting::new(with(files(&names), "router_config.json", &modules));
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
    assert!(downloaded(&pulled).contains(&index.as_str()));
    assert_eq!(downloaded(&pulled).last(), Some(&"document_0_MLMTransformer/a.safetensors"));
    setting.remove("document_0_MLMTransformer/a.safetensors");
    assert_eq!(setting.lack(Parts::Whole), "document_0_MLMTransformer/a.safetensors");
    setting.cached(Parts::QuerySide).expect("the query side");
}

/// What a folder is called says nothing: only those that the files name, and the usual folder of a plain model's
/// pooling.
#[test]
fn only_folders_of_modules_are_looked_into() {
    let names = [
        "0_MLMTransformer/onnx/model.safetensors",
        "config.json",
        "model.safetensors",
        "onnx/config.json",
        "openvino/model.safetensors",
        "passage_0_MLMTransformer/config.json",
        "pooled/config.json",
        "query_0_SpladePooling/config.json",
        "query_SpladePooling/config.json",
        "1_SpladePooling/config.json",
        "x1_SpladePooling/config.json",
        "1_Splade-Pooling/config.json",
        "query_0_SparseStaticEmbedding/model.safetensors.index.json",
        "query_0_SparseStaticEmbedding/../config.json",
        "tokenizer.json",
    ];
    let setting = Setting::new(files(&names));
    let pulled = setting.pull(Parts::Whole).expect("a model");
    assert_eq!(
        downloaded(&pulled),
        ["config.json", "1_SpladePooling/config.json", "tokenizer.json", "model.safetensors"]
    );
    setting.cached(Parts::Whole).expect("the cached model");

    let modules = serde_json::json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.sparse_encoder.models.MLMTransformer"},
        {"idx": 1, "name": "1", "path": "pooled", "type": "sentence_transformers.sparse_encoder.models.SpladePooling"},
    ]);
    let config = r#"{"pooling_strategy": "sum"}"#;
    let files = with(with(files(&names), "modules.json", &modules.to_string()), "pooled/config.json", config);
    let setting = Setting::new(files);
    let pulled = setting.pull(Parts::Whole).expect("a model");
    assert_eq!(
        downloaded(&pulled),
        ["config.json", "modules.json", "pooled/config.json", "tokenizer.json", "model.safetensors"]
    );
    setting.cached(Parts::Whole).expect("the cached model");
}

#[test]
fn the_table_may_be_the_json_that_its_config_names() {
    let folder = "query_0_SparseStaticEmbedding";
    let files =
        inference_free().into_iter().filter(|(name, _)| !name.ends_with("Embedding/model.safetensors"));
    let files = with(files.collect(), &format!("{folder}/weights.json"), "{}");
    let files = with(files, &format!("{folder}/other.json"), "{ }");
    let config = r#"{"frozen": true, "path": "/home/author/weights.json"}"#;
    let setting = Setting::new(with(files, &format!("{folder}/config.json"), config));
    let pulled = setting.pull(Parts::QuerySide).expect("a model");
    assert!(downloaded(&pulled).contains(&"query_0_SparseStaticEmbedding/weights.json"));
    assert!(!setting.was_asked_for("other.json"));
    setting.cached(Parts::QuerySide).expect("the query side");
    setting.remove("query_0_SparseStaticEmbedding/weights.json");
    assert_eq!(setting.lack(Parts::QuerySide), "query_0_SparseStaticEmbedding/weights.json");
}

#[test]
fn queries_alone_need_no_checkpoint() {
    for (files, checkpoint) in [
        (inference_free(), "document_0_MLMTransformer/model.safetensors"),
        (table_beside_the_root(), "model.safetensors"),
        (table_in_text(), "model.safetensors"),
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
        &router(
            &[ROOT, POOLING, ("query_2_SparseStaticEmbedding", "SparseStaticEmbedding")],
            &[ROOT, POOLING],
        ),
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
    let table = "query_0_SparseStaticEmbedding/model.safetensors";
    let files = with(table_beside_the_root(), table, "a new table");
    setting.server.publish(&"f".repeat(40), files.clone());
    let pulled = setting.pull(Parts::QuerySide).expect("the query side");
    assert_eq!(downloaded(&pulled), [table]);
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
        (with(table_in_text(), "config.json", t5), "config.json"),
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
