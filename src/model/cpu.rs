//! The forward pass over the CPU kernels, on packed batches, read top to bottom like its twin in `reference.rs`.
//!
//! Nothing is padded, and no sum runs over texts: a token's bits depend on its text alone.

use std::cell::Cell;

use rayon::prelude::*;

use super::checkpoint::{Affine, Parameters};
use super::config::ModelConfig;
use super::weights::Weights;
use crate::batch::PackedBatch;
use crate::kernel::{self, AttentionScratch, Epilogue, Kernel, Matrix, Rows, RowsMut};

/// A BERT-shaped encoder with its masked-LM transform, over the kernels.
pub(crate) struct CpuForward<'a> {
    pub config: &'a ModelConfig,
    pub parameters: &'a Parameters,
    pub kernel: Kernel,
    pub sharing: Sharing,
}

/// Who works on one batch. The bits do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// The thread that calls; the others have batches of their own.
    Alone,
    /// All of so many threads: each computes some columns of every product.
    Among(usize),
}

impl Sharing {
    /// How many of `count` columns each thread takes at a time: whole panels of the kernels.
    pub fn share(self, count: usize) -> usize {
        match self {
            Sharing::Alone => count,
            Sharing::Among(threads) => count.div_ceil(threads).next_multiple_of(kernel::PANEL_COLUMNS),
        }
    }
}

/// What every layer writes anew. A thread keeps it from one batch to the next, as fresh memory costs a page fault for
/// each 4 KiB.
#[derive(Default)]
struct Buffers {
    /// (T, H) each
    query: Matrix,
    key: Matrix,
    value: Matrix,
    context: Matrix,
    attended: Matrix,
    /// (T, F)
    expanded: Matrix,
}

thread_local! {
    static BUFFERS: Cell<Buffers> = Cell::default();
}

/// What follows a product while it is still in cache.
enum After<'a> {
    Bias,
    Activation,
    /// Adds what went around the product, (T, out).
    Residual(&'a Matrix),
}

impl CpuForward<'_> {
    /// The head's hidden states of every token of a batch: what the vocabulary projection is applied to.
    ///
    /// * `batch`: T tokens, special tokens included, each id below V; no text longer than the model's positions.
    /// * returns: (T, H), texts back to back.
    ///
    /// Source: `BertForMaskedLM` and `DistilBertForMaskedLM` of transformers; post-norm, absolute positions.
    pub fn hidden_states(&self, batch: &PackedBatch) -> Matrix {
        let parameters = self.parameters;
        let (t, h) = (batch.num_tokens(), self.config.hidden_size);
        let mut hidden = self.embeddings(batch);
        self.norm(&mut hidden, &parameters.embedding_norm);
        let mut buffers = BUFFERS.take();
        let Buffers { query, key, value, context, attended, expanded } = &mut buffers;
        for matrix in [&mut *query, key, value, context, attended] {
            matrix.resize(t, h);
        }
        expanded.resize(t, self.config.feed_forward_size);
        for layer in &parameters.layers {
            let projections =
                [(&layer.query, &mut *query), (&layer.key, &mut *key), (&layer.value, &mut *value)];
            self.dense_side_by_side(&hidden, projections, After::Bias);
            self.attention(batch, [query, key, value], context);
            self.dense(context, &layer.attention_output, After::Residual(&hidden), attended);
            self.norm(attended, &layer.attention_norm);
            self.dense(attended, &layer.up, After::Activation, expanded);
            self.dense(expanded, &layer.down, After::Residual(attended), &mut hidden);
            self.norm(&mut hidden, &layer.output_norm);
        }
        self.dense(&hidden, &parameters.transform, After::Activation, attended);
        self.norm(attended, &parameters.transform_norm);
        std::mem::swap(&mut hidden, attended);
        BUFFERS.set(buffers);
        hidden
    }

    /// Word, token type and position embeddings, added in transformers' order: (T, H).
    fn embeddings(&self, batch: &PackedBatch) -> Matrix {
        let parameters = self.parameters;
        let h = self.config.hidden_size;
        let (words, positions) =
            (parameters.word_embeddings.values(), parameters.position_embeddings.values());
        let token_type = parameters.token_type_embedding.as_ref().map(Weights::values);
        let mut embeddings = Matrix::new(batch.num_tokens(), h);
        let mut rows = embeddings.rows_mut();
        let places = batch.texts().flat_map(|text| text.iter().zip(positions.chunks_exact(h)));
        for (row, (&id, position)) in places.enumerate() {
            let row = rows.row_mut(row);
            row.copy_from_slice(&words[id as usize * h..][..h]);
            for addend in token_type.into_iter().chain([position]) {
                row.iter_mut().zip(addend).for_each(|(sum, addend)| *sum += addend);
            }
        }
        embeddings
    }

    /// softmax(Q·Kᵀ / √D)·V for each text and each of the A heads, heads side by side: (T, H).
    fn attention(&self, batch: &PackedBatch, projected: [&Matrix; 3], context: &mut Matrix) {
        let d = self.config.head_size();
        let mut heads = Vec::new();
        let mut rest = context.rows_mut();
        for tokens in batch.ranges() {
            let (text, below) = rest.split_rows(tokens.len());
            rest = below;
            let projected = projected.map(|matrix| matrix.rows().rows(tokens.clone()));
            for (head, out) in text.column_blocks(d).into_iter().enumerate() {
                let [query, key, value] = projected.map(|rows| rows.columns(head * d..(head + 1) * d));
                heads.push((query, key, value, out));
            }
        }
        let attend = |scratch: &mut AttentionScratch,
                      (query, key, value, out): (Rows, Rows, Rows, RowsMut)| {
            kernel::attention(self.kernel, query, key, value, out, scratch);
        };
        let scratch = AttentionScratch::default;
        match self.sharing {
            Sharing::Alone => {
                let mut scratch = scratch();
                heads.into_iter().for_each(|head| attend(&mut scratch, head));
            }
            Sharing::Among(_) => heads.into_par_iter().for_each_init(scratch, attend),
        }
    }

    /// x·Wᵀ + b and what follows: (T, in) → (T, out).
    fn dense(&self, x: &Matrix, layer: &Affine, after: After, out: &mut Matrix) {
        self.dense_side_by_side(x, [(layer, out)], after);
    }

    /// [`CpuForward::dense`] for several layers of the same input, which threads share out together.
    fn dense_side_by_side<const N: usize>(
        &self,
        x: &Matrix,
        layers: [(&Affine, &mut Matrix); N],
        after: After,
    ) {
        let x = x.rows();
        let mut blocks = Vec::new();
        for (layer, out) in layers {
            let (weight, bias) = (layer.weight.matrix(), layer.bias.values());
            let epilogue = match after {
                After::Bias => Epilogue::Bias(bias),
                After::Activation => Epilogue::Activation(bias, self.config.activation),
                After::Residual(residual) => Epilogue::Residual(bias, residual.rows()),
            };
            let width = self.sharing.share(bias.len());
            for (index, out) in out.rows_mut().column_blocks(width).into_iter().enumerate() {
                let columns = index * width..index * width + out.num_columns();
                let epilogue = epilogue.block(0..x.num_rows(), columns.clone());
                blocks.push((weight.rows(columns), epilogue, out));
            }
        }
        let block = |(weight, epilogue, out)| kernel::linear(self.kernel, x, weight, epilogue, out);
        match self.sharing {
            Sharing::Alone => blocks.into_iter().for_each(block),
            Sharing::Among(_) => blocks.into_par_iter().with_max_len(1).for_each(block),
        }
    }

    /// LayerNorm of every row, in place.
    fn norm(&self, x: &mut Matrix, norm: &Affine) {
        let (weight, bias) = (norm.weight.values(), norm.bias.values());
        let epsilon = self.config.layer_norm_eps as f32;
        kernel::layer_norm(self.kernel, x.rows_mut(), weight, bias, epsilon);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::files::ModelFiles;
    use crate::model::reference::ReferenceForward;
    use crate::model::{DecoderReading, DeviceName, MaskedLm};

    /// The reference's hidden states of each text, back to back.
    fn reference(model: &MaskedLm, batch: &PackedBatch) -> Vec<f32> {
        let parameters = &model.parameters().tensors(&Device::Cpu).expect("memory");
        let forward = ReferenceForward { config: model.config(), parameters };
        let hidden = |ids| forward.hidden_states(ids).and_then(|rows| rows.flatten_all()?.to_vec1());
        batch.texts().flat_map(|ids| hidden(ids).expect("computes")).collect()
    }

    #[test]
    fn every_kernel_gives_what_the_reference_gives() {
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let folder = |name: &str| ModelFiles::folder(name, fixtures.join(name));
        // BERT and DistilBERT, every activation that a fixture has, and the built-in model.
        let models =
            ["bert-tied", "bert-untied-sharded", "distilbert-f16", "bert-log1p-relu"].map(folder).to_vec();
        for files in models.into_iter().chain([ModelFiles::tiny()]) {
            let config = ModelConfig::load(&files).expect("a fixture");
            let texts: Vec<Vec<u32>> = [1usize, 2, 7, 40]
                .map(|length| (0..length).map(|place| (place * 37 % config.vocab_size) as u32).collect())
                .to_vec();
            let batch = PackedBatch::pack(texts.iter().map(Vec::as_slice));
            for kernel in Kernel::available() {
                let load =
                    MaskedLm::load(&files, config.clone(), DeviceName::Cpu, DecoderReading::Stored, kernel);
                let (model, _) = load.expect("a fixture");
                let on_cpu = |sharing| {
                    let hidden = model.on_cpu(sharing).hidden_states(&batch);
                    (0..batch.num_tokens())
                        .flat_map(|row| hidden.rows().row(row).to_vec())
                        .collect::<Vec<_>>()
                };
                let alone = on_cpu(Sharing::Alone);
                let expected = reference(&model, &batch);
                assert_eq!(alone.len(), expected.len());
                let largest = expected.iter().fold(1.0, |largest: f32, x| largest.max(x.abs()));
                let worst = alone.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 3e-6 * largest, "{} on {}: {worst}", files.name(), kernel.name());
                for threads in [2, 3] {
                    assert!(
                        on_cpu(Sharing::Among(threads)) == alone,
                        "{} threads on {}",
                        threads,
                        kernel.name()
                    );
                }
            }
        }
    }
}
