//! `model`: the known models, what a model's files hold, download, and the acceptance check.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use neural_sparse::check::golden::{self, Difference};
use neural_sparse::check::verify::{self, Check, Outcome};
use neural_sparse::hub::{self, Parts};
use neural_sparse::known::{self, KnownModel, KNOWN_MODELS};
use neural_sparse::{
    Dialect, EncoderOptions, ModelFiles, Provenance, Side, SparseEncoder, UnknownKey, UntiedDecoder,
};

use super::failure::Exit;
use super::{counted, environment, terminal, HubArgs, ModelArgs, SideName};

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
    List,
    /// Show what a model's files hold and how it will be run, and the file that decided each point
    Show(NamedModelArgs),
    /// Download a model, or bring a downloaded one up to date
    Pull {
        /// Short name or hub id
        #[arg(value_name = "MODEL", env = "NEURAL_SPARSE_MODEL", default_value = known::DEFAULT_MODEL)]
        name: String,
        /// The side that is wanted; with `query`, a model whose queries need only a table comes without its checkpoint
        #[arg(long = "as", value_name = "SIDE")]
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
    },
}

#[derive(Args)]
struct NamedModelArgs {
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
        ModelCommand::List => list(&mut out)?,
        ModelCommand::Show(named) => {
            let encoder = named.found()?.load(None, named.model.dialect)?;
            let rows = encoder.provenance().iter().map(|Provenance { what, value, source }| {
                vec![what.to_string(), value.clone(), source.clone()]
            });
            let unknown = encoder.unknown_keys().iter().map(|UnknownKey { file, key }| {
                vec!["unknown key".to_string(), format!("`{key}` is not followed"), file.clone()]
            });
            let notes = encoder.notes().iter().map(|note| vec!["note".to_string(), note.to_string()]);
            let rows = rows.chain(unknown).collect();
            write_table(&mut out, &["what", "how it is run", "decided by"], rows)?;
            for note in notes {
                writeln!(out, "{}", note.join(": "))?;
            }
        }
        ModelCommand::Pull { name, side, hub } => {
            // Documents are encoded by what is large; the rest is not worth leaving out.
            let parts = if *side == Some(SideName::Query) { Parts::QuerySide } else { Parts::Whole };
            pull(&mut out, name, parts, hub)?;
        }
        ModelCommand::Verify { named, golden: None } => return verify_model(&mut out, named),
        ModelCommand::Verify { named, golden: Some(golden) } => {
            return verify_golden(&mut out, named, golden);
        }
    }
    Ok(Exit::Done)
}

fn list(out: &mut impl Write) -> io::Result<()> {
    let figure =
        |figure: Option<f32>, digits: usize| figure.map_or("-".into(), |figure| format!("{figure:.digits$}"));
    let row = |model: &KnownModel| {
        let marks = [
            (model.is_non_commercial(), "non-commercial"),
            (model.gated, "gated"),
            (model.unconfirmed, "unconfirmed"),
        ];
        let marks: Vec<&str> = marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark).collect();
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
    write_table(out, &titles, KNOWN_MODELS.iter().map(row).collect())
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

fn verify_model(out: &mut impl Write, named: &NamedModelArgs) -> anyhow::Result<Exit> {
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
    let rows = checks.into_iter().map(|check| {
        let outcome = match check.outcome {
            Outcome::Pass => "pass",
            Outcome::Fail => "FAIL",
            Outcome::None => "-",
        };
        vec![outcome.to_string(), check.what, check.found]
    });
    write_table(out, &["", "check", "found"], rows.collect())?;
    writeln!(out, "{}", if pass { "PASS" } else { "FAIL" })?;
    Ok(if pass { Exit::Done } else { Exit::Failed })
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
fn verify_golden(out: &mut impl Write, named: &NamedModelArgs, file: &Path) -> anyhow::Result<Exit> {
    let golden = golden::read(file)?;
    let model = named.found()?;
    let mut rows = Vec::new();
    let mut matching = Vec::new();
    for dialect in Dialect::ALL {
        let encoder = model.load(None, dialect)?;
        let comparison = golden::compare(&encoder, &golden, named.model.side())
            .with_context(|| format!("cannot compare `{}`", file.display()))?;
        let difference = |difference: &Option<Difference>| difference.as_ref().map(Difference::to_string);
        let largest = match &comparison.largest {
            Some(largest) => format!("{:.1e}", largest.size()),
            None => "0".into(),
        };
        rows.push(vec![
            dialect.to_string(),
            format!("{} of {}", comparison.num_matching, comparison.num_rows),
            largest,
            difference(&comparison.first).unwrap_or_else(|| "-".into()),
        ]);
        if comparison.matches() {
            matching.push(dialect.name());
        }
    }
    write_table(out, &["dialect", "rows that match", "largest difference", "first that differs"], rows)?;
    if matching.is_empty() {
        writeln!(out, "FAIL: no dialect gives these numbers")?;
        return Ok(Exit::Failed);
    }
    writeln!(out, "PASS: {}", matching.join(", "))?;
    Ok(Exit::Done)
}

fn all_pass(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.outcome != Outcome::Fail)
}

/// Writes rows under titles, each column as wide as its widest cell but the last.
fn write_table(out: &mut impl Write, titles: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    let rows: Vec<Vec<String>> =
        std::iter::once(titles.iter().map(|title| title.to_string()).collect()).chain(rows).collect();
    let widths: Vec<usize> = (0..titles.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
