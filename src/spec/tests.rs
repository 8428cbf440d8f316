//! Settings files that no library wrote: each is an error of one line, or a spec, in little time and memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{json, Map, Value};

use super::{ModelSpec, Parts};
use crate::error::Error;
use crate::source::ModelFiles;

/// The files of a small model, with `changed` in the place of its own or beside them.
fn read(changed: &[(&str, String)]) -> Result<ModelSpec, Error> {
    let own = [
        ("config.json", bert(json!({}))),
        ("tokenizer_config.json", "{}".into()),
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n".into()),
        ("model.safetensors", String::new()),
    ];
    let mut files = BTreeMap::new();
    for (name, text) in own.iter().chain(changed) {
        files.insert(name.to_string(), text.clone().into_bytes());
    }
    ModelSpec::read(&ModelFiles::in_memory("m", files), None)
}

fn bert(more: Value) -> String {
    let config = json!({"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1,
        "intermediate_size": 8, "vocab_size": 100_000, "max_position_embeddings": 16});
    with(config, more)
}

fn with(mut config: Value, more: Value) -> String {
    config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    config.to_string()
}

/// The error of a model with these files, which must be a line that a person can read.
fn refused(changed: &[(&str, String)]) -> String {
    let error = read(changed).expect_err("refused").to_string();
    assert!(!error.contains(char::is_control) && error.chars().count() < 1500, "{error}");
    error
}

/// Minutes would pass if the time grew with the square of the number.
fn in_a_moment<T>(act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = act();
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
    result
}

#[test]
fn roberta_without_room_for_a_text_is_refused() {
    let config = |positions: u64, more: Value| {
        let shape = json!({"model_type": "roberta", "max_position_embeddings": positions});
        [("config.json", bert(serde_json::from_str(&with(shape, more)).expect("an object")))]
    };
    let generic = ("tokenizer.json", "{}".to_string());
    for (positions, more) in
        [(1, json!({})), (2, json!({})), (1, json!({"pad_token_id": 0})), (9, json!({"pad_token_id": 8}))]
    {
        assert!(refused(&config(positions, more)).contains("`pad_token_id` is"));
    }
    let [small] = config(3, json!({}));
    assert!(read(&[small, generic]).is_ok());
}

#[test]
fn a_head_of_a_million_elements_is_refused() {
    for shape in [
        json!({"model_type": "modernbert", "hidden_size": 1 << 24, "num_attention_heads": 1}),
        json!({"model_type": "new", "hidden_size": 1 << 24, "num_attention_heads": 1}),
        json!({"hidden_size": 1 << 24}),
    ] {
        assert!(refused(&[("config.json", bert(shape))]).contains("131072 at most"));
    }
}

#[test]
fn one_file_that_is_read_as_two_kinds_is_refused() {
    let modules = json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.sparse_encoder.models.MLMTransformer"},
        {"idx": 1, "name": "1", "path": "", "type": "sentence_transformers.sparse_encoder.models.SpladePooling"},
    ]);
    // A pooling layer has none of a model's settings.
    let error = refused(&[("modules.json", modules.to_string()), ("config.json", bert(json!({})))]);
    assert!(error.contains("is no setting that sentence-transformers has for it"), "{error}");
}

#[test]
fn a_message_is_one_line_whatever_the_file_holds() {
    let breaks = "\n\u{1b}[31merror: all is well";
    let long = "x".repeat(1_000_000);
    for text in [breaks, &long] {
        refused(&[("config.json", json!({ "model_type": text }).to_string())]);
        refused(&[("config.json", bert(json!({ "hidden_act": text })))]);
        refused(&[("modules.json", json!([{"type": "a", "path": format!("../{text}")}]).to_string())]);
        refused(&[("modules.json", json!([{"type": text, "path": text}]).to_string())]);
        refused(&[("modules.json", json!([{"type": text, "path": "a"}]).to_string())]);
        refused(&[("tokenizer_config.json", json!({"added_tokens_decoder": { text: {} }}).to_string())]);
        refused(&[("added_tokens.json", json!({ text: "a" }).to_string())]);
        refused(&[("adapter_config.json", json!({ "peft_type": text }).to_string())]);
        let spec = read(&[("config.json", bert(json!({ text: 1 })))]).expect("a sound model");
        assert!(!spec.unknown_keys()[0].key.contains(char::is_control));
        assert!(spec.unknown_keys()[0].key.chars().count() < 700);
    }
}

#[test]
fn fifty_thousand_tokens_take_a_moment() {
    const NUM_TOKENS: usize = 50_000;
    let numbers = || (0..NUM_TOKENS).map(|number| format!("t{number}"));
    let list: Vec<Value> = numbers().map(Value::from).collect();
    let named: Map<String, Value> =
        numbers().map(|token| (format!("{token}_token"), Value::from(token))).collect();
    let numbered: Map<String, Value> =
        numbers().zip(100u64..).map(|(token, id)| (token, id.into())).collect();
    let decoder: Map<String, Value> =
        numbers().enumerate().map(|(id, token)| (id.to_string(), json!({ "content": token }))).collect();
    let object =
        |key: &str, value: Value| Value::from(Map::from_iter([(key.to_string(), value)])).to_string();
    let extra = object("extra_special_tokens", list.clone().into());
    let additional = object("additional_special_tokens", list.clone().into());
    let reversed = object("extra_special_tokens", list.into_iter().rev().collect());
    let (map, config, added) = ("special_tokens_map.json", "tokenizer_config.json", "added_tokens.json");
    let numbered = Value::from(numbered).to_string();
    let named = Value::from(named).to_string();
    let of_decoder = |more: &str| {
        let Ok(Value::Object(mut keys)) = serde_json::from_str(more) else { panic!("an object") };
        keys.insert("added_tokens_decoder".into(), decoder.clone().into());
        Value::from(keys).to_string()
    };
    for changed in [
        vec![(config, extra.clone()), (map, reversed)],
        vec![(config, additional), (added, numbered.clone())],
        vec![(config, named.clone()), (added, numbered)],
        vec![(config, of_decoder(&extra))],
        vec![(config, of_decoder(&named))],
    ] {
        let spec = in_a_moment(|| read(&changed)).expect("a sound model");
        let tokenizer = spec.any_tokenizer().expect("a tokenizer");
        let num_defaults = 5;
        assert_eq!(tokenizer.special_tokens.len(), NUM_TOKENS + num_defaults);
        assert_eq!(tokenizer.added_tokens.len(), NUM_TOKENS + num_defaults);
    }
}

#[test]
fn more_added_tokens_than_the_vocabulary_has_are_refused() {
    let tokens: Vec<String> = (0..1000).map(|number| format!("t{number}")).collect();
    let settings = ("tokenizer_config.json", json!({ "extra_special_tokens": tokens }).to_string());
    let small = ("config.json", bert(json!({ "vocab_size": 1004 })));
    assert!(refused(&[settings.clone(), small]).contains("vocab_size is 1004"));
    assert!(read(&[settings, ("config.json", bert(json!({ "vocab_size": 1005 })))]).is_ok());
}

#[test]
fn what_decided_a_vector_is_told_in_short_lines() {
    for text in ["a".repeat(1_000_000), "\u{1b}[31m\n".into()] {
        let prompts = json!({"prompts": { "query": text }}).to_string();
        let spec = read(&[("config_sentence_transformers.json", prompts)]).expect("a sound model");
        let rows = spec.provenance();
        assert!(rows.iter().any(|row| row.what == "query prompt"));
        for row in rows {
            for cell in [&row.what, &row.value, &row.source] {
                assert!(cell.chars().count() < 1000 && !cell.contains(char::is_control), "{cell:.100}");
            }
        }
    }
}

#[test]
fn a_hundred_thousand_shards_take_a_moment() {
    let map: Map<String, Value> =
        (0..100_000).map(|number| (format!("t{number}"), format!("{number}.bin").into())).collect();
    let index = ("pytorch_model.bin.index.json", json!({ "weight_map": map }).to_string());
    let modules = json!([{"type": "MLMTransformer", "path": "a"}, {"type": "SpladePooling", "path": "b"}]);
    let files = BTreeMap::from([
        ("modules.json".to_string(), modules.to_string().into_bytes()),
        ("a/config.json".to_string(), bert(json!({})).into_bytes()),
        ("a/vocab.txt".to_string(), Vec::new()),
        (format!("a/{}", index.0), index.1.into_bytes()),
    ]);
    let spec = ModelSpec::read(&ModelFiles::in_memory("m", files), None).expect("a sound model");
    let required = in_a_moment(|| spec.required_files(Parts::Whole));
    assert_eq!(required.len(), 100_002);
}

#[test]
fn modules_without_end_are_refused() {
    let entry = json!({"type": "MLMTransformer", "path": "a"});
    let error = refused(&[("modules.json", Value::from(vec![entry; 50_000]).to_string())]);
    assert!(error.contains("lists 50000 modules"), "{error}");
    // Each of these would hold the folder's name once more.
    let folder = "f".repeat(100_000);
    let router = json!([{"type": "Router", "path": folder}]).to_string();
    assert!(refused(&[("modules.json", router)]).contains("is not a folder beside it"));
    let ids = vec!["m"; 200_000];
    let config = json!({"types": {"m": "MLMTransformer"}, "structure": {"query": ids, "document": ids}});
    let router = json!([{"type": "Router", "path": "r"}]).to_string();
    let error = refused(&[("modules.json", router), ("r/router_config.json", config.to_string())]);
    assert!(error.contains("lists 200000 modules"), "{error}");
}

#[test]
fn keys_without_end_are_not_all_remembered() {
    let keys: Map<String, Value> = (0..200_000).map(|number| (format!("k{number}"), 1.into())).collect();
    let spec = in_a_moment(|| read(&[("config.json", bert(Value::from(keys.clone())))]));
    assert_eq!(spec.expect("a sound model").unknown_keys().len(), super::keys::MAX_UNKNOWN_KEYS);
    // The name of an object stands before each of its keys.
    let mut token = keys;
    token.insert("content".into(), "a".into());
    let long = json!({"added_tokens_decoder": { "1".repeat(1_000_000): token }}).to_string();
    in_a_moment(|| refused(&[("tokenizer_config.json", long)]));
}

#[test]
fn values_without_end_are_refused_before_they_are_parsed() {
    // Each takes 8 bytes here and 700 in memory.
    let objects = vec![r#"{"":0}"#; 1_500_000].join(",");
    for (file, text) in [
        ("config.json", format!(r#"{{"model_type": "bert", "a": [{objects}]}}"#)),
        ("modules.json", format!("[{objects}]")),
        ("tokenizer_config.json", format!(r#"{{"a": [{objects}]}}"#)),
        ("special_tokens_map.json", format!(r#"{{"a": [{objects}]}}"#)),
        ("adapter_config.json", format!(r#"{{"a": [{objects}]}}"#)),
        ("tokenizer.json", format!(r#"{{"added_tokens": [{objects}]}}"#)),
        ("model.safetensors.index.json", format!(r#"{{"weight_map": [{objects}]}}"#)),
    ] {
        let config = match file.ends_with("index.json") {
            true => json!({ "transformers_weights": file }),
            false => json!({}),
        };
        let mut files = vec![("config.json", bert(config)), (file, text)];
        if file == "config.json" {
            files.remove(0);
        }
        let error = refused(&files);
        assert!(error.contains(file) && error.contains("more values than"), "{error}");
    }
}
