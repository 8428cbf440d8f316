//! The terms of a model, without the model: what names them where nothing is encoded.

use std::path::Path;

use anyhow::Context;
use clap::Args;
use neural_sparse::hub::{self, Parts};
use neural_sparse::known::{self, KnownModel, Vocabulary};
use neural_sparse::run::{JobError, LazyVocabulary};
use neural_sparse::{ModelFiles, ModelSpec, Similarity, Tokenizer};

use super::HubArgs;

/// Whose terms they are.
#[derive(Args, Clone)]
pub(in crate::cli) struct VocabularyArgs {
    /// The model that the vectors are of: short name, hub id, folder, or `tiny`. Only its settings and its vocabulary
    /// are read, and only where they make a difference
    #[arg(long, short, value_name = "NAME|HUB_ID|DIR", env = "NEURAL_SPARSE_MODEL", hide_env_values = true, default_value = known::DEFAULT_MODEL)]
    pub model: String,
    #[command(flatten)]
    pub hub: HubArgs,
}

impl VocabularyArgs {
    pub fn known(&self) -> Option<&'static KnownModel> {
        hub::known_model(&self.model)
    }

    /// The vocabulary; that of most known models is compiled in.
    pub fn load(&self) -> anyhow::Result<Tokenizer> {
        let files = match self.known() {
            Some(known) if known.vocabulary == Vocabulary::BertUncased => ModelFiles::tiny(),
            _ => self.hub.resolve(&self.model, Parts::QuerySide)?,
        };
        let spec = ModelSpec::read(&files, self.known())?;
        Ok(Tokenizer::load(&files, &spec)?)
    }

    /// The vocabulary, for where it may not be needed.
    pub fn lazy(&self) -> LazyVocabulary {
        let (own, other) = (self.clone(), self.clone());
        let load = move || {
            let loaded = own.load().context("cannot tell ids and terms apart without a vocabulary");
            Ok::<_, JobError>(loaded?)
        };
        LazyVocabulary::new(self.model.clone(), load, move || Ok(other.size()?))
    }

    /// How the model compares vectors. No file is read of a known model: all of them use the dot product.
    pub fn similarity(&self) -> anyhow::Result<Similarity> {
        // A folder may have the name of a known model.
        if self.known().is_some() && !Path::new(&self.model).exists() {
            return Ok(Similarity::Dot);
        }
        let files = self
            .hub
            .resolve(&self.model, Parts::QuerySide)
            .with_context(|| format!("cannot tell how `{}` compares vectors", self.model))?;
        Ok(Similarity::read(&files)?)
    }

    /// V: from the table of known models, else counted.
    pub fn size(&self) -> anyhow::Result<usize> {
        match self.known() {
            Some(known) => Ok(known.vocabulary.size()),
            None => Ok(self.load()?.vocab_size()),
        }
    }
}
