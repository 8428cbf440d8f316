//! Which options stand on the command line, as opposed to those that have their default.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::cli::failure::UsageError;

/// The options that stand on the command line, by their names. It is to be the first field of the arguments that it looks
/// at, for the fields after it take their values away.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Given {
    /// Each flag, and its values as they were written.
    flags: Vec<(String, String)>,
    /// Flags whose value is from the environment.
    from_environment: Vec<String>,
}

impl Given {
    pub fn has(&self, flag: &str) -> bool {
        self.value(flag).is_some()
    }

    /// Whether the user has said what the value of a flag is, by the flag or by the environment: the value itself does not
    /// tell, since a default value can be given too.
    pub fn states(&self, flag: &str) -> bool {
        self.has(flag) || self.from_environment.iter().any(|given| given == flag)
    }

    /// The value of a flag that is given, as it was written; several with commas between them.
    pub fn value(&self, flag: &str) -> Option<&str> {
        self.flags.iter().find(|(given, _)| given == flag).map(|(_, value)| value.as_str())
    }

    /// An error where one of `flags` is given, for it would change nothing.
    ///
    /// * `reason`: why not.
    pub fn refuse(&self, flags: &[&str], reason: &str) -> Result<(), UsageError> {
        match flags.iter().find(|flag| self.has(flag)) {
            Some(flag) => Err(UsageError::new(format!("{flag} has no effect: {reason}"))),
            None => Ok(()),
        }
    }

    /// An error where a flag is given that is none of `flags`, for it would change nothing.
    ///
    /// * `mode`: the flag that leaves the others without effect.
    pub fn refuse_others(&self, flags: &[&str], mode: &str) -> Result<(), UsageError> {
        match self.flags.iter().find(|(flag, _)| !flags.contains(&flag.as_str())) {
            Some((flag, _)) => Err(UsageError::new(format!("{flag} has no effect with {mode}"))),
            None => Ok(()),
        }
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        // Groups are among the ids too, under the names of the structs that make them.
        let is_flag = |id: &&str| !id.starts_with(|first: char| first.is_ascii_uppercase());
        let from = |source| {
            let ids = matches.ids().map(clap::Id::as_str).filter(is_flag);
            ids.filter(move |id| matches.value_source(id) == Some(source))
        };
        let value = |id: &str| {
            let values = matches.get_raw(id).into_iter().flatten();
            values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(",")
        };
        let flags = from(ValueSource::CommandLine).map(|id| (flag(id), value(id))).collect();
        let from_environment = from(ValueSource::EnvVariable).map(flag).collect();
        Ok(Given { flags, from_environment })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Given::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

/// The flag of an argument, which has its field's name with few exceptions.
fn flag(id: &str) -> String {
    match id {
        "files" => "--input".into(),
        "side" => "--as".into(),
        id => format!("--{}", id.replace('_', "-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        given: Given,
        #[arg(long, default_value = "1")]
        chunk_overlap: u32,
        #[arg(long = "as")]
        side: Option<String>,
    }

    #[test]
    fn a_default_is_not_given() {
        let options = Options::parse_from(["x", "--as", "query"]);
        assert_eq!((options.chunk_overlap, options.side.as_deref()), (1, Some("query")));
        assert!(options.given.has("--as") && !options.given.has("--chunk-overlap"));
        assert!(options.given.refuse(&["--chunk-overlap"], "no").is_ok());
        let options = Options::parse_from(["x", "--chunk-overlap", "1"]);
        let refused = options.given.refuse(&["--as", "--chunk-overlap"], "nothing is cut into windows");
        assert_eq!(
            refused.expect_err("given").to_string(),
            "--chunk-overlap has no effect: nothing is cut into windows"
        );
    }
}
