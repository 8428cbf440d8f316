//! A LoRA adapter, applied to each parameter as it is loaded.
//!
//! ```text
//! W' = W + s · B · A        W: (out, in), B: (out, r), A: (r, in)
//! E' = E + s · (B · A)ᵀ     E: (rows, H), B: (H, r), A: (r, rows)     of embeddings
//! b' = b + s · b_B          where B has a bias of its own
//! ```
//!
//! Source: LoRA (arXiv:2106.09685); peft 0.21, tuners/lora/layer.py.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::parameter::Parameter;
use super::tensors::Tensors;
use crate::error::Error;
use crate::source::ModelFiles;
use crate::spec::AdapterSpec;

/// What peft puts before every name, once for each model that it wrapped.
const WRAPPER: &str = "base_model.model.";

/// An adapter with its tensors.
pub(super) struct Adapter {
    spec: AdapterSpec,
    tensors: Tensors,
    /// The tensors by the name that each has below the model: `bert.….query.lora_A.weight`.
    names: BTreeMap<String, String>,
    /// The names of the file that were used, or are copies of others.
    used: Mutex<BTreeSet<String>>,
}

impl Adapter {
    /// Opens the tensors of the adapter that `spec` describes.
    ///
    /// * `prefix`: of the model's backbone. Names that lack it get it, where the adapter was made for the backbone
    ///   alone.
    /// * `is_head`: whether a name is that of a module outside of the backbone.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a damaged file.
    pub fn open(
        files: &ModelFiles,
        spec: &AdapterSpec,
        prefix: &str,
        is_head: impl Fn(&str) -> bool,
    ) -> Result<Adapter, Error> {
        let tensors = Tensors::open(files, &spec.checkpoint)?;
        let (mut names, mut copies) = (BTreeMap::new(), BTreeSet::new());
        for stored in tensors.names() {
            let mut name = stored;
            while let Some(inner) = name.strip_prefix(WRAPPER) {
                name = inner;
            }
            // peft stores the biases of a saved module three times: as the module's, as its wrapper holds them, and as
            // they were before.
            if name.contains(".original_module.") || name.contains(".modules_to_save.") {
                copies.insert(stored.to_string());
                continue;
            }
            // A layer that the adapter changed keeps its own bias one level deeper.
            let name = match name.strip_suffix(".base_layer.bias") {
                Some(module) => format!("{module}.bias"),
                None => name.to_string(),
            };
            let name = match name.starts_with(prefix) || is_head(&name) {
                true => name,
                false => format!("{prefix}{name}"),
            };
            if let Some(other) = names.insert(name, stored.to_string()) {
                return Err(tensors.fault(stored, format!("stands for the same as `{other}`")));
            }
        }
        Ok(Adapter { spec: spec.clone(), tensors, names, used: Mutex::new(copies) })
    }

    /// The path of the file with the tensors.
    pub fn file(&self) -> &str {
        &self.tensors.file
    }

    /// The model that it was made for, where adapter_config.json says so.
    pub fn base_model(&self) -> Option<&str> {
        self.spec.base_model.as_deref()
    }

    /// The parameter `name` of the model with the adapter applied: `base` itself where the adapter does not change it.
    ///
    /// * `name`: the path of its module in the model, then `.weight` or `.bias`.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] for a tensor of the adapter that has another shape, lacks its partner, or belongs to a module
    /// that adapter_config.json does not name.
    pub fn apply(&self, name: &str, base: Parameter) -> Result<Parameter, Error> {
        let (module, kind) = name.rsplit_once('.').unwrap_or((name, ""));
        let base = match self.stored(name) {
            Some(stored) if self.spec.replaces(module, kind) => self.load(stored, base.shape())?,
            Some(stored) => {
                let reason = "would replace the model's, but adapter_config.json does not name its module";
                return Err(self.tensors.fault(stored, reason));
            }
            None => base,
        };
        match (kind, base.shape()) {
            ("weight", &[_, _]) => {
                let base = self.add_product(module, base, false)?;
                self.add_product(module, base, true)
            }
            ("bias", &[size]) => match self.stored(&format!("{module}.lora_B.bias")) {
                None => Ok(base),
                Some(stored) => {
                    self.insist_on_target(stored, module)?;
                    let bias = self.load(stored, &[size])?;
                    let scale = self.spec.scale(module) as f32;
                    let sum = |(base, added): (&f32, &f32)| base + added * scale;
                    Ok(Parameter::owned(base.values().iter().zip(bias.values()).map(sum).collect(), &[size]))
                }
            },
            _ => Ok(base),
        }
    }

    /// A matrix with the product of its module's two matrices added, where the adapter has them.
    ///
    /// * `is_embedding`: whether they are those of embeddings.
    fn add_product(&self, module: &str, base: Parameter, is_embedding: bool) -> Result<Parameter, Error> {
        let ends = match is_embedding {
            true => [".lora_embedding_B", ".lora_embedding_A"],
            false => [".lora_B.weight", ".lora_A.weight"],
        };
        let [b, a] = ends.map(|end| self.stored(&format!("{module}{end}")));
        let (b, a) = match (b, a) {
            (None, None) => return Ok(base),
            (Some(b), Some(a)) => (b, a),
            (Some(alone), None) | (None, Some(alone)) => {
                return Err(self.tensors.fault(alone, "stands alone: a LoRA layer has an A and a B"))
            }
        };
        self.insist_on_target(b, module)?;
        let rank = self.spec.rank(module) as usize;
        let (rows, columns) = (base.shape()[0], base.shape()[1]);
        let (outputs, inputs) = if is_embedding { (columns, rows) } else { (rows, columns) };
        let (b, a) = (self.load(b, &[outputs, rank])?, self.load(a, &[rank, inputs])?);
        let scale = self.spec.scale(module) as f32;
        // Each row of the product is the sum of `rank` rows, one for each element of a row of coefficients: the rows of
        // A and the elements of B, or for embeddings the columns of B and the elements of A.
        let (coefficients, vectors) = match is_embedding {
            true => (transposed(a.values(), inputs), transposed(b.values(), rank)),
            false => (b.values().to_vec(), a.values().to_vec()),
        };
        let mut values = base.values().to_vec();
        let mut sum = vec![0.0; columns];
        for (row, coefficients) in values.chunks_exact_mut(columns).zip(coefficients.chunks_exact(rank)) {
            sum.fill(0.0);
            for (vector, coefficient) in vectors.chunks_exact(columns).zip(coefficients) {
                sum.iter_mut().zip(vector).for_each(|(sum, element)| *sum += coefficient * element);
            }
            row.iter_mut().zip(&sum).for_each(|(element, sum)| *element += sum * scale);
        }
        Ok(Parameter::owned(values, base.shape()))
    }

    /// The stored name of what the model calls `name`, marked as used.
    fn stored(&self, name: &str) -> Option<&str> {
        let stored = self.names.get(name)?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(stored.clone());
        Some(stored)
    }

    fn load(&self, stored: &str, shape: &[usize]) -> Result<Parameter, Error> {
        if let Some(has) = self.tensors.shape(stored).filter(|has| *has != shape) {
            let reason =
                format!("has the shape {has:?}, the model and adapter_config.json ask for {shape:?}");
            return Err(self.tensors.fault(stored, reason));
        }
        Ok(self.tensors.load(stored, shape)?.0)
    }

    fn insist_on_target(&self, stored: &str, module: &str) -> Result<(), Error> {
        match self.spec.targets(module) {
            true => Ok(()),
            false => Err(self.tensors.fault(
                stored,
                "belongs to a module that `target_modules` of adapter_config.json does not name",
            )),
        }
    }

    /// How many tensors were used.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] for the first that changes no parameter of the model.
    pub fn insist_on_all_used(&self) -> Result<usize, Error> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match self.tensors.names().find(|name| !used.contains(*name)) {
            None => Ok(used.len()),
            Some(unused) => Err(self.tensors.fault(unused, "changes nothing that this model has")),
        }
    }
}

/// The transpose of a matrix of so many columns.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied().collect()
}
