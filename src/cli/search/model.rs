//! The model that encodes queries: the index's own, or the one that is named, if it is the same.

use neural_sparse::index::{IndexMetadata, InvertedIndex};
use neural_sparse::{hub, known, ModelFiles, SparseEncoder, UntiedDecoder};

use super::SearchArgs;
use crate::cli::failure::{complain, Failure};
use crate::cli::ModelArgs;

/// A model that is loaded, and what tells whether it is the index's.
pub(super) struct QueryModel {
    pub encoder: SparseEncoder,
    files: ModelFiles,
    /// The arguments, completed by what the index says.
    args: ModelArgs,
    /// What the index says of its model; `None` where nothing is compared.
    expected: Option<IndexMetadata>,
    /// The index, as messages name it.
    index: String,
}

impl QueryModel {
    /// Loads the model: the one that is named, else that of the index. It must compare vectors as the index was made
    /// to.
    pub fn load(args: &SearchArgs, index: &InvertedIndex) -> anyhow::Result<Self> {
        let made = index.made()?;
        let model = completed(args, &made);
        let name = &model.model;
        if !made.names_model() && !model.hub.quiet {
            complain(format_args!(
                "note: the index does not say which model its vectors are of; queries are encoded with `{name}`"
            ));
        }
        let is_compared = made.names_model() && !args.any_model;
        let files = model.files()?;
        let mut options = model.options()?;
        if is_compared && !made.model_files.is_empty() {
            // What a known model's files leave open has been decided for the index, and a copy has the same bytes.
            options.known = made.known_model.as_deref().and_then(known::find);
        }
        let encoder = model.open(&files, &options)?;
        let similarity = index.similarity()?;
        if encoder.similarity() != similarity {
            return Err(Failure {
                message: format!(
                    "`{name}` compares vectors by {}, and the index `{}` was made for {similarity}: scores would be neither",
                    encoder.similarity(),
                    args.index.display()
                ),
                hint: format!("`neural-sparse index build --model {name}` makes an index for it"),
            }
            .into());
        }
        let expected = is_compared.then_some(made);
        Ok(QueryModel { encoder, files, args: model, expected, index: args.index.display().to_string() })
    }

    /// Refuses a model, a dialect or a decoder that are not the index's. Takes time: all files in use are read.
    pub fn check(&self) -> anyhow::Result<()> {
        let Some(expected) = &self.expected else { return Ok(()) };
        let name = &self.args.model;
        let Some(difference) = expected.difference(&self.described()?) else { return Ok(()) };
        let own = expected.model.as_deref().unwrap_or_default();
        Err(Failure {
            message: format!("`{name}` does not fit the index `{}`: {difference}", self.index),
            hint: format!(
                "the index was made with `{own}`, which is used where nothing else is named; `--any-model` searches it \
                 with any model, and scores then mean little"
            ),
        }
        .into())
    }

    fn described(&self) -> anyhow::Result<IndexMetadata> {
        let known = hub::known_model(&self.args.model);
        // The query side that is compiled in has the known model's weights in files of its own.
        let is_compiled_in =
            self.files.path().is_none() && known.is_some_and(|known| known.has_built_in_queries());
        let mut described = self.args.described();
        if !is_compiled_in {
            described.model_files = self.files.sha256_of_each(&[])?;
        }
        Ok(described)
    }
}

/// The arguments, with what the index says where the user says nothing.
pub(super) fn completed(args: &SearchArgs, made: &IndexMetadata) -> ModelArgs {
    let mut model = args.model.clone();
    if let (false, Some(name)) = (args.given.states("--model"), &made.model) {
        model.model = name.clone();
        model.hub.revision = model.hub.revision.or(made.revision.clone());
    }
    if args.any_model || !made.names_model() {
        return model;
    }
    let dialect = made.dialect.as_deref().and_then(|dialect| dialect.parse().ok());
    model.dialect = dialect.filter(|_| !args.given.states("--dialect")).unwrap_or(model.dialect);
    model.decoder = model.decoder.or_else(|| made.decoder.as_deref().and_then(UntiedDecoder::named));
    model
}
