//! `model`: the known models, what a model's files hold, download, and the acceptance check.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use neural_sparse::check::golden::{self, Comparison, Difference};
use neural_sparse::check::verify::{self, Check, Outcome};
use neural_sparse::hub::{self, Parts};
use neural_sparse::known::{self, KnownModel, KNOWN_MODELS};
use neural_sparse::report::Table;
use neural_sparse::{
    Dialect, EncoderOptions, ModelFiles, Provenance, Side, SparseEncoder, UnknownKey, UntiedDecoder,
};
use serde_json::{json, Value};

use super::args::Given;
use super::failure::Exit;
use super::{counted, environment, print, terminal, HubArgs, ModelArgs, SideName};

/// List, inspect, download and check models
#[derive(Args)]
pub(super) struct ModelCommandArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// List the models that are known by name, with their published figures and licences
    ///
    /// NDCG@10 is the mean over 13 BEIR sets, MRR@10 that of the development queries of MS MARCO, FLOPS the expected
    /// number of terms that a query and a document share. Marks: `non-commercial`, by its licence; `gated`, the hub asks
    /// for a token; `unconfirmed`, its published scores have yet to be reproduced from its files.
    List {
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Show what a model's files hold and how it will be run, and the file that decided each point
    Show {
        #[command(flatten)]
        named: NamedModelArgs,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Download a model, or bring a downloaded one up to date
    Pull {
        /// Short name or hub id
        #[arg(value_name = "MODEL", env = "NEURAL_SPARSE_MODEL", hide_env_values = true, default_value = known::DEFAULT_MODEL)]
        name: String,
        /// The side that is wanted; with `query`, a model whose queries need only a table comes without its checkpoint
        #[arg(long = "as", value_name = "query|document")]
        side: Option<SideName>,
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Check that a model gives the right numbers on this machine; exit code 0 or 1
    ///
    /// Published scores where the model is known, another implementation of the forward pass as a second opinion, and
    /// the same bits alone, batched, reordered and on any number of threads.
    ///
    /// With --golden, the vectors or scores of a file that was computed elsewhere are compared instead, under every
    /// dialect: which of them matches, or which term differs first.
    Verify {
        #[command(flatten)]
        named: NamedModelArgs,
        /// Rows of a text and its vector, or of a query, a document and their score: as this program writes them, or as
        /// text-embeddings-inference, ml-commons and sentence-transformers do
        #[arg(long, value_name = "FILE")]
        golden: Option<PathBuf>,
        #[command(flatten)]
        json: JsonArgs,
    },
}

/// In which form a report is printed.
#[derive(Args, Clone, Copy)]
struct JsonArgs {
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct NamedModelArgs {
    #[command(flatten)]
    given: Given,
    /// Short name, hub id, folder, or `tiny`: the same as --model
    #[arg(value_name = "MODEL")]
    name: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
}

impl NamedModelArgs {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.model.model)
    }

    fn found(&self) -> anyhow::Result<FoundModel<'_>> {
        if self.name.is_some() {
            self.given.refuse(&["--model"], "MODEL names another one")?;
        }
        let files = self.model.hub.resolve(self.name(), self.model.parts())?;
        Ok(FoundModel { named: self, files, options: self.model.options_for(self.name())? })
    }
}

/// A model that may be opened several times; its name is looked up once.
struct FoundModel<'a> {
    named: &'a NamedModelArgs,
    files: ModelFiles,
    options: EncoderOptions,
}

impl FoundModel<'_> {
    fn load(&self, decoder: Option<UntiedDecoder>, dialect: Dialect) -> anyhow::Result<SparseEncoder> {
        let decoder = decoder.or(self.options.decoder);
        let options = EncoderOptions { decoder, dialect, ..self.options.clone() };
        Ok(SparseEncoder::load(&self.files, &options)?)
    }
}

pub(super) fn run(args: &ModelCommandArgs) -> anyhow::Result<Exit> {
    let mut out = terminal::stdout();
    match &args.command {
        ModelCommand::List { json } => list(&mut out, json.json)?,
        ModelCommand::Show { named, json } => show(&mut out, named, json.json)?,
        ModelCommand::Pull { name, side, hub } => {
            // Documents are encoded by what is large; the rest is not worth leaving out.
            let parts = if *side == Some(SideName::Query) { Parts::QuerySide } else { Parts::Whole };
            pull(&mut out, name, parts, hub)?;
        }
        ModelCommand::Verify { named, golden: None, json } => {
            return verify_model(&mut out, named, json.json);
        }
        ModelCommand::Verify { named, golden: Some(golden), json } => {
            return verify_golden(&mut out, named, golden, json.json);
        }
    }
    Ok(Exit::Done)
}

fn list(out: &mut impl Write, as_json: bool) -> io::Result<()> {
    if as_json {
        for model in &KNOWN_MODELS {
            writeln!(out, "{}", known_model_json(model))?;
        }
        return Ok(());
    }
    let figure =
        |figure: Option<f32>, digits: usize| figure.map_or("-".into(), |figure| format!("{figure:.digits$}"));
    let row = |model: &KnownModel| {
        let marks = marks(model);
        vec![
            model.name.to_string(),
            model.architecture.to_string(),
            format!("{:.1} M", model.million_parameters),
            model.query_side.name().to_string(),
            figure(model.ndcg_at_10, 3),
            figure(model.mrr_at_10, 3),
            figure(model.flops, 1),
            model.licence.to_string(),
            if marks.is_empty() { "-".into() } else { marks.join(", ") },
            if model.hub_id == model.name { String::new() } else { model.hub_id.to_string() },
        ]
    };
    let titles = [
        "name",
        "architecture",
        "parameters",
        "query side",
        "NDCG@10",
        "MRR@10",
        "FLOPS",
        "licence",
        "marks",
        "hub id",
    ];
    print::table(
        out,
        &titles.into_iter().fold(Table::new(), Table::text).rows(KNOWN_MODELS.iter().map(row)),
        true,
    )
}

/// What a user of the model should know before its use.
fn marks(model: &KnownModel) -> Vec<&'static str> {
    let marks = [
        (model.is_non_commercial(), "non-commercial"),
        (model.gated, "gated"),
        (model.unconfirmed, "unconfirmed"),
    ];
    marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark).collect()
}

fn known_model_json(model: &KnownModel) -> Value {
    // A figure by its own digits, not those of the f64 next to it.
    let figure = |figure: Option<f32>| figure.and_then(|figure| figure.to_string().parse::<f64>().ok());
    json!({
        "name": model.name,
        "hub_id": model.hub_id,
        "architecture": model.architecture,
        "million_parameters": figure(Some(model.million_parameters)),
        "query_side": model.query_side.name(),
        "ndcg@10": figure(model.ndcg_at_10),
        "mrr@10": figure(model.mrr_at_10),
        "flops": figure(model.flops),
        "licence": model.licence,
        "marks": marks(model),
    })
}

/// Shows what decided how a model is run.
fn show(out: &mut impl Write, named: &NamedModelArgs, as_json: bool) -> anyhow::Result<()> {
    named.given.refuse(&["--threads"], "nothing is encoded")?;
    let encoder = named.found()?.load(None, named.model.dialect)?;
    if as_json {
        let decisions = encoder.provenance().iter().map(
            |Provenance { what, value, source }| json!({"what": what, "value": value, "decided_by": source}),
        );
        let unknown =
            encoder.unknown_keys().iter().map(|UnknownKey { file, key }| json!({"key": key, "file": file}));
        let report = json!({
            "model": named.name(),
            "decisions": decisions.collect::<Vec<_>>(),
            "unknown_keys": unknown.collect::<Vec<_>>(),
            "notes": encoder.notes().iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        writeln!(out, "{report}")?;
        return Ok(());
    }
    let rows = encoder
        .provenance()
        .iter()
        .map(|Provenance { what, value, source }| vec![what.to_string(), value.clone(), source.clone()]);
    let unknown = encoder.unknown_keys().iter().map(|UnknownKey { file, key }| {
        vec!["unknown key".to_string(), format!("`{key}` is not followed"), file.clone()]
    });
    let table = Table::new().text("what").text("how it is run").text("decided by");
    print::table(out, &table.rows(rows.chain(unknown)), true)?;
    for note in encoder.notes() {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}

fn pull(out: &mut impl Write, name: &str, parts: Parts, args: &HubArgs) -> anyhow::Result<()> {
    let options = environment::hub_options(args.offline, args.quiet)?;
    args.note_licence(name);
    let pulled = hub::pull(name, args.revision.as_deref(), parts, &options)?;
    args.note_shadowed(name, pulled.shadowed);
    for file in &pulled.downloaded {
        writeln!(out, "downloaded {} ({} bytes)", file.name, file.bytes)?;
    }
    if !pulled.present.is_empty() {
        writeln!(out, "{} there already", counted(pulled.present.len() as u64, "file"))?;
    }
    match pulled.files.path() {
        Some(path) => writeln!(out, "`{name}` is in {}", path.display())?,
        None => writeln!(out, "`{name}` is built in: there is nothing to download")?,
    }
    Ok(())
}

fn verify_model(out: &mut impl Write, named: &NamedModelArgs, as_json: bool) -> anyhow::Result<Exit> {
    let found = named.found()?;
    let mut encoder = found.load(None, named.model.dialect)?;
    let side = named.model.side().unwrap_or(Side::Document);
    let mut checks = Vec::new();
    match hub::known_model(named.name()) {
        // Scores are of both sides.
        Some(known) if named.model.side().is_none() => {
            let published = published_numbers(&found, known, None)?;
            let other = if all_pass(&published) { None } else { other_decoder(&found, &encoder, known)? };
            checks.extend(published);
            checks.extend(other);
        }
        known => checks.push(Check {
            what: "published numbers".into(),
            found: match known {
                Some(_) => "not compared: they are of both sides, and --as names one",
                None => "none: not a model that is known by name",
            }
            .into(),
            outcome: Outcome::None,
        }),
    }
    for UnknownKey { file, key } in encoder.unknown_keys() {
        checks.push(Check {
            what: format!("the key `{key}`"),
            found: format!("`{file}` has it, and no table says whether it changes a vector"),
            outcome: Outcome::None,
        });
    }
    checks.push(verify::second_opinion(&encoder, side)?);
    checks.push(verify::invariance(&mut encoder, side)?);
    let pass = all_pass(&checks);
    write_checks(out, named.name(), checks, pass, as_json)?;
    Ok(if pass { Exit::Done } else { Exit::Failed })
}

fn write_checks(
    out: &mut impl Write,
    model: &str,
    checks: Vec<Check>,
    pass: bool,
    as_json: bool,
) -> io::Result<()> {
    if as_json {
        let checks = checks.into_iter().map(|check| {
            let pass = match check.outcome {
                Outcome::Pass => Some(true),
                Outcome::Fail => Some(false),
                Outcome::None => None,
            };
            json!({"check": check.what, "found": check.found, "pass": pass})
        });
        let checks: Vec<Value> = checks.collect();
        return writeln!(out, "{}", json!({"model": model, "checks": checks, "pass": pass}));
    }
    let rows = checks.into_iter().map(|check| {
        let outcome = match check.outcome {
            Outcome::Pass => "pass",
            Outcome::Fail => "FAIL",
            Outcome::None => "-",
        };
        vec![outcome.to_string(), check.what, check.found]
    });
    print::table(out, &Table::new().text("").text("check").text("found").rows(rows), true)?;
    writeln!(out, "{}", if pass { "PASS" } else { "FAIL" })
}

/// The published numbers of a model, each in the dialect that it was computed in.
fn published_numbers(
    found: &FoundModel,
    known: &KnownModel,
    decoder: Option<UntiedDecoder>,
) -> anyhow::Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (dialect, kept_special_tokens) in [(Dialect::Card, false), (Dialect::SentenceTransformers, true)] {
        if known.goldens.iter().any(|golden| golden.kept_special_tokens == kept_special_tokens) {
            checks.extend(verify::published_numbers(&found.load(decoder, dialect)?, known)?);
        }
    }
    Ok(checks)
}

/// Where the checkpoint leaves a choice of decoder: whether the published numbers come out with the other one.
fn other_decoder(
    model: &FoundModel,
    encoder: &SparseEncoder,
    known: &KnownModel,
) -> anyhow::Result<Option<Check>> {
    let (reading, reading_name) = match known.decoder {
        UntiedDecoder::UseStored => (UntiedDecoder::UseEmbeddings, "tied to the embeddings"),
        UntiedDecoder::UseEmbeddings => (UntiedDecoder::UseStored, "the stored one"),
    };
    let other = model.load(Some(reading), model.named.model.dialect)?;
    if other.provenance() == encoder.provenance() {
        return Ok(None);
    }
    let right = all_pass(&published_numbers(model, known, Some(reading))?);
    let found =
        if right { "the published numbers come out: this is how the model is meant" } else { "no better" };
    Ok(Some(Check {
        what: format!("the other decoder, {reading_name}"),
        found: found.into(),
        outcome: Outcome::None,
    }))
}

/// Compares what was computed elsewhere with ours in every dialect.
fn verify_golden(
    out: &mut impl Write,
    named: &NamedModelArgs,
    file: &Path,
    as_json: bool,
) -> anyhow::Result<Exit> {
    named.given.refuse(&["--dialect"], "a golden file is compared under every dialect")?;
    let golden = golden::read(file)?;
    let model = named.found()?;
    let mut compared = Vec::new();
    for dialect in Dialect::ALL {
        let encoder = model.load(None, dialect)?;
        let comparison = golden::compare(&encoder, &golden, named.model.side())
            .with_context(|| format!("cannot compare `{}`", file.display()))?;
        compared.push((dialect, comparison));
    }
    let matching: Vec<&str> = compared
        .iter()
        .filter(|(_, comparison)| comparison.matches())
        .map(|(dialect, _)| dialect.name())
        .collect();
    let first = |comparison: &Comparison| comparison.first.as_ref().map(Difference::to_string);
    let exit = if matching.is_empty() { Exit::Failed } else { Exit::Done };
    if as_json {
        let dialects = compared.iter().map(|(dialect, comparison)| {
            json!({
                "dialect": dialect.name(),
                "matching": comparison.num_matching,
                "rows": comparison.num_rows,
                "largest_difference": comparison.largest.as_ref().map_or(0.0, Difference::size),
                "first_difference": first(comparison),
            })
        });
        let dialects: Vec<Value> = dialects.collect();
        let report = json!({"model": named.name(), "dialects": dialects, "pass": matching});
        writeln!(out, "{report}")?;
        return Ok(exit);
    }
    let rows = compared.iter().map(|(dialect, comparison)| {
        vec![
            dialect.to_string(),
            format!("{} of {}", comparison.num_matching, comparison.num_rows),
            comparison.largest.as_ref().map_or("0".into(), |largest| format!("{:.1e}", largest.size())),
            first(comparison).unwrap_or_else(|| "-".into()),
        ]
    });
    let titles = ["dialect", "rows that match", "largest difference", "first that differs"];
    print::table(out, &titles.into_iter().fold(Table::new(), Table::text).rows(rows), true)?;
    match exit {
        Exit::Done => writeln!(out, "PASS: {}", matching.join(", "))?,
        _ => writeln!(out, "FAIL: no dialect gives these numbers")?,
    }
    Ok(exit)
}

fn all_pass(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.outcome != Outcome::Fail)
}
