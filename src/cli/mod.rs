//! The command line: the only folder that knows clap, the standard streams and the environment.
//!
//! Each subcommand is a file: it opens what it needs, calls the library and writes.

mod args;
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
mod hints;
mod index;
mod lines;
mod model;
mod output;
mod requests;
mod score;
mod search;
mod stats;
mod storage;
mod target;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use args::{formats, vocabulary, HubArgs, ModelArgs, SideName};

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

/// Parses the arguments, runs the subcommand, reports an error; the exit code says how it went.
pub(crate) fn run() -> ExitCode {
    terminal::report_panics();
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
