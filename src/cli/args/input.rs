//! Which rows are read, and what becomes of bad ones and of what is there.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::Args;
use neural_sparse::run::{Earlier, OnError, RunOptions, MAX_LINE_BYTES};

use super::choice;

/// Which rows are read, and what becomes of bad ones and of what is there.
#[derive(Args)]
pub(in crate::cli) struct InputArgs {
    /// File to read, a row a line, plain, gzip or zstd; `-` is standard input; may be repeated
    #[arg(long = "input", short = 'i', value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Reject a longer line, without holding it
    #[arg(long, value_name = "NUM", default_value_t = MAX_LINE_BYTES)]
    max_line_bytes: NonZeroUsize,
    /// What to do with a row that cannot be used
    #[arg(long, value_name = "stop|skip", default_value = "stop", value_parser = on_error())]
    on_error: OnError,
    /// Report each rejected row in this file, a line of JSON each: file, line, column, reason, raw
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Go on where an earlier run with the same arguments was stopped, by whatever
    #[arg(long, requires = "output", conflicts_with = "force")]
    resume: bool,
    /// Start at the beginning whatever an earlier run has left; files of that name are replaced
    #[arg(long)]
    pub force: bool,
    /// Read the I-th of N contiguous parts of plain files; the outputs one after the other are the whole
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub shard: Option<(u64, u64)>,
    /// Write the figures of the summary to this file too, as JSON
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
}

impl InputArgs {
    /// What a run is told of bad rows and of what is there.
    pub fn run_options(&self) -> RunOptions {
        RunOptions {
            max_line_bytes: self.max_line_bytes,
            on_error: self.on_error,
            rejects: self.rejects.clone(),
            earlier: match (self.resume, self.force) {
                (true, _) => Earlier::Resume,
                (_, true) => Earlier::Force,
                _ => Earlier::Refuse,
            },
            summary: self.summary.clone(),
        }
    }
}

fn on_error() -> impl TypedValueParser<Value = OnError> {
    choice([
        (OnError::Stop, "stop", "The run stops with an error; what was written stays"),
        (OnError::Skip, "skip", "The row is counted and left out; the exit code is 3"),
    ])
}

fn parse_shard(value: &str) -> Result<(u64, u64), String> {
    let numbers =
        value.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    match numbers {
        Some((index, count)) if (1..=count).contains(&index) => Ok((index, count)),
        Some(_) => Err("I counts from 1 and is at most N".into()),
        None => Err("not two numbers I/N, such as 3/8".into()),
    }
}
