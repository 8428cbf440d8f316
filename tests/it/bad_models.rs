//! Folders that are no model, or a damaged one: an error that says what, where, and what to do.

use std::fs;
use std::path::Path;

use neural_sparse::{EncoderOptions, Error, ModelFiles, SparseEncoder};

use crate::program::{copied, folder};

fn load_error(path: &Path) -> Error {
    SparseEncoder::load(&ModelFiles::folder("m", path), &EncoderOptions::default()).err().expect("an error")
}

/// Changes one key of a JSON file.
pub fn set(path: &Path, key: &str, value: serde_json::Value) {
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    json[key] = value;
    fs::write(path, json.to_string()).unwrap();
}

#[track_caller]
fn assert_config_error(key: &str, value: serde_json::Value, says: &str) {
    let model = copied("bert-tied");
    set(&model.path().join("config.json"), key, value);
    let error = load_error(model.path()).to_string();
    assert!(error.contains(says) && error.contains("config.json"), "{error}");
}

#[test]
fn an_empty_folder_and_none() {
    let empty = folder();
    for path in [empty.path(), Path::new("/nonexistent/model")] {
        let error = load_error(path);
        assert!(matches!(error, Error::NoModel { .. }), "{error}");
        assert!(error.hint().unwrap().contains("tiny"));
    }
}

#[test]
fn a_folder_without_weights_or_tokenizer_says_which() {
    let model = copied("bert-tied");
    fs::remove_file(model.path().join("model.safetensors")).unwrap();
    assert!(load_error(model.path()).to_string().contains("`model.safetensors`"));
    let model = copied("bert-tied");
    fs::remove_file(model.path().join("tokenizer.json")).unwrap();
    let error = load_error(model.path());
    assert!(
        matches!(error, Error::NoModel { .. }) && error.to_string().contains("`tokenizer.json`"),
        "{error}"
    );
}

#[test]
fn another_architecture_is_refused_by_its_model_type() {
    let model = copied("bert-tied");
    set(&model.path().join("config.json"), "model_type", "t5".into());
    let error = load_error(model.path());
    assert!(error.to_string().ends_with("model_type `t5` is not supported"), "{error}");
    assert_eq!(error.hint().unwrap(), "supported: `bert`, `distilbert`, `roberta`, `modernbert`, `new`");
}

#[test]
fn sizes_that_make_no_sense() {
    assert_config_error("num_attention_heads", 5.into(), "not a multiple of the 5 attention heads");
    assert_config_error("num_hidden_layers", 0.into(), "`num_hidden_layers` is 0, not a size");
    assert_config_error("hidden_size", "32".into(), "`hidden_size` is \"32\", not a size");
    assert_config_error("vocab_size", u64::MAX.into(), "not a size");
    assert_config_error("layer_norm_eps", "x".into(), "`layer_norm_eps`");
    assert_config_error("hidden_act", "mish".into(), "`hidden_act` is \"mish\"");
    assert_config_error("position_embedding_type", "relative_key".into(), "position_embedding_type");
    assert_config_error("is_decoder", true.into(), "is_decoder");
}

#[test]
fn shapes_that_do_not_agree_name_the_tensor() {
    for (key, value, tensor) in [
        ("vocab_size", 600, "bert.embeddings.word_embeddings.weight"),
        ("intermediate_size", 128, "bert.encoder.layer.0.intermediate.dense.weight"),
        ("num_hidden_layers", 3, "bert.encoder.layer.2.attention.self.query.weight"),
    ] {
        let model = copied("bert-tied");
        set(&model.path().join("config.json"), key, value.into());
        match load_error(model.path()) {
            Error::Tensor { tensor: named, .. } => assert_eq!(named, tensor),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_tokenizer_with_more_tokens_than_the_model() {
    let model = copied("distilbert-f16");
    let vocabulary = model.path().join("vocab.txt");
    let longer = fs::read_to_string(&vocabulary).unwrap() + "onemore\n";
    fs::write(&vocabulary, longer).unwrap();
    let error = load_error(model.path()).to_string();
    assert!(error.contains("vocab_size is 495, but the tokenizer has 496 tokens"), "{error}");
}

#[test]
fn a_file_cut_anywhere_is_an_error_and_no_panic() {
    for (name, file) in [
        ("bert-tied", "model.safetensors"),
        ("bert-untied-sharded", "model-00002-of-00003.safetensors"),
        ("bert-bin", "pytorch_model.bin"),
        ("bert-tied", "tokenizer.json"),
        ("bert-tied", "config.json"),
        ("bert-untied-sharded", "model.safetensors.index.json"),
    ] {
        let model = copied(name);
        let path = model.path().join(file);
        let whole = fs::read(&path).unwrap().trim_ascii_end().to_vec();
        for length in [0, 1, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let error = load_error(model.path()).to_string();
            assert!(
                error.contains(model.path().to_str().unwrap()) || error.contains(file),
                "{name}/{file}: {error}"
            );
        }
    }
}

#[test]
fn a_decoder_that_config_promises_and_the_file_lacks() {
    let model = copied("bert-tied");
    set(&model.path().join("config.json"), "tie_word_embeddings", false.into());
    let error = load_error(model.path()).to_string();
    assert!(error.contains("`cls.predictions.decoder.weight` is missing"), "{error}");
}

#[test]
fn an_index_cannot_name_files_elsewhere() {
    let model = copied("bert-untied-sharded");
    let index = model.path().join("model.safetensors.index.json");
    for shard in ["../x.safetensors", "/etc/passwd", "a/b", "..", ""] {
        set(&index, "weight_map", serde_json::json!({ "t": shard }));
        let error = load_error(model.path()).to_string();
        assert!(error.contains("not the name of a file in this folder"), "{shard}: {error}");
    }
    set(&index, "weight_map", serde_json::json!({ "t": "missing.safetensors" }));
    assert!(load_error(model.path()).to_string().contains("`missing.safetensors`, which is not there"));
}

#[test]
fn tensors_that_are_not_finite_never_give_a_vector() {
    let model = copied("bert-tied");
    let path = model.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    // Every value of every tensor: the file is f32 but for what is not needed.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&f32::NAN.to_le_bytes()));
    fs::write(&path, bytes).unwrap();
    let encoder =
        SparseEncoder::load(&ModelFiles::folder("m", model.path()), &EncoderOptions::default()).unwrap();
    let error = encoder.encode(&["the old house"], neural_sparse::Side::Document).unwrap_err();
    assert!(matches!(error, Error::NotFinite(_)), "{error}");
}

#[test]
fn a_table_of_weights_with_a_weight_that_is_none() {
    let model = copied("idf-query");
    set(&model.path().join("idf.json"), "the", "heavy".into());
    let error = load_error(model.path()).to_string();
    assert!(error.contains("idf.json") && error.contains("`the`"), "{error}");
    let model = copied("idf-query-txt");
    fs::write(model.path().join("query_token_weights.txt"), "the\t1.5\nold -1\n").unwrap();
    let error = load_error(model.path()).to_string();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn a_router_whose_query_side_is_not_read_is_refused() {
    let model = copied("bert-tied");
    fs::write(model.path().join("router_config.json"), "{}").unwrap();
    assert!(load_error(model.path()).to_string().contains("router_config.json"));
}

#[test]
fn a_maximum_length_beyond_the_positions() {
    let files = ModelFiles::tiny();
    for (length, says) in [(513, "512 positions"), (1, "leaves no room")] {
        let options = EncoderOptions { max_length: Some(length), ..EncoderOptions::default() };
        let error = SparseEncoder::load(&files, &options).err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
}
