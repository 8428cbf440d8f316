//! `--prune`, `--top-k` and `--decimals`: what is kept of each vector.

use std::num::NonZeroUsize;

use clap::builder::TypedValueParser;
use clap::Args;
use neural_sparse::index::Codec;
use neural_sparse::run::Shape;
use neural_sparse::{Prune, Similarity};
use serde_json::Value;

use super::choice;

/// What is kept of each vector.
#[derive(Args, Clone, Default)]
pub(in crate::cli) struct ShapeArgs {
    /// Keep the heaviest terms only, after --prune
    #[arg(long, value_name = "NUM", value_parser = parse_top_k)]
    top_k: Option<NonZeroUsize>,
    /// Drop small weights as OpenSearch does: max_ratio=R, alpha_mass=R (R from 0, below 1) or abs_value=W
    #[arg(long, value_name = "RULE")]
    prune: Option<Prune>,
    /// Round weights to this many decimals; a term that becomes 0 is left out
    #[arg(long, value_name = "NUM", value_parser = clap::value_parser!(u8).range(0..=9))]
    decimals: Option<u8>,
}

impl ShapeArgs {
    pub fn shape(&self) -> Shape {
        Shape { prune: self.prune, top_k: self.top_k, decimals: self.decimals, ..Shape::default() }
    }
}

/// The options and their values, which decide what is written.
pub(in crate::cli) fn settings(shape: &Shape) -> Vec<(String, Value)> {
    let prune = shape.prune.map(|rule| rule.to_string());
    let mut settings = vec![
        ("--top-k".to_string(), shape.top_k.map(NonZeroUsize::get).into()),
        ("--prune".into(), prune.into()),
        ("--decimals".into(), shape.decimals.into()),
    ];
    if shape.similarity != Similarity::Dot {
        settings.push(("the similarity".into(), shape.similarity.name().into()));
    }
    settings
}

pub(in crate::cli) fn parse_top_k(value: &str) -> Result<NonZeroUsize, String> {
    match value.parse::<usize>() {
        Ok(count) => NonZeroUsize::new(count).ok_or_else(|| "0 would leave every vector empty".into()),
        Err(_) => Err("not a number of terms".into()),
    }
}

/// How an index keeps weights, as an argument.
pub(in crate::cli) fn codecs() -> impl TypedValueParser<Value = Codec> {
    choice(Codec::ALL.map(|codec| (codec, codec.name(), "")))
}
