//! Edits the tensors of a safetensors file, or writes a new one.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use candle_core::{safetensors, DType, Device, Tensor};
use serde::Deserialize;
use serde_json::{json, Value};

/// One step, in the words of kinds.json.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Step {
    /// Tensors of floating point whose names contain `in`, in another type.
    Cast {
        cast: String,
        #[serde(default)]
        r#in: String,
    },
    /// A part of each name that has it.
    Rename {
        rename: String,
        to: String,
    },
    /// All tensors whose names contain it.
    Drop {
        drop: String,
    },
    /// A tensor under another name, times a number.
    Copy {
        copy: String,
        to: String,
        #[serde(default = "one")]
        scale: f64,
    },
    /// One value for a range of a vector.
    Fill {
        fill: String,
        from: usize,
        until: usize,
        value: Value,
    },
    /// `count` rows more: those from `like` on, times a number.
    AddRows {
        add_rows: String,
        count: usize,
        like: usize,
        scale: f64,
    },
    Random(Random),
    /// Parts of names, for each shard but the last, which has the rest.
    Shards {
        shards: Vec<Vec<String>>,
    },
}

/// A new tensor of numbers in [−scale, scale), the same in every language; integers count up.
#[derive(Deserialize)]
pub(super) struct Random {
    random: String,
    shape: Vec<usize>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    scale: f64,
    dtype: Option<String>,
}

fn one() -> f64 {
    1.0
}

type Tensors = BTreeMap<String, Tensor>;

pub(super) fn edit_tensors(folder: &Path, file: &str, steps: &[Step]) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut tensors: Tensors = match path.exists() {
        true => safetensors::load(&path, &Device::Cpu).unwrap().into_iter().collect(),
        false => Tensors::new(),
    };
    let mut shards = None;
    for step in steps {
        match step {
            Step::Shards { shards: parts } => shards = Some(parts),
            step => apply(&mut tensors, step),
        }
    }
    match shards {
        None => save(tensors, &path),
        Some(parts) => {
            fs::remove_file(path).unwrap();
            save_shards(folder, tensors, parts);
        }
    }
}

fn save(tensors: Tensors, path: &Path) {
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    safetensors::save(&tensors, path).unwrap();
}

fn apply(tensors: &mut Tensors, step: &Step) {
    match step {
        Step::Cast { cast, r#in } => {
            for (_, tensor) in tensors.iter_mut().filter(|(name, _)| name.contains(r#in.as_str())) {
                if tensor.dtype().is_float() {
                    *tensor = tensor.to_dtype(dtype(cast)).unwrap();
                }
            }
        }
        Step::Rename { rename, to } => {
            let renamed = std::mem::take(tensors).into_iter();
            *tensors = renamed.map(|(name, tensor)| (name.replace(rename.as_str(), to), tensor)).collect();
        }
        Step::Drop { drop } => {
            let before = tensors.len();
            tensors.retain(|name, _| !name.contains(drop.as_str()));
            assert!(tensors.len() < before, "no tensor `{drop}`");
        }
        Step::Copy { copy, to, scale } => {
            let copied = scaled(&tensors[copy], *scale);
            tensors.insert(to.clone(), copied);
        }
        Step::Fill { fill, from, until, value } => {
            let value = match value.as_str() {
                Some("-inf") => f32::NEG_INFINITY,
                Some("lowest") => f32::MIN,
                _ => value.as_f64().unwrap() as f32,
            };
            let tensor = &tensors[fill];
            let mut values: Vec<f32> = tensor.to_dtype(DType::F32).unwrap().to_vec1().unwrap();
            values[*from..*until].fill(value);
            let filled = Tensor::new(values, &Device::Cpu).unwrap().to_dtype(tensor.dtype()).unwrap();
            tensors.insert(fill.clone(), filled);
        }
        Step::AddRows { add_rows, count, like, scale } => {
            let tensor = &tensors[add_rows];
            let rows = scaled(&tensor.narrow(0, *like, *count).unwrap(), *scale);
            let grown = Tensor::cat(&[tensor, &rows], 0).unwrap();
            tensors.insert(add_rows.clone(), grown);
        }
        Step::Random(random) => drop(tensors.insert(random.random.clone(), scattered(random))),
        Step::Shards { .. } => unreachable!("shards are the last step"),
    }
}

fn dtype(name: &str) -> DType {
    match name {
        "f64" => DType::F64,
        "f32" => DType::F32,
        "f16" => DType::F16,
        "bf16" => DType::BF16,
        other => panic!("no type {other}"),
    }
}

/// Times a number, in f32 and then rounded to the type that it has, as PyTorch does it.
fn scaled(tensor: &Tensor, scale: f64) -> Tensor {
    let product = tensor.to_dtype(DType::F32).unwrap().affine(scale, 0.0).unwrap();
    product.to_dtype(tensor.dtype()).unwrap()
}

fn scattered(random: &Random) -> Tensor {
    let size: usize = random.shape.iter().product();
    if random.dtype.as_deref() == Some("i64") {
        let count: Vec<i64> = (0..size as i64).collect();
        return Tensor::from_vec(count, random.shape.as_slice(), &Device::Cpu).unwrap();
    }
    let mut state = random.seed;
    let values: Vec<f32> = (0..size)
        .map(|_| {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            (((state >> 15) as f64 / 32_768.0 - 1.0) * random.scale) as f32
        })
        .collect();
    Tensor::from_vec(values, random.shape.as_slice(), &Device::Cpu).unwrap()
}

fn save_shards(folder: &Path, mut tensors: Tensors, parts: &[Vec<String>]) {
    let num_shards = parts.len() + 1;
    let mut weight_map = BTreeMap::new();
    for number in 1..=num_shards {
        let file = format!("model-{number:05}-of-{num_shards:05}.safetensors");
        let marks = parts.get(number - 1);
        let is_here = |name: &str| marks.is_none_or(|marks| marks.iter().any(|mark| name.contains(mark)));
        let (shard, rest): (Tensors, Tensors) =
            std::mem::take(&mut tensors).into_iter().partition(|(name, _)| is_here(name));
        tensors = rest;
        weight_map.extend(shard.keys().map(|name| (name.clone(), file.clone())));
        save(shard, &folder.join(file));
    }
    let index = json!({"metadata": {}, "weight_map": weight_map});
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}
