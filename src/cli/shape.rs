//! `--prune`, `--top-k` and `--decimals`: what is kept of each vector.

use std::num::NonZeroUsize;

use clap::Args;
use neural_sparse::run::Shape;
use neural_sparse::{Prune, Similarity};
use serde_json::Value;

/// What is kept of each vector.
#[derive(Args, Clone, Default)]
pub(super) struct ShapeArgs {
    /// Keep the heaviest terms only, after --prune
    #[arg(long, value_name = "NUM", value_parser = parse_top_k)]
    top_k: Option<NonZeroUsize>,
    /// Drop small weights as OpenSearch does: max_ratio=R, alpha_mass=R (R from 0, below 1) or abs_value=W
    #[arg(long, value_name = "RULE", value_parser = parse_prune)]
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
pub(super) fn settings(shape: &Shape) -> Vec<(String, Value)> {
    let prune = shape.prune.map(|rule| {
        let (name, value) = named(rule);
        format!("{name}={value}")
    });
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

pub(super) fn parse_top_k(value: &str) -> Result<NonZeroUsize, String> {
    match value.parse::<usize>() {
        Ok(count) => NonZeroUsize::new(count).ok_or_else(|| "0 would leave every vector empty".into()),
        Err(_) => Err("not a number of terms".into()),
    }
}

/// The name of a rule of `--prune` and its value.
pub(super) fn named(rule: Prune) -> (&'static str, f32) {
    match rule {
        Prune::MaxRatio(ratio) | Prune::AboveMaxRatio(ratio) => ("max_ratio", ratio),
        Prune::AlphaMass(ratio) => ("alpha_mass", ratio),
        Prune::AbsValue(weight) => ("abs_value", weight),
    }
}

pub(super) fn parse_prune(value: &str) -> Result<Prune, String> {
    let (rule, number) =
        value.split_once('=').ok_or("the rules are max_ratio=R, alpha_mass=R and abs_value=W")?;
    let number: f32 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
    let ratio = if (0.0..1.0).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{number} is not a ratio of at least 0 and below 1"))
    };
    match rule {
        "max_ratio" => Ok(Prune::MaxRatio(ratio?)),
        "alpha_mass" => Ok(Prune::AlphaMass(ratio?)),
        "abs_value" if number >= 0.0 && number.is_finite() => Ok(Prune::AbsValue(number)),
        "abs_value" => Err(format!("{number} is not a weight of at least 0")),
        _ => Err(format!("no rule `{rule}`; the rules are max_ratio=R, alpha_mass=R and abs_value=W")),
    }
}
