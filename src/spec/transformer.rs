//! A masked language model with its tokenizer and its pooling.

use serde_json::Value;

use super::adapter::AdapterSpec;
use super::checkpoint::CheckpointSpec;
use super::config::{HiddenActivation, ModelConfig};
use super::families::Family;
use super::modules::TransformerPlace;
use super::pooling::PoolingConfig;
use super::provenance::Provenance;
use super::reader::{SettingsReader, CONFIG};
use super::tokenizer::{Surroundings, TokenizerSpec};
use crate::conventions::UntiedDecoder;
use crate::error::Error;
use crate::known::KnownModel;
use crate::source::ModelFiles;

/// A masked language model, described: everything that decides its weights but the values of its tensors.
#[derive(Clone)]
pub(crate) struct TransformerSpec {
    /// Its folder below the model's files, `""` for themselves.
    pub folder: String,
    /// Which names its tensors and settings have.
    pub family: &'static Family,
    pub config: ModelConfig,
    /// `None` where the folder holds none: only a query side without a transformer can then be run.
    pub checkpoint: Option<CheckpointSpec>,
    /// An adapter that changes the parameters.
    pub adapter: Option<AdapterSpec>,
    pub tokenizer: TokenizerSpec,
    pub pooling: PoolingConfig,
    /// What a known model's authors did with a stored decoder that differs from the embeddings.
    pub known_decoder: Option<UntiedDecoder>,
}

impl TransformerSpec {
    /// Reads the transformer in its folder.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedModel`] for another architecture, before anything else that the folder lacks;
    /// [`Error::NoModel`] or [`Error::Invalid`] naming the file and key.
    pub(super) fn read(
        reader: &mut SettingsReader,
        TransformerPlace { folder, pooling, is_module }: &TransformerPlace,
        known: Option<&KnownModel>,
    ) -> Result<Self, Error> {
        let (family, config) = read_config(reader, folder)?;
        let named = reader.config(folder)?.get("transformers_weights").cloned();
        let checkpoint = CheckpointSpec::find(reader, folder, named)?;
        let tokenizer = tokenizer_of(reader, folder, Some(config.max_tokens()), *is_module)?;
        // Seen again once the tokenizer is built, which takes seconds for a million of them.
        if tokenizer.added_tokens.len() > config.vocab_size {
            let (added, size) = (tokenizer.added_tokens.len(), config.vocab_size);
            let reason = format!("vocab_size is {size}, but the tokenizer adds {added} tokens");
            return Err(Error::invalid(reader.files().within(folder).describe(CONFIG), reason));
        }
        Ok(TransformerSpec {
            folder: folder.clone(),
            family,
            config,
            checkpoint,
            adapter: AdapterSpec::read(reader.files(), folder)?,
            tokenizer,
            pooling: pooling.clone(),
            known_decoder: known.map(|known| known.decoder),
        })
    }

    /// What its settings decided.
    pub fn provenance(&self, files: &ModelFiles) -> Vec<Provenance> {
        let mut rows = self.provenance_of_config(&files.within(&self.folder));
        rows.extend(self.tokenizer.provenance(files));
        rows.extend(self.pooling.provenance());
        rows
    }

    fn provenance_of_config(&self, files: &ModelFiles) -> Vec<Provenance> {
        let Family { name, activation_key, epsilon_key, is_confirmed, .. } = self.family;
        let config = &self.config;
        let activation = match config.activation {
            HiddenActivation::GeluErf => "GELU (error function)",
            HiddenActivation::GeluTanh => "GELU (tanh approximation)",
            HiddenActivation::Relu => "ReLU",
            HiddenActivation::Silu => "SiLU",
        };
        let shape = format!(
            "{} layers, hidden size {}, {} heads, feed-forward size {}, vocabulary {}, {} positions",
            config.num_layers,
            config.hidden_size,
            config.num_heads,
            config.feed_forward_size,
            config.vocab_size,
            config.max_tokens()
        );
        let file = files.describe(CONFIG);
        let eps = format!("{:e}", config.layer_norm_eps);
        let eps_source = match epsilon_key {
            Some(key) => format!("{file}: {key}"),
            None => format!("{name}'s constant"),
        };
        // Where no real weights were in reach, the family's own definition in PyTorch is what it was compared with.
        let unconfirmed = match is_confirmed {
            true => "",
            false => "; unconfirmed: no published score of such a model has been reproduced yet",
        };
        let model = format!("{name} masked language model{unconfirmed}");
        vec![
            Provenance::new("architecture", model, format!("{file}: model_type")),
            Provenance::new("shape", shape, &file),
            Provenance::new("positions", config.blocks.describe(), &file),
            Provenance::new("hidden activation", activation, format!("{file}: {activation_key}")),
            Provenance::new("LayerNorm epsilon", eps, eps_source),
        ]
    }
}

/// Reads config.json in `folder`.
///
/// # Errors
///
/// [`Error::NoModel`] without the file, [`Error::UnsupportedModel`] for another `model_type`, [`Error::Invalid`] naming
/// the key that is missing or out of range.
pub(super) fn read_config(
    reader: &mut SettingsReader,
    folder: &str,
) -> Result<(&'static Family, ModelConfig), Error> {
    refuse_model_type(reader, folder)?;
    let config = reader.config(folder)?;
    if !config.exists {
        return Err(missing_config(&reader.files().within(folder)));
    }
    let model_type = config.get("model_type").and_then(Value::as_str);
    let missing = || config.invalid("no `model_type`: this is not a transformers config");
    match Family::of_model_type(model_type.ok_or_else(missing)?) {
        Some(family) => Ok((family, (family.config)(&config)?)),
        None => unreachable!("refused above"),
    }
}

/// Refuses a folder whose config.json names an architecture that is not supported, before anything is missed in it.
///
/// # Errors
///
/// [`Error::UnsupportedModel`]; [`Error::Invalid`] when the file is not JSON.
pub(super) fn refuse_model_type(reader: &SettingsReader, folder: &str) -> Result<(), Error> {
    match reader.model_type(folder)? {
        Some(model_type) if Family::of_model_type(&model_type).is_none() => {
            let file = reader.files().within(folder).describe(CONFIG);
            Err(Error::UnsupportedModel { file, model_type })
        }
        _ => Ok(()),
    }
}

fn missing_config(files: &ModelFiles) -> Error {
    let reason = match (files.path(), AdapterSpec::base_of(files)) {
        (Some(path), _) if !path.is_dir() => "no such folder".into(),
        (_, Some(base)) => format!("holds only an adapter for `{}`", base.escape_debug()),
        (_, None) => "holds no config.json".into(),
    };
    Error::NoModel { place: files.name().to_string(), reason, file: files.inside(CONFIG) }
}

/// The tokenizer of the model in `folder`; where the folder has none, that of the model's root.
///
/// * `max_positions`: those of the model; `None` where none limits a text.
pub(super) fn tokenizer_of(
    reader: &mut SettingsReader,
    folder: &str,
    max_positions: Option<usize>,
    is_module: bool,
) -> Result<TokenizerSpec, Error> {
    let config = reader.config(folder)?;
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    let around = Surroundings {
        model_type: text("model_type"),
        tokenizer_class: text("tokenizer_class"),
        max_positions,
        is_module,
    };
    TokenizerSpec::read(reader, folder, around)
}
