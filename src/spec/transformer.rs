//! A masked language model with its tokenizer and its pooling.

use serde_json::Value;

use super::adapter::AdapterSpec;
use super::checkpoint::CheckpointSpec;
use super::config::ModelConfig;
use super::modules::TransformerPlace;
use super::pooling::PoolingConfig;
use super::provenance::Provenance;
use super::settings::SettingsReader;
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
        let config = ModelConfig::read(reader, folder)?;
        let named = reader.config(folder)?.get("transformers_weights").cloned();
        let checkpoint = CheckpointSpec::find(reader, folder, named)?;
        let tokenizer = tokenizer_of(reader, folder, Some(config.max_tokens()), *is_module)?;
        // Seen again once the tokenizer is built, which takes seconds for a million of them.
        if tokenizer.added_tokens.len() > config.vocab_size {
            let (added, size) = (tokenizer.added_tokens.len(), config.vocab_size);
            let reason = format!("vocab_size is {size}, but the tokenizer adds {added} tokens");
            return Err(Error::invalid(reader.files().within(folder).describe("config.json"), reason));
        }
        Ok(TransformerSpec {
            folder: folder.clone(),
            config,
            checkpoint,
            adapter: AdapterSpec::read(reader.files(), folder)?,
            tokenizer,
            pooling: pooling.clone(),
            known_decoder: known.map(|known| known.decoder),
        })
    }

    /// The file that stands for a checkpoint that is not there.
    pub fn missing_checkpoint(&self) -> String {
        match self.folder.as_str() {
            "" => "model.safetensors".to_string(),
            folder => format!("{folder}/model.safetensors"),
        }
    }

    /// What its settings decided.
    pub fn provenance(&self, files: &ModelFiles) -> Vec<Provenance> {
        let mut rows = self.config.provenance(&files.within(&self.folder));
        rows.extend(self.tokenizer.provenance(files));
        rows.extend(self.pooling.provenance());
        rows
    }
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
