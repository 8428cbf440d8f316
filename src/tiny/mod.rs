//! The built-in model: rasyosef/splade-tiny, its tensors rounded to f16.
//!
//! NOTICE states its origin; `tests/fixtures/convert_tiny.py` made the file.

/// Its files, as a model folder holds them.
pub(crate) const FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("config.json")),
    ("model.safetensors", include_bytes!("model.safetensors")),
    ("tokenizer.json", include_bytes!("tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("tokenizer_config.json")),
];
