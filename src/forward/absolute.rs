//! Layers with embedded positions, LayerNorm after each half and a plain feed-forward block: BERT, DistilBERT, RoBERTa.
//!
//! Written twice: over the kernels, and in candle tensors as the reference.

use candle_core::{Result, Tensor};

use super::cpu::{Buffers, CpuForward};
use super::reference::{dense, ReferenceForward};
use crate::forward::batch::PackedBatch;
use crate::kernel::{Epilogue, Matrix};
use crate::parameters::AbsoluteLayer;

impl CpuForward<'_> {
    /// * `hidden`: (T, H), the embeddings; replaced by the last layer's output.
    pub(super) fn absolute_layers(
        &self,
        layers: &[AbsoluteLayer],
        batch: &PackedBatch,
        hidden: &mut Matrix,
        buffers: &mut Buffers,
    ) {
        let (t, h) = (batch.num_tokens(), self.config.hidden_size);
        let Buffers { query, key, value, context, attended, expanded, .. } = buffers;
        for matrix in [&mut *query, key, value, context, attended] {
            matrix.resize(t, h);
        }
        expanded.resize(t, self.config.feed_forward_size);
        let activation = Epilogue::Activation(self.config.activation);
        for layer in layers {
            let projections = [
                (&layer.attention.query, query.rows_mut()),
                (&layer.attention.key, key.rows_mut()),
                (&layer.attention.value, value.rows_mut()),
            ];
            self.dense_side_by_side(hidden.rows(), projections, Epilogue::None);
            self.attention(batch, [query, key, value], None, context);
            let residual = Epilogue::Residual(hidden.rows());
            self.dense(context.rows(), &layer.attention.output, residual, attended.rows_mut());
            self.norm(attended.rows_mut(), &layer.attention_norm);
            self.dense(attended.rows(), &layer.up, activation, expanded.rows_mut());
            let residual = Epilogue::Residual(attended.rows());
            self.dense(expanded.rows(), &layer.down, residual, hidden.rows_mut());
            self.norm(hidden.rows_mut(), &layer.output_norm);
        }
    }
}

impl ReferenceForward<'_> {
    /// (T, H) → (T, H)
    pub(super) fn absolute_layers(
        &self,
        layers: &[AbsoluteLayer<Tensor>],
        mut hidden: Tensor,
    ) -> Result<Tensor> {
        for layer in layers {
            let attention = &layer.attention;
            let query = dense(&hidden, &attention.query)?;
            let key = dense(&hidden, &attention.key)?;
            let value = dense(&hidden, &attention.value)?;
            let context = self.attention([query, key, value], None, None)?;
            let attended = (dense(&context, &attention.output)? + &hidden)?;
            let attended = self.norm(&attended, &layer.attention_norm)?;
            let expanded = self.activation(&dense(&attended, &layer.up)?)?;
            hidden = self.norm(&(dense(&expanded, &layer.down)? + &attended)?, &layer.output_norm)?;
        }
        Ok(hidden)
    }
}
