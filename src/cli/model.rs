//! `model`: the known models, what a model's files hold, download, and the acceptance check.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use neural_sparse::check::{all_pass, golden, CheckedModel};
use neural_sparse::hub::{self, Parts};
use neural_sparse::input::json::Keys;
use neural_sparse::known::{self, KNOWN_MODELS};
use neural_sparse::report::{
    checks_json, checks_table, decisions_json, decisions_table, dialects_json, dialects_table, known_json,
    known_table,
};
use neural_sparse::{Side, SparseEncoder};
use serde_json::json;

use super::args::{sides, vector_keys, Given};
use super::failure::Exit;
use super::{counted, environment, print, terminal, HubArgs, ModelArgs};

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
        #[arg(long = "as", value_name = "query|document", value_parser = sides())]
        side: Option<Side>,
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
        /// What the keys of a vector of the file are that is an object
        #[arg(long, value_name = "WHAT", default_value = "terms", value_parser = vector_keys(), requires = "golden")]
        vector_keys: Keys,
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

    fn found(&self) -> anyhow::Result<CheckedModel> {
        if self.name.is_some() {
            self.given.refuse(&["--model"], "MODEL names another one")?;
        }
        let files = self.model.hub.resolve(self.name(), self.model.parts())?;
        Ok(CheckedModel { files, options: self.model.options_for(self.name())? })
    }
}

pub(super) fn run(args: &ModelCommandArgs) -> anyhow::Result<Exit> {
    let mut out = terminal::stdout();
    match &args.command {
        ModelCommand::List { json } => list(&mut out, json.json)?,
        ModelCommand::Show { named, json } => show(&mut out, named, json.json)?,
        ModelCommand::Pull { name, side, hub } => {
            // Documents are encoded by what is large; the rest is not worth leaving out.
            let parts = if *side == Some(Side::Query) { Parts::QuerySide } else { Parts::Whole };
            pull(&mut out, name, parts, hub)?;
        }
        ModelCommand::Verify { named, golden: None, json, .. } => {
            return verify_model(&mut out, named, json.json);
        }
        ModelCommand::Verify { named, golden: Some(golden), vector_keys, json } => {
            return verify_golden(&mut out, named, golden, *vector_keys, json.json);
        }
    }
    Ok(Exit::Done)
}

fn list(out: &mut impl Write, as_json: bool) -> io::Result<()> {
    if as_json {
        return KNOWN_MODELS.iter().try_for_each(|model| writeln!(out, "{}", known_json(model)));
    }
    print::table(out, &known_table(&KNOWN_MODELS), true)
}

/// Shows what decided how a model is run.
fn show(out: &mut impl Write, named: &NamedModelArgs, as_json: bool) -> anyhow::Result<()> {
    named.given.refuse(&["--threads"], "nothing is encoded")?;
    let CheckedModel { files, options } = named.found()?;
    let encoder = SparseEncoder::load(&files, &options)?;
    if as_json {
        writeln!(out, "{}", decisions_json(named.name(), &encoder))?;
        return Ok(());
    }
    print::table(out, &decisions_table(&encoder), true)?;
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
    let checks = named.found()?.verify(hub::known_model(named.name()), named.model.side)?;
    let pass = all_pass(&checks);
    if as_json {
        let report = json!({"model": named.name(), "checks": checks_json(&checks), "pass": pass});
        writeln!(out, "{report}")?;
    } else {
        print::table(out, &checks_table(&checks), true)?;
        writeln!(out, "{}", if pass { "PASS" } else { "FAIL" })?;
    }
    Ok(if pass { Exit::Done } else { Exit::Failed })
}

/// Compares what was computed elsewhere with ours in every dialect.
fn verify_golden(
    out: &mut impl Write,
    named: &NamedModelArgs,
    file: &Path,
    keys: Keys,
    as_json: bool,
) -> anyhow::Result<Exit> {
    named.given.refuse(&["--dialect"], "a golden file is compared under every dialect")?;
    let golden = golden::read(file, keys)?;
    let compared = named.found()?.compare(&golden, named.model.side);
    let compared = compared.with_context(|| format!("cannot compare `{}`", file.display()))?;
    let matching = compared.iter().filter(|(_, comparison)| comparison.matches());
    let matching: Vec<&str> = matching.map(|(dialect, _)| dialect.name()).collect();
    if as_json {
        let report = json!({"model": named.name(), "dialects": dialects_json(&compared), "pass": matching});
        writeln!(out, "{report}")?;
    } else {
        print::table(out, &dialects_table(&compared), true)?;
        match matching[..] {
            [] => writeln!(out, "FAIL: no dialect gives these numbers")?,
            _ => writeln!(out, "PASS: {}", matching.join(", "))?,
        }
    }
    Ok(if matching.is_empty() { Exit::Failed } else { Exit::Done })
}
