//! What sentence-transformers writes: its own settings, modules.json, and the config of each module.
//!
//! Read from sentence-transformers 5.2 and 6.2.

use super::{closed, followed, harmless, only, refused, within, Key};

/// config_sentence_transformers.json.
pub(super) const MODEL: &[Key] = &[
    only(
        "model_type",
        &["\"SparseEncoder\""],
        "sentence-transformers would put other modules behind these, or in their place",
    ),
    within("prompts", PROMPTS),
    followed("similarity_fn_name"),
    followed("max_active_dims"),
    // Must name a prompt; queries and documents have one each, if an empty one, and never take it.
    followed("default_prompt_name"),
    harmless("__version__", "says which versions wrote the folder"),
    harmless("requirements", "says which versions of libraries the authors ask for"),
    harmless("truncate_dim", "read by models of dense vectors only"),
];

const PROMPTS: &[Key] = &[
    followed("query"),
    followed("document"),
    harmless("*", "neither that of queries nor that of documents"),
];

/// An entry of modules.json.
pub(super) const MODULES_ENTRY: &[Key] = &[
    followed("type"),
    followed("path"),
    harmless("idx", "the order of the list is that of the modules"),
    harmless("name", "a label"),
    harmless("kwargs", "names arguments of a call that are passed on"),
];

/// router_config.json.
pub(super) const ROUTER: &[Key] =
    &[followed("types"), followed("structure"), within("parameters", ROUTER_PARAMETERS)];

const ROUTER_PARAMETERS: &[Key] = &[
    harmless("default_route", "a text is always a query or a document"),
    harmless("allow_empty_key", "a text is always a query or a document"),
    only("route_mappings", &["{}"], "the kind of input would choose another route"),
];

/// config.json of a `SpladePooling`.
pub(super) const SPLADE_POOLING: &[Key] = &[
    followed("pooling_strategy"),
    followed("activation_function"),
    harmless("word_embedding_dimension", "the model says how large its vocabulary is"),
    harmless("embedding_dimension", "the model says how large its vocabulary is"),
    harmless("chunk_size", "pools the same tokens a few at a time"),
];

/// config.json of a `SparseStaticEmbedding`.
pub(super) const SPARSE_STATIC_EMBEDDING: &[Key] = &[
    // A table in JSON instead of the tensor.
    followed("path"),
    harmless("frozen", "used in training only"),
];

const FETCHED: &str = "decides where files are fetched from or how they are opened";

/// sentence_bert_config.json.
pub(super) const TRANSFORMER: &[Key] = &[
    followed("max_seq_length"),
    followed("query_length"),
    followed("document_length"),
    followed("do_lower_case"),
    // An `MLMTransformer` needs none, a `Transformer` without it gives hidden states.
    only("transformer_task", &["\"fill-mask\""], "this is a model of dense vectors, not of term weights"),
    within("modality_config", MODALITIES),
    only(
        "module_output_name",
        &["\"token_embeddings\""],
        "the next module would be given something else than logits",
    ),
    closed("processing_kwargs", &[PROCESSING], "texts would be split into tokens with other options"),
    refused("query_expansion", "queries would be filled up with mask tokens"),
    refused("tokenizer_name_or_path", "the tokenizer would be another model's"),
    // Each by its older and its newer name.
    closed("model_args", &[MODEL_ARGUMENTS, FETCHING], "the model would be loaded with other settings"),
    closed("model_kwargs", &[MODEL_ARGUMENTS, FETCHING], "the model would be loaded with other settings"),
    closed(
        "tokenizer_args",
        &[TOKENIZER_ARGUMENTS, FETCHING],
        "the tokenizer would be loaded with other settings",
    ),
    closed(
        "processor_kwargs",
        &[TOKENIZER_ARGUMENTS, FETCHING],
        "the tokenizer would be loaded with other settings",
    ),
    closed("config_args", &[FETCHING], "config.json would be read with other settings"),
    closed("config_kwargs", &[FETCHING], "config.json would be read with other settings"),
    harmless("unpad_inputs", "another way to compute the same attention"),
    harmless("backend", "who loads the model decides it"),
    harmless("cache_dir", FETCHED),
];

/// What each kind of input goes through; there are texts only.
const MODALITIES: &[Key] = &[within("text", TEXTS), harmless("*", "not the kind of input that is given")];

const TEXTS: &[Key] = &[
    only("method", &["\"forward\""], "another method of the model would be called"),
    only("method_output_name", &["\"logits\""], "the next module would be given something else than logits"),
];

/// What is passed with each kind of input.
const PROCESSING: &[Key] = &[
    only("common", &["{}"], "texts would be split into tokens with other options"),
    only("text", &["{}"], "texts would be split into tokens with other options"),
    harmless("chat_template", "used to render conversations only"),
    harmless("audio", "not the kind of input that is given"),
    harmless("image", "not the kind of input that is given"),
    harmless("video", "not the kind of input that is given"),
];

const MODEL_ARGUMENTS: &[Key] = &[
    harmless("dtype", "parameters are computed with in f32, however they are stored"),
    harmless("torch_dtype", "parameters are computed with in f32, however they are stored"),
    harmless("attn_implementation", "another way to compute the same attention"),
    harmless("device_map", "decides where the model is computed"),
    harmless("low_cpu_mem_usage", FETCHED),
    harmless("use_safetensors", FETCHED),
];

const TOKENIZER_ARGUMENTS: &[Key] = &[
    harmless("use_fast", "gives the same tokens"),
    harmless("padding_side", "padding is masked: a text alone has none"),
];

/// What every call that opens a model takes.
const FETCHING: &[Key] = &[
    harmless("trust_remote_code", "taken out by sentence-transformers"),
    harmless("token", FETCHED),
    harmless("revision", FETCHED),
    harmless("subfolder", FETCHED),
    harmless("cache_dir", FETCHED),
    harmless("local_files_only", FETCHED),
];
