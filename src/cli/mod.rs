//! The command line: the only folder that knows clap, the standard streams and the environment.
//!
//! Each subcommand is a file: it opens what it needs, calls the library and writes.

mod bulk;
mod compression;
mod convert;
mod download_bar;
mod encode;
mod encode_rows;
mod environment;
mod eval;
mod explain;
mod failure;
mod fields;
mod formats;
mod hints;
mod index;
mod lines;
mod model;
mod output;
mod page;
mod requests;
mod score;
mod search;
mod stats;
mod storage;
mod target;
mod vocabulary;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use neural_sparse::hub::{self, HubError, HubOptions, Parts, Resolved};
use neural_sparse::known::{KnownModel, QuerySide};
use neural_sparse::{
    known, DeviceName, Dialect, EncoderOptions, ModelFiles, Note, Side, SparseEncoder, UntiedDecoder,
};
use serde_json::Value;

use bulk::Surroundings;
use failure::{complain, UsageError};

/// Turns text into sparse term-weight vectors with the OpenSearch neural sparse encoding models.
#[derive(Parser)]
#[command(name = "neural-sparse", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  neural-sparse encode --model tiny \"What's the weather in ny now?\"
  neural-sparse encode --input docs.jsonl --output vectors.jsonl

Exit codes: 0 done, 1 failed, 2 usage, 3 finished but some input was rejected, 130 interrupted.";

#[derive(Subcommand)]
enum Command {
    Encode(encode::EncodeArgs),
    Score(score::ScoreArgs),
    Explain(explain::ExplainArgs),
    Convert(convert::ConvertArgs),
    Target(target::TargetArgs),
    Index(index::IndexArgs),
    Search(Box<search::SearchArgs>),
    Eval(Box<eval::EvalArgs>),
    Stats(stats::StatsArgs),
    Model(model::ModelCommandArgs),
}

/// Which model, and how it runs.
#[derive(Args, Clone)]
struct ModelArgs {
    /// Short name, hub id, folder, or `tiny`, which is built in and needs no files
    #[arg(long, value_name = "NAME|HUB_ID|DIR", env = "NEURAL_SPARSE_MODEL", default_value = known::DEFAULT_MODEL)]
    model: String,
    #[command(flatten)]
    hub: HubArgs,
    /// The side that the texts stand on; needed where a model encodes queries and documents differently
    #[arg(long = "as", value_name = "SIDE")]
    side: Option<SideName>,
    /// Whose reading of the model to follow: the model cards', ml-commons' or sentence-transformers'
    #[arg(long, value_name = "card|ml-commons|sentence-transformers", default_value = "card")]
    dialect: Dialect,
    /// Cut texts to this many tokens, special tokens included [default: the model's own limit]
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<NonZeroUsize>,
    /// Threads to encode with; the vectors do not depend on it [default: one per processor]
    #[arg(long, value_name = "NUM")]
    threads: Option<NonZeroUsize>,
    /// Which matrix projects on the vocabulary where a checkpoint stores a decoder that differs from its embeddings and
    /// config.json does not say [default: as the model's authors did, else the stored one]
    #[arg(long, value_name = "stored|embeddings")]
    decoder: Option<DecoderName>,
    /// Where the forward pass runs; cuda and metal need a build with that feature
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: Device,
}

/// Where model files come from.
#[derive(Args, Clone)]
struct HubArgs {
    /// Branch, tag or commit of a model on the hub [default: main]
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Never touch the network: use folders and the hub's cache only
    #[arg(long)]
    offline: bool,
    /// Nothing on standard error but errors: no notes, no progress, no figures at the end
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum SideName {
    Query,
    Document,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Device {
    Cpu,
    Cuda,
    Metal,
}

/// Which matrix projects on the vocabulary.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum DecoderName {
    Stored,
    Embeddings,
}

impl DecoderName {
    fn name(self) -> &'static str {
        match self {
            DecoderName::Stored => "stored",
            DecoderName::Embeddings => "embeddings",
        }
    }

    fn reading(self) -> UntiedDecoder {
        match self {
            DecoderName::Stored => UntiedDecoder::UseStored,
            DecoderName::Embeddings => UntiedDecoder::UseEmbeddings,
        }
    }
}

impl HubArgs {
    /// The files of the model `name`. A licence that limits its use is noted before a download, and so is a folder that
    /// is taken for a model of the same name.
    fn resolve(&self, name: &str, parts: Parts) -> Result<ModelFiles, HubError> {
        let resolved = self.resolve_name(name, parts)?;
        self.note_shadowed(name, resolved.shadowed);
        Ok(resolved.files)
    }

    fn note_shadowed(&self, name: &str, shadowed: Option<&KnownModel>) {
        if let Some(known) = shadowed.filter(|_| !self.quiet) {
            let other = if known.hub_id.contains('/') { known.hub_id } else { "the built-in model" };
            complain(format_args!(
                "note: `{name}` is a folder or file here, and that is used; it is not {other}"
            ));
        }
    }

    fn resolve_name(&self, name: &str, parts: Parts) -> Result<Resolved, HubError> {
        let options = environment::hub_options(self.offline, self.quiet)?;
        let resolve = |options: &HubOptions| hub::resolve(name, self.revision.as_deref(), parts, options);
        if !options.offline && !self.quiet && licence_note(name).is_some() {
            // What is cached already is used without a word: whoever downloaded it was told.
            match resolve(&HubOptions { offline: true, ..options.clone() }) {
                Err(HubError::NotCached { .. } | HubError::Incomplete { .. }) => self.note_licence(name),
                found => return found,
            }
        }
        resolve(&options)
    }

    fn note_licence(&self, name: &str) {
        if let Some(note) = licence_note(name).filter(|_| !self.quiet) {
            complain(format_args!("{note}"));
        }
    }
}

/// What is to be said before the model `name` is downloaded.
fn licence_note(name: &str) -> Option<String> {
    let known = hub::known_model(name).filter(|known| known.is_non_commercial())?;
    Some(format!("note: `{name}` is licensed {}: non-commercial use only", known.licence))
}

impl ModelArgs {
    fn files(&self) -> Result<ModelFiles, HubError> {
        self.hub.resolve(&self.model, self.parts())
    }

    /// Which of the model's files the texts need.
    fn parts(&self) -> Parts {
        match self.side {
            Some(SideName::Query) => Parts::QuerySide,
            _ => Parts::Whole,
        }
    }

    fn load(&self) -> anyhow::Result<SparseEncoder> {
        self.open(&self.files()?, &self.options()?)
    }

    /// Loads a model, and notes what its user may want to know.
    fn open(&self, files: &ModelFiles, options: &EncoderOptions) -> anyhow::Result<SparseEncoder> {
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
    fn settings(&self, encoder: &SparseEncoder, side: Side) -> anyhow::Result<BTreeMap<String, Value>> {
        let device = format!("{:?}", self.device).to_lowercase();
        let mut settings: Vec<(&str, Value)> = vec![
            ("--as", side.name().into()),
            ("--max-length", encoder.max_length(side)?.into()),
            ("--dialect", self.dialect.name().into()),
            ("--device", device.into()),
            ("the kernel", encoder.instruction_set().name().into()),
        ];
        // What these decide is not in the model's files.
        let known = hub::known_model(&self.model);
        settings.extend(known.map(|known| ("the known model", Value::from(known.hub_id))));
        settings.extend(self.decoder.map(|decoder| ("--decoder", Value::from(decoder.name()))));
        Ok(settings.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
    }

    /// What a bulk run with this model is told; its texts are cut as those of `side` are.
    fn surroundings<'a>(
        &'a self,
        model_files: &'a ModelFiles,
        encoder: &SparseEncoder,
        side: Side,
        settings: BTreeMap<String, Value>,
    ) -> anyhow::Result<Surroundings<'a>> {
        Ok(Surroundings {
            model: Some((&self.model, model_files)),
            settings,
            num_threads: encoder.num_threads(),
            max_length: Some(encoder.max_length(side)?),
            quiet: self.hub.quiet,
        })
    }

    fn options(&self) -> Result<EncoderOptions, UsageError> {
        self.options_for(&self.model)
    }

    /// The options for the model `name`.
    fn options_for(&self, name: &str) -> Result<EncoderOptions, UsageError> {
        Ok(EncoderOptions {
            known: hub::known_model(name),
            decoder: self.decoder.map(DecoderName::reading),
            max_length: self.max_length.map(NonZeroUsize::get),
            num_threads: self.threads.map(NonZeroUsize::get),
            instruction_set: environment::instruction_set()?,
            without_screen: environment::without_screen(),
            only: self.side(),
            dialect: self.dialect,
            device: match self.device {
                Device::Cpu => DeviceName::Cpu,
                Device::Cuda => DeviceName::Cuda,
                Device::Metal => DeviceName::Metal,
            },
            ..EncoderOptions::default()
        })
    }

    fn side(&self) -> Option<Side> {
        self.side.map(|side| match side {
            SideName::Query => Side::Query,
            SideName::Document => Side::Document,
        })
    }

    /// The side that `--as` names; a model whose sides differ insists on one.
    fn known_side(&self, encoder: &SparseEncoder) -> Result<Side, UsageError> {
        match self.side() {
            Some(side) => Ok(side),
            None if encoder.sides_differ() => Err(self.wants_side()),
            None => Ok(Side::Document),
        }
    }

    /// [`ModelArgs::known_side`] as far as the model's name tells, before anything is downloaded for nothing.
    fn check_side(&self) -> Result<(), UsageError> {
        let known = hub::known_model(&self.model);
        match known.is_some_and(|known| known.query_side != QuerySide::Model) && self.side.is_none() {
            true => Err(self.wants_side()),
            false => Ok(()),
        }
    }

    fn wants_side(&self) -> UsageError {
        UsageError::with_hint(
            format!("`{}` encodes queries and documents differently", self.model),
            "say which these texts are: `--as query` or `--as document`",
        )
    }
}

/// Parses the arguments, runs the subcommand, reports an error; the exit code says how it went.
pub(crate) fn run() -> ExitCode {
    environment::exit_on_interrupt();
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Encode(args) => encode::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Target(args) => target::run(&args),
        Command::Index(args) => index::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Model(args) => model::run(&args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => failure::report(&error).into(),
    }
}

/// `3 texts`, `1 text`.
fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_argument_is_sound_and_has_help() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        let mut commands = vec![command];
        while let Some(command) = commands.pop() {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
