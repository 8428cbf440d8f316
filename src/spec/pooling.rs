//! What a SpladePooling's config says.

use serde_json::{Map, Value};

use crate::conventions::{PoolingActivation, Strategy};
use crate::error::Error;
use crate::known;
use crate::source::ModelFiles;
use crate::spec::Provenance;

/// How the positions of a text become one, and what becomes of a logit: a SpladePooling's config.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoolingConfig {
    pub strategy: Strategy,
    pub activation: PoolingActivation,
    /// The file that says so, or the rule.
    pub(crate) source: String,
}

const POOLING_CONFIG: &str = "config.json";

/// Wherever it is written.
impl PartialEq for PoolingConfig {
    fn eq(&self, other: &Self) -> bool {
        (self.strategy, self.activation) == (other.strategy, other.activation)
    }
}

impl PoolingConfig {
    /// Reads the config of a SpladePooling in `folder` below the model's files.
    ///
    /// It is the only place where a model of two logarithms says so.
    pub fn read(files: &ModelFiles, folder: &str) -> Result<Self, Error> {
        let files = files.within(folder);
        match files.read_json(POOLING_CONFIG)? {
            Some(config) => PoolingConfig::parse(&config, files.describe(POOLING_CONFIG)),
            None => Ok(PoolingConfig::unsaid(&files)),
        }
    }

    /// That of a model without modules.json, whose pooling config may be there all the same.
    pub fn without_modules(files: &ModelFiles) -> Result<Self, Error> {
        let folders = ["1_SpladePooling", "document_1_SpladePooling"];
        let found = folders.into_iter().find(|folder| files.within(folder).contains(POOLING_CONFIG));
        match found {
            Some(folder) => PoolingConfig::read(files, folder),
            None => Ok(PoolingConfig::unsaid(files)),
        }
    }

    /// A copy of a model that another program cached may lack its pooling config: a known model is then taken by its
    /// name, any other has a single logarithm.
    fn unsaid(files: &ModelFiles) -> Self {
        match known::find(files.name()) {
            Some(known) => PoolingConfig {
                strategy: Strategy::Max,
                activation: known.activation,
                source: "known by the model's name; no pooling config".into(),
            },
            None => PoolingConfig {
                source: "the rule where no pooling config says otherwise".into(),
                ..PoolingConfig::default()
            },
        }
    }

    fn parse(config: &Map<String, Value>, source: String) -> Result<Self, Error> {
        let key = |key: &str| config.get(key).filter(|value| !value.is_null());
        let unsupported = |key: &str, supported: &str| {
            let reason = format!("{key} {} is not supported, only {supported}", config[key]);
            Error::invalid(&source, reason)
        };
        let strategy = match key("pooling_strategy").map(|value| value.as_str().unwrap_or_default()) {
            None | Some("max") => Strategy::Max,
            Some("sum") => Strategy::Sum,
            Some(_) => return Err(unsupported("pooling_strategy", "\"max\" and \"sum\"")),
        };
        let activation = match key("activation_function").map(|value| value.as_str().unwrap_or_default()) {
            None | Some("relu") => PoolingActivation::Relu,
            Some("log1p_relu") => PoolingActivation::Log1pRelu,
            Some(_) => return Err(unsupported("activation_function", "\"relu\" and \"log1p_relu\"")),
        };
        Ok(PoolingConfig { strategy, activation, source })
    }

    /// What it says.
    pub fn decisions(&self) -> [Provenance; 2] {
        let formula = match self.activation {
            PoolingActivation::Relu => "ln(1 + max(0, x))",
            PoolingActivation::Log1pRelu => "ln(1 + ln(1 + max(0, x)))",
        };
        let strategy = match self.strategy {
            Strategy::Max => "the largest of any token",
            Strategy::Sum => "the sum over all tokens",
        };
        let decision = |what, value| Provenance::new(what, value, self.source.clone());
        [decision("activation", formula), decision("pooling", strategy)]
    }
}
