//! `eval cache`: what evaluations have kept.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use neural_sparse::eval::cache::{self, About, Kept};
use neural_sparse::report::Table;
use serde_json::json;

use crate::cli::environment;
use crate::cli::failure::Exit;
use crate::cli::output::Output;
use crate::cli::print;

/// List or remove the vectors and indexes that `eval` and `eval sweep` keep
#[derive(Args)]
pub(in crate::cli) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Subcommand)]
enum CacheCommand {
    /// List what is kept: bytes, collection, model, and whether this program still uses it
    List(WhichArgs),
    /// Remove all of it; nothing else in the folder is touched
    Clear(WhichArgs),
}

#[derive(Args)]
struct WhichArgs {
    /// Folder for vectors and indexes [default: neural-sparse in the user's cache]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// JSON, a line for each folder
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CacheArgs) -> anyhow::Result<Exit> {
    let (CacheCommand::List(which) | CacheCommand::Clear(which)) = &args.command;
    let folder = which.cache.clone().map_or_else(environment::cache_folder, Ok)?;
    let act = match args.command {
        CacheCommand::List(_) => cache::list,
        CacheCommand::Clear(_) => cache::clear,
    };
    let kept = act(&folder).with_context(|| format!("`{}`", folder.display()))?;
    let mut out = Output::stdout();
    if which.json {
        for Kept { folder, bytes, about } in &kept {
            let outdated = is_outdated(about.as_ref());
            let line = json!({"folder": folder, "bytes": bytes, "outdated": outdated, "about": about});
            writeln!(out, "{line}")?;
        }
    } else {
        let bytes: u64 = kept.iter().map(|kept| kept.bytes).sum();
        let done = if matches!(args.command, CacheCommand::Clear(_)) { "removed" } else { "kept" };
        if !kept.is_empty() {
            print::table(&mut out, &listed(&kept), true)?;
            writeln!(out)?;
        }
        writeln!(out, "{bytes} bytes {done} in `{}`", folder.display())?;
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// Whether this program uses what was kept no more, or does not know what it is.
fn is_outdated(about: Option<&About>) -> bool {
    about.is_none_or(About::is_outdated)
}

fn listed(kept: &[Kept]) -> Table {
    let table = Table::new().number("bytes").text("data").text("model").text("folder").text("");
    table.rows(kept.iter().map(|kept| {
        let about = kept.about.as_ref();
        let (data, model) = about.map_or(("?", "?"), |about| (&about.data, &about.model));
        let state = if is_outdated(about) { "outdated" } else { "" };
        let folder = kept.folder.display().to_string();
        [kept.bytes.to_string(), data.into(), model.into(), folder, state.into()].into()
    }))
}
