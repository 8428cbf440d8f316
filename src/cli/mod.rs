//! The command line: the only folder that knows clap, the standard streams and the environment.
//!
//! Each subcommand is a file: it opens what it needs, calls the library and writes.

mod args;
mod bulk;
mod convert;
mod download_bar;
mod encode;
mod environment;
mod eval;
mod explain;
mod failure;
mod hints;
mod index;
mod model;
mod output;
mod print;
mod score;
mod search;
mod stats;
mod target;
mod terminal;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use args::{fields, formats, vocabulary, HubArgs, ModelArgs};

/// Turns text into sparse term-weight vectors with the OpenSearch neural sparse encoding models.
#[derive(Parser)]
#[command(name = "neural-sparse", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

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

/// Parses the arguments, runs the subcommand, reports an error; the exit code says how it went.
pub(crate) fn run() -> ExitCode {
    terminal::report_panics();
    environment::exit_on_interrupt();
    let parsed = args::uniform(Cli::command()).try_get_matches().and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((name_of(&matches), cli))
    });
    let (name, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return failure::report_arguments(&error).into(),
    };
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
        Err(error) => failure::report(&error, &name).into(),
    }
}

/// The subcommand as it was called: `neural-sparse index build`.
fn name_of(matches: &ArgMatches) -> String {
    let mut names = vec![env!("CARGO_PKG_NAME")];
    let mut below = matches.subcommand();
    while let Some((name, matches)) = below {
        names.push(name);
        below = matches.subcommand();
    }
    names.join(" ")
}

/// `3 texts`, `1 text`.
fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
