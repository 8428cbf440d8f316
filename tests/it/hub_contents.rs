//! What the repositories of the hub's tests hold: settings that can be read, and anything in place of what is large.

use serde_json::{json, Map, Value};

/// Files by their names, each with settings where the name is that of settings.
pub fn files(names: &[&str]) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|name| (name.to_string(), text_of(name).into_bytes())).collect()
}

/// A model in one folder.
pub fn model_files() -> Vec<(String, Vec<u8>)> {
    files(&["model.safetensors", "README.md", "config.json", "tokenizer.json", "tokenizer_config.json"])
}

/// The same files with this one, or with this one changed.
pub fn with(mut files: Vec<(String, Vec<u8>)>, name: &str, text: &str) -> Vec<(String, Vec<u8>)> {
    files.retain(|(file, _)| file != name);
    files.push((name.into(), text.into()));
    files
}

/// Each differs from the others, and is long enough to be cut.
fn text_of(name: &str) -> String {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let settings = match file {
        "config.json" if folder.ends_with("SpladePooling") => {
            json!({"pooling_strategy": "max", "activation_function": "relu"})
        }
        "config.json" if folder.ends_with("SparseStaticEmbedding") || folder.ends_with("IDF") => {
            json!({"frozen": false})
        }
        "config.json" if folder.starts_with("query") => bert(),
        "config.json" => distilbert(),
        "modules.json" => {
            json!([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Router"}])
        }
        "router_config.json" => return router_of_folders(),
        "sentence_bert_config.json" => json!({"max_seq_length": 64, "transformer_task": "fill-mask"}),
        "config_sentence_transformers.json" => json!({"prompts": {"query": "", "document": ""}}),
        "special_tokens_map.json" => json!({"mask_token": "[MASK]"}),
        "tokenizer_config.json" => json!({"tokenizer_class": "BertTokenizer"}),
        "tokenizer.json" => json!({"version": "1.0", "added_tokens": [], "model": {}}),
        _ => return format!("content of {name} ").repeat(50),
    };
    padded(&settings, name)
}

/// Settings, and behind them a name in blanks, which JSON ignores: files of other names have other bytes.
pub fn padded(settings: &Value, name: &str) -> String {
    let blank = |bit: u32| if bit == 1 { '\t' } else { ' ' };
    let bits = name.bytes().flat_map(|byte| (0..8).map(move |bit| u32::from(byte) >> bit & 1));
    let blanks: String = bits.map(blank).collect();
    format!("{settings}{}\n", blanks.repeat(8))
}

pub fn bert() -> Value {
    json!({
        "model_type": "bert",
        "num_hidden_layers": 1,
        "hidden_size": 8,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 32,
        "max_position_embeddings": 64,
    })
}

fn distilbert() -> Value {
    json!({
        "model_type": "distilbert",
        "n_layers": 1,
        "dim": 8,
        "n_heads": 2,
        "hidden_dim": 16,
        "vocab_size": 32,
        "max_position_embeddings": 64,
    })
}

/// A Router's config: the folder and class of each module, of queries and of documents, classes as
/// sentence-transformers writes them.
pub fn router(query: &[(&str, &str)], document: &[(&str, &str)]) -> String {
    let types: Map<String, Value> = query
        .iter()
        .chain(document)
        .map(|(folder, class)| {
            let class = format!("sentence_transformers.sparse_encoder.models.{class}.{class}");
            (folder.to_string(), class.into())
        })
        .collect();
    let folders =
        |side: &[(&str, &str)]| side.iter().map(|(folder, _)| folder.to_string()).collect::<Vec<_>>();
    let structure = json!({"query": folders(query), "document": folders(document)});
    json!({"types": types, "structure": structure, "parameters": {}}).to_string()
}

/// That of a table for queries and a model for documents, each module in a folder of its own.
fn router_of_folders() -> String {
    router(
        &[("query_0_SparseStaticEmbedding", "SparseStaticEmbedding")],
        &[("document_0_MLMTransformer", "MLMTransformer"), ("document_1_SpladePooling", "SpladePooling")],
    )
}
