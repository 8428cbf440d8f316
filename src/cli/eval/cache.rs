//! `eval cache`: what evaluations have kept.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use neural_sparse::eval::cache::{self, Kept};
use serde_json::json;

use crate::cli::environment;
use crate::cli::failure::Exit;
use crate::cli::output::Output;

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
    for kept in &kept {
        let state = match &kept.about {
            Some(about) if !about.is_outdated() => "",
            _ => "outdated",
        };
        if which.json {
            let Kept { folder, bytes, about } = kept;
            let outdated = !state.is_empty();
            writeln!(
                out,
                "{}",
                json!({"folder": folder, "bytes": bytes, "outdated": outdated, "about": about})
            )?;
        } else {
            let about = kept.about.as_ref();
            let (data, model) = about.map_or(("?", "?"), |about| (&about.data, &about.model));
            writeln!(out, "{:>12}  {data}  {model}  {}  {state}", kept.bytes, kept.folder.display())?;
        }
    }
    if !which.json {
        let bytes: u64 = kept.iter().map(|kept| kept.bytes).sum();
        let done = if matches!(args.command, CacheCommand::Clear(_)) { "removed" } else { "kept" };
        writeln!(out, "{bytes:>12}  bytes {done} in `{}`", folder.display())?;
    }
    out.finish()?;
    Ok(Exit::Done)
}
