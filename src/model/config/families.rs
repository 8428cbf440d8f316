//! What each family's config.json says, in the names that it has for it.

use serde_json::Value;

use super::{
    Architecture, Biases, Blocks, ConfigFile, HiddenActivation, ModelConfig, RotaryAttention, RotaryBlocks,
};
use crate::error::Error;

/// Far above any base of rotary frequencies, and its square is still an f32.
const MAX_BASE: f64 = 1e15;

impl ConfigFile {
    /// BERT, and RoBERTa as far as it is the same.
    pub(super) fn bert(&self, architecture: Architecture) -> Result<ModelConfig, Error> {
        self.insist("position_embedding_type", "absolute")?;
        if self.keys.get("is_decoder") == Some(&Value::Bool(true)) {
            return Err(
                self.invalid("is_decoder is true: a masked language model sees both sides of a token")
            );
        }
        let activation = self.activation("hidden_act")?;
        self.checked(ModelConfig {
            architecture,
            num_layers: self.count("num_hidden_layers")?,
            hidden_size: self.size("hidden_size")?,
            num_heads: self.count("num_attention_heads")?,
            feed_forward_size: self.size("intermediate_size")?,
            vocab_size: self.size("vocab_size")?,
            max_positions: self.size("max_position_embeddings")?,
            num_token_types: self.size_or("type_vocab_size", 2)?,
            activation,
            head_activation: activation,
            layer_norm_eps: self.epsilon("layer_norm_eps", 1e-12)?,
            tie_word_embeddings: self.tie_word_embeddings()?,
            blocks: Blocks::Absolute { padding_token: None },
            biases: Biases::ALL,
        })
    }

    pub(super) fn roberta(&self) -> Result<ModelConfig, Error> {
        let bert = self.bert(Architecture::Roberta)?;
        let padding = match self.keys.get("pad_token_id") {
            None => 1,
            Some(value) => match value.as_u64() {
                Some(padding) if (padding as usize) < bert.max_positions - 1 => padding as usize,
                _ => {
                    let positions = bert.max_positions;
                    return Err(self.invalid(format!(
                        "`pad_token_id` is {value}: positions are counted from one after it, and there are {positions}"
                    )));
                }
            },
        };
        Ok(ModelConfig {
            // Whatever hidden_act says: transformers' head calls gelu.
            head_activation: HiddenActivation::GeluErf,
            blocks: Blocks::Absolute { padding_token: Some(padding) },
            ..bert
        })
    }

    /// ModernBERT, in the words of transformers 4 or of transformers 5.
    pub(super) fn modernbert(&self) -> Result<ModelConfig, Error> {
        let num_layers = self.count("num_hidden_layers")?;
        let (hidden_size, num_heads) = (self.size("hidden_size")?, self.count("num_attention_heads")?);
        let window = self.size_or("local_attention", 128)? / 2;
        let bases = [
            ("full_attention", "global_rope_theta", 160_000.0),
            ("sliding_attention", "local_rope_theta", 10_000.0),
        ];
        let mut frequency_sets = Vec::new();
        for (kind, old_key, default) in bases {
            frequency_sets
                .push(frequencies(hidden_size / num_heads, self.rope_base(kind, old_key, default)?));
        }
        let layer = |is_local: bool| RotaryAttention {
            frequencies: usize::from(is_local),
            window: is_local.then_some(window),
        };
        let layers = match self.keys.get("layer_types") {
            None | Some(Value::Null) => {
                let every = self.size_or("global_attn_every_n_layers", 3)?;
                (0..num_layers).map(|index| layer(index % every != 0)).collect()
            }
            Some(Value::Array(types)) if types.len() == num_layers => {
                let kind = |value: &Value| match value.as_str() {
                    Some("full_attention") => Ok(layer(false)),
                    Some("sliding_attention") => Ok(layer(true)),
                    _ => Err(self.invalid(format!(
                        "`layer_types` has {value}, neither \"full_attention\" nor \"sliding_attention\""
                    ))),
                };
                types.iter().map(kind).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(self.invalid(format!("`layer_types` is not a list of {num_layers}"))),
        };
        let (attention, mlp) = (self.flag("attention_bias", false)?, self.flag("mlp_bias", false)?);
        self.checked(ModelConfig {
            architecture: Architecture::ModernBert,
            num_layers,
            hidden_size,
            num_heads,
            feed_forward_size: self.size("intermediate_size")?,
            vocab_size: self.size("vocab_size")?,
            max_positions: self.size_or("max_position_embeddings", 8192)?,
            num_token_types: 0,
            activation: self.activation("hidden_activation")?,
            head_activation: self.activation("classifier_activation")?,
            layer_norm_eps: self.epsilon("norm_eps", 1e-5)?,
            tie_word_embeddings: self.tie_word_embeddings()?,
            blocks: Blocks::Rotary(RotaryBlocks { norm_first: true, frequencies: frequency_sets, layers }),
            biases: Biases {
                attention,
                up: mlp,
                down: mlp,
                norm: self.flag("norm_bias", false)?,
                transform: self.flag("classifier_bias", false)?,
                decoder: self.flag("decoder_bias", true)?,
            },
        })
    }

    /// The base of the rotary frequencies of one kind of layer.
    fn rope_base(&self, kind: &str, old_key: &str, default: f64) -> Result<f32, Error> {
        if !matches!(self.keys.get("rope_scaling"), None | Some(Value::Null)) {
            return Err(
                self.invalid(format!("rope_scaling {} is not supported here", self.keys["rope_scaling"]))
            );
        }
        let parameters = match self.keys.get("rope_parameters") {
            None | Some(Value::Null) => None,
            Some(Value::Object(parameters)) => parameters.get(kind).filter(|value| !value.is_null()),
            Some(other) => return Err(self.invalid(format!("`rope_parameters` is {other}, not an object"))),
        };
        if let Some(other) = parameters.filter(|value| !value.is_object()) {
            return Err(self.invalid(format!("`rope_parameters`: `{kind}` is {other}, not an object")));
        }
        let key = |name: &str| parameters.and_then(|parameters| parameters.get(name));
        if let Some(other) = key("rope_type").filter(|value| value.as_str() != Some("default")) {
            return Err(self
                .invalid(format!("rope_parameters: rope_type {other} is not supported, only \"default\"")));
        }
        self.base(key("rope_theta").or_else(|| self.keys.get(old_key)), old_key, default)
    }

    fn base(&self, value: Option<&Value>, key: &str, default: f64) -> Result<f32, Error> {
        match value.map_or(Some(default), Value::as_f64) {
            Some(base) if base > 1.0 && base <= MAX_BASE => Ok(base as f32),
            _ => Err(self.invalid(format!("the rotary base `{key}` is not a number above 1"))),
        }
    }

    /// GTE, `model_type` `new`. Source: the definition in Alibaba-NLP/new-impl.
    pub(super) fn gte(&self) -> Result<ModelConfig, Error> {
        self.insist("position_embedding_type", "rope")?;
        self.insist("layer_norm_type", "layer_norm")?;
        if !self.flag("pack_qkv", true)? {
            return Err(self.invalid("pack_qkv false is not supported"));
        }
        for key in ["logn_attention_scale", "logn_attention_clip1"] {
            if self.flag(key, false)? {
                return Err(self.invalid(format!("{key} is not supported")));
            }
        }
        let num_layers = self.count("num_hidden_layers")?;
        let (hidden_size, num_heads) = (self.size("hidden_size")?, self.count("num_attention_heads")?);
        let base = self.base(self.keys.get("rope_theta"), "rope_theta", 10_000.0)?;
        let activation = self.activation("hidden_act")?;
        self.checked(ModelConfig {
            architecture: Architecture::Gte,
            num_layers,
            hidden_size,
            num_heads,
            feed_forward_size: self.size("intermediate_size")?,
            vocab_size: self.size("vocab_size")?,
            max_positions: self.size("max_position_embeddings")?,
            num_token_types: if self.keys.get("type_vocab_size") == Some(&Value::from(0)) {
                0
            } else {
                self.size_or("type_vocab_size", 1)?
            },
            activation,
            head_activation: activation,
            layer_norm_eps: self.epsilon("layer_norm_eps", 1e-12)?,
            tie_word_embeddings: self.tie_word_embeddings()?,
            blocks: Blocks::Rotary(RotaryBlocks {
                norm_first: false,
                frequencies: vec![self.ntk_frequencies(hidden_size / num_heads, base)?],
                layers: vec![RotaryAttention { frequencies: 0, window: None }; num_layers],
            }),
            biases: Biases { up: false, ..Biases::ALL },
        })
    }

    /// Frequencies with NTK scaling by a fixed factor s, where config.json asks for it: the base is s times as large,
    /// and all of them are divided by s^(2/D).
    fn ntk_frequencies(&self, head_size: usize, base: f32) -> Result<Vec<f32>, Error> {
        let scaling = match self.keys.get("rope_scaling") {
            None | Some(Value::Null) => return Ok(frequencies(head_size, base)),
            Some(scaling) => scaling,
        };
        let factor = scaling.get("factor").and_then(Value::as_f64);
        let factor = factor.filter(|factor| (1.0..=MAX_BASE).contains(factor));
        let is_mixed = scaling.get("mixed_b").is_some_and(|value| !value.is_null());
        match (scaling.get("type").and_then(Value::as_str), factor) {
            (Some("ntk"), Some(factor)) if !is_mixed => {
                if factor == 1.0 {
                    return Ok(frequencies(head_size, base));
                }
                let divisor = factor.powf(2.0 / head_size as f64) as f32;
                let scaled = frequencies(head_size, base * factor as f32);
                Ok(scaled.into_iter().map(|frequency| frequency / divisor).collect())
            }
            _ => Err(self.invalid(format!(
                "rope_scaling {scaling} is not supported, only {{\"type\":\"ntk\",\"factor\":…}} without mixed_b"
            ))),
        }
    }

    pub(super) fn distilbert(&self) -> Result<ModelConfig, Error> {
        let activation = self.activation("activation")?;
        self.checked(ModelConfig {
            architecture: Architecture::DistilBert,
            num_layers: self.count("n_layers")?,
            hidden_size: self.size("dim")?,
            num_heads: self.count("n_heads")?,
            feed_forward_size: self.size("hidden_dim")?,
            vocab_size: self.size("vocab_size")?,
            max_positions: self.size("max_position_embeddings")?,
            num_token_types: 0,
            activation,
            head_activation: activation,
            // DistilBERT's own code has the constant, its config has no such key.
            layer_norm_eps: 1e-12,
            tie_word_embeddings: self.tie_word_embeddings()?,
            blocks: Blocks::Absolute { padding_token: None },
            biases: Biases::ALL,
        })
    }
}

/// The frequencies of a head's pairs: base^(−2i/D), computed in f32 as PyTorch does.
fn frequencies(head_size: usize, base: f32) -> Vec<f32> {
    let exponent = |pair: usize| (2 * pair) as f32 / head_size as f32;
    // The power in f64, then rounded: what a correct f32 power gives.
    let power = |pair| f64::from(base).powf(f64::from(exponent(pair))) as f32;
    (0..head_size / 2).map(|pair| 1.0 / power(pair)).collect()
}
