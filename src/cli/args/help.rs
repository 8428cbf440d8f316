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
        Some(lines) => command.after_help(StyledStr::from(examples::text(path, &lines))),
        None => command,
    };
    let command = rows_only(command);
    command.mut_args(argument).mut_subcommands(|subcommand| {
        let path = format!("{path} {}", subcommand.get_name());
        below(subcommand, &path)
    })
}

/// Options that only rows of files have, by the first of each group of arguments that has them.
const ROWS_ONLY: [(&str, &[&str]); 6] = [
    ("max_line_bytes", &["max_line_bytes", "on_error", "rejects", "resume", "force", "shard", "summary"]),
    ("input_format", &["input_format", "vector_keys", "text_field", "id_field"]),
    ("query_field", &["query_field", "document_field", "id_field"]),
    ("keep_all", &["keep", "keep_all"]),
    ("format", &["format", "vector_field", "index_name", "bulk_action", "bulk_mb", "quantize"]),
    ("on_long", &["on_long", "chunk_overlap", "chunk_rows", "batch_tokens"]),
];

/// Where a command takes texts as well as files of rows, the options that only rows have are refused with texts.
fn rows_only(command: Command) -> Command {
    let has = |id: &str| command.get_arguments().any(|argument| argument.get_id() == id);
    let files = ["files", "queries"].into_iter().find(|id| has(id));
    let (Some(files), true) = (files, has("texts")) else { return command };
    let groups = ROWS_ONLY.iter().filter(|(first, _)| has(first)).flat_map(|(_, options)| *options);
    let options: Vec<&str> = groups.copied().filter(|id| has(id)).collect();
    let only_rows = |command: Command, id: &str| {
        let id = id.to_string();
        command.mut_arg(id, |argument| argument.requires(files).conflicts_with("texts"))
    };
    options.into_iter().fold(command, only_rows)
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
