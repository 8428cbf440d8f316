//! The terms of a model, without the model: what names them where nothing is encoded.

use clap::Args;
use neural_sparse::hub::{self, Parts};
use neural_sparse::known::{self, KnownModel, Vocabulary};
use neural_sparse::{ModelFiles, ModelSpec, Tokenizer};

use super::HubArgs;

/// Whose terms they are.
#[derive(Args, Clone)]
pub(super) struct VocabularyArgs {
    /// The model that the vectors are of: short name, hub id, folder, or `tiny`. Only its vocabulary is read, and only
    /// where ids and terms have to be told apart
    #[arg(long, value_name = "NAME|HUB_ID|DIR", env = "NEURAL_SPARSE_MODEL", default_value = known::DEFAULT_MODEL)]
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

    /// V: from the table of known models, else counted.
    pub fn size(&self) -> anyhow::Result<usize> {
        match self.known() {
            Some(known) => Ok(known.vocabulary.size()),
            None => Ok(self.load()?.vocab_size()),
        }
    }
}
