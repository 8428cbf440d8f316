//! The table against the keys that the libraries write, the fixtures, and values that must be refused.

use std::path::{Path, PathBuf};

use serde_json::{json, Map, Value};

use super::{FamilyKeys, Key, Refusal, SettingsFile, Treatment};
use crate::spec::families::Family;

/// What `make_keys.py` collected.
const WRITTEN: &str = include_str!("../../../tests/fixtures/keys.json");

const FAMILIES: [&str; 5] = ["bert", "distilbert", "roberta", "modernbert", "new"];

const FILES: [(&str, SettingsFile); 11] = [
    ("config.json", SettingsFile::Config),
    ("tokenizer_config.json", SettingsFile::TokenizerConfig),
    ("tokenizer.json", SettingsFile::TokenizerJson),
    ("special_tokens_map.json", SettingsFile::SpecialTokensMap),
    ("added_tokens.json", SettingsFile::AddedTokens),
    ("modules.json", SettingsFile::ModulesEntry),
    ("router_config.json", SettingsFile::Router),
    ("sentence_bert_config.json", SettingsFile::SentenceBert),
    ("SpladePooling/config.json", SettingsFile::SpladePooling),
    ("SparseStaticEmbedding/config.json", SettingsFile::SparseStaticEmbedding),
    ("config_sentence_transformers.json", SettingsFile::SentenceTransformers),
];

fn keys_of(family: Option<&str>) -> FamilyKeys {
    family.and_then(Family::of_model_type).map_or(&[], |family| family.keys)
}

fn check(
    file: SettingsFile,
    family: Option<&str>,
    keys: &Map<String, Value>,
) -> Result<Vec<String>, Refusal> {
    super::check(file, keys_of(family), keys)
}

fn treatment(file: SettingsFile, family: Option<&str>, name: &str) -> Option<Treatment> {
    super::treatment(file, keys_of(family), name)
}

fn tables(file: SettingsFile, family: Option<&str>) -> Vec<&'static [Key]> {
    super::tables(file, keys_of(family))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(keys) => keys,
        other => panic!("not an object: {other}"),
    }
}

#[test]
fn every_key_that_the_libraries_write_is_in_the_table() {
    let written = object(serde_json::from_str(WRITTEN).expect("JSON"));
    let mut missing = Vec::new();
    let mut num_keys = 0;
    for (name, file) in FILES {
        let families = written.get(name).unwrap_or_else(|| panic!("keys.json has no {name}"));
        for (family, keys) in object(families.clone()) {
            let family = Some(family.as_str()).filter(|family| !family.is_empty());
            for (key, entry) in object(keys) {
                num_keys += 1;
                let place = format!("{name} {} {key}: {entry}", family.unwrap_or_default());
                if treatment(file, family, &key).is_none() {
                    missing.push(place);
                    continue;
                }
                // The value that it is written with passes, and so do the keys inside.
                match check(file, family, &object(json!({ key: entry["value"] }))) {
                    Ok(unknown) if unknown.is_empty() => {}
                    Ok(unknown) => missing.push(format!("{place}: {unknown:?}")),
                    Err(refusal) => missing.push(format!("{place}: {refusal:?}")),
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert_eq!(written.len(), FILES.len());
    assert!(num_keys > 550, "{num_keys}");
    for family in FAMILIES {
        assert!(written["config.json"].get(family).is_some(), "{family}");
    }
}

/// Every file of settings below a folder, with its kind and its text.
fn settings_below(folder: &Path, found: &mut Vec<(PathBuf, SettingsFile, Value)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            settings_below(&entry, found);
            continue;
        }
        let text =
            |path: &Path| path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_string();
        let (name, module) = (text(&entry), text(folder));
        let file = match name.as_str() {
            "config.json" if module.contains("SpladePooling") => Some(SettingsFile::SpladePooling),
            "config.json" if module.contains("SparseStaticEmbedding") => {
                Some(SettingsFile::SparseStaticEmbedding)
            }
            name => FILES.iter().find(|(file, _)| *file == name).map(|(_, file)| *file),
        };
        if let Some(file) = file {
            let bytes = std::fs::read(&entry).expect("readable");
            found.push((entry, file, serde_json::from_slice(&bytes).expect("JSON")));
        }
    }
}

#[test]
fn every_fixture_passes_without_unknown_keys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["tests/fixtures", "src/source/builtin/tiny"] {
        settings_below(&root.join(folder), &mut found);
    }
    assert!(found.len() > 100, "{}", found.len());
    for (path, file, value) in found {
        let entries = match value {
            Value::Array(entries) => entries,
            one => vec![one],
        };
        for entry in entries {
            let keys = object(entry);
            let family = keys.get("model_type").and_then(Value::as_str);
            assert_eq!(check(file, family, &keys), Ok(Vec::new()), "{}", path.display());
        }
    }
}

/// The key that a file of this content is refused for.
fn refusal(file: SettingsFile, family: Option<&str>, keys: Value) -> String {
    match check(file, family, &object(keys.clone())) {
        Err(Refusal { key, .. }) => key,
        Ok(unknown) => panic!("{keys} passes; unknown: {unknown:?}"),
    }
}

#[test]
fn values_that_would_change_vectors_are_refused() {
    let config = |family, keys| refusal(SettingsFile::Config, Some(family), keys);
    for family in FAMILIES {
        assert_eq!(config(family, json!({"quantization_config": {"bits": 4}})), "quantization_config");
        assert_eq!(config(family, json!({"is_causal": true})), "is_causal");
        assert_eq!(config(family, json!({"pruned_heads": {"0": [1]}})), "pruned_heads");
        assert_eq!(
            config(family, json!({"per_layer_config": {"0": {"layer_norm_eps": 1}}})),
            "per_layer_config"
        );
        let other_positions = json!({"position_embedding_type": "relative_key"});
        if ["bert", "roberta", "new"].contains(&family) {
            assert_eq!(config(family, json!({"is_decoder": true})), "is_decoder");
            assert_eq!(config(family, other_positions), "position_embedding_type");
        }
    }
    assert_eq!(config("new", json!({"pack_qkv": false})), "pack_qkv");
    assert_eq!(config("new", json!({"layer_norm_type": "rms_norm"})), "layer_norm_type");
    assert_eq!(config("new", json!({"logn_attention_scale": true})), "logn_attention_scale");
    assert_eq!(config("new", json!({"rope_scaling": {"type": "linear", "factor": 2}})), "rope_scaling.type");
    assert_eq!(
        config("new", json!({"rope_scaling": {"type": "ntk", "factor": 2, "mixed_b": 1}})),
        "rope_scaling.mixed_b"
    );
    assert_eq!(config("new", json!({"rope_scaling": {"rope_type": "yarn"}})), "rope_scaling.rope_type");
    assert_eq!(
        config("new", json!({"auto_map": {"AutoModelForMaskedLM": "me/mine--modeling.MyForMaskedLM"}})),
        "auto_map.AutoModelForMaskedLM"
    );
    assert_eq!(config("modernbert", json!({"rope_scaling": {"rope_type": "linear"}})), "rope_scaling");
    assert_eq!(
        config("modernbert", json!({"rope_parameters": {"rope_theta": 3}})),
        "rope_parameters.rope_theta"
    );
    assert_eq!(
        config("modernbert", json!({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}})),
        "rope_parameters.full_attention.rope_type"
    );
    assert_eq!(config("modernbert", json!({"head_dim": 32})), "head_dim");

    let tokenizer = |keys| refusal(SettingsFile::TokenizerConfig, None, keys);
    assert_eq!(tokenizer(json!({"init_inputs": ["vocab.txt"]})), "init_inputs");
    assert_eq!(tokenizer(json!({"fast_tokenizer_files": ["tokenizer.4.0.0.json"]})), "fast_tokenizer_files");

    let transformer = |keys| refusal(SettingsFile::SentenceBert, None, keys);
    assert_eq!(transformer(json!({"transformer_task": "feature-extraction"})), "transformer_task");
    assert_eq!(transformer(json!({"query_expansion": {"length": 32}})), "query_expansion");
    assert_eq!(transformer(json!({"module_output_name": "sentence_embedding"})), "module_output_name");
    assert_eq!(
        transformer(json!({"modality_config": {"text": {"method": "get_text_features"}}})),
        "modality_config.text.method"
    );
    assert_eq!(
        transformer(json!({"processing_kwargs": {"text": {"max_length": 8}}})),
        "processing_kwargs.text"
    );
    assert_eq!(transformer(json!({"model_args": {"hidden_act": "relu"}})), "model_args.hidden_act");
    assert_eq!(
        transformer(json!({"processor_kwargs": {"model_max_length": 8}})),
        "processor_kwargs.model_max_length"
    );
    assert_eq!(transformer(json!({"config_kwargs": {"is_decoder": true}})), "config_kwargs.is_decoder");
    let routes = json!({"parameters": {"route_mappings": {"('query', 'text')": "document"}}});
    assert_eq!(refusal(SettingsFile::Router, None, routes), "parameters.route_mappings");
    let dense = json!({"model_type": "SentenceTransformer"});
    assert_eq!(refusal(SettingsFile::SentenceTransformers, None, dense), "model_type");
}

#[test]
fn harmless_values_pass_and_null_counts_as_absent() {
    let config = json!({
        "model_type": "bert", "id2label": {"0": "yes"}, "chunk_size_feed_forward": 7, "dtype": "bfloat16",
        "auto_map": {"AutoModelForMaskedLM": "me/mine--modeling.MyModel"}, "is_decoder": false, "use_cache": true,
        "position_embedding_type": null, "quantization_config": null, "rope_theta": null, "pruned_heads": {},
    });
    assert_eq!(check(SettingsFile::Config, Some("bert"), &object(config)), Ok(Vec::new()));
    let config = json!({"partial_rotary_factor": 1.0, "rope_theta": 3, "sparse_prediction": true});
    assert_eq!(check(SettingsFile::Config, Some("modernbert"), &object(config)), Ok(Vec::new()));
    let tokenizer = json!({"padding_side": "left", "stride": 4, "max_length": 8, "image_token": "<image>", "errors": "x"});
    assert_eq!(check(SettingsFile::TokenizerConfig, None, &object(tokenizer)), Ok(Vec::new()));
}

#[test]
fn keys_in_no_table_are_named_with_their_place() {
    let config = json!({"model_type": "bert", "alibi": true, "dim": 3, "hidden_size": 32});
    assert_eq!(
        check(SettingsFile::Config, Some("bert"), &object(config)),
        Ok(vec!["alibi".into(), "dim".into()])
    );
    let config = json!({"hidden_size": 32, "dim": 3, "rope_theta": 1});
    assert_eq!(
        check(SettingsFile::Config, Some("distilbert"), &object(config)),
        Ok(vec!["rope_theta".into()])
    );
    let tokenizer =
        json!({"added_tokens_decoder": {"7": {"content": "x", "weight": 2}}, "mask_token": {"colour": 1}});
    assert_eq!(
        check(SettingsFile::TokenizerConfig, None, &object(tokenizer)),
        Ok(vec!["added_tokens_decoder.7.weight".into(), "mask_token.colour".into()])
    );
    // What depends on the family is decided by the family.
    assert!(matches!(
        treatment(SettingsFile::Config, Some("roberta"), "pad_token_id"),
        Some(Treatment::Followed)
    ));
    assert!(matches!(
        treatment(SettingsFile::Config, Some("bert"), "pad_token_id"),
        Some(Treatment::Harmless(_))
    ));
}

/// Every key of a table and of the tables inside it.
fn walk(keys: &[Key], visit: &mut impl FnMut(&Key)) {
    for key in keys {
        visit(key);
        match key.treatment {
            Treatment::Within(inside) | Treatment::Each(inside) => walk(inside, visit),
            Treatment::Closed(tables, _) => tables.iter().for_each(|inside| walk(inside, visit)),
            _ => {}
        }
    }
}

#[test]
fn the_table_is_well_formed() {
    let files = FILES.into_iter().map(|(_, file)| (file, None));
    let configs = FAMILIES.into_iter().map(|family| (SettingsFile::Config, Some(family)));
    for (file, family) in files.chain(configs) {
        for table in tables(file, family) {
            walk(table, &mut |key| match key.treatment {
                Treatment::Only(values, reason) => {
                    for value in values {
                        assert!(serde_json::from_str::<Value>(value).is_ok(), "{}: {value}", key.name);
                    }
                    assert!(!reason.is_empty(), "{}", key.name);
                }
                Treatment::Harmless(reason) | Treatment::Closed(_, reason) | Treatment::Class(_, reason) => {
                    assert!(!reason.is_empty(), "{}", key.name);
                }
                Treatment::Followed | Treatment::Within(_) | Treatment::Each(_) => {}
            });
            // A second entry would never be found.
            let names: Vec<&str> = table.iter().map(|key| key.name).collect();
            for (index, name) in names.iter().enumerate() {
                assert!(!names[..index].contains(name), "{file:?} {family:?}: {name} twice");
            }
        }
    }
}
