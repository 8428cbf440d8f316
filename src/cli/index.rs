//! `index`: vectors or texts into an index, and what an index holds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use neural_sparse::format::{self, Format};
use neural_sparse::hub::{self, Parts};
use neural_sparse::index::{self, Codec, IndexMetadata, InvertedIndex};
use neural_sparse::input::{first_row, json, Source};
use neural_sparse::report::{index_json, index_tables};
use neural_sparse::run::{ConvertVectors, RunSettings};
use neural_sparse::{sha256_of_list, ModelSpec, Similarity};
use serde_json::Value;

use super::args::InputArgs;
use super::args::{codecs, Given, RowArgs, VectorArgs};
use super::args::{shape_settings, ShapeArgs};
use super::bulk::{encode_rows, NUM_WINDOWS};
use super::failure::{Exit, UsageError};
use super::fields;
use super::output::Output;
use super::vocabulary::VocabularyArgs;
use super::{print, ModelArgs};

/// Build an index for `search`, or show what one holds
#[derive(Args)]
pub(super) struct IndexArgs {
    #[command(subcommand)]
    command: IndexCommand,
}

#[derive(Subcommand)]
enum IndexCommand {
    Build(Box<BuildArgs>),
    Info(InfoArgs),
}

/// Build an index of vectors, or of texts that are encoded on the way
///
/// The first row of the input tells which of the two it holds: vectors, if its vector field is an object of numbers.
/// Where --model compares by cosine, vectors are normalised, and `search` normalises the queries.
#[derive(Args)]
#[command(mut_arg("input_format", |format| format.value_parser(fields::all_formats())))]
#[command(mut_arg("input_vector_field", |field| field.alias("vector-field")))]
struct BuildArgs {
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
    /// Files are named with --input
    #[arg(value_name = "FILE", hide = true, conflicts_with = "files")]
    texts: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    /// Folder of the index; made unless it is there
    #[arg(long, short, value_name = "DIR", required = true)]
    output: Option<PathBuf>,
    #[command(flatten)]
    rows: RowArgs,
    #[command(flatten)]
    vectors: VectorArgs,
    #[command(flatten)]
    shape: ShapeArgs,
    /// How weights are kept: f32, exactly; lucene9, with Lucene's 9 significant bits, so that scores are OpenSearch's;
    /// f16, with 11 bits; or u8, in 255 steps up to a term's largest weight
    #[arg(long, value_name = "f32|lucene9|f16|u8", default_value = "f32", value_parser = codecs())]
    codec: Codec,
}

/// Show the size of an index, its longest lists and the model that made it
#[derive(Args)]
struct InfoArgs {
    /// Folder of the index
    #[arg(value_name = "DIR")]
    index: PathBuf,
    /// Check every byte
    #[arg(long)]
    verify: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &IndexArgs) -> anyhow::Result<Exit> {
    match &args.command {
        IndexCommand::Build(args) => build(args),
        IndexCommand::Info(args) => info(args),
    }
}

/// What the rows of the input hold.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Texts,
    Vectors,
}

fn build(args: &BuildArgs) -> anyhow::Result<Exit> {
    if args.input.files.is_empty() {
        let hint = "neural-sparse index build --input FILE --output DIR";
        return Err(UsageError::with_hint("index build needs a file of vectors or of texts", hint).into());
    }
    let sources = args.input.sources(args.rows.fields.container())?;
    let holds = holds(&sources, args)?;
    args.refuse_idle(holds)?;
    if holds == Holds::Texts {
        args.model.check_side()?;
    }
    // Before the model is loaded: an index that only has to be assembled needs nothing else of it.
    let vocabulary = VocabularyArgs { model: args.model.model.clone(), hub: args.model.hub.clone() };
    let similarity = vocabulary.similarity()?;
    let shape = args.shape.shape().for_dot_products(similarity, &args.model.model)?;
    let folder = args.output.as_deref().expect("required, anything else is a bug");
    args.model.hub.refuse_to_shadow(&args.model.model, folder.parent().unwrap_or(folder))?;
    if holds == Holds::Texts && !folder.exists() {
        // A model that cannot be had leaves no empty folder.
        args.model.files()?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    let output = folder.join(index::FILE_NAME);
    let codec = args.codec;
    let made = Made {
        model: args.model.clone(),
        states_model: args.given.states("--model"),
        states_dialect: args.given.states("--dialect"),
        holds,
        similarity,
        shape: shape_settings(&args.shape.shape()).into_iter().collect(),
    };
    let describe = move || made.metadata().map(|made| made.to_json()).map_err(io::Error::other);
    let format: Arc<dyn Format> = format::index_described_by(codec, describe).into();
    let assembly = format.assembly().map(Arc::from);
    let quiet = args.model.hub.quiet;
    match holds {
        Holds::Vectors => {
            let fields = args.rows.fields(vec!["chunk".into(), args.vectors.input_vector_field.clone()])?;
            let run = args.input.prepare_with(sources, Some(&output), assembly, quiet)?;
            let Some(run) = run else { return Ok(Exit::Done) };
            let vectors = args.vectors.input(args.rows.fields.input_format, fields, &args.input.files)?;
            let mut settings: BTreeMap<String, Value> = args.settings().into_iter().collect();
            settings.extend(args.rows.settings());
            settings.extend(shape_settings(&shape));
            let settings =
                RunSettings { options: settings, num_threads: NUM_WINDOWS, ..RunSettings::default() };
            run.run(ConvertVectors::new(vectors, vocabulary.lazy(), shape, format), settings)
        }
        Holds::Texts => {
            let mut fields = args.rows.fields(match args.rows.chunk_rows() {
                true => vec!["chunk".into()],
                false => Vec::new(),
            })?;
            fields.no_vector = Some(args.vectors.input_vector_field.clone());
            let run = args.input.prepare_with(sources, Some(&output), assembly, quiet)?;
            let Some(run) = run else { return Ok(Exit::Done) };
            let settings = args.settings().into_iter().collect();
            encode_rows(run, (&args.model, &args.rows, &args.shape), fields, format, settings)
        }
    }
}

impl BuildArgs {
    /// The options and their values, which decide what is written.
    fn settings(&self) -> Vec<(String, Value)> {
        let own = [("the command", "index build".into()), ("--codec", self.codec.name().into())];
        let own = own.map(|(name, value)| (name.to_string(), value));
        own.into_iter().chain(self.vectors.settings()).collect()
    }

    /// An error where a flag is given that has no effect on what the input holds.
    fn refuse_idle(&self, holds: Holds) -> Result<(), UsageError> {
        if holds == Holds::Texts {
            return self.vectors.refuse_for_texts();
        }
        let encoding = [
            "--as",
            "--threads",
            "--device",
            "--on-long",
            "--chunk-overlap",
            "--chunk-rows",
            "--batch-tokens",
        ];
        self.given.refuse(&encoding, "the input holds vectors: nothing is encoded")?;
        let of_model = ["--dialect", "--decoder", "--max-length", "--revision"];
        match self.given.states("--model") {
            true => Ok(()),
            false => {
                self.given.refuse(&of_model, "without --model, the index says nothing of the vectors' model")
            }
        }
    }
}

/// What the input holds, by its first row. A file without one is taken for texts.
fn holds(sources: &[Arc<Source>], args: &BuildArgs) -> anyhow::Result<Holds> {
    let format = args.rows.fields.input_format;
    match (format.has_texts(), format.has_vectors()) {
        (false, _) => return Ok(Holds::Vectors),
        (_, false) => return Ok(Holds::Texts),
        (true, true) => {}
    }
    let line = match sources.first() {
        Some(first) => first_row(first)?.unwrap_or_default(),
        None => Vec::new(),
    };
    let fields = args.rows.fields.fields()?;
    // A row that is bad is said to be so in its turn.
    let is_vector = json::is_vector_row(&line, &fields, &args.vectors.input_vector_field).unwrap_or(false);
    Ok(if is_vector { Holds::Vectors } else { Holds::Texts })
}

/// What an index says of itself, to be found out when it is complete.
struct Made {
    model: ModelArgs,
    states_model: bool,
    states_dialect: bool,
    holds: Holds,
    similarity: Similarity,
    shape: serde_json::Map<String, Value>,
}

impl Made {
    fn metadata(&self) -> anyhow::Result<IndexMetadata> {
        let described = match self.holds {
            Holds::Texts => self.of_texts()?,
            Holds::Vectors if self.states_model => self.of_vectors()?,
            // Whose vectors they are is not known.
            Holds::Vectors => IndexMetadata::default(),
        };
        Ok(IndexMetadata {
            made_by: Some(concat!("neural-sparse ", env!("CARGO_PKG_VERSION")).into()),
            similarity: Some(self.similarity.name().into()),
            settings: self.shape.clone(),
            ..described
        })
    }

    fn of_texts(&self) -> anyhow::Result<IndexMetadata> {
        let files = self.model.files()?;
        let spec = ModelSpec::read(&files, hub::known_model(&self.model.model))?;
        let model_files = files.sha256_of_each(&spec.required_files(Parts::Whole))?;
        let model_sha256 = Some(sha256_of_list(&model_files));
        Ok(IndexMetadata { model_sha256, model_files, ..self.model.described() })
    }

    /// Of a model that was named for vectors, its files may not be here; and vectors do not say their dialect.
    fn of_vectors(&self) -> anyhow::Result<IndexMetadata> {
        let described = self.model.described();
        let dialect = described.dialect.filter(|_| self.states_dialect);
        let is_by_name = described.known_model.is_some() && !Path::new(&self.model.model).exists();
        let model_files = match is_by_name {
            true => Default::default(),
            false => {
                let files = self.model.hub.resolve(&self.model.model, Parts::QuerySide)?;
                let spec = ModelSpec::read(&files, hub::known_model(&self.model.model))?;
                files.sha256_of_each(&spec.required_files(Parts::Whole))?
            }
        };
        Ok(IndexMetadata { dialect, model_files, ..described })
    }
}

fn info(args: &InfoArgs) -> anyhow::Result<Exit> {
    let index = InvertedIndex::open_folder(&args.index)?;
    if args.verify {
        index.verify()?;
    }
    let mut out = Output::stdout();
    if args.json {
        let mut report = index_json(&index)?;
        report.insert("verified".into(), args.verify.into());
        writeln!(out, "{}", Value::from(report))?;
    } else {
        let (mut facts, longest) = index_tables(&index)?;
        if args.verify {
            facts.row(vec!["verified".into(), "every byte".into()]);
        }
        print::table(&mut out, &facts, true)?;
        writeln!(out, "\nlongest lists")?;
        print::table(&mut out, &longest, true)?;
    }
    out.finish()?;
    Ok(Exit::Done)
}
