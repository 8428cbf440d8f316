//! Which model, and how it runs.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Once;

use clap::builder::TypedValueParser;
use clap::Args;
use neural_sparse::hub::{self, HubError, Parts};
use neural_sparse::index::IndexMetadata;
use neural_sparse::known::{self, QuerySide};
use neural_sparse::run::RunSettings;
use neural_sparse::{
    DeviceName, Dialect, EncoderOptions, ModelFiles, Note, Side, SparseEncoder, UntiedDecoder,
};
use serde_json::Value;

use super::{choice, HubArgs};
use crate::cli::failure::{complain, UsageError};
use crate::cli::{counted, environment};

/// Which model, and how it runs.
#[derive(Args, Clone)]
pub(in crate::cli) struct ModelArgs {
    /// Short name, hub id, folder, or `tiny`, which is built in and needs no files
    #[arg(long, short, value_name = "NAME|HUB_ID|DIR", env = "NEURAL_SPARSE_MODEL", hide_env_values = true, default_value = known::DEFAULT_MODEL)]
    pub model: String,
    #[command(flatten)]
    pub hub: HubArgs,
    /// The side that the texts stand on; needed where a model encodes queries and documents differently
    #[arg(long = "as", value_name = "query|document", value_parser = sides())]
    pub side: Option<Side>,
    /// Whose reading of the model to follow: the model cards', ml-commons' or sentence-transformers'
    #[arg(long, value_name = "card|ml-commons|sentence-transformers", default_value = "card")]
    pub dialect: Dialect,
    /// Cut texts to this many tokens, special tokens included [default: the model's own limit]
    #[arg(long, value_name = "TOKENS", value_delimiter = ',')]
    pub max_length: Vec<NonZeroUsize>,
    /// Threads to encode with; the vectors do not depend on it [default: one per processor]
    #[arg(long, short, value_name = "NUM")]
    pub threads: Option<NonZeroUsize>,
    /// Which matrix projects on the vocabulary where a checkpoint stores a decoder that differs from its embeddings and
    /// config.json does not say [default: as the model's authors did, else the stored one]
    #[arg(long, value_name = "stored|embeddings", value_parser = choice(UntiedDecoder::ALL.map(|decoder| (decoder, decoder.name(), ""))))]
    pub decoder: Option<UntiedDecoder>,
    /// Where the forward pass runs; cuda and metal need a build with that feature
    #[arg(long, value_name = "cpu|cuda|metal", default_value = "cpu", value_parser = choice(DeviceName::ALL.map(|device| (device, device.name(), ""))))]
    pub device: DeviceName,
}

/// The sides, as an argument.
pub(in crate::cli) fn sides() -> impl TypedValueParser<Value = Side> {
    choice([Side::Query, Side::Document].map(|side| (side, side.name(), "")))
}

impl ModelArgs {
    pub fn files(&self) -> Result<ModelFiles, HubError> {
        self.hub.resolve(&self.model, self.parts())
    }

    /// Which of the model's files the texts need.
    pub fn parts(&self) -> Parts {
        match self.side {
            Some(Side::Query) => Parts::QuerySide,
            _ => Parts::Whole,
        }
    }

    pub fn load(&self) -> anyhow::Result<SparseEncoder> {
        self.open(&self.files()?, &self.options()?)
    }

    /// Loads a model, and notes what its user may want to know.
    pub fn open(&self, files: &ModelFiles, options: &EncoderOptions) -> anyhow::Result<SparseEncoder> {
        let encoder = SparseEncoder::load(files, options)?;
        if !self.hub.quiet {
            for note in encoder.notes() {
                complain(format_args!("note: {note}"));
                if matches!(note, Note::TwoDecoders { .. }) {
                    complain(format_args!(
                        "      `--decoder stored|embeddings` states one; `model verify` tells which one fits a golden file"
                    ));
                }
            }
        }
        Ok(encoder)
    }

    /// What decides a vector of `side`, by the names that messages give it.
    pub fn settings(&self, encoder: &SparseEncoder, side: Side) -> anyhow::Result<BTreeMap<String, Value>> {
        let mut settings: Vec<(&str, Value)> = vec![
            ("--as", side.name().into()),
            ("--max-length", encoder.max_length(side)?.into()),
            ("--dialect", self.dialect.name().into()),
            ("--device", self.device.name().into()),
            ("the kernel", encoder.instruction_set().name().into()),
        ];
        // What these decide is not in the model's files.
        let known = hub::known_model(&self.model);
        settings.extend(known.map(|known| ("the known model", Value::from(known.hub_id))));
        settings.extend(self.decoder.map(|decoder| ("--decoder", Value::from(decoder.name()))));
        Ok(settings.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
    }

    /// What an index says of this model, without the hashes of its files.
    pub fn described(&self) -> IndexMetadata {
        IndexMetadata {
            model: Some(self.model.clone()),
            known_model: hub::known_model(&self.model).map(|known| known.hub_id.to_string()),
            revision: self.hub.revision.clone(),
            dialect: Some(self.dialect.name().into()),
            decoder: self.decoder.map(|decoder| decoder.name().into()),
            max_length: self.max_length.first().map(|length| length.get()),
            ..IndexMetadata::default()
        }
    }

    /// What a bulk run with this model is told; its texts are cut as those of `side` are.
    ///
    /// * `options`: the options that decide what is written, with their values.
    pub fn run_settings(
        &self,
        files: &ModelFiles,
        encoder: &SparseEncoder,
        side: Side,
        options: BTreeMap<String, Value>,
    ) -> anyhow::Result<RunSettings> {
        Ok(RunSettings {
            options,
            model: Some((self.model.clone(), files.clone())),
            num_threads: encoder.num_threads(),
            max_length: Some(encoder.max_length(side)?),
        })
    }

    pub fn options(&self) -> Result<EncoderOptions, UsageError> {
        self.options_for(&self.model)
    }

    /// The options for the model `name`.
    pub fn options_for(&self, name: &str) -> Result<EncoderOptions, UsageError> {
        Ok(EncoderOptions {
            known: hub::known_model(name),
            decoder: self.decoder,
            max_length: self.length()?.map(NonZeroUsize::get),
            num_threads: self.num_threads(),
            instruction_set: environment::instruction_set()?,
            without_screen: environment::without_screen(),
            only: self.side,
            dialect: self.dialect,
            device: self.device,
            ..EncoderOptions::default()
        })
    }

    /// What `--threads` asks for, but no more than there are processors: further threads would only wait for one.
    pub fn num_threads(&self) -> Option<usize> {
        /// A run asks several times, and says it once.
        static NOTE: Once = Once::new();
        let (wanted, most) = (self.threads?.get(), available_threads());
        if wanted > most && !self.hub.quiet {
            let processors = counted(most as u64, "processor");
            NOTE.call_once(|| {
                complain(format_args!(
                    "note: {wanted} threads were asked for; {most} run, as there are {processors}"
                ));
            });
        }
        Some(wanted.min(most))
    }

    /// The one length that `--max-length` names. Only what compares lengths takes several.
    fn length(&self) -> Result<Option<NonZeroUsize>, UsageError> {
        match self.max_length[..] {
            [] => Ok(None),
            [length] => Ok(Some(length)),
            _ => Err(UsageError::with_hint(
                "--max-length: several lengths",
                "`neural-sparse eval sweep` compares them; anything else is done with one",
            )),
        }
    }

    /// The side that `--as` names; a model whose sides differ insists on one.
    pub fn known_side(&self, encoder: &SparseEncoder) -> Result<Side, UsageError> {
        match self.side {
            Some(side) => Ok(side),
            None if encoder.sides_differ() => Err(self.wants_side()),
            None => Ok(Side::Document),
        }
    }

    /// [`ModelArgs::known_side`] as far as the model's name tells, before anything is downloaded for nothing.
    pub fn check_side(&self) -> Result<(), UsageError> {
        let known = hub::known_model(&self.model);
        match known.is_some_and(|known| known.query_side != QuerySide::Model) && self.side.is_none() {
            true => Err(self.wants_side()),
            false => Ok(()),
        }
    }

    pub fn wants_side(&self) -> UsageError {
        UsageError::with_hint(
            format!("`{}` encodes queries and documents differently", self.model),
            "say which these texts are: `--as query` or `--as document`",
        )
    }
}

/// As many threads as there are processors.
pub(in crate::cli) fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
