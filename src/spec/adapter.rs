//! `adapter_config.json`: a LoRA adapter of peft beside a model, and which parameters it changes by how much.
//!
//! Source: peft 0.21, tuners/lora/config.py and tuners/tuners_utils.py.

use std::collections::BTreeMap;
use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::checkpoint::CheckpointSpec;
use super::settings::{parsed_bytes, MAX_PARSED_BYTES};
use crate::error::Error;
use crate::source::ModelFiles;

/// The file that says there is an adapter.
pub(crate) const ADAPTER_CONFIG: &str = "adapter_config.json";

/// The files that an adapter's tensors may be in, in the order in which transformers looks for them.
const SAFETENSORS: &str = "adapter_model.safetensors";
const PYTORCH: &str = "adapter_model.bin";

/// Keys that change no vector: how the adapter was trained, where it came from, and how its numbers began.
const HARMLESS: [&str; 16] = [
    "auto_mapping",
    "peft_version",
    "revision",
    "task_type",
    "inference_mode",
    "lora_dropout",
    // peft takes it back where a layer is not one of GPT-2's, which none here is.
    "fan_in_fan_out",
    "eva_config",
    "loftq_config",
    "corda_config",
    "lora_ga_config",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
    // Read below.
    "init_lora_weights",
    "peft_type",
];

/// Keys that are followed.
const FOLLOWED: [&str; 13] = [
    "base_model_name_or_path",
    "r",
    "lora_alpha",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "modules_to_save",
    "bias",
    // The tensors of the adapter say it.
    "lora_bias",
];

/// A LoRA adapter, as its adapter_config.json describes it.
#[derive(Clone, Debug)]
pub(crate) struct AdapterSpec {
    /// The model that it was made for, by the name that peft knew.
    pub base_model: Option<String>,
    /// The file with its tensors.
    pub checkpoint: CheckpointSpec,
    rank: f64,
    alpha: f64,
    /// Whether the scale is α/√r rather than α/r.
    is_rank_stabilized: bool,
    rank_patterns: Vec<(Pattern, f64)>,
    alpha_patterns: Vec<(Pattern, f64)>,
    targets: Modules,
    excluded: Modules,
    /// The only layers that are changed; all of them where there is none.
    layers: Vec<u64>,
    /// What stands before a layer's number; anything where there is none.
    layer_patterns: Vec<Regex>,
    saved: Vec<String>,
    biases: AdapterBiases,
}

/// Which modules a key names.
#[derive(Clone, Debug)]
enum Modules {
    /// Every one that the adapter has tensors for.
    Any,
    /// Those whose path ends in one of these names.
    EndingIn(Vec<String>),
    /// Those whose whole path matches.
    Matching(Regex),
}

/// The most patterns in one key. peft itself writes one for each module of another rank.
const MAX_PATTERNS: usize = 1000;

/// The most bytes of a pattern as it is written. A module's path has a hundred.
const MAX_PATTERN_BYTES: usize = 4096;

/// The most bytes of a compiled pattern, and of all those of a key. A `\w` takes 40,000.
const MAX_COMPILED_BYTES: usize = 1 << 20;
const MAX_COMPILED_BYTES_OF_KEY: usize = 64 << 20;

/// A pattern for a module's path, anchored at its end.
type Pattern = Regex;

/// Which biases were trained, and so are stored with the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AdapterBiases {
    None,
    All,
    /// Those of the layers that it changes.
    OfTargets,
}

impl AdapterSpec {
    /// Reads the adapter_config.json in `folder`; `None` where there is none, and so no adapter.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] naming the key that is damaged, or that asks for another kind of adapter than those that are
    /// applied.
    pub fn read(files: &ModelFiles, folder: &str) -> Result<Option<AdapterSpec>, Error> {
        let files = files.within(folder);
        let Some(bytes) = files.read(ADAPTER_CONFIG)? else { return Ok(None) };
        let config = AdapterConfig { file: files.describe(ADAPTER_CONFIG), keys: Map::new() };
        if parsed_bytes(&bytes) > MAX_PARSED_BYTES {
            return Err(config.invalid("holds more values than the config of any adapter"));
        }
        let not_json = |error: serde_json::Error| config.invalid(format!("not a JSON object: {error}"));
        let keys: Map<String, Value> = serde_json::from_slice(&bytes).map_err(not_json)?;
        let patterns: Patterns = serde_json::from_slice(&bytes).map_err(not_json)?;
        let config = AdapterConfig { keys, ..config };
        config.refuse_unsupported()?;
        let checkpoint = if files.contains(SAFETENSORS)? {
            CheckpointSpec::of_file(folder, SAFETENSORS)
        } else if files.contains(PYTORCH)? {
            CheckpointSpec::of_file(folder, PYTORCH)
        } else {
            let reason =
                format!("describes an adapter, but neither `{SAFETENSORS}` nor `{PYTORCH}` is there");
            let (place, file) = (files.describe(ADAPTER_CONFIG), files.inside(SAFETENSORS));
            return Err(Error::NoModel { place, reason, file });
        };
        let rank_pattern = patterns.rank_pattern.unwrap_or_default();
        if let Some((_, rank)) = rank_pattern.0.iter().find(|(_, rank)| !is_rank(*rank)) {
            return Err(config.invalid(format!("`rank_pattern` gives {rank}, not a rank")));
        }
        let compiled = |name: &str, patterns: InOrder| -> Result<Vec<(Pattern, f64)>, Error> {
            let count = patterns.0.len();
            config.limit_patterns(name, count)?;
            let pattern = |(key, value): (String, f64)| {
                Ok((config.regex(&format!(r"^(.*\.)?({key})$"), count)?, value))
            };
            patterns.0.into_iter().map(pattern).collect()
        };
        let layer_patterns = config.strings("layers_pattern")?;
        config.limit_patterns("layers_pattern", layer_patterns.len())?;
        Ok(Some(AdapterSpec {
            checkpoint,
            base_model: config
                .keys
                .get("base_model_name_or_path")
                .and_then(Value::as_str)
                .map(str::to_string),
            rank: config.rank("r", 8.0)?,
            alpha: config.number("lora_alpha", 8.0)?,
            is_rank_stabilized: config.flag("use_rslora")?,
            rank_patterns: compiled("rank_pattern", rank_pattern)?,
            alpha_patterns: compiled("alpha_pattern", patterns.alpha_pattern.unwrap_or_default())?,
            targets: config.modules("target_modules")?.unwrap_or(Modules::Any),
            excluded: config.modules("exclude_modules")?.unwrap_or(Modules::EndingIn(Vec::new())),
            layers: config.layers()?,
            layer_patterns: layer_patterns
                .iter()
                .map(|pattern| {
                    config.regex(&format!(r"^(?:|.*?\.){pattern}\.([0-9]+)\."), layer_patterns.len())
                })
                .collect::<Result<_, _>>()?,
            saved: config.strings("modules_to_save")?,
            biases: config.biases()?,
        }))
    }

    /// The base that the adapter in these files asks for; `None` where there is no adapter or it names none.
    pub fn base_of(files: &ModelFiles) -> Option<String> {
        let bytes = files.read(ADAPTER_CONFIG).ok()??;
        if parsed_bytes(&bytes) > MAX_PARSED_BYTES {
            return None;
        }
        let config: Map<String, Value> = serde_json::from_slice(&bytes).ok()?;
        Some(config.get("base_model_name_or_path")?.as_str()?.to_string())
    }

    /// r of a module, by its path in the model.
    pub fn rank(&self, module: &str) -> f64 {
        first_match(&self.rank_patterns, module).unwrap_or(self.rank)
    }

    /// By how much the product of a module's two matrices counts: α/r, or α/√r.
    pub fn scale(&self, module: &str) -> f64 {
        let alpha = first_match(&self.alpha_patterns, module).unwrap_or(self.alpha);
        let rank = self.rank(module);
        alpha / if self.is_rank_stabilized { rank.sqrt() } else { rank }
    }

    /// Whether a module is one of those that the adapter changes.
    pub fn targets(&self, module: &str) -> bool {
        if self.excluded.contains(module) || !self.targets.contains(module) {
            return false;
        }
        // peft looks at the layers only where the modules are a list.
        if self.layers.is_empty() || matches!(self.targets, Modules::Matching(_)) {
            return true;
        }
        self.layer_of(module).is_some_and(|layer| self.layers.contains(&layer))
    }

    /// The number of the layer that a module is in.
    fn layer_of(&self, module: &str) -> Option<u64> {
        if self.layer_patterns.is_empty() {
            // The first number that stands below two names: `encoder.layer.7.`.
            let parts: Vec<&str> = module.split('.').collect();
            let inner = parts.get(2..parts.len().saturating_sub(1)).unwrap_or_default();
            return inner.iter().find_map(|part| part.parse().ok());
        }
        let number = |pattern: &Regex| pattern.captures(module)?.get(1)?.as_str().parse().ok();
        self.layer_patterns.iter().find_map(number)
    }

    /// Whether the adapter holds a parameter whole, which takes the place of the model's.
    ///
    /// * `module`: the path of the module it belongs to, and `kind`: `weight` or `bias`.
    pub fn replaces(&self, module: &str, kind: &str) -> bool {
        let is_trained_bias = match self.biases {
            AdapterBiases::None => false,
            AdapterBiases::All => kind == "bias",
            AdapterBiases::OfTargets => kind == "bias" && self.targets(module),
        };
        // peft looks for modules, at any depth, whose path ends in the name.
        let ends = module.match_indices('.').map(|(at, _)| at).chain([module.len()]);
        is_trained_bias
            || ends
                .into_iter()
                .any(|end| self.saved.iter().any(|name| module[..end].ends_with(name.as_str())))
    }
}

/// Whether a number is a whole one that a matrix may have rows of.
fn is_rank(number: f64) -> bool {
    number >= 1.0 && number.fract() == 0.0
}

/// The value of the first pattern that matches, in the order of the file.
fn first_match(patterns: &[(Pattern, f64)], module: &str) -> Option<f64> {
    patterns.iter().find(|(pattern, _)| pattern.is_match(module)).map(|(_, value)| *value)
}

impl Modules {
    fn contains(&self, module: &str) -> bool {
        match self {
            Modules::Any => true,
            Modules::EndingIn(names) => names.iter().any(|name| {
                let rest = module.strip_suffix(name.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }),
            Modules::Matching(pattern) => pattern.is_match(module),
        }
    }
}

/// The keys of one adapter_config.json and its path, for messages.
struct AdapterConfig {
    file: String,
    keys: Map<String, Value>,
}

impl AdapterConfig {
    fn invalid(&self, reason: impl Into<String>) -> Error {
        Error::invalid(&self.file, reason)
    }

    /// Refuses every other kind of adapter, and every key that is not known to change no vector.
    fn refuse_unsupported(&self) -> Result<(), Error> {
        match self.keys.get("peft_type").and_then(Value::as_str) {
            Some("LORA") => {}
            Some(other) => {
                let reason = format!("peft_type `{}` is not supported, only `LORA`", other.escape_debug());
                return Err(self.invalid(reason));
            }
            None => return Err(self.invalid("no `peft_type`: this is not the config of an adapter")),
        }
        // These beginnings change the model's own weights as well, when the adapter is loaded.
        match self.keys.get("init_lora_weights") {
            None | Some(Value::Null | Value::Bool(_)) => {}
            Some(Value::String(beginning))
                if ["gaussian", "eva", "orthogonal"].contains(&beginning.as_str()) => {}
            Some(other) => {
                return Err(self.invalid(format!(
                    "init_lora_weights {other} is not supported: it changes the model's own weights as well"
                )))
            }
        }
        let is_set = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(values) => !values.is_empty(),
            Value::Object(values) => !values.is_empty(),
            _ => true,
        };
        for (key, value) in &self.keys {
            if !HARMLESS.contains(&key.as_str()) && !FOLLOWED.contains(&key.as_str()) && is_set(value) {
                return Err(self.invalid(format!("the key `{}` is not supported", key.escape_debug())));
            }
        }
        Ok(())
    }

    fn number(&self, key: &str, default: f64) -> Result<f64, Error> {
        match self.keys.get(key) {
            None => Ok(default),
            Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(number),
                None => Err(self.invalid(format!("`{key}` is {value}, not a number"))),
            },
        }
    }

    fn rank(&self, key: &str, default: f64) -> Result<f64, Error> {
        match self.number(key, default)? {
            number if is_rank(number) => Ok(number),
            number => Err(self.invalid(format!("`{key}` is {number}, not a rank"))),
        }
    }

    fn flag(&self, key: &str) -> Result<bool, Error> {
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.invalid(format!("`{key}` is {other}, not true or false"))),
        }
    }

    /// A list of names, or one name.
    fn strings(&self, key: &str) -> Result<Vec<String>, Error> {
        let not_names = |value: &Value| self.invalid(format!("`{key}` is {value}, not a list of names"));
        match self.keys.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(name)) => Ok(vec![name.clone()]),
            Some(whole @ Value::Array(names)) => {
                let name = |name: &Value| name.as_str().map(str::to_string).ok_or_else(|| not_names(whole));
                names.iter().map(name).collect()
            }
            Some(other) => Err(not_names(other)),
        }
    }

    /// A list of names, or a pattern for whole paths; `None` where the key is not there.
    fn modules(&self, key: &str) -> Result<Option<Modules>, Error> {
        Ok(match self.keys.get(key) {
            None | Some(Value::Null) => None,
            // peft's word for every dense layer but the decoder.
            Some(Value::String(all)) if all.eq_ignore_ascii_case("all-linear") => Some(Modules::Any),
            Some(Value::String(pattern)) => {
                Some(Modules::Matching(self.regex(&format!("^(?:{pattern})$"), 1)?))
            }
            Some(_) => Some(Modules::EndingIn(self.strings(key)?)),
        })
    }

    fn layers(&self) -> Result<Vec<u64>, Error> {
        let not_layers = |value: &Value| self.invalid(format!("`layers_to_transform` is {value}, no layers"));
        match self.keys.get("layers_to_transform") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(value @ Value::Number(_)) => Ok(vec![value.as_u64().ok_or_else(|| not_layers(value))?]),
            Some(whole @ Value::Array(layers)) => {
                layers.iter().map(|layer| layer.as_u64().ok_or_else(|| not_layers(whole))).collect()
            }
            Some(other) => Err(not_layers(other)),
        }
    }

    fn biases(&self) -> Result<AdapterBiases, Error> {
        match self.keys.get("bias") {
            None => Ok(AdapterBiases::None),
            Some(value) => match value.as_str() {
                Some("none") => Ok(AdapterBiases::None),
                Some("all") => Ok(AdapterBiases::All),
                Some("lora_only") => Ok(AdapterBiases::OfTargets),
                _ => Err(self.invalid(format!("`bias` is {value}, none of none, all and lora_only"))),
            },
        }
    }

    fn limit_patterns(&self, key: &str, count: usize) -> Result<(), Error> {
        match count {
            0..=MAX_PATTERNS => Ok(()),
            _ => {
                Err(self
                    .invalid(format!("`{key}` has {count} patterns; {MAX_PATTERNS} at most are supported")))
            }
        }
    }

    /// * `count`: the patterns of the key that it is one of.
    fn regex(&self, pattern: &str, count: usize) -> Result<Regex, Error> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(self.invalid(format!("a pattern of {} bytes is not supported", pattern.len())));
        }
        let limit = MAX_COMPILED_BYTES.min(MAX_COMPILED_BYTES_OF_KEY / count);
        let compiled = RegexBuilder::new(pattern).size_limit(limit).build();
        compiled
            .map_err(|_| self.invalid(format!("the pattern `{}` is not supported", pattern.escape_debug())))
    }
}

/// The two keys whose order counts.
#[derive(Deserialize)]
struct Patterns {
    rank_pattern: Option<InOrder>,
    alpha_pattern: Option<InOrder>,
}

/// The numbers of an object in the order of the file.
#[derive(Default)]
struct InOrder(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrderVisitor;
        impl<'de> Visitor<'de> for InOrderVisitor {
            type Value = InOrder;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder, A::Error> {
                let mut numbers: Vec<(String, f64)> = Vec::new();
                let mut places: BTreeMap<String, usize> = BTreeMap::new();
                while let Some((key, number)) = map.next_entry::<String, f64>()? {
                    // Python keeps the place of the first and the value of the last.
                    match places.get(&key) {
                        Some(&place) => numbers[place].1 = number,
                        None => {
                            places.insert(key.clone(), numbers.len());
                            numbers.push((key, number));
                        }
                    }
                }
                Ok(InOrder(numbers))
            }
        }
        deserializer.deserialize_map(InOrderVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(config: &str) -> Result<AdapterSpec, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(ADAPTER_CONFIG), config).expect("written");
        std::fs::write(folder.path().join(SAFETENSORS), []).expect("written");
        let files = ModelFiles::folder("m", folder.path());
        Ok(AdapterSpec::read(&files, "")?.expect("an adapter"))
    }

    fn spec(more: Value) -> AdapterSpec {
        read(&config(more).to_string()).expect("a sound config")
    }

    fn config(more: Value) -> Value {
        let mut config = json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["query"]});
        config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        config
    }

    const QUERY: &str = "bert.encoder.layer.11.attention.self.query";

    #[test]
    fn the_scale_is_alpha_over_the_rank_or_its_root() {
        assert_eq!(spec(json!({})).scale(QUERY), 2.0);
        assert_eq!(spec(json!({"use_rslora": true})).scale(QUERY), 4.0);
        let patterns =
            json!({"rank_pattern": {"self.query": 16}, "alpha_pattern": {"11.attention.self.query": 4}});
        let patterned = spec(patterns);
        assert_eq!((patterned.rank(QUERY), patterned.scale(QUERY)), (16.0, 0.25));
        assert_eq!(patterned.scale("bert.encoder.layer.1.attention.self.query"), 0.5);
        // A name must begin where a part of the path does; the first of the file counts.
        let first = read(
            r#"{"peft_type": "LORA", "r": 4, "rank_pattern": {"uery": 1, "z|query": 2, "query": 3, ".*": 5}}"#,
        );
        let first = first.expect("a sound config");
        assert_eq!((first.rank(QUERY), first.rank("key")), (2.0, 5.0));
    }

    #[test]
    fn targets_are_a_list_a_pattern_or_some_layers() {
        let by_name = spec(json!({"exclude_modules": ["layer.3.attention.self.query"]}));
        assert!(by_name.targets(QUERY) && by_name.targets("query"));
        assert!(!by_name.targets("bert.subquery") && !by_name.targets("bert.query.key"));
        assert!(!by_name.targets("bert.encoder.layer.3.attention.self.query"));
        let by_pattern = spec(json!({"target_modules": r".*\.1\d\..*query", "layers_to_transform": [2]}));
        assert!(
            by_pattern.targets(QUERY) && !by_pattern.targets("bert.encoder.layer.1.attention.self.query")
        );
        assert!(spec(json!({"target_modules": "all-linear"})).targets(QUERY));
        assert!(spec(json!({"target_modules": null})).targets(QUERY));
        for layers in [
            json!({"layers_to_transform": 11}),
            json!({"layers_to_transform": [3, 11], "layers_pattern": "layer"}),
        ] {
            let some = spec(layers.clone());
            assert!(some.targets(QUERY), "{layers}");
            assert!(!some.targets("bert.encoder.layer.1.attention.self.query") && !some.targets("query"));
        }
        assert!(!spec(json!({"layers_to_transform": [11], "layers_pattern": ["blocks"]})).targets(QUERY));
    }

    #[test]
    fn whole_parameters_are_those_saved_and_trained_biases() {
        let none = spec(json!({"modules_to_save": ["transform"]}));
        assert!(none.replaces("cls.predictions.transform.dense", "weight"));
        assert!(!none.replaces("cls.predictions.decoder", "weight") && !none.replaces(QUERY, "bias"));
        let only = spec(json!({"bias": "lora_only"}));
        assert!(only.replaces(QUERY, "bias") && !only.replaces(QUERY, "weight"));
        assert!(!only.replaces("bert.encoder.layer.11.attention.self.key", "bias"));
        assert!(spec(json!({"bias": "all"})).replaces("bert.embeddings.LayerNorm", "bias"));
    }

    #[test]
    fn patterns_of_any_size_cost_little() {
        // Ordinary ones are far below the limits.
        for pattern in [
            r".*\.\w+\.attention\.\w+\.(query|key|value)",
            r"(?:.*?(?:self|layer).*?(?:query|key|value|dense).*?)",
        ] {
            assert!(
                spec(json!({ "target_modules": pattern, "rank_pattern": {pattern: 2} })).targets(QUERY),
                "{pattern}"
            );
        }
        let many: Map<String, Value> =
            (0..100_000).map(|number| (format!("layer.{number}"), 2.into())).collect();
        let names: Vec<&String> = many.keys().collect();
        for more in [
            json!({ "target_modules": r"\w{1000}" }),
            json!({ "target_modules": "(((a{99}){99}){99}){99}" }),
            json!({ "exclude_modules": "a".repeat(1_000_000) }),
            json!({ "rank_pattern": many }),
            json!({ "alpha_pattern": many }),
            json!({ "layers_pattern": names }),
            json!({ "layers_pattern": [r"(\w{99}){99}"] }),
        ] {
            let error = read(&config(more.clone()).to_string()).expect_err("refused").to_string();
            assert!(error.contains("supported"), "{error}");
        }
    }

    #[test]
    fn what_is_not_applied_is_refused_by_name() {
        for (more, says) in [
            (json!({"peft_type": "IA3"}), "peft_type `IA3`"),
            (json!({"peft_type": null}), "no `peft_type`"),
            (json!({"use_dora": true}), "`use_dora`"),
            (json!({"trainable_token_indices": [1]}), "`trainable_token_indices`"),
            (json!({"target_parameters": ["w"]}), "`target_parameters`"),
            (json!({"layer_replication": [[0, 2]]}), "`layer_replication`"),
            (json!({"megatron_config": {"a": 1}}), "`megatron_config`"),
            (json!({"ensure_weight_tying": true}), "`ensure_weight_tying`"),
            (json!({"something_new": 3}), "`something_new`"),
            (json!({"init_lora_weights": "pissa_niter_4"}), "init_lora_weights \"pissa_niter_4\""),
            (json!({"r": 0}), "`r` is 0"),
            (json!({"r": 2.5}), "`r` is 2.5"),
            (json!({"r": "4"}), "`r` is \"4\""),
            (json!({"lora_alpha": null}), "`lora_alpha`"),
            (json!({"bias": "some"}), "`bias` is \"some\""),
            (json!({"target_modules": [5]}), "`target_modules` is [5]"),
            (json!({"target_modules": "(?=x)"}), "is not supported"),
            (json!({"rank_pattern": 5}), "an object of numbers"),
            (json!({"rank_pattern": {"query": 0}}), "`rank_pattern` gives 0"),
            (json!({"layers_to_transform": ["1"]}), "`layers_to_transform`"),
        ] {
            let error = read(&config(more.clone()).to_string()).expect_err("refused").to_string();
            assert!(error.contains(says) && error.contains(ADAPTER_CONFIG), "{more}: {error}");
        }
        assert!(read("[]").expect_err("refused").to_string().contains("not a JSON object"));
        // What a config of peft 0.21 holds beside.
        let plain = json!({"use_dora": false, "loftq_config": {}, "megatron_config": null, "arrow_config": null,
            "init_lora_weights": true, "lora_dropout": 0.1, "task_type": "FEATURE_EXTRACTION", "peft_version": "0.21.2",
            "inference_mode": true, "fan_in_fan_out": true, "megatron_core": "megatron.core", "lora_bias": true});
        assert_eq!(spec(plain).scale(QUERY), 2.0);
    }
}
