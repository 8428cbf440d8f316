//! Why a model could not be loaded or run: what is wrong, and where.
//!
//! Errors are data. They hold what a caller needs to say the next step, and do not say it themselves.

use std::io;

use crate::one_line::one_line;
use crate::sparse::ScoreOverflow;

/// Why a model could not be loaded or run.
///
/// Every variant names the place (file, tensor, option) and what is wrong there. Its text is one line, whatever the files
/// hold: a long value is shortened, and control characters are escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder is not there, or lacks a file that a model needs or that its settings name.
    #[error("`{}`: {}", one_line(place), one_line(reason))]
    NoModel {
        /// Folder or name that was asked for, or the file that names another.
        place: String,
        /// What is missing.
        reason: String,
        /// The file whose absence was found first, below the model's files.
        file: String,
    },
    /// A file of a model that is being downloaded: it is listed, and not there yet.
    #[error("`{}` has not been downloaded yet", one_line(file))]
    NotFetched {
        /// Its name below the model's files.
        file: String,
    },
    /// A file of the model cannot be read.
    #[error("cannot read `{}`", one_line(file))]
    Read {
        /// Path of the file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the model was read and cannot be used.
    #[error("`{}`: {}", one_line(file), one_line(reason))]
    Invalid {
        /// Path of the file.
        file: String,
        /// What is wrong in it, and where.
        reason: String,
    },
    /// The architecture is not among [`supported_model_types`](crate::supported_model_types).
    #[error("`{}`: model_type `{}` is not supported", one_line(file), one_line(model_type))]
    UnsupportedModel {
        /// Path of config.json.
        file: String,
        /// What it names.
        model_type: String,
    },
    /// An archive with a compiled model, as ml-commons registers it.
    #[error("`{}` holds a TorchScript program, whose weights only PyTorch can take out", one_line(file))]
    TorchScript {
        /// Path of the archive.
        file: String,
    },
    /// A model in a zip archive, in a build that cannot read one.
    #[error("`{file}` is a file, not a folder, and {missing}, which reads archives")]
    Archive {
        /// Path of the archive.
        file: String,
        /// The feature that reads archives.
        missing: MissingFeature,
    },
    /// The model encodes queries by files of their own, which are not there.
    #[error("`{model}` has a query side of its own, which these files lack")]
    NoQuerySide {
        /// What the user calls the model.
        model: String,
    },
    /// The model's sides differ, and a line of vectors to compare with does not say which one its text is on.
    #[error(
        "the model encodes queries and documents differently, and line {line} of the vectors does not say which its \
         text is"
    )]
    UnknownSide {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The side of a text that this encoder cannot encode.
    #[error("`{}` {}", one_line(model), one_line(reason))]
    Side {
        /// What the user calls the model.
        model: String,
        /// Which side it lacks, and why.
        reason: String,
    },
    /// A tensor is missing, or does not have the shape or type that config.json asks for.
    #[error("`{}`: tensor `{}` {}", one_line(file), one_line(tensor), one_line(reason))]
    Tensor {
        /// Path of the checkpoint file.
        file: String,
        /// Name of the tensor in it.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An option that this model cannot follow.
    #[error("{}", one_line(.0))]
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
    #[error("the tokenizer failed: {}", one_line(.0))]
    Tokenize(String),
    /// The model computed a logit that is not a finite number.
    #[error("the model computed a value that is not finite ({0}): its tensors are damaged or overflow f32")]
    NotFinite(&'static str),
    /// No f32 holds the score of two vectors.
    #[error(transparent)]
    Score(#[from] ScoreOverflow),
    /// A tensor operation failed.
    #[error("a tensor operation failed")]
    Compute(#[from] candle_core::Error),
    /// The threads could not be started.
    #[error("cannot start the encoder's threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// A feature of this crate that the build lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this build lacks the feature `{feature}`")]
pub struct MissingFeature {
    /// Its name in Cargo.toml.
    pub feature: &'static str,
}

impl Error {
    pub(crate) fn invalid(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Invalid { file: file.into(), reason: reason.into() }
    }
}
