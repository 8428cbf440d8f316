//! Everything that is tested from outside: the library by its public names, the program by running it.

// A test that cannot go on says so by panicking.
#![allow(clippy::unwrap_used, missing_docs)]

/// Damaged and odd model folders.
mod bad_models;
/// The program, one file a subcommand.
mod bulk;
/// Checkpoints and adapters in every form that PyTorch and peft write.
mod checkpoints;
mod collections;
/// What every subcommand has in common.
mod command_line;
/// What comes from outside, on a terminal.
#[cfg(target_os = "linux")]
mod control_characters;
mod encode;
mod eval;
mod eval_data;
mod explain;
mod formats;
/// Tokenizers and texts that are out to do harm.
mod hostile_tokenizers;
/// The hub: names, cache, downloads.
mod hub;
/// The same, of models in several folders.
mod hub_layouts;
/// What hubs and mirrors must not get, and cannot make the client do.
mod hub_transfer;
mod idle_flags;
mod index;
mod input;
/// The same text gives the same bits, whatever is around it.
mod invariance;
/// What sentence-transformers writes, both generations of it.
mod layouts;
mod library;
mod lsr_benchmark;
mod model;
mod module_graph;
/// Folders, known models, and names that mean both.
mod names;
/// Options that take numbers, at the ends of their ranges.
#[cfg(target_os = "linux")]
mod numbers;
/// Files that are written in one go.
mod outputs;
mod page;
/// The library against PyTorch's numbers, on every checkpoint layout.
mod parity;
mod readers;
/// The commands that the README shows.
mod readme;
/// Runs that were stopped, and go on.
mod resume;
/// Sides, tables without a model, dialects.
mod roles;
mod score;
/// Dot products, cosines and distances.
mod similarity;
mod stats;
/// Standard streams that are closed, full or unread.
#[cfg(target_os = "linux")]
mod streams;
/// Tables on terminals of several widths.
#[cfg(target_os = "linux")]
mod tables;
mod target;
/// Model folders as people save and edit them.
mod variants;

/// The help of every subcommand, and its examples.
mod examples;
/// What its repositories hold.
mod hub_contents;
/// A hub on the loopback interface.
mod hub_server;
/// Runs the program.
mod program;
/// Runs it on a terminal.
#[cfg(target_os = "linux")]
mod terminal;
