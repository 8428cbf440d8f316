//! Folders that are no model, or a damaged one: an error that says what, where, and what to do.

use std::fs;
use std::path::Path;

use neural_sparse::{EncoderOptions, Error, ModelFiles, Side, SparseEncoder};

use crate::program::{copied, folder};

pub fn load_error(path: &Path) -> Error {
    SparseEncoder::load(&ModelFiles::folder("m", path), &EncoderOptions::default()).expect_err("an error")
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
    assert!(matches!(error, Error::UnsupportedModel { model_type, .. } if model_type == "t5"));
    let supported: Vec<&str> = neural_sparse::supported_model_types().collect();
    assert_eq!(supported, ["bert", "distilbert", "roberta", "modernbert", "new"]);
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
    assert_config_error("num_hidden_layers", 268_435_456.into(), "1000 at most");
    for (folder, key, value, says) in [
        ("modernbert", "rope_parameters", 5.into(), "`rope_parameters` is 5, not an object"),
        ("modernbert", "rope_parameters", serde_json::json!({"full_attention": 5}), "`full_attention` is 5"),
        ("modernbert", "layer_types", serde_json::json!(["full_attention"]), "not a list of 5"),
        ("modernbert", "rope_scaling", serde_json::json!({"type": "linear"}), "rope_scaling"),
        ("gte-new", "rope_theta", 1e300.into(), "rotary base `rope_theta`"),
        ("gte-new", "rope_scaling", serde_json::json!({"type": "ntk", "factor": 1e308}), "rope_scaling"),
        ("gte-new", "rope_scaling", serde_json::json!({"type": "dynamic", "factor": 2.0}), "rope_scaling"),
        ("gte-new", "logn_attention_scale", true.into(), "logn_attention_scale"),
        ("gte-new", "num_attention_heads", 32.into(), "cannot be rotated in pairs"),
        ("roberta-bf16", "pad_token_id", 66.into(), "positions are counted from one after it"),
    ] {
        let model = copied(folder);
        set(&model.path().join("config.json"), key, value);
        let error = load_error(model.path()).to_string();
        assert!(error.contains(says), "{folder} {key}: {error}");
    }
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
    let error = encoder.encode(&["the old house"], Side::Document).unwrap_err();
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
fn a_limit_that_is_none_is_refused_by_its_file() {
    for (value, says) in [
        ("512".into(), "is \"512\", not a number of tokens"),
        (0.into(), "is 0, not a number of tokens"),
        (1.into(), "special tokens around every text are 2"),
    ] {
        let model = copied("bert-bin");
        set(&model.path().join("tokenizer_config.json"), "model_max_length", value);
        let error = load_error(model.path()).to_string();
        assert!(error.contains(says) && error.contains("model_max_length"), "{error}");
    }
    // Positions that the padding token leaves nothing of.
    let model = copied("roberta-bf16");
    set(&model.path().join("config.json"), "pad_token_id", 64.into());
    assert!(load_error(model.path()).to_string().contains("special tokens around every text are 2"));
}

#[test]
fn odd_tokenizers() {
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let model = copied("bert-bin");
        let path = model.path().join("tokenizer.json");
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        fs::write(&path, json.to_string()).unwrap();
        // BERT's own class would take nothing but the vocabulary from the file.
        set(&model.path().join("tokenizer_config.json"), "tokenizer_class", "PreTrainedTokenizerFast".into());
        model
    };
    let model = with(&|json| json["post_processor"]["cls"] = serde_json::json!(["[CLS]", 99999]));
    let error = load_error(model.path()).to_string();
    assert!(error.contains("tokenizer.json") && error.contains("token 99999"), "{error}");
    // No special tokens around a text: nothing is left of an empty one, alone and among others.
    let model = with(&|json| json["post_processor"] = serde_json::Value::Null);
    let files = ModelFiles::folder("copy", model.path());
    let encoder = SparseEncoder::load(&files, &EncoderOptions::default()).unwrap();
    let texts = ["", "rain in new york", "", "sun"];
    let encoded = encoder.encode(&texts, Side::Document).unwrap();
    for (text, together) in texts.iter().zip(&encoded) {
        assert_eq!(&encoder.encode(&[text], Side::Document).unwrap()[0], together);
        assert_eq!(together.vector.is_empty(), text.is_empty());
        assert_eq!(encoder.explain(text, Side::Document).unwrap().encoded, *together);
    }
}

/// transformers' classes follow tokenizer_config.json, whatever tokenizer.json says.
#[test]
fn the_class_of_a_tokenizer_has_the_last_word() {
    let ids = |folder: &str, class: &str, key: &str, value: serde_json::Value, text: &str| {
        let model = copied(folder);
        let path = model.path().join("tokenizer_config.json");
        set(&path, "tokenizer_class", class.into());
        set(&path, key, value);
        let files = ModelFiles::folder("copy", model.path());
        let encoder = SparseEncoder::load(&files, &EncoderOptions::default()).unwrap();
        encoder.tokenizer().encode(text).unwrap().ids
    };
    let bert =
        |class: &str, key: &str, value: bool, text: &str| ids("bert-bin", class, key, value.into(), text);
    for class in ["BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer"] {
        assert_ne!(bert(class, "do_lower_case", false, "Mars"), bert(class, "do_lower_case", true, "Mars"));
        assert_ne!(bert(class, "strip_accents", false, "é"), bert(class, "strip_accents", true, "é"));
    }
    // A class without options of its own takes tokenizer.json as it is.
    let plain = |value| bert("PreTrainedTokenizerFast", "do_lower_case", value, "Mars");
    assert_eq!(plain(false), plain(true));
    let roberta =
        |value: bool| ids("roberta-bf16", "RobertaTokenizer", "add_prefix_space", value.into(), "rain");
    assert_ne!(roberta(true), roberta(false));
}

#[test]
fn special_tokens_are_looked_for_further_where_a_map_is_empty() {
    let model = copied("bert-tied");
    fs::write(model.path().join("special_tokens_map.json"), "{}").unwrap();
    let files = ModelFiles::folder("copy", model.path());
    let encoder = SparseEncoder::load(&files, &EncoderOptions::default()).unwrap();
    assert_eq!(encoder.tokenizer().special_ids(), [0, 1, 2, 3, 4]);
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
