//! Tensors stored in every way that PyTorch and peft write, and in ways that nobody should.

use std::fs;
use std::path::Path;

use neural_sparse::{EncoderOptions, Error, InstructionSet, ModelFiles, Side, SparseEncoder};
use serde_json::{json, Map, Value};

use crate::bad_models::{load_error, set};
use crate::parity::assert_equals_golden;
use crate::program::{copied, fixture, json_lines};

const CHECKPOINT: &str = "model.safetensors";

fn load(folder: &Path) -> SparseEncoder {
    load_with(folder, EncoderOptions::default())
}

fn load_with(folder: &Path, options: EncoderOptions) -> SparseEncoder {
    SparseEncoder::load(&ModelFiles::folder("m", folder), &options).unwrap()
}

/// A folder with a model, and beside it the adapter of that name.
fn with_adapter(base: &str, adapter: &str) -> tempfile::TempDir {
    let model = copied(base);
    for entry in fs::read_dir(fixture("adapters").join(adapter)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.path().join(entry.file_name())).unwrap();
    }
    model
}

/// Changes the header and the data of a safetensors file.
fn edit(path: &Path, change: impl FnOnce(&mut Map<String, Value>, &mut Vec<u8>)) {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut data = bytes[8 + length..].to_vec();
    change(&mut header, &mut data);
    let mut header = Value::from(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    fs::write(path, [(header.len() as u64).to_le_bytes().to_vec(), header, data].concat()).unwrap();
}

/// Gives tensors other names: `None` leaves a name as it is.
fn rename(path: &Path, name: impl Fn(&str) -> Option<String>) {
    let renamed = |(key, entry): (String, Value)| match key.as_str() {
        "__metadata__" => (key, entry),
        _ => (name(&key).unwrap_or(key), entry),
    };
    edit(path, |header, _| *header = std::mem::take(header).into_iter().map(renamed).collect());
}

/// Where the data of a tensor lie.
fn bytes_of(header: &Map<String, Value>, name: &str) -> std::ops::Range<usize> {
    let offsets = header[name]["data_offsets"].as_array().unwrap();
    offsets[0].as_u64().unwrap() as usize..offsets[1].as_u64().unwrap() as usize
}

/// Adds a tensor at the end of the data.
fn add(
    header: &mut Map<String, Value>,
    data: &mut Vec<u8>,
    name: &str,
    dtype: &str,
    shape: Value,
    bytes: &[u8],
) {
    let start = data.len();
    data.extend(bytes);
    header.insert(name.into(), json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]}));
}

#[test]
fn views_shards_and_mixed_dtypes_of_pytorch() {
    for kernel in InstructionSet::available() {
        let options = EncoderOptions { instruction_set: Some(kernel), ..EncoderOptions::default() };
        let encoder = load_with(&fixture("bert-bin-views"), options);
        assert_equals_golden(&encoder, Side::Document, "bert-bin-views/reference.jsonl");
    }
}

#[test]
fn adapters_beside_a_model_are_applied() {
    for (base, adapter) in [
        ("bert-tied", "patterns"),
        ("bert-tied", "embeddings"),
        ("bert-tied", "saved"),
        ("bert-tied", "biased"),
        ("bert-tied", "head"),
        ("modernbert", "packed"),
    ] {
        let model = with_adapter(base, adapter);
        let encoder = load(model.path());
        assert_equals_golden(&encoder, Side::Document, &format!("adapters/{adapter}/reference.jsonl"));
        let decision = encoder.provenance().iter().find(|decision| decision.what == "adapter").unwrap();
        assert!(decision.value.contains(&format!("`example/{base}`")), "{decision:?}");
    }
}

#[test]
fn an_adapter_for_the_backbone_alone_has_names_without_its_prefix() {
    for inside in ["base_model.model.", "base_model.model.base_model.model.bert.", "bert.", ""] {
        let model = with_adapter("bert-tied", "biased");
        rename(&model.path().join("adapter_model.safetensors"), |name| {
            name.strip_prefix("base_model.model.bert.").map(|rest| format!("{inside}{rest}"))
        });
        assert_equals_golden(&load(model.path()), Side::Document, "adapters/biased/reference.jsonl");
    }
}

#[test]
fn an_adapter_that_does_not_fit_is_refused_by_name() {
    const TENSORS: &str = "adapter_model.safetensors";
    let error = |change: &dyn Fn(&Path)| {
        let model = with_adapter("bert-tied", "biased");
        change(model.path());
        let error = load_error(model.path()).to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let renamed = |from: &str, to: &str| {
        error(&|folder| {
            rename(&folder.join(TENSORS), |name| name.contains(from).then(|| name.replace(from, to)))
        })
    };
    let unknown = renamed("layer.1.attention.self.query", "layer.7.attention.self.query");
    assert!(
        unknown.contains("layer.7.attention.self.query") && unknown.contains("nothing that this model has")
    );
    let alone = renamed("layer.1.attention.self.query.lora_A", "layer.1.attention.self.query.lora_C");
    assert!(alone.contains("stands alone"), "{alone}");
    let other = renamed("self.query", "self.key");
    assert!(other.contains("`target_modules`"), "{other}");
    let whole = renamed("layer.1.attention.self.query.lora_B.bias", "layer.1.attention.self.query.bias");
    assert!(whole.contains("does not name its module"), "{whole}");
    let rank = error(&|folder| set(&folder.join("adapter_config.json"), "r", 3.into()));
    assert!(rank.contains("has the shape [32, 2]") && rank.contains("ask for [32, 3]"), "{rank}");
    let dora = error(&|folder| set(&folder.join("adapter_config.json"), "use_dora", true.into()));
    assert!(dora.contains("`use_dora`"), "{dora}");
    let without = error(&|folder| fs::remove_file(folder.join(TENSORS)).unwrap());
    assert!(without.contains("neither `adapter_model.safetensors`"), "{without}");
}

#[test]
fn a_folder_with_only_an_adapter_names_its_base() {
    for missing in ["config.json", CHECKPOINT] {
        let model = with_adapter("bert-tied", "patterns");
        fs::remove_file(model.path().join(missing)).unwrap();
        let error = load_error(model.path());
        assert!(matches!(error, Error::NoModel { .. }), "{error}");
        assert!(error.to_string().contains("holds only an adapter for `example/bert-tied`"), "{error}");
    }
}

#[test]
fn the_only_copy_of_a_tied_matrix_may_be_the_decoders() {
    let model = copied("bert-tied");
    rename(&model.path().join(CHECKPOINT), |name| {
        (name == "bert.embeddings.word_embeddings.weight").then(|| "cls.predictions.decoder.weight".into())
    });
    assert_equals_golden(&load(model.path()), Side::Document, "bert-tied/reference.jsonl");
    set(&model.path().join("config.json"), "tie_word_embeddings", false.into());
    let error = load_error(model.path()).to_string();
    assert!(error.contains("`bert.embeddings.word_embeddings.weight` is missing"), "{error}");
}

/// transformers adds or takes away the prefix of each name by itself, and of two the first in order counts.
#[test]
fn a_prefix_may_be_left_out_of_any_name() {
    let model = copied("bert-tied");
    let path = model.path().join(CHECKPOINT);
    rename(&path, |name| match name.strip_prefix("bert.") {
        Some(bare) if name.contains("layer.1.") => Some(bare.into()),
        None if name.starts_with("cls.predictions.transform") => Some(format!("bert.{name}")),
        _ => None,
    });
    // Sorted after `bert.…`, so never looked at.
    edit(&path, |header, data| {
        let bytes = [0x7f; 4 * 64 * 32];
        add(header, data, "embeddings.position_embeddings.weight", "F32", json!([64, 32]), &bytes);
    });
    assert_equals_golden(&load(model.path()), Side::Document, "bert-tied/reference.jsonl");
    let model = copied("bert-tied");
    rename(&model.path().join(CHECKPOINT), |name| Some(format!("module.{name}")));
    let error = load_error(model.path()).to_string();
    assert!(error.contains("is missing: every name begins with `module.`"), "{error}");
}

#[test]
fn tensors_in_f64_are_rounded_to_f32() {
    let model = copied("bert-tied");
    let name = "bert.embeddings.word_embeddings.weight";
    edit(&model.path().join(CHECKPOINT), |header, data| {
        let range = bytes_of(header, name);
        let values = data[range].chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        // Less than half of an f32's last place away.
        let wide: Vec<u8> =
            values.flat_map(|value| (f64::from(value) * (1.0 + 1e-9)).to_le_bytes()).collect();
        let shape = header[name]["shape"].clone();
        let old = header.remove(name).unwrap();
        header.insert("not_needed".into(), old);
        add(header, data, name, "F64", shape, &wide);
    });
    let before = load(&fixture("bert-tied"));
    let encoder = load(model.path());
    let texts = ["the old house", "What's the weather in ny now?"];
    assert_eq!(
        encoder.encode(&texts, Side::Document).unwrap(),
        before.encode(&texts, Side::Document).unwrap()
    );
}

#[test]
fn a_quantized_checkpoint_says_so() {
    let query = "bert.encoder.layer.0.attention.self.query.weight";
    let model = copied("bert-tied");
    rename(&model.path().join(CHECKPOINT), |name| {
        (name == query).then(|| name.replace(".weight", ".qweight"))
    });
    let error = load_error(model.path()).to_string();
    assert!(
        error.contains("is missing: the checkpoint is quantized") && error.contains("qweight"),
        "{error}"
    );
    // As many numbers as before; and bytes, as bitsandbytes packs them.
    for (dtype, shape) in [("I32", json!([32, 32])), ("U8", json!([32 * 32 * 4, 1]))] {
        let model = copied("bert-tied");
        edit(&model.path().join(CHECKPOINT), |header, _| {
            (header[query]["dtype"], header[query]["shape"]) = (dtype.into(), shape);
        });
        let error = load_error(model.path()).to_string();
        assert!(error.contains(&format!("stored as {dtype}, as in a quantized checkpoint")), "{error}");
    }
}

#[test]
fn config_may_name_the_checkpoint_itself() {
    let model = copied("bert-tied");
    let config = model.path().join("config.json");
    fs::rename(model.path().join(CHECKPOINT), model.path().join("weights.safetensors")).unwrap();
    // Beside it, what would be taken otherwise.
    fs::write(model.path().join("pytorch_model.bin"), "nothing").unwrap();
    set(&config, "transformers_weights", "weights.safetensors".into());
    assert_equals_golden(&load(model.path()), Side::Document, "bert-tied/reference.jsonl");
    for (file, says) in [
        ("missing.safetensors", "is \"missing.safetensors\", which is not there"),
        ("../weights.safetensors", "not the name of a file in this folder"),
        ("pytorch_model.bin", "not a file in the safetensors format"),
    ] {
        set(&config, "transformers_weights", file.into());
        let error = load_error(model.path()).to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn safetensors_are_taken_before_a_pickle() {
    let model = copied("bert-tied");
    fs::write(model.path().join("pytorch_model.bin"), "nothing").unwrap();
    load(model.path());
    fs::remove_file(model.path().join(CHECKPOINT)).unwrap();
    let error = load_error(model.path()).to_string();
    assert!(error.contains("pytorch_model.bin") && error.contains("no zip archive"), "{error}");
}

#[test]
fn a_git_lfs_pointer_is_not_the_file_itself() {
    let pointer =
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1\n\
                   size 12345\n";
    for (folder, file) in [
        ("bert-tied", "config.json"),
        ("bert-tied", "tokenizer.json"),
        ("bert-tied", "special_tokens_map.json"),
        ("bert-tied", CHECKPOINT),
        ("bert-untied-sharded", "model.safetensors.index.json"),
        ("bert-untied-sharded", "model-00002-of-00003.safetensors"),
        ("bert-bin", "pytorch_model.bin"),
        ("distilbert-f16", "vocab.txt"),
        ("idf-query", "idf.json"),
    ] {
        let model = copied(folder);
        fs::write(model.path().join(file), pointer).unwrap();
        let error = load_error(model.path()).to_string();
        assert!(error.contains(&format!("{file}`: is a Git LFS pointer, not the file itself")), "{error}");
    }
}

#[test]
fn sizes_that_no_file_has_cost_nothing() {
    let huge = 1_u64 << 28;
    for (folder, key, value) in [
        ("bert-tied", "hidden_size", huge),
        ("bert-tied", "vocab_size", huge),
        ("bert-tied", "max_position_embeddings", huge),
        ("bert-tied", "intermediate_size", huge),
        ("bert-tied", "type_vocab_size", huge),
        ("modernbert", "hidden_size", huge),
        ("gte-new", "hidden_size", huge),
        ("gte-new", "intermediate_size", huge),
    ] {
        let model = copied(folder);
        set(&model.path().join("config.json"), key, value.into());
        let error = load_error(model.path());
        assert!(matches!(error, Error::Tensor { .. } | Error::Invalid { .. }), "{folder} {key}: {error}");
        let text = error.to_string();
        assert!(text.contains("config.json") && !text.contains('\n'), "{folder} {key}: {text}");
    }
    for header in [
        r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
    ] {
        let model = copied("bert-tied");
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 8]].concat();
        fs::write(model.path().join(CHECKPOINT), bytes).unwrap();
        let error = load_error(model.path()).to_string();
        assert!(error.contains("not a complete safetensors file") && !error.contains('\n'), "{error}");
    }
}

/// PyTorch gives a term with such a bias the weight 0, and all others what they have without it.
#[test]
fn a_bias_of_minus_infinity_takes_a_term_out() {
    let golden = json_lines(&fixture("bert-tied/reference.jsonl"));
    let text = "She walked to the market and bought bread, apples and a small bottle of milk.";
    let row = golden.iter().find(|row| row["id"] == "sentence-plain").unwrap();
    let theirs = row["vector"].as_object().unwrap();
    let plain = load(&fixture("bert-tied"));
    let heaviest = plain.encode(&[text], Side::Document).unwrap()[0].vector.iter().collect::<Vec<_>>();
    let out: Vec<u32> = heaviest.iter().map(|(id, _)| *id).filter(|id| id % 3 == 0).collect();
    assert!(out.len() > 10);
    for bias in [f32::NEG_INFINITY, f32::MIN] {
        let model = copied("bert-tied");
        edit(&model.path().join(CHECKPOINT), |header, data| {
            let start = bytes_of(header, "cls.predictions.bias").start;
            for id in &out {
                data[start + 4 * *id as usize..][..4].copy_from_slice(&bias.to_le_bytes());
            }
        });
        for kernel in InstructionSet::available() {
            for without_screen in [false, true] {
                let options = EncoderOptions {
                    instruction_set: Some(kernel),
                    without_screen,
                    ..EncoderOptions::default()
                };
                let encoder = load_with(model.path(), options);
                let vector = encoder.encode(&[text], Side::Document).unwrap().remove(0).vector;
                for (id, weight) in vector.iter() {
                    assert!(!out.contains(&id), "{kernel:?} {without_screen}: {id} weighs {weight}");
                    let term = encoder.tokenizer().term(id).unwrap();
                    assert!((theirs[term].as_f64().unwrap() - f64::from(weight)).abs() < 1e-4, "{term}");
                }
                assert_eq!(vector.iter().count(), heaviest.len() - out.len(), "{kernel:?} {without_screen}");
                assert!(encoder.explain(text, Side::Document).is_ok());
            }
        }
    }
}
