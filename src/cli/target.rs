//! `target`: what a search engine has to be told besides the vectors.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use neural_sparse::format::{self, Findings, Format, FormatOption, Ingest, Keys, Options, Terms, TwoPhase};
use neural_sparse::hub;
use neural_sparse::input::{read_texts, Keep};
use neural_sparse::known::QuerySide;
use neural_sparse::run::Shape;
use neural_sparse::{Prune, Side, Similarity, SparseVector};

use super::args::{Given, ShapeArgs};
use super::failure::{complain, Exit, UsageError};
use super::fields::{kept, FieldArgs};
use super::formats::{named, parse_scale, refuse_idle_flags};
use super::output::Output;
use super::vocabulary::VocabularyArgs;
use super::ModelArgs;

/// Print what a search engine is sent besides the vectors: the bodies of its index, its queries and its pipelines
#[derive(Args)]
pub(super) struct TargetArgs {
    #[command(subcommand)]
    command: TargetCommand,
}

#[derive(Subcommand)]
enum TargetCommand {
    Mapping(MappingArgs),
    Query(QueryArgs),
    Pipeline(PipelineArgs),
}

/// Print the body that creates an index, ready to be sent; for Vespa a schema, for pgvector SQL
#[derive(Args)]
struct MappingArgs {
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    vocabulary: VocabularyArgs,
    /// Fields that documents are loaded with, a column each; several with commas, or repeated
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with = "keep_all",
        help_heading = "pgvector"
    )]
    keep: Vec<String>,
    /// Documents are loaded with all their fields, in one column
    #[arg(long, help_heading = "pgvector")]
    keep_all: bool,
}

/// Print the body of a query for each text, a line each
///
/// Texts stand on the command line or, with --input, in rows of a file.
///
/// Engines score by dot product: where the model compares by cosine, queries are normalised, as `encode --format`
/// normalises documents.
#[derive(Args)]
struct QueryArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The queries; put `--` before one that begins with a dash
    #[arg(value_name = "TEXT", required_unless_present = "files", conflicts_with = "files")]
    texts: Vec<String>,
    /// File of queries, a row each, plain, gzip or zstd; `-` is standard input; may be repeated
    #[arg(long = "input", short = 'i', value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    fields: FieldArgs,
    #[command(flatten)]
    model: ModelArgs,
    /// How many documents are wanted
    #[arg(long, short, value_name = "NUM", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    k: u32,
    #[command(flatten)]
    shape: ShapeArgs,
    /// Score with the heavy terms first, and the best documents again with all of them
    #[arg(long, help_heading = "OpenSearch")]
    two_phase: bool,
    /// For a cluster without the neural-search plugin: `rank_feature` clauses instead of `neural_sparse`
    #[arg(long, help_heading = "OpenSearch")]
    without_plugin: bool,
    /// Terms are repeated: this many times their weight, rounded, and at least once [default: 100, for ciff 50]
    #[arg(long, value_name = "SCALE", help_heading = "Anserini and CIFF", value_parser = parse_scale)]
    quantize: Option<f32>,
}

/// Print an OpenSearch pipeline: the ingest pipeline that encodes documents in the cluster, or with --two-phase the
/// search pipeline that runs queries in two phases
#[derive(Args)]
struct PipelineArgs {
    /// The store
    #[arg(value_name = "STORE", value_parser = PossibleValuesParser::new(["opensearch"]))]
    store: String,
    /// The search pipeline instead
    #[arg(long, conflicts_with_all = ["model_id", "text_field", "vector_field", "chunk_rows"])]
    two_phase: bool,
    /// The id that the cluster gave the model
    #[arg(long, value_name = "ID")]
    model_id: Option<String>,
    /// The field of a document that holds its text
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
    /// The field of a document that gets its vector
    #[arg(long, value_name = "NAME", default_value = "vector")]
    vector_field: String,
    /// What the cluster drops from vectors, or with --two-phase keeps for the second phase [default: with
    /// --two-phase max_ratio=0.4]
    #[arg(long, value_name = "RULE")]
    prune: Option<Prune>,
    /// Cut long texts into windows, for the nested field of `target mapping opensearch --chunk-rows`
    #[arg(long)]
    chunk_rows: bool,
}

/// An index of a store.
#[derive(Args)]
struct StoreArgs {
    /// The store
    #[arg(value_name = "STORE", value_parser = PossibleValuesParser::new(format::names()))]
    store: String,
    /// The store's field that holds the vector
    #[arg(long, value_name = "NAME", default_value = "vector")]
    vector_field: String,
    /// The collection, table or document type
    #[arg(long, value_name = "NAME", help_heading = "Milvus, Pinecone, Vespa and pgvector")]
    index_name: Option<String>,
    /// The windows of a text are rows or nested objects of their own, as `encode --chunk-rows` writes them
    #[arg(long)]
    chunk_rows: bool,
}

impl StoreArgs {
    /// The options that an index and its queries share.
    ///
    /// * `model`: as the user names it.
    fn options(&self, model: &str) -> Options {
        Options {
            vector_field: self.vector_field.clone(),
            index_name: self.index_name.clone(),
            has_windows: self.chunk_rows,
            search_ceiling: search_ceiling(model),
            ..Options::default()
        }
    }

    fn format(
        &self,
        options: &Options,
        given: &[(FormatOption, bool)],
    ) -> Result<Box<dyn Format>, UsageError> {
        let format = named(&self.store, options)?;
        refuse_idle_flags(&*format, &self.store, given)?;
        refuse_idle_flags(&*format, &self.store, &[(FormatOption::Windows, self.chunk_rows)])?;
        Ok(format)
    }

    fn lacks(&self, what: &str) -> UsageError {
        UsageError::new(format!("{} has no {what}: its files are all that it takes", self.store))
    }
}

/// The largest weight to expect of the queries of a model: tables hold weights up to 15.6, transformers give less than 3.
fn search_ceiling(model: &str) -> f32 {
    match hub::known_model(model).map(|known| known.query_side) {
        Some(QuerySide::Table) => 16.0,
        _ => 3.0,
    }
}

pub(super) fn run(args: &TargetArgs) -> anyhow::Result<Exit> {
    let mut out = Output::stdout();
    match &args.command {
        TargetCommand::Mapping(args) => writeln!(out, "{}", mapping(args)?)?,
        TargetCommand::Query(args) => query(args, &mut out)?,
        TargetCommand::Pipeline(args) => writeln!(out, "{}", pipeline(args))?,
    }
    out.finish()?;
    Ok(Exit::Done)
}

fn mapping(args: &MappingArgs) -> anyhow::Result<String> {
    let store = &args.store;
    let keep = kept(&args.keep, args.keep_all);
    let keeps = !matches!(keep, Keep::Nothing);
    let model = &args.vocabulary.model;
    let options = Options { keep, ..store.options(model) };
    let given = [(FormatOption::IndexName, store.index_name.is_some()), (FormatOption::Keep, keeps)];
    let mut format = store.format(&options, &given)?;
    // Only fields of ids have a size and limits, and what cannot be found should not stand in the way of the others.
    let vocab_size = match format.keys() {
        Keys::Ids | Keys::IdsOfVocabulary => {
            let similarity = args.vocabulary.similarity()?;
            Shape::default().for_dot_products(similarity, model)?;
            if similarity == Similarity::Cosine {
                // No weight of a normalised vector is above 1.
                format =
                    store.format(&Options { ingest_ceiling: 1.0, search_ceiling: 1.0, ..options }, &given)?;
            }
            args.vocabulary.size()?
        }
        Keys::Names | Keys::NamesOfVocabulary => {
            args.given.refuse(
                &["--model", "--revision", "--offline"],
                &format!("{} takes terms by name", store.store),
            )?;
            0
        }
    };
    Ok(format.mapping(vocab_size).ok_or_else(|| store.lacks("index body"))?)
}

fn query(args: &QueryArgs, out: &mut Output) -> anyhow::Result<()> {
    let store = &args.store;
    let options = Options {
        scale: args.quantize,
        two_phase: args.two_phase.then(TwoPhase::default),
        without_plugin: args.without_plugin,
        ..store.options(&args.model.model)
    };
    let given = [
        (FormatOption::IndexName, store.index_name.is_some()),
        (FormatOption::TwoPhase, args.two_phase),
        (FormatOption::WithoutPlugin, args.without_plugin),
        (FormatOption::Scale, args.quantize.is_some()),
    ];
    let format = store.format(&options, &given)?;
    let nothing = format.query(&SparseVector::default(), Terms::Ids(0), 1, &mut Findings::default());
    if matches!(nothing, Ok(None)) {
        return Err(store.lacks("query body").into());
    }
    let encoder = args.model.load()?;
    let side = args.model.side.unwrap_or(Side::Query);
    let shape = args.shape.shape().in_dialect(args.model.dialect);
    let shape = shape.for_dot_products(encoder.similarity(), &args.model.model)?;
    let terms = Terms::Vocabulary(encoder.tokenizer());
    let mut findings = Findings::default();
    let fields = args.fields.fields()?;
    let mut texts = args.texts.clone();
    for file in &args.files {
        texts.extend(read_texts(file, &args.fields.parser(fields.clone()))?);
    }
    for (text, encoded) in texts.iter().zip(encoder.encode(&texts, side)?) {
        let body = format.query(&shape.apply(encoded.vector), terms, args.k as usize, &mut findings);
        let body = body.with_context(|| format!("the query `{text}`"))?.unwrap_or_default();
        writeln!(out, "{body}")?;
        shape.count_normalized(1, &mut findings);
    }
    if !args.model.hub.quiet {
        for (what, count) in findings.iter() {
            complain(format_args!("note: {count} {what}"));
        }
    }
    Ok(())
}

fn pipeline(args: &PipelineArgs) -> String {
    if args.two_phase {
        let phases = TwoPhase::default();
        return format::two_phase_pipeline(TwoPhase { prune: args.prune.unwrap_or(phases.prune), ..phases });
    }
    if args.model_id.is_none() {
        complain(format_args!(
            "note: MODEL_ID stands for the id that the cluster gave the model; `--model-id ID` names it"
        ));
    }
    format::ingest_pipeline(&Ingest {
        model_id: args.model_id.as_deref().unwrap_or("MODEL_ID"),
        text_field: &args.text_field,
        vector_field: &args.vector_field,
        prune: args.prune,
        has_windows: args.chunk_rows,
    })
}
