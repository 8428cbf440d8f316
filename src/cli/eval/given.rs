//! Which flags stand on the command line itself, so that one without effect can be refused.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::cli::failure::UsageError;

/// The ids of the flags that were given: neither by default nor by an environment variable.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(Vec<String>);

impl Given {
    /// An error that names the first flag of `Command` that was given and is not among `allowed`.
    pub fn refuse_others<Command: Args>(&self, mode: &str, allowed: &[&str]) -> Result<(), UsageError> {
        let Some(id) = self.0.iter().find(|id| !allowed.contains(&id.as_str())) else { return Ok(()) };
        Err(UsageError::new(format!("{} has no effect with {mode}", flag_name::<Command>(id))))
    }

    /// An error where a flag was given that has no effect.
    pub fn refuse<Command: Args>(&self, mode: &str, without_effect: &[&str]) -> Result<(), UsageError> {
        let Some(id) = self.0.iter().find(|id| without_effect.contains(&id.as_str())) else { return Ok(()) };
        Err(UsageError::new(format!("{} has no effect with {mode}", flag_name::<Command>(id))))
    }
}

/// What the user writes for an argument.
fn flag_name<A: Args>(id: &str) -> String {
    let command = A::augment_args(Command::new("any"));
    let argument = command.get_arguments().find(|argument| argument.get_id() == id);
    let long = argument.and_then(|argument| argument.get_long());
    long.map_or_else(|| id.to_string(), |long| format!("--{long}"))
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let on_command_line = |id: &&str| {
            matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
        };
        // Groups are among the ids too, under the names of the structs that make them.
        let is_flag = |id: &&str| !id.starts_with(|first: char| first.is_ascii_uppercase());
        let ids = matches.ids().map(|id| id.as_str()).filter(is_flag).filter(on_command_line);
        Ok(Given(ids.map(String::from).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Given::from_arg_matches(matches)?;
        Ok(())
    }
}
