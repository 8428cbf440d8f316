//! config.json of every supported family, as one [`ModelConfig`]. `families/` knows what each calls its settings.
//!
//! Reads and checks; everything that a later step could divide by or index
//! with is sound once this has returned.

use serde_json::Value;

use super::settings::Settings;
use crate::error::Error;
pub use crate::kernel::Activation as HiddenActivation;

/// Far above any base of rotary frequencies, and its square is still an f32.
pub(super) const MAX_BASE: f64 = 1e15;

/// The shape of a masked language model, from its config.json.
///
/// A·D = H, and every size is at least 1.
#[derive(Clone)]
pub struct ModelConfig {
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
    /// How many positions there are, with and without an embedding.
    pub max_positions: usize,
    /// Rows of the token-type embedding; 0 where the architecture has none.
    pub num_token_types: usize,
    /// Activation of the feed-forward blocks.
    pub activation: HiddenActivation,
    /// Activation of the masked-LM head.
    pub head_activation: HiddenActivation,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f64,
    /// `tie_word_embeddings`, when config.json says it.
    pub tie_word_embeddings: Option<bool>,
    /// The shape of a layer.
    pub blocks: Blocks,
    /// Which layers have biases.
    pub biases: Biases,
}

/// The shape of a layer, and how it knows where a token stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Blocks {
    /// An embedding for each position; LayerNorm after each half of a layer; a plain feed-forward block.
    Absolute {
        /// RoBERTa's padding token p, where it numbers its positions from p + 1 and a token p in the text has
        /// position p itself.
        padding_token: Option<usize>,
    },
    /// Queries and keys rotated by position; a gated feed-forward block.
    Rotary(RotaryBlocks),
}

/// What layers with rotary positions differ in.
#[derive(Clone, Debug, PartialEq)]
pub struct RotaryBlocks {
    /// Whether LayerNorm comes before each half of a layer (but the first half of the first layer), and once after the
    /// last; after each half otherwise.
    pub norm_first: bool,
    /// Radians per position for each pair of a head's elements: sets of D / 2.
    pub frequencies: Vec<Vec<f32>>,
    /// One for each layer.
    pub layers: Vec<RotaryAttention>,
}

/// How one layer with rotary positions attends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotaryAttention {
    /// Which set of frequencies it has.
    pub frequencies: usize,
    /// How far a token sees, in either direction; the whole text when `None`.
    pub window: Option<usize>,
}

/// Whether dense layers and norms have biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Biases {
    pub attention: bool,
    /// Of the feed-forward block's first product.
    pub up: bool,
    /// Of its second.
    pub down: bool,
    pub norm: bool,
    pub transform: bool,
    pub decoder: bool,
}

impl Biases {
    /// All of them.
    pub const ALL: Biases =
        Biases { attention: true, up: true, down: true, norm: true, transform: true, decoder: true };
}

impl ModelConfig {
    /// The most tokens of a text.
    pub fn max_tokens(&self) -> usize {
        match self.blocks {
            Blocks::Absolute { padding_token: Some(padding) } => self.max_positions - padding - 1,
            _ => self.max_positions,
        }
    }

    /// Which row of the position embeddings each token of a text has.
    ///
    /// Source: `create_position_ids_from_input_ids` of transformers' RoBERTa; 0, 1, 2 … for the others.
    pub fn positions<'a>(&'a self, ids: &'a [u32]) -> impl Iterator<Item = usize> + 'a {
        let padding = match self.blocks {
            Blocks::Absolute { padding_token } => padding_token,
            Blocks::Rotary(_) => None,
        };
        let mut next = padding.map_or(0, |padding| padding + 1);
        ids.iter().map(move |&id| match padding {
            Some(padding) if id as usize == padding => padding,
            _ => {
                next += 1;
                next - 1
            }
        })
    }

    /// D, the size of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_heads
    }
}

impl Blocks {
    /// In words, for whoever asks where a token's position comes from.
    pub(super) fn describe(&self) -> String {
        match self {
            Blocks::Absolute { padding_token: None } => "an embedding each, from 0".into(),
            Blocks::Absolute { padding_token: Some(padding) } => {
                format!("an embedding each, from {} (one after the padding token)", padding + 1)
            }
            Blocks::Rotary(RotaryBlocks { layers, .. }) => {
                let windows: Vec<usize> = layers.iter().filter_map(|layer| layer.window).collect();
                match windows.first() {
                    None => "rotary".into(),
                    Some(window) => format!(
                        "rotary; {} of {} layers see {window} tokens to either side",
                        windows.len(),
                        layers.len()
                    ),
                }
            }
        }
    }
}

/// Values of config.json, checked.
impl Settings {
    pub fn checked(&self, config: ModelConfig) -> Result<ModelConfig, Error> {
        if !config.hidden_size.is_multiple_of(config.num_heads) {
            return Err(self.invalid(format!(
                "the hidden size {} is not a multiple of the {} attention heads",
                config.hidden_size, config.num_heads
            )));
        }
        if matches!(config.blocks, Blocks::Rotary(_)) && !config.head_size().is_multiple_of(2) {
            return Err(
                self.invalid(format!("heads of {} elements cannot be rotated in pairs", config.head_size()))
            );
        }
        Ok(config)
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.invalid(format!("`{key}` is {other}, not true or false"))),
        }
    }

    pub fn size(&self, key: &str) -> Result<usize, Error> {
        let value = self.keys.get(key).ok_or_else(|| self.invalid(format!("no `{key}`")))?;
        // Far above any model, and low enough that tables of one size cost little before the checkpoint is looked at.
        const LARGEST: u64 = 1 << 28;
        match value.as_u64() {
            Some(size) if (1..=LARGEST).contains(&size) => Ok(size as usize),
            _ => Err(self.invalid(format!("`{key}` is {value}, not a size"))),
        }
    }

    /// A number of layers or heads: far fewer than other sizes, as memory is set aside for each.
    pub fn count(&self, key: &str) -> Result<usize, Error> {
        const LARGEST: usize = 1000;
        match self.size(key)? {
            count @ ..=LARGEST => Ok(count),
            count => Err(self.invalid(format!("`{key}` is {count}; {LARGEST} at most are supported"))),
        }
    }

    /// The length of a vector that the model holds for each token. Far above any model, and low enough that what is
    /// computed of it before the checkpoint is opened costs nothing.
    pub fn width(&self, key: &str) -> Result<usize, Error> {
        const LARGEST: usize = 1 << 17;
        match self.size(key)? {
            width @ ..=LARGEST => Ok(width),
            width => Err(self.invalid(format!("`{key}` is {width}; {LARGEST} at most is supported"))),
        }
    }

    pub fn size_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        if self.keys.contains_key(key) {
            self.size(key)
        } else {
            Ok(default)
        }
    }

    pub fn activation(&self, key: &str) -> Result<HiddenActivation, Error> {
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

    pub fn epsilon(&self, key: &str, default: f64) -> Result<f64, Error> {
        match self.keys.get(key) {
            None => Ok(default),
            Some(value) => match value.as_f64() {
                Some(eps) if (0.0..1.0).contains(&eps) => Ok(eps),
                _ => Err(self.invalid(format!("`{key}` is {value}, not a small number"))),
            },
        }
    }

    pub fn tie_word_embeddings(&self) -> Result<Option<bool>, Error> {
        match self.keys.get("tie_word_embeddings") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(tie)) => Ok(Some(*tie)),
            Some(other) => Err(self.invalid(format!("`tie_word_embeddings` is {other}, not true or false"))),
        }
    }

    /// The base of rotary frequencies.
    pub fn base(&self, value: Option<&Value>, key: &str, default: f64) -> Result<f32, Error> {
        match value.map_or(Some(default), Value::as_f64) {
            Some(base) if base > 1.0 && base <= MAX_BASE => Ok(base as f32),
            _ => Err(self.invalid(format!("the rotary base `{key}` is not a number above 1"))),
        }
    }
}
