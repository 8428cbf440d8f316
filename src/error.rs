//! Why a model could not be loaded or run.

use std::io;

/// Why a model could not be loaded or run.
///
/// Every variant names the place (file, tensor, flag) and what is wrong there;
/// [`Error::hint`] gives the next step where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder is not there, or holds no model.
    #[error("`{place}`: {reason}")]
    NoModel {
        /// Folder or name that was asked for.
        place: String,
        /// What is missing.
        reason: String,
        /// The file whose absence was found first, below the model's files.
        file: String,
    },
    /// A file of a model that is being downloaded: it is listed, and not there yet.
    #[error("`{file}` has not been downloaded yet")]
    NotFetched {
        /// Its name below the model's files.
        file: String,
    },
    /// A file of the model cannot be read.
    #[error("cannot read `{file}`")]
    Read {
        /// Path of the file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the model was read and cannot be used.
    #[error("`{file}`: {reason}")]
    Invalid {
        /// Path of the file.
        file: String,
        /// What is wrong in it, and where.
        reason: String,
    },
    /// The architecture is none of those that this program runs.
    #[error("`{file}`: model_type `{model_type}` is not supported")]
    UnsupportedModel {
        /// Path of config.json.
        file: String,
        /// What it names.
        model_type: String,
    },
    /// An archive with a compiled model, as ml-commons registers it.
    #[error("`{file}` holds a TorchScript program, whose weights only PyTorch can take out")]
    TorchScript {
        /// Path of the archive.
        file: String,
    },
    /// The side of a text that this encoder cannot encode.
    #[error("`{model}` {reason}")]
    Side {
        /// What the user calls the model.
        model: String,
        /// Which side it lacks, and why.
        reason: String,
    },
    /// A tensor is missing, or does not have the shape or type that config.json asks for.
    #[error("`{file}`: tensor `{tensor}` {reason}")]
    Tensor {
        /// Path of the checkpoint file.
        file: String,
        /// Name of the tensor in it.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An option that this model cannot follow.
    #[error("{0}")]
    Option(String),
    /// The device is not in this build or not on this machine.
    #[error("device `{device}` cannot be used: {reason}")]
    Device {
        /// `cuda` or `metal`.
        device: &'static str,
        /// What candle says.
        reason: String,
    },
    /// The tokenizer refused a text.
    #[error("the tokenizer failed: {0}")]
    Tokenize(String),
    /// The model computed a logit that is not a finite number.
    #[error("the model computed a value that is not finite ({0}): its tensors are damaged or overflow f32")]
    NotFinite(&'static str),
    /// A tensor operation failed.
    #[error("a tensor operation failed")]
    Compute(#[from] candle_core::Error),
    /// The threads could not be started.
    #[error("cannot start the encoder's threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl Error {
    /// What to do next, where there is something that helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NoModel { .. } => Some(
                "a model is a folder with config.json, model.safetensors (or its shards, or pytorch_model.bin) and \
                 tokenizer.json (or vocab.txt); `--model tiny` is built in and needs no files"
                    .into(),
            ),
            Error::UnsupportedModel { .. } => Some(format!(
                "supported: {}",
                crate::spec::families::model_types().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            )),
            Error::TorchScript { file } => Some(match crate::known::contained_in(file) {
                Some(known) => format!("the same weights are on the hub: `--model {}`", known.name),
                None => "the hub has the same weights: `neural-sparse model list` shows the names".into(),
            }),
            Error::Device { device, .. } => Some(format!(
                "build with `cargo build --release --features {device}` on a machine that has it, or use `--device cpu`"
            )),
            _ => None,
        }
    }

    pub(crate) fn invalid(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Invalid { file: file.into(), reason: reason.into() }
    }
}
