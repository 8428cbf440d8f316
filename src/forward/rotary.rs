//! Layers with rotary positions, a gated feed-forward block and perhaps a window: ModernBERT, whose norms come first,
//! and GTE, whose norms come last.
//!
//! Written twice: over the kernels, and in candle tensors as the reference.

use candle_core::{Result, Tensor};

use super::cpu::{Buffers, CpuForward, BLOCK_ROWS};
use super::reference::{dense, ReferenceForward};
use crate::forward::batch::PackedBatch;
use crate::kernel::{self, Epilogue, Matrix, Rotations};
use crate::parameters::{AttentionParameters, RotaryLayer};
use crate::spec::{Blocks, RotaryBlocks};

/// The inputs of one layer's attention.
#[derive(Clone, Copy)]
struct Attention<'a> {
    parameters: &'a AttentionParameters,
    rotations: &'a Rotations,
    /// How far a token sees to either side; the whole text when `None`.
    window: Option<usize>,
    batch: &'a PackedBatch,
}

impl CpuForward<'_> {
    /// * `hidden`: (T, H), the embeddings; replaced by the last layer's output.
    pub(super) fn rotary_layers(
        &self,
        layers: &[RotaryLayer],
        batch: &PackedBatch,
        hidden: &mut Matrix,
        buffers: &mut Buffers,
    ) {
        let blocks = rotary_blocks(&self.config.blocks);
        let longest = batch.ranges().map(|tokens| tokens.len()).max().unwrap_or_default();
        let rotations = rotations(blocks, longest);
        let (t, h) = (batch.num_tokens(), self.config.hidden_size);
        let Buffers { query, key, value, context, attended, .. } = &mut *buffers;
        for matrix in [query, key, value, context, attended] {
            matrix.resize(t, h);
        }
        for (layer, attention) in layers.iter().zip(&blocks.layers) {
            let rotations = &rotations[attention.frequencies];
            let attention =
                Attention { parameters: &layer.attention, rotations, window: attention.window, batch };
            if blocks.norm_first {
                self.norm_first_layer(layer, attention, hidden, buffers);
            } else {
                self.norm_last_layer(layer, attention, hidden, buffers);
            }
        }
    }

    /// x += attention(norm(x)), x += feed_forward(norm(x)); in the first layer x has just been normalised.
    fn norm_first_layer(
        &self,
        layer: &RotaryLayer,
        attention: Attention,
        hidden: &mut Matrix,
        buffers: &mut Buffers,
    ) {
        match &layer.attention_norm {
            None => self.attend(attention, hidden, buffers),
            Some(norm) => {
                let mut normed = std::mem::take(&mut buffers.attended);
                normed.copy_from(hidden);
                self.norm(normed.rows_mut(), norm);
                self.attend(attention, &normed, buffers);
                buffers.attended = normed;
            }
        }
        let Buffers { context, attended, expanded, gate, .. } = buffers;
        let residual = Epilogue::Residual(hidden.rows());
        self.dense(context.rows(), &layer.attention.output, residual, attended.rows_mut());
        // The context is no longer needed, so its memory takes the normalised rows.
        let normed = context;
        normed.copy_from(attended);
        self.norm(normed.rows_mut(), &layer.output_norm);
        self.feed_forward(layer, normed, attended, hidden, [gate, expanded]);
    }

    /// x = norm(x + attention(x)), x = norm(x + feed_forward(x))
    fn norm_last_layer(
        &self,
        layer: &RotaryLayer,
        attention: Attention,
        hidden: &mut Matrix,
        buffers: &mut Buffers,
    ) {
        self.attend(attention, hidden, buffers);
        let Buffers { context, attended, expanded, gate, .. } = buffers;
        let residual = Epilogue::Residual(hidden.rows());
        self.dense(context.rows(), &layer.attention.output, residual, attended.rows_mut());
        if let Some(norm) = &layer.attention_norm {
            self.norm(attended.rows_mut(), norm);
        }
        self.feed_forward(layer, attended, attended, hidden, [gate, expanded]);
        self.norm(hidden.rows_mut(), &layer.output_norm);
    }

    /// Computes the heads' contexts of `x` (T, H) into `buffers.context`, with queries and keys rotated by their positions.
    fn attend(&self, attention: Attention, x: &Matrix, buffers: &mut Buffers) {
        let Attention { parameters, rotations, window, batch } = attention;
        let Buffers { query, key, value, context, .. } = buffers;
        let projections = [
            (&parameters.query, query.rows_mut()),
            (&parameters.key, key.rows_mut()),
            (&parameters.value, value.rows_mut()),
        ];
        self.dense_side_by_side(x.rows(), projections, Epilogue::None);
        for tokens in batch.ranges() {
            for projected in [&mut *query, key] {
                let text = projected.rows_mut().rows(tokens.clone());
                self.row_by_row(text, |first, rows| kernel::rotate(self.kernel, rows, first, rotations));
            }
        }
        self.attention(batch, [query, key, value], window, context);
    }

    /// residual + down(f(gate(x)) ⊙ up(x)): (T, H), some rows at a time, as (T, F) is large for a long text.
    fn feed_forward(
        &self,
        layer: &RotaryLayer,
        x: &Matrix,
        residual: &Matrix,
        out: &mut Matrix,
        [gate, expanded]: [&mut Matrix; 2],
    ) {
        let activation = Epilogue::Activation(self.config.activation);
        for (index, out) in out.rows_mut().row_blocks(BLOCK_ROWS).into_iter().enumerate() {
            let rows = index * BLOCK_ROWS..index * BLOCK_ROWS + out.num_rows();
            for matrix in [&mut *gate, expanded] {
                matrix.resize(rows.len(), self.config.feed_forward_size);
            }
            let x = x.rows().rows(rows.clone());
            self.dense(x, &layer.gate, activation, gate.rows_mut());
            self.dense(x, &layer.up, Epilogue::Factor(gate.rows()), expanded.rows_mut());
            let residual = Epilogue::Residual(residual.rows().rows(rows));
            self.dense(expanded.rows(), &layer.down, residual, out);
        }
    }
}

impl ReferenceForward<'_> {
    /// (T, H) → (T, H)
    pub(super) fn rotary_layers(&self, layers: &[RotaryLayer<Tensor>], mut hidden: Tensor) -> Result<Tensor> {
        let blocks = rotary_blocks(&self.config.blocks);
        let rotations = rotations(blocks, hidden.dim(0)?);
        for (layer, attention) in layers.iter().zip(&blocks.layers) {
            let rotations = &rotations[attention.frequencies];
            let norm = |x: &Tensor| match &layer.attention_norm {
                Some(norm) => self.norm(x, norm),
                None => Ok(x.clone()),
            };
            let attend = |x: &Tensor| -> Result<Tensor> {
                let query = dense(x, &layer.attention.query)?;
                let key = dense(x, &layer.attention.key)?;
                let value = dense(x, &layer.attention.value)?;
                let context = self.attention([query, key, value], Some(rotations), attention.window)?;
                dense(&context, &layer.attention.output)
            };
            let feed_forward = |x: &Tensor| -> Result<Tensor> {
                let gate = self.activation(&dense(x, &layer.gate)?)?;
                dense(&(gate * dense(x, &layer.up)?)?, &layer.down)
            };
            hidden = if blocks.norm_first {
                let attended = (&hidden + attend(&norm(&hidden)?)?)?;
                (&attended + feed_forward(&self.norm(&attended, &layer.output_norm)?)?)?
            } else {
                let attended = norm(&(&hidden + attend(&hidden)?)?)?;
                self.norm(&(&attended + feed_forward(&attended)?)?, &layer.output_norm)?
            };
        }
        Ok(hidden)
    }
}

fn rotary_blocks(blocks: &Blocks) -> &RotaryBlocks {
    match blocks {
        Blocks::Rotary(blocks) => blocks,
        Blocks::Absolute { .. } => unreachable!("layers are read in the shape that the config has"),
    }
}

/// The rotations of each set of frequencies, for texts of up to so many tokens.
fn rotations(blocks: &RotaryBlocks, longest: usize) -> Vec<Rotations> {
    blocks.frequencies.iter().map(|frequencies| Rotations::new(frequencies, longest)).collect()
}
