//! What the help of every subcommand has in common: examples, choices in one form, and positional arguments first.

use clap::builder::StyledStr;
use clap::{Arg, Command};

use super::examples;

/// `command` and all of its subcommands with their help in one form.
pub(in crate::cli) fn uniform(command: Command) -> Command {
    let name = command.get_name().to_string();
    below(command, &name)
}

fn below(command: Command, path: &str) -> Command {
    let command = match examples::of(path) {
        Some(lines) => command.after_help(StyledStr::from(examples::text(path, lines))),
        None => command,
    };
    command.mut_args(argument).mut_subcommands(|subcommand| {
        let path = format!("{path} {}", subcommand.get_name());
        below(subcommand, &path)
    })
}

/// An argument whose name of its value states the choice, so that it need not be listed once more; what the choices
/// mean stands in the long help.
fn argument(argument: Arg) -> Arg {
    let argument = match argument.is_positional() {
        true => argument.help_heading(None::<&'static str>),
        false => argument,
    };
    let choices = argument.get_possible_values();
    let is_stated = argument.get_value_names().is_some_and(|names| names.concat().contains('|'));
    if choices.is_empty() || !is_stated {
        return argument;
    }
    let argument = argument.hide_possible_values(true);
    let meanings: Vec<String> = choices
        .iter()
        .filter_map(|choice| Some(format!("- {}: {}", choice.get_name(), choice.get_help()?)))
        .collect();
    if meanings.is_empty() {
        return argument;
    }
    let help = argument.get_long_help().or(argument.get_help()).map(StyledStr::to_string).unwrap_or_default();
    argument.long_help(StyledStr::from(format!("{help}:\n{}", meanings.join("\n"))))
}
