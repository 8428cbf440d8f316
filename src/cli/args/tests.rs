//! What holds for the arguments of every subcommand.

use std::collections::BTreeMap;

use clap::{Arg, Command, CommandFactory};

use super::{examples, uniform};
use crate::cli::Cli;

/// The program and every subcommand, by the names that call it.
fn commands() -> Vec<(String, Command)> {
    let mut command = uniform(Cli::command());
    command.build();
    command.clone().debug_assert();
    let mut found = Vec::new();
    let mut below = vec![("neural-sparse".to_string(), command)];
    while let Some((path, command)) = below.pop() {
        let subcommands = command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help");
        below.extend(subcommands.map(|sub| (format!("{path} {}", sub.get_name()), sub.clone())));
        found.push((path, command));
    }
    found
}

/// Every argument that the help shows, and the subcommand that takes it.
fn arguments() -> Vec<(String, Arg)> {
    let of = |(path, command): (String, Command)| {
        let arguments: Vec<Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set()).cloned().collect();
        arguments.into_iter().map(move |argument| (format!("{path}: {}", argument.get_id()), argument))
    };
    commands().into_iter().flat_map(of).collect()
}

fn help(argument: &Arg) -> String {
    argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn every_argument_has_help_and_every_option_a_heading() {
    for (place, argument) in arguments() {
        assert!(!help(&argument).is_empty(), "{place} has no help");
        let is_of_all = ["help", "version", "quiet"].contains(&argument.get_id().as_str());
        let wants_heading = !argument.is_positional() && !is_of_all;
        assert_eq!(argument.get_help_heading().is_some(), wants_heading, "{place}: the heading");
    }
}

#[test]
fn the_name_of_a_value_states_the_choice() {
    for (place, argument) in arguments() {
        let choices = argument.get_possible_values();
        let names = argument.get_value_names().unwrap_or_default();
        if (2..5).contains(&choices.len())
            && argument.get_action().takes_values()
            && !argument.is_positional()
        {
            let listed: Vec<&str> = choices.iter().map(|choice| choice.get_name()).collect();
            assert_eq!(names.concat(), listed.join("|"), "{place}");
        }
        for name in names.iter().flat_map(|name| name.split('|')) {
            let is_kind = name.chars().all(|letter| letter.is_ascii_uppercase() || "_/".contains(letter));
            let is_choice = name.chars().all(|letter| {
                letter.is_ascii_lowercase()
                    || "-_=[]A-Z0-9".contains(letter)
                    || letter.is_ascii_alphanumeric()
            });
            assert!(is_kind || is_choice, "{place}: {name}");
        }
    }
}

#[test]
fn a_default_is_written_in_one_form() {
    for (place, argument) in arguments() {
        let help = help(&argument);
        let is_written = help.contains("[default");
        let is_told = help.to_lowercase().contains("default") && !is_written;
        assert!(!is_told, "{place}: `{help}` tells of a default in another form");
        assert!(!is_written || help.contains("[default: ") && help.ends_with(']'), "{place}: {help}");
        assert!(
            !is_written || argument.get_default_values().is_empty() || argument.is_hide_default_value_set(),
            "{place}: two defaults"
        );
    }
}

#[test]
fn a_short_flag_means_the_same_everywhere() {
    let short: BTreeMap<&str, char> = [
        ("model", 'm'),
        ("input", 'i'),
        ("output", 'o'),
        ("quiet", 'q'),
        ("k", 'k'),
        ("threads", 't'),
        ("help", 'h'),
        ("version", 'V'),
    ]
    .into();
    for (place, argument) in arguments().iter().filter(|(_, argument)| !argument.is_positional()) {
        let long = argument.get_long().unwrap_or_else(|| panic!("{place} has no long form"));
        assert_eq!(argument.get_short(), short.get(long).copied(), "{place}");
    }
}

#[test]
fn every_subcommand_has_examples_that_parse() {
    for (path, _) in commands() {
        let lines = examples::of(&path).unwrap_or_else(|| panic!("{path} has no example"));
        for line in lines {
            let words = words(line);
            assert!(line.starts_with(&path) || path.split(' ').count() == 1, "{path}: {line}");
            if let Err(error) = uniform(Cli::command()).try_get_matches_from(words) {
                panic!("{line}: {error}");
            }
        }
    }
}

/// The words of a line, as a shell would split it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            character => words.last_mut().expect("a word, anything else is a bug").push(character),
        }
    }
    words
}
