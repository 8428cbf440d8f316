//! The forward pass over the CPU kernels, on packed batches, read top to bottom like its twin in `reference.rs`.
//!
//! Nothing is padded and no sum crosses texts, so a token's bits depend on its text alone. The layers are in
//! `absolute.rs` and `rotary.rs`, one file for each block shape.

use std::cell::Cell;

use rayon::prelude::*;

use super::batch::PackedBatch;
use crate::kernel::{self, AttentionScratch, Epilogue, InstructionSet, MatMut, MatRef, Matrix};
use crate::parallel::Parallelism;
use crate::parameters::Parameter;
use crate::parameters::{Affine, Layers, Parameters};
use crate::spec::ModelConfig;

/// A transformer encoder with its masked-LM transform, over the kernels.
pub(crate) struct CpuForward<'a> {
    pub config: &'a ModelConfig,
    pub parameters: &'a Parameters,
    pub kernel: InstructionSet,
    pub sharing: Parallelism,
}

/// Token rows that are multiplied at a time: few enough to stay in cache while the weights are read.
pub(super) const BLOCK_ROWS: usize = 512;

/// Scratch buffers that every layer overwrites. A thread keeps them from one batch to the next, because fresh memory costs
/// a page fault for each 4 KiB.
#[derive(Default)]
pub(super) struct Buffers {
    /// (T, H) each
    pub query: Matrix,
    pub key: Matrix,
    pub value: Matrix,
    pub context: Matrix,
    pub attended: Matrix,
    /// (T, F), or fewer rows where a block shape works on some rows at a time
    pub expanded: Matrix,
    pub gate: Matrix,
}

thread_local! {
    static BUFFERS: Cell<Buffers> = Cell::default();
}

impl CpuForward<'_> {
    /// The head's hidden states of every token of a batch: what the vocabulary projection is applied to.
    ///
    /// * `batch`: T tokens, special tokens included, each id below V; no text longer than the model's positions.
    /// * returns: (T, H), texts back to back.
    ///
    /// Source: the `…ForMaskedLM` classes of transformers; for GTE, the definition in Alibaba-NLP/new-impl.
    pub fn hidden_states(&self, batch: &PackedBatch) -> Matrix {
        let parameters = self.parameters;
        let mut hidden = self.embeddings(batch);
        self.norm(hidden.rows_mut(), &parameters.embedding_norm);
        let mut buffers = BUFFERS.take();
        match &parameters.layers {
            Layers::Absolute(layers) => self.absolute_layers(layers, batch, &mut hidden, &mut buffers),
            Layers::Rotary { layers, final_norm } => {
                self.rotary_layers(layers, batch, &mut hidden, &mut buffers);
                if let Some(norm) = final_norm {
                    self.norm(hidden.rows_mut(), norm);
                }
            }
        }
        let transformed = &mut buffers.attended;
        let activation = Epilogue::Activation(self.config.head_activation);
        self.dense(hidden.rows(), &parameters.transform, activation, transformed.rows_mut());
        self.norm(transformed.rows_mut(), &parameters.transform_norm);
        std::mem::swap(&mut hidden, transformed);
        BUFFERS.set(buffers);
        hidden
    }

    /// Word, token type and position embeddings, added in transformers' order: (T, H).
    fn embeddings(&self, batch: &PackedBatch) -> Matrix {
        let parameters = self.parameters;
        let h = self.config.hidden_size;
        let words = parameters.word_embeddings.values();
        let token_type = parameters.token_type_embedding.as_ref().map(Parameter::values);
        let positions = parameters.position_embeddings.as_ref().map(Parameter::values);
        let mut embeddings = Matrix::new(batch.num_tokens(), h);
        let mut rows = embeddings.rows_mut();
        let places = batch.texts().flat_map(|text| text.iter().zip(self.config.positions(text)));
        for (row, (&id, position)) in places.enumerate() {
            let row = rows.row_mut(row);
            row.copy_from_slice(&words[id as usize * h..][..h]);
            let position = positions.map(|positions| &positions[position * h..][..h]);
            for addend in token_type.into_iter().chain(position) {
                row.iter_mut().zip(addend).for_each(|(sum, addend)| *sum += addend);
            }
        }
        embeddings
    }

    /// softmax(Q·Kᵀ / √D)·V for each text and each of the A heads, heads side by side: (T, H).
    ///
    /// * `window`: how far a token sees to either side; the whole text when `None`.
    pub(super) fn attention(
        &self,
        batch: &PackedBatch,
        projected: [&Matrix; 3],
        window: Option<usize>,
        context: &mut Matrix,
    ) {
        let d = self.config.head_size();
        let mut heads = Vec::new();
        let mut rest = context.rows_mut();
        for tokens in batch.ranges() {
            let (text, below) = rest.split_rows(tokens.len());
            rest = below;
            let projected = projected.map(|matrix| matrix.rows().rows(tokens.clone()));
            for (head, out) in text.column_blocks(d).into_iter().enumerate() {
                heads.push((projected.map(|rows| rows.columns(head * d..(head + 1) * d)), out));
            }
        }
        let attend = |scratch: &mut AttentionScratch, (head, out): ([MatRef; 3], MatMut)| {
            kernel::attention(self.kernel, head, window, out, scratch);
        };
        let scratch = AttentionScratch::default;
        match self.sharing {
            Parallelism::Single => {
                let mut scratch = scratch();
                heads.into_iter().for_each(|head| attend(&mut scratch, head));
            }
            Parallelism::Threads(_) => heads.into_par_iter().for_each_init(scratch, attend),
        }
    }

    /// x·Wᵀ + b and its epilogue: (T, in) → (T, out).
    pub(super) fn dense(&self, x: MatRef, layer: &Affine, epilogue: Epilogue, out: MatMut) {
        self.dense_side_by_side(x, [(layer, out)], epilogue);
    }

    /// [`CpuForward::dense`] for several layers of the same input. Threads share the blocks of all of them.
    pub(super) fn dense_side_by_side<const N: usize>(
        &self,
        x: MatRef,
        layers: [(&Affine, MatMut); N],
        epilogue: Epilogue,
    ) {
        // Rows come first: every layer multiplies one block of `x` before the next block begins.
        let mut blocks: Vec<Vec<_>> = Vec::new();
        blocks.resize_with(x.num_rows().div_ceil(BLOCK_ROWS), Vec::new);
        for (layer, out) in layers {
            let (weight, bias) = (layer.weight.matrix(), layer.bias.values());
            let width = self.sharing.share(bias.len());
            for (index, (blocks, out)) in blocks.iter_mut().zip(out.row_blocks(BLOCK_ROWS)).enumerate() {
                let rows = index * BLOCK_ROWS..index * BLOCK_ROWS + out.num_rows();
                for (index, out) in out.column_blocks(width).into_iter().enumerate() {
                    let columns = index * width..index * width + out.num_columns();
                    let epilogue = epilogue.block(rows.clone(), columns.clone());
                    let bias = &bias[columns.clone()];
                    blocks.push((x.rows(rows.clone()), weight.rows(columns), bias, epilogue, out));
                }
            }
        }
        let block =
            |(x, weight, bias, epilogue, out)| kernel::linear(self.kernel, x, weight, bias, epilogue, out);
        let blocks: Vec<_> = blocks.into_iter().flatten().collect();
        match self.sharing {
            Parallelism::Single => blocks.into_iter().for_each(block),
            Parallelism::Threads(_) => blocks.into_par_iter().with_max_len(1).for_each(block),
        }
    }

    /// LayerNorm of every row, in place.
    pub(super) fn norm(&self, x: MatMut, norm: &Affine) {
        let (weight, bias) = (norm.weight.values(), norm.bias.values());
        let epsilon = self.config.layer_norm_eps as f32;
        self.row_by_row(x, |_, x| kernel::layer_norm(self.kernel, x, weight, bias, epsilon));
    }

    /// Calls `each` for blocks of rows, with the index of the block's first row. Threads share the blocks if there are
    /// several.
    pub(super) fn row_by_row(&self, x: MatMut, each: impl Fn(usize, MatMut) + Sync) {
        /// Rows of a block: fewer are done before another thread could take them.
        const ROWS: usize = 128;
        match self.sharing {
            Parallelism::Threads(_) if x.num_rows() > ROWS => {
                let blocks = x.row_blocks(ROWS).into_par_iter().enumerate();
                blocks.for_each(|(index, block)| each(index * ROWS, block));
            }
            _ => each(0, x),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::forward::reference::ReferenceForward;
    use crate::forward::{DeviceName, MaskedLm};
    use crate::source::ModelFiles;
    use crate::spec::ModelSpec;

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
        // Every architecture, every activation that a fixture has, and the built-in model.
        let models = [
            "bert-tied",
            "bert-untied-sharded",
            "distilbert-f16",
            "roberta-bf16",
            "modernbert",
            "modernbert-biased",
            "gte-new",
        ]
        .map(folder)
        .to_vec();
        for files in models.into_iter().chain([ModelFiles::tiny()]) {
            let spec = ModelSpec::read(&files, None).expect("a fixture");
            let document = spec.document.as_ref().expect("a model");
            let transformer = document.modules.transformer().expect("a model");
            let config = &transformer.config;
            let texts: Vec<Vec<u32>> = [1usize, 2, 7, 64]
                .map(|length| (0..length).map(|place| (place * 37 % config.vocab_size) as u32).collect())
                .to_vec();
            let batch = PackedBatch::pack(texts.iter().map(Vec::as_slice));
            for kernel in InstructionSet::available() {
                let load = MaskedLm::load(&files, transformer, DeviceName::Cpu, None, kernel);
                let (model, _) = load.expect("a fixture");
                let on_cpu = |sharing| {
                    let hidden = model.on_cpu(sharing).hidden_states(&batch);
                    (0..batch.num_tokens())
                        .flat_map(|row| hidden.rows().row(row).to_vec())
                        .collect::<Vec<_>>()
                };
                let alone = on_cpu(Parallelism::Single);
                let expected = reference(&model, &batch);
                assert_eq!(alone.len(), expected.len());
                let largest = expected.iter().fold(1.0, |largest: f32, x| largest.max(x.abs()));
                let worst = alone.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 3e-6 * largest, "{} on {}: {worst}", files.name(), kernel.name());
                for threads in [2, 3] {
                    assert!(
                        on_cpu(Parallelism::Threads(threads)) == alone,
                        "{} threads on {}",
                        threads,
                        kernel.name()
                    );
                }
            }
        }
    }
}
