//! A checkpoint of any supported family, file format and naming, as one [`Parameters`].
//!
//! Every difference between checkpoints ends here: files and dtypes in
//! [`Tensors`], names in [`Names`], tied and untied decoders in `load_decoder`.
//! What follows the loader sees one set of f32 tensors.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::pickle::PthTensors;
use candle_core::safetensors::{Load, MmapedSafetensors, SliceSafetensors};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use serde_json::Value;

use super::config::{Architecture, ModelConfig};
use super::mmap::map_safetensors;
use super::weights::Weights;
use crate::error::Error;
use crate::files::{Decision, ModelFiles};

/// The parameters of a masked language model in f32: as they were read, or as tensors on a device.
pub(crate) struct Parameters<T = Weights> {
    /// (V, H)
    pub word_embeddings: T,
    /// (positions, H)
    pub position_embeddings: T,
    /// (H): the row of type 0, which every token of a single text has; `None` for DistilBERT.
    pub token_type_embedding: Option<T>,
    pub embedding_norm: Affine<T>,
    /// L of them
    pub layers: Vec<LayerParameters<T>>,
    /// Of the masked-LM head: (H, H)
    pub transform: Affine<T>,
    pub transform_norm: Affine<T>,
    /// (V, H); shares the embeddings' storage where the decoder is tied
    pub decoder: T,
    /// (V)
    pub decoder_bias: T,
}

impl<T> Parameters<T> {
    /// Every dense layer but the decoder.
    pub fn dense_layers(&self) -> impl Iterator<Item = &Affine<T>> {
        let layers = self.layers.iter().flat_map(|layer| {
            [&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.up, &layer.down]
        });
        layers.chain([&self.transform])
    }
}

/// One transformer layer.
pub(crate) struct LayerParameters<T = Weights> {
    /// (H, H) each
    pub query: Affine<T>,
    pub key: Affine<T>,
    pub value: Affine<T>,
    pub attention_output: Affine<T>,
    pub attention_norm: Affine<T>,
    /// (F, H)
    pub up: Affine<T>,
    /// (H, F)
    pub down: Affine<T>,
    pub output_norm: Affine<T>,
}

/// A weight and its bias: of a dense layer, (out, in) and (out); of a LayerNorm, (H) and (H).
pub(crate) struct Affine<T = Weights> {
    pub weight: T,
    pub bias: T,
}

/// Which matrix projects on the vocabulary when a checkpoint stores one that differs from its embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecoderReading {
    /// The stored one, as transformers 5 reads it.
    #[default]
    Stored,
    /// The embeddings, as transformers 4 read it unless config.json said `tie_word_embeddings: false`.
    Tied,
}

/// What one family calls its tensors. Paths are below the prefix of the backbone, or absolute for the head.
struct Names {
    prefix: &'static str,
    layer: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention_output: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    output_norm: &'static str,
    transform: &'static str,
    transform_norm: &'static str,
    decoder: &'static str,
    /// The names that the bias goes by, the one that transformers 5 prefers first.
    decoder_biases: &'static [&'static str],
}

const BERT: Names = Names {
    prefix: "bert.",
    layer: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    output_norm: "output.LayerNorm",
    transform: "cls.predictions.transform.dense",
    transform_norm: "cls.predictions.transform.LayerNorm",
    decoder: "cls.predictions.decoder.weight",
    decoder_biases: &["cls.predictions.decoder.bias", "cls.predictions.bias"],
};

const DISTILBERT: Names = Names {
    prefix: "distilbert.",
    layer: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    output_norm: "output_layer_norm",
    transform: "vocab_transform",
    transform_norm: "vocab_layer_norm",
    decoder: "vocab_projector.weight",
    decoder_biases: &["vocab_projector.bias"],
};

impl Parameters {
    /// Reads the checkpoint in `files` in the shape that `config` gives, and what was decided on the way.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`] without a checkpoint, [`Error::Invalid`] for a damaged file, [`Error::Tensor`]
    /// for a tensor that is missing or has another shape or dtype.
    pub fn load(
        files: &ModelFiles,
        config: &ModelConfig,
        reading: DecoderReading,
    ) -> Result<(Self, Vec<Decision>), Error> {
        let mut reader = Reader::open(files, config)?;
        let h = config.hidden_size;
        let names = reader.names;
        // Where tensors are converted, that is most of a start: the embeddings and each layer on whichever thread is free.
        let (embeddings, layers) = rayon::join(
            || reader.embeddings(config),
            || {
                (0..config.num_layers)
                    .into_par_iter()
                    .map(|index| reader.layer(index, config))
                    .collect::<Vec<Result<_, _>>>()
            },
        );
        let (word_embeddings, position_embeddings, token_type_embedding) = embeddings?;
        // Of several faults the first in the model's order is told, not the one that a thread met first.
        let layers = layers.into_iter().collect::<Result<_, _>>()?;
        let embedding_norm = reader.norm(&format!("{}embeddings.LayerNorm", reader.prefix), h)?;
        let transform = reader.dense(names.transform, h, h)?;
        let transform_norm = reader.norm(names.transform_norm, h)?;
        let (decoder, decoder_bias) = load_decoder(&mut reader, config, reading, &word_embeddings)?;
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
        Ok((parameters, reader.finish()))
    }

    /// The same parameters as tensors on `device`.
    pub fn tensors(&self, device: &Device) -> candle_core::Result<Parameters<Tensor>> {
        let affine = |it: &Affine| {
            Ok::<_, candle_core::Error>(Affine {
                weight: it.weight.tensor(device)?,
                bias: it.bias.tensor(device)?,
            })
        };
        let layer = |it: &LayerParameters| {
            Ok::<_, candle_core::Error>(LayerParameters {
                query: affine(&it.query)?,
                key: affine(&it.key)?,
                value: affine(&it.value)?,
                attention_output: affine(&it.attention_output)?,
                attention_norm: affine(&it.attention_norm)?,
                up: affine(&it.up)?,
                down: affine(&it.down)?,
                output_norm: affine(&it.output_norm)?,
            })
        };
        Ok(Parameters {
            word_embeddings: self.word_embeddings.tensor(device)?,
            position_embeddings: self.position_embeddings.tensor(device)?,
            token_type_embedding: self
                .token_type_embedding
                .as_ref()
                .map(|row| row.tensor(device))
                .transpose()?,
            embedding_norm: affine(&self.embedding_norm)?,
            layers: self.layers.iter().map(layer).collect::<Result<_, _>>()?,
            transform: affine(&self.transform)?,
            transform_norm: affine(&self.transform_norm)?,
            decoder: self.decoder.tensor(device)?,
            decoder_bias: self.decoder_bias.tensor(device)?,
        })
    }
}

/// The vocabulary projection, (V, H) and (V).
///
/// A stored matrix that equals the embeddings, or none, means tied. A different
/// one is used as `reading` says; config.json's `tie_word_embeddings: false` leaves no choice.
fn load_decoder(
    reader: &mut Reader,
    config: &ModelConfig,
    reading: DecoderReading,
    embeddings: &Weights,
) -> Result<(Weights, Weights), Error> {
    let (v, h) = (config.vocab_size, config.hidden_size);
    let untied = config.tie_word_embeddings == Some(false);
    let name = reader.names.decoder;
    let stored = reader.has(name);
    let own = if !stored {
        if untied {
            return Err(reader
                .tensors
                .fault(name, "is missing, though config.json says `tie_word_embeddings: false`"));
        }
        reader.decide("decoder", "tied to the embeddings", format!("no tensor `{name}`"));
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
        match reading {
            DecoderReading::Stored => {
                reader.decide("decoder", "its own matrix, as transformers 5 reads it", source)
            }
            DecoderReading::Tied => {
                reader.decide("decoder", "tied to the embeddings, as transformers 4 read it", source)
            }
        }
        reading == DecoderReading::Stored
    };
    let decoder = if own { reader.tensor(name, &[v, h])? } else { embeddings.clone() };
    let bias = reader.decoder_bias(v, reading)?;
    Ok((decoder, bias))
}

/// Reads tensors by name and remembers which, and in which dtypes.
struct Reader {
    tensors: Tensors,
    stored: BTreeSet<String>,
    names: &'static Names,
    /// `bert.`, `distilbert.`, or nothing.
    prefix: &'static str,
    read: Mutex<ReadSoFar>,
    decisions: Vec<Decision>,
}

#[derive(Default)]
struct ReadSoFar {
    names: BTreeSet<String>,
    dtypes: BTreeSet<&'static str>,
}

impl Reader {
    fn open(files: &ModelFiles, config: &ModelConfig) -> Result<Self, Error> {
        let tensors = Tensors::open(files)?;
        let stored = tensors.names();
        let names = match config.architecture {
            Architecture::Bert => &BERT,
            Architecture::DistilBert => &DISTILBERT,
        };
        let prefixed = stored.iter().any(|name| name.starts_with(names.prefix));
        let prefix = if prefixed { names.prefix } else { "" };
        Ok(Reader { tensors, stored, names, prefix, read: Mutex::default(), decisions: Vec::new() })
    }

    fn word_embeddings_name(&self) -> String {
        format!("{}embeddings.word_embeddings.weight", self.prefix)
    }

    /// Words (V, H), positions (positions, H), and type 0 (H) where the architecture has types.
    fn embeddings(&self, config: &ModelConfig) -> Result<(Weights, Weights, Option<Weights>), Error> {
        let (h, prefix) = (config.hidden_size, self.prefix);
        let words = self.tensor(&self.word_embeddings_name(), &[config.vocab_size, h])?;
        let positions = self
            .tensor(&format!("{prefix}embeddings.position_embeddings.weight"), &[config.max_positions, h])?;
        let token_type = match config.num_token_types {
            0 => None,
            types => {
                let all =
                    self.tensor(&format!("{prefix}embeddings.token_type_embeddings.weight"), &[types, h])?;
                Some(all.first_row())
            }
        };
        Ok((words, positions, token_type))
    }

    fn layer(&self, index: usize, config: &ModelConfig) -> Result<LayerParameters, Error> {
        let (h, f, names) = (config.hidden_size, config.feed_forward_size, self.names);
        let name = |part: &str| format!("{}{}.{index}.{part}", self.prefix, names.layer);
        Ok(LayerParameters {
            query: self.dense(&name(names.query), h, h)?,
            key: self.dense(&name(names.key), h, h)?,
            value: self.dense(&name(names.value), h, h)?,
            attention_output: self.dense(&name(names.attention_output), h, h)?,
            attention_norm: self.norm(&name(names.attention_norm), h)?,
            up: self.dense(&name(names.up), f, h)?,
            down: self.dense(&name(names.down), h, f)?,
            output_norm: self.norm(&name(names.output_norm), h)?,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.stored.contains(name)
    }

    fn same(&self, name: &str, other: &str) -> Result<bool, Error> {
        self.lock_read().names.insert(name.to_string());
        self.tensors.same(name, other)
    }

    fn lock_read(&self) -> MutexGuard<'_, ReadSoFar> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Weights, Error> {
        if !self.has(name) {
            return Err(self.tensors.fault(name, "is missing"));
        }
        let (tensor, dtype) = self.tensors.load(name, shape)?;
        let mut read = self.lock_read();
        read.names.insert(name.to_string());
        read.dtypes.insert(dtype.as_str());
        Ok(tensor)
    }

    fn dense(&self, name: &str, outputs: usize, inputs: usize) -> Result<Affine, Error> {
        Ok(Affine {
            weight: self.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// A LayerNorm: `weight` and `bias`, or `gamma` and `beta` in checkpoints that came from TensorFlow.
    fn norm(&self, name: &str, size: usize) -> Result<Affine, Error> {
        let old = self.has(&format!("{name}.gamma"));
        let (weight, bias) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        Ok(Affine {
            weight: self.tensor(&format!("{name}.{weight}"), &[size])?,
            bias: self.tensor(&format!("{name}.{bias}"), &[size])?,
        })
    }

    /// (V). Where two are stored and differ, transformers 5 takes the one named after the decoder,
    /// whichever matrix is in use; transformers 4 overwrote it with the other.
    fn decoder_bias(&mut self, size: usize, reading: DecoderReading) -> Result<Weights, Error> {
        let names = self.names.decoder_biases;
        let mut present: Vec<&str> = names.iter().copied().filter(|name| self.has(name)).collect();
        if reading == DecoderReading::Tied {
            present.reverse();
        }
        let name = present.first().copied().unwrap_or(names[names.len() - 1]);
        let bias = self.tensor(name, &[size])?;
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
        self.decisions.push(Decision::new(what, value, source));
    }

    /// The decisions, with what the file holds in front.
    fn finish(self) -> Vec<Decision> {
        let read = self.read.into_inner().unwrap_or_else(PoisonError::into_inner);
        let dtypes = read.dtypes.into_iter().collect::<Vec<_>>().join(", ");
        let ignored: Vec<&str> = self.stored.difference(&read.names).map(String::as_str).collect();
        let ignored = match ignored.len() {
            0 => String::new(),
            1..=4 => format!("; not needed: {}", ignored.join(", ")),
            more => format!("; not needed: {}, … ({more})", ignored[..3].join(", ")),
        };
        let value = format!("{} tensors ({dtypes}){ignored}", read.names.len());
        let mut decisions = vec![Decision::new("checkpoint", value, &self.tensors.file)];
        decisions.extend(self.decisions);
        decisions
    }
}

const SAFETENSORS: &str = "model.safetensors";
const SAFETENSORS_INDEX: &str = "model.safetensors.index.json";
const PYTORCH: &str = "pytorch_model.bin";

/// The tensors of one checkpoint by name, whatever file format holds them.
struct Tensors {
    /// Path of the file (of the index, where the checkpoint is sharded), for messages.
    file: String,
    format: Format,
}

enum Format {
    Mapped(Arc<MmapedSafetensors>),
    BuiltIn(SliceSafetensors<'static>),
    PyTorch(PthTensors),
}

impl Tensors {
    /// Opens `model.safetensors`, else its shards, else `pytorch_model.bin`.
    fn open(files: &ModelFiles) -> Result<Self, Error> {
        let Some(folder) = files.path() else { return Self::open_built_in(files) };
        if files.contains(SAFETENSORS) {
            files.mark_used(SAFETENSORS);
            return Self::open_safetensors(files.describe(SAFETENSORS), &[folder.join(SAFETENSORS)]);
        }
        if let Some(index) = files.read_json(SAFETENSORS_INDEX)? {
            let file = files.describe(SAFETENSORS_INDEX);
            let shards = shard_names(&index).map_err(|reason| Error::invalid(&file, reason))?;
            if let Some(missing) = shards.iter().find(|shard| !files.contains(shard)) {
                return Err(Error::invalid(file, format!("names the shard `{missing}`, which is not there")));
            }
            shards.iter().for_each(|shard| files.mark_used(shard));
            let paths: Vec<PathBuf> = shards.iter().map(|shard| folder.join(shard)).collect();
            return Self::open_safetensors(file, &paths);
        }
        if files.contains(PYTORCH) {
            files.mark_used(PYTORCH);
            let file = files.describe(PYTORCH);
            let tensors = PthTensors::new(folder.join(PYTORCH), None).map_err(|error| {
                Error::invalid(&file, format!("not a PyTorch checkpoint in zip format: {}", plain(&error)))
            })?;
            return Ok(Tensors { file, format: Format::PyTorch(tensors) });
        }
        Err(no_checkpoint(files))
    }

    fn open_safetensors(file: String, paths: &[PathBuf]) -> Result<Self, Error> {
        let tensors = map_safetensors(paths).map_err(|error| not_safetensors(&file, &error))?;
        Ok(Tensors { file, format: Format::Mapped(Arc::new(tensors)) })
    }

    fn open_built_in(files: &ModelFiles) -> Result<Self, Error> {
        let file = files.describe(SAFETENSORS);
        let bytes = files.built_in(SAFETENSORS).ok_or_else(|| no_checkpoint(files))?;
        let tensors = SliceSafetensors::new(bytes).map_err(|error| not_safetensors(&file, &error))?;
        Ok(Tensors { file, format: Format::BuiltIn(tensors) })
    }

    fn names(&self) -> BTreeSet<String> {
        match &self.format {
            Format::Mapped(tensors) => tensors.tensors().into_iter().map(|(name, _)| name).collect(),
            Format::BuiltIn(tensors) => tensors.tensors().into_iter().map(|(name, _)| name).collect(),
            Format::PyTorch(tensors) => tensors.tensor_infos().keys().cloned().collect(),
        }
    }

    /// Whether two stored tensors hold the same values, without copying either where the format allows.
    fn same(&self, one: &str, other: &str) -> Result<bool, Error> {
        if let Format::Mapped(tensors) = &self.format {
            let (one, other) = (tensors.get(one)?, tensors.get(other)?);
            return Ok(one.dtype() == other.dtype()
                && one.shape() == other.shape()
                && one.data() == other.data());
        }
        let (one, other) = (self.stored(one)?, self.stored(other)?);
        let values = |tensor: &Tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        Ok(one.dims() == other.dims() && values(&one)? == values(&other)?)
    }

    /// The tensor `name` in f32, in place where its file is mapped, and the dtype that it is stored in: f16 and bf16
    /// widen exactly.
    fn load(&self, name: &str, shape: &[usize]) -> Result<(Weights, DType), Error> {
        if let Format::Mapped(tensors) = &self.format {
            let has_shape = tensors.get(name).is_ok_and(|view| view.shape() == shape);
            if let Some(weights) = has_shape.then(|| Weights::mapped(tensors, name, shape)).flatten() {
                return Ok((weights, DType::F32));
            }
        }
        let tensor = self.stored(name)?;
        let dtype = tensor.dtype();
        if tensor.dims() != shape {
            let has = tensor.dims();
            return Err(self.fault(name, format!("has the shape {has:?}, config.json asks for {shape:?}")));
        }
        if !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
            return Err(
                self.fault(name, format!("is stored as {}; f32, f16 and bf16 are read", dtype.as_str()))
            );
        }
        let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        Ok((Weights::owned(values, shape), dtype))
    }

    fn stored(&self, name: &str) -> Result<Tensor, Error> {
        let loaded = match &self.format {
            Format::Mapped(tensors) => tensors.get(name).and_then(|view| view.load(&Device::Cpu)),
            Format::BuiltIn(tensors) => tensors.load(name, &Device::Cpu),
            Format::PyTorch(tensors) => {
                // The reader takes a view's offset for bytes, where it counts elements.
                if tensors.tensor_infos().get(name).is_some_and(|info| info.layout.start_offset() != 0) {
                    return Err(
                        self.fault(name, "is a view into a larger storage; save the model as safetensors")
                    );
                }
                tensors.get(name).and_then(|tensor| {
                    tensor.ok_or_else(|| candle_core::Error::Msg("not in the file".into()))
                })
            }
        };
        loaded.map_err(|error| self.fault(name, format!("cannot be read: {}", plain(&error))))
    }

    fn fault(&self, tensor: &str, reason: impl Into<String>) -> Error {
        Error::Tensor { file: self.file.clone(), tensor: tensor.to_string(), reason: reason.into() }
    }
}

/// The distinct shard files that an index names, each a plain file name beside it.
fn shard_names(index: &serde_json::Map<String, Value>) -> Result<BTreeSet<String>, String> {
    let map = index.get("weight_map").and_then(Value::as_object).ok_or("no `weight_map`")?;
    let mut shards = BTreeSet::new();
    for (tensor, shard) in map {
        let shard = shard.as_str().ok_or_else(|| format!("`weight_map` names no file for `{tensor}`"))?;
        if shard.is_empty() || shard.contains(['/', '\\']) || shard == ".." {
            return Err(format!("`{shard}` is not the name of a file in this folder"));
        }
        shards.insert(shard.to_string());
    }
    if shards.is_empty() {
        return Err("`weight_map` names no tensor".into());
    }
    Ok(shards)
}

fn no_checkpoint(files: &ModelFiles) -> Error {
    Error::NoModel {
        place: files.name().to_string(),
        reason: format!("holds none of `{SAFETENSORS}`, `{SAFETENSORS_INDEX}`, `{PYTORCH}`"),
    }
}

fn not_safetensors(file: &str, error: &candle_core::Error) -> Error {
    Error::invalid(file, format!("not a complete safetensors file: {}", plain(error)))
}

/// candle's message without its backtrace.
fn plain(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}
