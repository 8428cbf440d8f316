//! How collections are encoded and indexed.

use std::path::{Path, PathBuf};

use clap::Args;
use neural_sparse::eval::{
    has_vectors, Collection, CollectionError, CollectionModel, EncodedCollection, EvaluationError,
    VectorCollection,
};
use neural_sparse::index::Codec;
use neural_sparse::run::{LongTexts, Observer, RunError};
use neural_sparse::{EncoderOptions, Side};

use crate::cli::args::{available_threads, codecs, Given};
use crate::cli::bulk::{say_truncated, Watcher};
use crate::cli::failure::{complain, Failure, UsageError};
use crate::cli::{bulk, environment, ModelArgs};

/// How a collection is encoded and indexed.
#[derive(Args)]
pub(super) struct EncodingArgs {
    /// Which judgements of a collection [default: test, or the only ones that there are]
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// How the index keeps weights: f32; lucene9, as OpenSearch does; f16; or u8
    #[arg(long, value_name = "f32|lucene9|f16|u8", default_value = "f32", value_parser = codecs())]
    pub codec: Codec,
    /// Folder for vectors and indexes [default: neural-sparse in the user's cache]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// The flags of a model, which are of no use where the vectors are there.
const FLAGS_OF_MODELS: [&str; 10] = [
    "--model",
    "--revision",
    "--offline",
    "--dialect",
    "--max-length",
    "--max-lengths",
    "--decoder",
    "--device",
    "--precision",
    "--on-long",
];

/// An error where a flag of a model is given, and every folder has vectors.
pub(super) fn refuse_idle_models(data: &[PathBuf], given: &Given) -> Result<(), UsageError> {
    match data.iter().all(|folder| has_vectors(folder)) {
        true => given.refuse(&FLAGS_OF_MODELS, "the vectors are there already"),
        false => Ok(()),
    }
}

/// Why nothing could be evaluated: an error of the library, or one that a user has made.
pub(super) enum Failed {
    Evaluation(EvaluationError),
    Other(anyhow::Error),
}

impl From<EvaluationError> for Failed {
    fn from(error: EvaluationError) -> Self {
        Failed::Evaluation(error)
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Failed::Other(error)
    }
}

impl EncodingArgs {
    fn cache(&self) -> Result<PathBuf, UsageError> {
        self.cache.clone().map_or_else(environment::cache_folder, Ok)
    }

    /// Does `work`, which goes on by itself when it is interrupted and started again. `None` where it was interrupted,
    /// which has been said then.
    pub fn interruptible<T>(
        &self,
        work: impl FnOnce(&mut Watcher) -> Result<T, Failed>,
    ) -> anyhow::Result<Option<T>> {
        let mut watcher = Watcher::new(self.model.hub.quiet, true);
        let done = bulk::interruptible(&mut watcher, work);
        match done {
            Ok(done) => Ok(Some(done)),
            Err(Failed::Evaluation(EvaluationError::Cancelled(left))) => {
                bulk::say_interrupted(&left, false);
                Ok(None)
            }
            Err(Failed::Evaluation(EvaluationError::CancelledAtQueries)) => {
                complain(format_args!(
                    "interrupted; vectors that were written are kept, and the same command goes on with them"
                ));
                Ok(None)
            }
            Err(Failed::Evaluation(error)) => Err(explained(error)),
            Err(Failed::Other(error)) => Err(error),
        }
    }

    /// Has a collection encoded with a model, and notes what its user may want to know.
    pub fn open(
        &self,
        folder: &Path,
        model: &ModelArgs,
        long: LongTexts,
        observer: &mut dyn Observer,
    ) -> Result<EncodedCollection, Failed> {
        let data = Collection::open(folder, self.split.as_deref()).map_err(with_hint)?;
        let quiet = model.hub.quiet;
        self.say_missing(&data.name, "text", &data.missing);
        let cache = self.cache().map_err(anyhow::Error::from)?;
        model.hub.refuse_to_shadow(&model.model, &cache).map_err(anyhow::Error::from)?;
        let files = model.files().map_err(anyhow::Error::from)?;
        let options = EncoderOptions { only: None, ..model.options().map_err(anyhow::Error::from)? };
        let encoder = model.open(&files, &options)?;
        let settings = model.settings(&encoder, Side::Document)?;
        let max_length = encoder.max_length(Side::Query).map_err(EvaluationError::from)?;
        let model = CollectionModel { name: model.model.clone(), files, encoder, settings, long };
        let encoded = EncodedCollection::open(data, model, &cache, observer)?;
        if !quiet {
            say_truncated(encoded.query_tally(), max_length);
        }
        Ok(encoded)
    }
}

impl EncodingArgs {
    /// Has the vectors of a folder indexed as they are, and notes what its user may want to know.
    ///
    /// * `qrels`: the file of the judgements, where they are not in the folder.
    pub fn open_vectors(&self, folder: &Path, qrels: Option<&Path>) -> Result<EncodedCollection, Failed> {
        let data =
            VectorCollection::open(folder, qrels, self.split.as_deref()).map_err(|error| match error {
                CollectionError::Missing { part: "judgements", .. } => {
                    let hint = "they may lie in the folder as qrels.txt; `--qrels FILE` of `eval` names another file";
                    Failure { message: error.to_string(), hint: hint.into() }.into()
                }
                other => anyhow::Error::from(other),
            })?;
        self.say_missing(&data.name, "vector", &data.missing);
        let num_threads = self.model.num_threads().unwrap_or_else(available_threads);
        let cache = self.cache().map_err(anyhow::Error::from)?;
        Ok(EncodedCollection::of_vectors(data, num_threads, &cache)?)
    }

    fn say_missing(&self, name: &str, what: &str, missing: &[String]) {
        if let (false, [first, ..]) = (self.model.hub.quiet, missing) {
            complain(format_args!(
                "note: {name}: {} of the judged queries have no {what}, and count as queries without hits; the first is \
                 `{first}`",
                missing.len()
            ));
        }
    }
}

/// An error of the library under its own type, which tells what to do next.
fn explained(error: EvaluationError) -> anyhow::Error {
    match error {
        EvaluationError::Model(error) => error.into(),
        EvaluationError::Unranked(error) => error.into(),
        EvaluationError::Index(error) => error.into(),
        EvaluationError::Run(RunError::Stopped { left, source }) => bulk::stopped(&left, *source, true),
        EvaluationError::Run(error) => error.into(),
        other => other.into(),
    }
}

/// What is missing in a folder, and what would do.
fn with_hint(error: CollectionError) -> anyhow::Error {
    let CollectionError::Missing { .. } = error else { return error.into() };
    let hint = "a collection in BEIR's layout has corpus.jsonl, queries.jsonl and qrels/test.tsv";
    Failure { message: error.to_string(), hint: hint.into() }.into()
}
