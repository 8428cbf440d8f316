//! What the subcommands are told: a file for each group of arguments, and what the help of all has in common.

mod choice;
mod examples;
pub(super) mod fields;
pub(super) mod formats;
mod given;
mod headings;
mod help;
mod hub;
mod input;
mod model;
mod rows;
mod shape;
#[cfg(test)]
mod tests;
mod vectors;
pub(super) mod vocabulary;

pub(super) use choice::choice;
pub(super) use given::Given;
pub(super) use help::uniform;
pub(super) use hub::HubArgs;
pub(super) use input::InputArgs;
pub(super) use model::{available_threads, sides, ModelArgs};
pub(super) use rows::RowArgs;
pub(super) use shape::{codecs, parse_top_k, settings as shape_settings, ShapeArgs};
pub(super) use vectors::{vector_keys, VectorArgs};
