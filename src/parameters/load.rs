//! A checkpoint of any supported family as one [`Parameters`].
//!
//! Every difference between checkpoints ends here: files and dtypes in [`Tensors`], names in [`Names`], tied and untied
//! decoders in `load_decoder`, adapters in [`Adapter`]. What follows the loader sees one set of f32 tensors.
//!
//! Memory is set aside for a tensor only once its stored shape, which was checked against the file, equals the one that
//! config.json asks for.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::adapter::Adapter;
use super::parameter::Parameter;
use super::tensors::Tensors;
use super::{AbsoluteLayer, Affine, AttentionParameters, Layers, Parameters, RotaryLayer};
use crate::conventions::UntiedDecoder;
use crate::error::Error;
use crate::source::ModelFiles;
use crate::spec::families::{BlockNames, Names};
use crate::spec::Provenance;
use crate::spec::{Blocks, CheckpointSpec, ModelConfig, Note, TransformerSpec};

/// What was decided while parameters were read.
pub(crate) struct LoadReport {
    pub provenance: Vec<Provenance>,
    pub notes: Vec<Note>,
}

/// What one reader found.
struct Report {
    provenance: Vec<Provenance>,
    uses_stored_decoder: Option<bool>,
    file: String,
}

impl Parameters {
    /// Reads the checkpoint that `spec` names, in the shape that its config gives, an adapter beside it applied, and says
    /// what was decided on the way.
    ///
    /// * `decoder`: the caller's reading of a stored decoder that differs from the embeddings.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a damaged file, [`Error::Tensor`] for a tensor that is missing or has another shape or
    /// dtype.
    pub fn load(
        files: &ModelFiles,
        spec: &TransformerSpec,
        decoder: Option<UntiedDecoder>,
    ) -> Result<(Self, LoadReport), Error> {
        let config = &spec.config;
        let stated = decoder.or(spec.known_decoder);
        let reading = stated.unwrap_or_default();
        let mut reader = Reader::open(files, spec)?;
        reader.check_sizes(config)?;
        let (h, names) = (config.hidden_size, reader.names);
        // Where tensors are converted, that is most of a start: the embeddings and each layer on whichever thread is free.
        let (embeddings, layers) = rayon::join(|| reader.embeddings(config), || reader.layers(config));
        let (stored_words, position_embeddings, token_type_embedding) = embeddings?;
        let layers = layers?;
        let embedding_norm = reader.norm(&reader.below_prefix(names.embedding_norm), config)?;
        let transform = reader.dense(names.transform, [h, h], config.biases.transform)?;
        let transform_norm = reader.norm(names.transform_norm, config)?;
        let (decoder, decoder_bias) = load_decoder(&mut reader, config, reading, &stored_words)?;
        // A tied decoder shares the stored matrix, not what an adapter makes of the embeddings.
        let word_embeddings = reader.adapted(&reader.word_embeddings_name(), stored_words)?;
        let parameters = Parameters {
            word_embeddings,
            position_embeddings,
            token_type_embedding,
            embedding_norm,
            layers,
            transform,
            transform_norm,
            decoder,
            decoder_bias,
        };
        let report = reader.finish()?;
        let notes = match report.uses_stored_decoder.filter(|_| stated.is_none()) {
            Some(uses_stored) => vec![Note::TwoDecoders { file: report.file, uses_stored }],
            None => Vec::new(),
        };
        Ok((parameters, LoadReport { provenance: report.provenance, notes }))
    }
}

/// The vocabulary projection, (V, H) and (V).
///
/// A stored matrix that equals the embeddings, or none, means tied, and so does one that is there in their place. A
/// different one is used as `reading` says; config.json's `tie_word_embeddings: false` leaves no choice.
fn load_decoder(
    reader: &mut Reader,
    config: &ModelConfig,
    reading: UntiedDecoder,
    embeddings: &Parameter,
) -> Result<(Parameter, Parameter), Error> {
    let (v, h) = (config.vocab_size, config.hidden_size);
    let untied = config.tie_word_embeddings == Some(false);
    let name = reader.names.decoder;
    let own = if !reader.has(name) {
        if untied {
            return Err(reader
                .tensors
                .fault(name, "is missing, though config.json says `tie_word_embeddings: false`"));
        }
        reader.decide("decoder", "tied to the embeddings", format!("no tensor `{name}`"));
        false
    } else if !reader.has(&reader.word_embeddings_name()) {
        reader.decide("decoder", "tied to the embeddings", format!("`{name}` is stored in their place"));
        false
    } else if reader.same(name, &reader.word_embeddings_name())? {
        reader.decide("decoder", "tied to the embeddings", format!("`{name}` equals them"));
        false
    } else if untied {
        reader.decide("decoder", "its own matrix", "config.json: tie_word_embeddings false");
        true
    } else {
        let says = match config.tie_word_embeddings {
            Some(_) => "says true",
            None => "is absent",
        };
        let source = format!("`{name}` differs from the embeddings; tie_word_embeddings {says}");
        reader.uses_stored_decoder = Some(reading == UntiedDecoder::UseStored);
        match reading {
            UntiedDecoder::UseStored => {
                reader.decide("decoder", "its own matrix, as transformers 5 reads it", source)
            }
            UntiedDecoder::UseEmbeddings => {
                reader.decide("decoder", "tied to the embeddings, as transformers 4 read it", source)
            }
        }
        reading == UntiedDecoder::UseStored
    };
    let decoder = if own { reader.stored(name, &[v, h])? } else { embeddings.clone() };
    let decoder = reader.adapted(name, decoder)?;
    let bias = match config.biases.decoder {
        true => reader.decoder_bias(v, if untied { UntiedDecoder::UseStored } else { reading })?,
        false => Parameter::owned(vec![0.0; v], &[v]),
    };
    Ok((decoder, bias))
}

/// Reads tensors by name and remembers which, and in which dtypes.
///
/// Names are those of transformers' model: with the prefix of the family, and `weight` and `bias` for norms.
struct Reader {
    tensors: Tensors,
    adapter: Option<Adapter>,
    names: &'static Names,
    read: Mutex<ReadSoFar>,
    provenance: Vec<Provenance>,
    /// Where a stored decoder differs from the embeddings and config.json leaves the choice: whether it is used.
    uses_stored_decoder: Option<bool>,
}

#[derive(Default)]
struct ReadSoFar {
    names: BTreeSet<String>,
    dtypes: BTreeSet<&'static str>,
}

impl Reader {
    fn open(files: &ModelFiles, spec: &TransformerSpec) -> Result<Self, Error> {
        let adapted = spec.adapter.as_ref().and_then(|adapter| adapter.base_model.as_deref());
        let missing = || CheckpointSpec::missing(&files.within(&spec.folder), adapted);
        let tensors = Tensors::open(files, spec.checkpoint.as_ref().ok_or_else(missing)?)?;
        let names = &spec.family.names;
        let adapter = match &spec.adapter {
            None => None,
            Some(spec) => Some(Adapter::open(files, spec, names.prefix, |name| names.is_of_head(name))?),
        };
        Ok(Reader {
            tensors,
            adapter,
            names,
            read: Mutex::default(),
            provenance: Vec::new(),
            uses_stored_decoder: None,
        })
    }

    /// Compares the sizes of config.json with the checkpoint, before anything is computed from either.
    fn check_sizes(&self, config: &ModelConfig) -> Result<(), Error> {
        let (v, h) = (config.vocab_size, config.hidden_size);
        let words = self.word_embeddings_name();
        let mut expected = vec![(words, vec![v, h]), (self.names.decoder.to_string(), vec![v, h])];
        if let Blocks::Absolute { .. } = config.blocks {
            let positions = self.below_prefix(self.names.position_embeddings) + ".weight";
            expected.push((positions, vec![config.max_positions, h]));
        }
        let (product, parts) = self.names.feed_forward();
        let shape = vec![parts * config.feed_forward_size, h];
        expected.push((self.layer_name(0, product) + ".weight", shape));
        // What is missing is reported when it is asked for, in the model's order.
        let stored = |(name, shape): (String, Vec<usize>)| Some((self.stored_name(&name)?, shape));
        expected
            .into_iter()
            .filter_map(stored)
            .try_for_each(|(name, shape)| self.tensors.insist_on(&name, &shape))
    }

    fn below_prefix(&self, name: &str) -> String {
        format!("{}{name}", self.names.prefix)
    }

    fn word_embeddings_name(&self) -> String {
        self.below_prefix(self.names.word_embeddings) + ".weight"
    }

    /// Words (V, H) as they are stored, positions (positions, H) where they have embeddings, and type 0 (H) where the
    /// architecture has types.
    fn embeddings(
        &self,
        config: &ModelConfig,
    ) -> Result<(Parameter, Option<Parameter>, Option<Parameter>), Error> {
        let h = config.hidden_size;
        let embedding =
            |name: &str, rows: usize| self.tensor(&(self.below_prefix(name) + ".weight"), &[rows, h]);
        // transformers ties both ways: the one that is stored stands for both.
        let words = self.word_embeddings_name();
        let is_tied = config.tie_word_embeddings != Some(false);
        let words = match !self.has(&words) && is_tied && self.has(self.names.decoder) {
            true => self.stored(self.names.decoder, &[config.vocab_size, h])?,
            false => self.stored(&words, &[config.vocab_size, h])?,
        };
        let positions = match config.blocks {
            Blocks::Absolute { .. } => Some(embedding(self.names.position_embeddings, config.max_positions)?),
            Blocks::Rotary(_) => None,
        };
        let token_type = match config.num_token_types {
            0 => None,
            types => Some(embedding(self.names.token_type_embeddings, types)?.first_row()),
        };
        Ok((words, positions, token_type))
    }

    fn layers(&self, config: &ModelConfig) -> Result<Layers, Error> {
        Ok(match &config.blocks {
            Blocks::Absolute { .. } => {
                Layers::Absolute(in_order(config, |index| self.absolute_layer(index, config))?)
            }
            Blocks::Rotary(blocks) => Layers::Rotary {
                layers: in_order(config, |index| self.rotary_layer(index, config, blocks.norm_first))?,
                final_norm: match blocks.norm_first {
                    true => Some(self.norm(&self.below_prefix(self.names.final_norm), config)?),
                    false => None,
                },
            },
        })
    }

    fn layer_name(&self, index: usize, part: &str) -> String {
        format!("{}{}.{index}.{part}", self.names.prefix, self.names.layer)
    }

    fn absolute_layer(&self, index: usize, config: &ModelConfig) -> Result<AbsoluteLayer, Error> {
        let BlockNames::Separate {
            query,
            key,
            value,
            attention_output,
            attention_norm,
            up,
            down,
            output_norm,
        } = self.names.block
        else {
            unreachable!("a family with embedded positions stores its products one by one");
        };
        let (h, f) = (config.hidden_size, config.feed_forward_size);
        let dense = |part, shape, has_bias| self.dense(&self.layer_name(index, part), shape, has_bias);
        let norm = |part| self.norm(&self.layer_name(index, part), config);
        let biases = config.biases;
        Ok(AbsoluteLayer {
            attention: AttentionParameters {
                query: dense(query, [h, h], biases.attention)?,
                key: dense(key, [h, h], biases.attention)?,
                value: dense(value, [h, h], biases.attention)?,
                output: dense(attention_output, [h, h], biases.attention)?,
            },
            attention_norm: norm(attention_norm)?,
            up: dense(up, [f, h], biases.up)?,
            down: dense(down, [h, f], biases.down)?,
            output_norm: norm(output_norm)?,
        })
    }

    fn rotary_layer(
        &self,
        index: usize,
        config: &ModelConfig,
        norm_first: bool,
    ) -> Result<RotaryLayer, Error> {
        let BlockNames::Packed {
            query_key_value,
            attention_output,
            attention_norm,
            expansion,
            gate_first,
            down,
            output_norm,
        } = self.names.block
        else {
            unreachable!("a family with rotary positions stores its products packed");
        };
        let (h, f) = (config.hidden_size, config.feed_forward_size);
        let dense = |part, shape, has_bias| self.dense(&self.layer_name(index, part), shape, has_bias);
        let norm = |part| self.norm(&self.layer_name(index, part), config);
        let biases = config.biases;
        let packed = dense(query_key_value, [3 * h, h], biases.attention)?;
        let expansion = dense(expansion, [2 * f, h], biases.up)?;
        let (first, second) = (expansion.rows(0..f), expansion.rows(f..2 * f));
        let (gate, up) = if gate_first { (first, second) } else { (second, first) };
        Ok(RotaryLayer {
            attention: AttentionParameters {
                query: packed.rows(0..h),
                key: packed.rows(h..2 * h),
                value: packed.rows(2 * h..3 * h),
                output: dense(attention_output, [h, h], biases.attention)?,
            },
            attention_norm: match norm_first && index == 0 {
                true => None,
                false => Some(norm(attention_norm)?),
            },
            gate,
            up,
            down: dense(down, [h, f], biases.down)?,
            output_norm: norm(output_norm)?,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.stored_name(name).is_some()
    }

    /// What the checkpoint calls the tensor `name`.
    ///
    /// As in transformers, the prefix of the family may be left out of any name or stand before one of the head, and
    /// checkpoints that came from TensorFlow have `gamma` and `beta`. Of several that are stored the first in order counts.
    ///
    /// Source: `rename_source_key` in core_model_loading.py of transformers 5.
    fn stored_name(&self, name: &str) -> Option<String> {
        let prefix = self.names.prefix;
        let toggled = match name.strip_prefix(prefix) {
            Some(bare) => bare.to_string(),
            None => format!("{prefix}{name}"),
        };
        let old = |name: &str| {
            let old = name.strip_suffix("LayerNorm.weight").map(|start| format!("{start}LayerNorm.gamma"));
            old.or_else(|| name.strip_suffix("LayerNorm.bias").map(|start| format!("{start}LayerNorm.beta")))
        };
        let candidates = [old(name), old(&toggled), Some(name.to_string()), Some(toggled)];
        candidates.into_iter().flatten().filter(|name| self.tensors.contains(name)).min()
    }

    /// Whether two tensors that are stored hold the same values.
    fn same(&self, name: &str, other: &str) -> Result<bool, Error> {
        let name = self.stored_name(name).unwrap_or_else(|| name.to_string());
        let other = self.stored_name(other).unwrap_or_else(|| other.to_string());
        let same = self.tensors.same(&name, &other);
        self.lock_read().names.insert(name);
        same
    }

    fn lock_read(&self) -> MutexGuard<'_, ReadSoFar> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tensor as it is stored, widened to f32.
    fn stored(&self, name: &str, shape: &[usize]) -> Result<Parameter, Error> {
        let stored = self.stored_name(name).ok_or_else(|| self.tensors.missing(name))?;
        let (tensor, dtype) = self.tensors.load(&stored, shape)?;
        let mut read = self.lock_read();
        read.names.insert(stored);
        read.dtypes.insert(dtype.name());
        Ok(tensor)
    }

    /// `parameter` with the adapter applied, where there is one.
    fn adapted(&self, name: &str, parameter: Parameter) -> Result<Parameter, Error> {
        match &self.adapter {
            Some(adapter) => adapter.apply(name, parameter),
            None => Ok(parameter),
        }
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Parameter, Error> {
        self.adapted(name, self.stored(name, shape)?)
    }

    /// A dense layer, its bias zeros where the model has none.
    fn dense(&self, name: &str, [outputs, inputs]: [usize; 2], has_bias: bool) -> Result<Affine, Error> {
        Ok(Affine {
            weight: self.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self.bias(&format!("{name}.bias"), outputs, has_bias)?,
        })
    }

    fn bias(&self, name: &str, size: usize, has_bias: bool) -> Result<Parameter, Error> {
        match has_bias {
            true => self.tensor(name, &[size]),
            false => self.adapted(name, Parameter::owned(vec![0.0; size], &[size])),
        }
    }

    fn norm(&self, name: &str, config: &ModelConfig) -> Result<Affine, Error> {
        let size = config.hidden_size;
        Ok(Affine {
            weight: self.tensor(&format!("{name}.weight"), &[size])?,
            bias: self.bias(&format!("{name}.bias"), size, config.biases.norm)?,
        })
    }

    /// (V). Where two are stored and differ, transformers 5 takes the one named after the decoder,
    /// whichever matrix is in use; transformers 4 overwrote it with the other.
    fn decoder_bias(&mut self, size: usize, reading: UntiedDecoder) -> Result<Parameter, Error> {
        let names = self.names.decoder_biases;
        let mut present: Vec<&str> = names.iter().copied().filter(|name| self.has(name)).collect();
        if reading == UntiedDecoder::UseEmbeddings {
            present.reverse();
        }
        let name = present.first().copied().unwrap_or(names[names.len() - 1]);
        let mut bias = self.stored(name, &[size])?;
        // The forward pass adds the one that transformers prefers, so what an adapter makes of that one counts.
        for name in names.iter().rev() {
            bias = self.adapted(name, bias)?;
        }
        match present.get(1) {
            None => self.decide("decoder bias", name, "the only one stored"),
            Some(other) if self.same(other, name)? => {
                self.decide("decoder bias", name, format!("`{other}` equals it"))
            }
            Some(other) => self.decide("decoder bias", name, format!("`{other}` differs and is not used")),
        }
        Ok(bias)
    }

    fn decide(&mut self, what: &'static str, value: impl Into<String>, source: impl Into<String>) {
        self.provenance.push(Provenance::new(what, value, source));
    }

    /// What was decided, with what the file holds in front.
    fn finish(self) -> Result<Report, Error> {
        let read = std::mem::take(&mut *self.lock_read());
        let dtypes = read.dtypes.iter().copied().collect::<Vec<_>>().join(", ");
        let ignored: Vec<&str> = self.tensors.names().filter(|name| !read.names.contains(*name)).collect();
        let ignored = match ignored.len() {
            0 => String::new(),
            1..=4 => format!("; not needed: {}", ignored.join(", ")),
            more => format!("; not needed: {}, … ({more})", ignored[..3].join(", ")),
        };
        let value = format!("{} tensors ({dtypes}){ignored}", read.names.len());
        let mut provenance = vec![Provenance::new("checkpoint", value, &self.tensors.file)];
        if let Some(adapter) = &self.adapter {
            let made_for = adapter.base_model().map(|base| format!(" made for `{base}`")).unwrap_or_default();
            let value = format!("LoRA{made_for}, {} tensors", adapter.insist_on_all_used()?);
            provenance.push(Provenance::new("adapter", value, adapter.file()));
        }
        provenance.extend(self.provenance);
        let Reader { uses_stored_decoder, tensors, .. } = self;
        Ok(Report { provenance, uses_stored_decoder, file: tensors.file })
    }
}

/// What `layer` reads for each layer, on every thread.
fn in_order<L: Send>(
    config: &ModelConfig,
    layer: impl Fn(usize) -> Result<L, Error> + Sync + Send,
) -> Result<Vec<L>, Error> {
    let layers: Vec<Result<L, Error>> = (0..config.num_layers).into_par_iter().map(layer).collect();
    // Of several faults the first in the model's order is told, not the one that a thread met first.
    layers.into_iter().collect()
}
