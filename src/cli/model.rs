//! `model`: the known models, what a model's files hold, download, and the acceptance check.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use neural_sparse::hub::{self, Parts};
use neural_sparse::known::{self, KnownModel, KNOWN_MODELS};
use neural_sparse::verify::{self, Check, Outcome};
use neural_sparse::{Decision, DecoderReading, EncoderOptions, Side, SparseEncoder};

use super::failure::Exit;
use super::{counted, environment, HubArgs, ModelArgs, SideName};

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
    /// Published scores where the model is known, candle-transformers' own BERT as a second opinion,
    /// and the same bits alone, batched, reordered and on any number of threads.
    Verify(NamedModelArgs),
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

    fn load(&self, decoder: Option<DecoderReading>) -> anyhow::Result<SparseEncoder> {
        let options = EncoderOptions { decoder, ..self.model.options()? };
        Ok(SparseEncoder::load(&self.model.hub.resolve(self.name(), Parts::Whole)?, &options)?)
    }
}

pub(super) fn run(args: &ModelCommandArgs) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    match &args.command {
        ModelCommand::List => list(&mut out)?,
        ModelCommand::Show(named) => {
            let encoder = named.load(None)?;
            let rows = encoder.decisions().iter().map(|Decision { what, value, source }| {
                vec![what.to_string(), value.clone(), source.clone()]
            });
            write_table(&mut out, &["what", "how it is run", "decided by"], rows.collect())?;
        }
        ModelCommand::Pull { name, side, hub } => {
            // Documents are encoded by what is large; the rest is not worth leaving out.
            let parts = if *side == Some(SideName::Query) { Parts::QuerySide } else { Parts::Whole };
            pull(&mut out, name, parts, hub)?;
        }
        ModelCommand::Verify(named) => return verify_model(&mut out, named),
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
            model.query_side.to_string(),
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
    let options = environment::hub_options(args.offline, args.quiet);
    args.note_licence(name);
    let pulled = hub::pull(name, args.revision.as_deref(), parts, &options)?;
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
    let mut encoder = named.load(None)?;
    let mut checks = Vec::new();
    match known::find(named.name()) {
        Some(known) => {
            let published = verify::published_numbers(&encoder, known)?;
            let other = if all_pass(&published) { None } else { other_decoder(named, &encoder, known)? };
            checks.extend(published);
            checks.extend(other);
        }
        None => checks.push(Check {
            what: "published numbers".into(),
            found: "none: not a model that is known by name".into(),
            outcome: Outcome::None,
        }),
    }
    let side = named.model.side().unwrap_or(Side::Document);
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

/// Where the checkpoint leaves a choice of decoder: whether the published numbers come out with the other one.
fn other_decoder(
    named: &NamedModelArgs,
    encoder: &SparseEncoder,
    known: &KnownModel,
) -> anyhow::Result<Option<Check>> {
    let (reading, reading_name) = match known.decoder {
        DecoderReading::Stored => (DecoderReading::Tied, "tied to the embeddings"),
        DecoderReading::Tied => (DecoderReading::Stored, "the stored one"),
    };
    let other = named.load(Some(reading))?;
    if other.decisions() == encoder.decisions() {
        return Ok(None);
    }
    let right = all_pass(&verify::published_numbers(&other, known)?);
    let found =
        if right { "the published numbers come out: this is how the model is meant" } else { "no better" };
    Ok(Some(Check {
        what: format!("the other decoder, {reading_name}"),
        found: found.into(),
        outcome: Outcome::None,
    }))
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
