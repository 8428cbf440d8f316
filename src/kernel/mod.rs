//! The arithmetic of a forward pass on the CPU, in f32: products, attention, norms, activations.
//!
//! Every output element has one summation order. It depends only on the length of the sum and on the instruction set:
//! never on the number of rows, the position of a row, or the thread that computes it. The same row gives the same bits
//! in a batch of 1 and of 10,000.
//!
//! Nothing here starts a thread. An operation works on the rows and columns that it is given, and [`MatMut`] cuts a matrix
//! into blocks that different threads may fill.
//!
//! Dimension letters: **T** tokens, **M** rows of any kind, **K** the length of a dot product, **N** weight
//! rows, **D** head size.

mod attention;
#[cfg(test)]
mod bits;
mod elementwise;
mod lanes;
mod linear;
mod maximum;
#[cfg(test)]
pub(crate) mod naive;
mod panels;
mod products;
mod rotary;
mod rows;
mod screen;
mod simd;
mod tile;

pub use attention::{attention, AttentionScratch};
pub use elementwise::{layer_norm, Activation};
pub use linear::{linear, Epilogue};
pub use maximum::{maximum, TextMaxima};
pub use panels::{GemmWeight, Panels};
pub use products::PANEL_COLUMNS;
pub use rotary::{rotate, Rotations};
pub use rows::{MatMut, MatRef, Matrix};
pub use screen::{screen_instructions, screened_maximum, QuantizedTokens, Screen};
pub use simd::InstructionSet;

use simd::Operation;
