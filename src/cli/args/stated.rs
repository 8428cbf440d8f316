//! What the user has said, apart from what has a default value.

use clap::parser::ValueSource;
use clap::ArgMatches;

/// Which arguments the user has given, by a flag or by the environment: a value says nothing of that, since a default
/// value can be given too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Stated {
    /// `--model`, also as `NEURAL_SPARSE_MODEL`.
    pub model: bool,
    /// `--dialect`.
    pub dialect: bool,
}

impl Stated {
    /// * `matches`: of the whole command line; the arguments are those of the innermost subcommand.
    pub fn of(mut matches: &ArgMatches) -> Self {
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        let is_stated = |name: &str| {
            // Not every subcommand has the argument.
            matches.try_contains_id(name).is_ok()
                && matches.value_source(name).is_some_and(|source| source != ValueSource::DefaultValue)
        };
        Stated { model: is_stated("model"), dialect: is_stated("dialect") }
    }
}
