//! What the help of every subcommand has in common: examples, choices in one form, and positional arguments first.

use clap::builder::StyledStr;
use clap::{Arg, Command};

use super::{examples, headings};

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

/// An argument in the common form: under its heading, and with a choice stated by the name of its value, so that it
/// need not be listed once more. What the choices mean stands in the long help.
fn argument(argument: Arg) -> Arg {
    let argument = under_heading(argument);
    let choices = argument.get_possible_values();
    // clap takes `true` and `false` for the choices of a flag.
    let is_flag = !argument.get_action().takes_values();
    if is_flag || argument.is_positional() || !(2..=4).contains(&choices.len()) {
        return argument;
    }
    let names: Vec<&str> = choices.iter().map(|choice| choice.get_name()).collect();
    // clap wants it for as long as the program runs, which asks for it once.
    let stated: &'static str = String::leak(names.join("|"));
    let argument = argument.value_name(stated).hide_possible_values(true);
    let meanings: Vec<String> = choices
        .iter()
        .filter_map(|choice| Some(format!("- {}: {}", choice.get_name(), choice.get_help()?)))
        .collect();
    if meanings.is_empty() {
        return argument;
    }
    let help = argument.get_long_help().or(argument.get_help()).map(StyledStr::to_string).unwrap_or_default();
    // The default stands at the end, as everywhere.
    let (help, default) = match help.rfind(" [default: ") {
        Some(at) if help.ends_with(']') => (&help[..at], format!("\n\n{}", help[at..].trim_start())),
        _ => (help.as_str(), String::new()),
    };
    argument.long_help(StyledStr::from(format!("{help}:\n{}{default}", meanings.join("\n"))))
}

/// Positional arguments stand above all headings, and what every command has below them.
fn under_heading(argument: Arg) -> Arg {
    match argument.get_long() {
        Some("quiet" | "help" | "version") | None => argument,
        Some(_) if argument.get_help_heading().is_some() => argument,
        Some(long) => {
            let heading = headings::of(long);
            argument.help_heading(heading)
        }
    }
}
