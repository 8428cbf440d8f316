//! config.json of either architecture, as one [`ModelConfig`].
//!
//! Reads and checks; everything that a later step could divide by or index
//! with is sound once this has returned.

use serde_json::{Map, Value};

use crate::error::Error;
use crate::files::{Decision, ModelFiles};
pub use crate::kernel::Activation as HiddenActivation;

/// The `model_type`s of config.json that this program runs.
pub(crate) const SUPPORTED_MODEL_TYPES: [&str; 2] = ["bert", "distilbert"];

/// Which family of tensor names a checkpoint uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// `BertForMaskedLM`: token types, head under `cls.predictions`.
    Bert,
    /// `DistilBertForMaskedLM`: no token types, head under `vocab_*`.
    DistilBert,
}

/// The shape of a masked language model, from its config.json.
///
/// A·D = H, and every size is at least 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Which tensor names to expect.
    pub architecture: Architecture,
    /// L, the number of transformer layers.
    pub num_layers: usize,
    /// H, the hidden size.
    pub hidden_size: usize,
    /// A, the number of attention heads.
    pub num_heads: usize,
    /// F, the feed-forward size.
    pub feed_forward_size: usize,
    /// V, the rows of the embedding matrix.
    pub vocab_size: usize,
    /// How many positions have an embedding.
    pub max_positions: usize,
    /// Rows of the token-type embedding; 0 where the architecture has none.
    pub num_token_types: usize,
    /// HiddenActivation of the feed-forward blocks and of the head.
    pub activation: HiddenActivation,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f64,
    /// `tie_word_embeddings`, when config.json says it.
    pub tie_word_embeddings: Option<bool>,
}

impl ModelConfig {
    /// Reads config.json.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`] without the file, [`Error::UnsupportedModel`] for another `model_type`,
    /// [`Error::Invalid`] naming the key that is missing or out of range.
    pub fn load(files: &ModelFiles) -> Result<Self, Error> {
        let keys = files.read_json("config.json")?.ok_or_else(|| missing_config(files))?;
        let config = ConfigFile { file: files.describe("config.json"), keys };
        match config.keys.get("model_type").and_then(Value::as_str) {
            Some("bert") => config.bert(),
            Some("distilbert") => config.distilbert(),
            Some(other) => Err(Error::UnsupportedModel { file: config.file, model_type: other.to_string() }),
            None => Err(config.invalid("no `model_type`: this is not a transformers config")),
        }
    }

    /// What config.json decided.
    pub(crate) fn decisions(&self, files: &ModelFiles) -> Vec<Decision> {
        let (architecture, activation_key) = match self.architecture {
            Architecture::Bert => ("BERT masked language model", "hidden_act"),
            Architecture::DistilBert => ("DistilBERT masked language model", "activation"),
        };
        let activation = match self.activation {
            HiddenActivation::GeluErf => "GELU (error function)",
            HiddenActivation::GeluTanh => "GELU (tanh approximation)",
            HiddenActivation::Relu => "ReLU",
            HiddenActivation::Silu => "SiLU",
        };
        let shape = format!(
            "{} layers, hidden size {}, {} heads, feed-forward size {}, vocabulary {}, {} positions",
            self.num_layers,
            self.hidden_size,
            self.num_heads,
            self.feed_forward_size,
            self.vocab_size,
            self.max_positions
        );
        let file = files.describe("config.json");
        let eps = format!("{:e}", self.layer_norm_eps);
        vec![
            Decision::new("architecture", architecture, format!("{file}: model_type")),
            Decision::new("shape", shape, &file),
            Decision::new("hidden activation", activation, format!("{file}: {activation_key}")),
            Decision::new(
                "LayerNorm epsilon",
                eps,
                match self.architecture {
                    Architecture::Bert => format!("{file}: layer_norm_eps"),
                    Architecture::DistilBert => "DistilBERT's constant".to_string(),
                },
            ),
        ]
    }

    /// D, the size of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_heads
    }
}

fn missing_config(files: &ModelFiles) -> Error {
    let reason = match files.path() {
        Some(path) if !path.is_dir() => "no such folder",
        _ => "holds no config.json",
    };
    Error::NoModel { place: files.name().to_string(), reason: reason.into() }
}

/// The keys of one config.json and its path, for messages.
struct ConfigFile {
    file: String,
    keys: Map<String, Value>,
}

impl ConfigFile {
    fn bert(&self) -> Result<ModelConfig, Error> {
        match self.keys.get("position_embedding_type") {
            None | Some(Value::Null) => {}
            Some(Value::String(kind)) if kind == "absolute" => {}
            Some(other) => {
                return Err(self
                    .invalid(format!("position_embedding_type {other} is not supported, only \"absolute\"")))
            }
        }
        if self.keys.get("is_decoder") == Some(&Value::Bool(true)) {
            return Err(
                self.invalid("is_decoder is true: a masked language model sees both sides of a token")
            );
        }
        self.checked(ModelConfig {
            architecture: Architecture::Bert,
            num_layers: self.size("num_hidden_layers")?,
            hidden_size: self.size("hidden_size")?,
            num_heads: self.size("num_attention_heads")?,
            feed_forward_size: self.size("intermediate_size")?,
            vocab_size: self.size("vocab_size")?,
            max_positions: self.size("max_position_embeddings")?,
            num_token_types: self.size_or("type_vocab_size", 2)?,
            activation: self.activation("hidden_act")?,
            layer_norm_eps: self.layer_norm_eps()?,
            tie_word_embeddings: self.tie_word_embeddings()?,
        })
    }

    fn distilbert(&self) -> Result<ModelConfig, Error> {
        self.checked(ModelConfig {
            architecture: Architecture::DistilBert,
            num_layers: self.size("n_layers")?,
            hidden_size: self.size("dim")?,
            num_heads: self.size("n_heads")?,
            feed_forward_size: self.size("hidden_dim")?,
            vocab_size: self.size("vocab_size")?,
            max_positions: self.size("max_position_embeddings")?,
            num_token_types: 0,
            activation: self.activation("activation")?,
            // DistilBERT's own code has the constant, its config has no such key.
            layer_norm_eps: 1e-12,
            tie_word_embeddings: self.tie_word_embeddings()?,
        })
    }

    fn checked(&self, config: ModelConfig) -> Result<ModelConfig, Error> {
        if !config.hidden_size.is_multiple_of(config.num_heads) {
            return Err(self.invalid(format!(
                "the hidden size {} is not a multiple of the {} attention heads",
                config.hidden_size, config.num_heads
            )));
        }
        Ok(config)
    }

    fn size(&self, key: &str) -> Result<usize, Error> {
        let value = self.keys.get(key).ok_or_else(|| self.invalid(format!("no `{key}`")))?;
        // Far above any model, and low enough that a product of two sizes cannot overflow.
        const LARGEST: u64 = 1 << 28;
        match value.as_u64() {
            Some(size) if (1..=LARGEST).contains(&size) => Ok(size as usize),
            _ => Err(self.invalid(format!("`{key}` is {value}, not a size"))),
        }
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        if self.keys.contains_key(key) {
            self.size(key)
        } else {
            Ok(default)
        }
    }

    fn activation(&self, key: &str) -> Result<HiddenActivation, Error> {
        match self.keys.get(key).map(|value| value.as_str().unwrap_or_default()) {
            None | Some("gelu" | "gelu_python") => Ok(HiddenActivation::GeluErf),
            Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Ok(HiddenActivation::GeluTanh),
            Some("relu") => Ok(HiddenActivation::Relu),
            Some("silu" | "swish") => Ok(HiddenActivation::Silu),
            Some(_) => Err(self.invalid(format!(
                "`{key}` is {}; supported: gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu, silu",
                self.keys[key]
            ))),
        }
    }

    fn layer_norm_eps(&self) -> Result<f64, Error> {
        match self.keys.get("layer_norm_eps") {
            None => Ok(1e-12),
            Some(value) => match value.as_f64() {
                Some(eps) if (0.0..1.0).contains(&eps) => Ok(eps),
                _ => Err(self.invalid(format!("`layer_norm_eps` is {value}, not a small number"))),
            },
        }
    }

    fn tie_word_embeddings(&self) -> Result<Option<bool>, Error> {
        match self.keys.get("tie_word_embeddings") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(tie)) => Ok(Some(*tie)),
            Some(other) => Err(self.invalid(format!("`tie_word_embeddings` is {other}, not true or false"))),
        }
    }

    fn invalid(&self, reason: impl Into<String>) -> Error {
        Error::invalid(&self.file, reason)
    }
}
