//! What a SpladePooling's config says.

use super::keys::SettingsFile;
use super::provenance::Provenance;
use super::reader::SettingsReader;
use super::settings::Settings;
use crate::conventions::{PoolingActivation, Strategy};
use crate::error::Error;
use crate::known::KnownModel;

/// How the positions of a text become one, and what becomes of a logit: a SpladePooling's config.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoolingConfig {
    pub strategy: Strategy,
    pub activation: PoolingActivation,
    /// The file that says so, or the rule.
    pub(crate) source: String,
}

/// Two that pool alike are equal, wherever that is written.
impl PartialEq for PoolingConfig {
    fn eq(&self, other: &Self) -> bool {
        (self.strategy, self.activation) == (other.strategy, other.activation)
    }
}

/// The folders in which the pooling config of a model without modules.json may be there all the same.
const USUAL_FOLDERS: [&str; 2] = ["1_SpladePooling", "document_1_SpladePooling"];

impl PoolingConfig {
    /// Reads the config of a SpladePooling in `folder` below the model's files; the second value says whether the file
    /// is there.
    ///
    /// It is the only place where a model of two logarithms says so. Without the file, sentence-transformers takes the
    /// defaults; a known model is then taken by its name, as other programs cache copies without it.
    pub fn read(
        reader: &mut SettingsReader,
        folder: &str,
        known: Option<&KnownModel>,
    ) -> Result<(Self, bool), Error> {
        let config = reader.module(folder, SettingsFile::SpladePooling)?;
        match config.exists {
            true => Ok((PoolingConfig::parse(&config)?, true)),
            false => Ok((PoolingConfig::default_for(known), false)),
        }
    }

    /// That of a model without modules.json.
    pub fn without_modules(reader: &mut SettingsReader, known: Option<&KnownModel>) -> Result<Self, Error> {
        for folder in USUAL_FOLDERS {
            let (config, is_there) = PoolingConfig::read(reader, folder, known)?;
            if is_there {
                return Ok(config);
            }
        }
        Ok(PoolingConfig::default_for(known))
    }

    /// That of a model whose files say nothing.
    fn default_for(known: Option<&KnownModel>) -> Self {
        match known {
            Some(known) => PoolingConfig {
                strategy: Strategy::Max,
                activation: known.activation,
                source: "known by the model's hub id; no pooling config".into(),
            },
            None => PoolingConfig {
                source: "the rule where no pooling config says otherwise".into(),
                ..PoolingConfig::default()
            },
        }
    }

    fn parse(config: &Settings) -> Result<Self, Error> {
        let key = |key: &str| config.get(key);
        let unsupported = |key: &str, supported: &str| {
            let value = &config.keys[key];
            config.invalid(format!("{key} {value} is not supported, only {supported}"))
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
        Ok(PoolingConfig { strategy, activation, source: config.file.clone() })
    }

    /// What it says.
    pub fn provenance(&self) -> [Provenance; 2] {
        let formula = match self.activation {
            PoolingActivation::Relu => "ln(1 + max(0, x))",
            PoolingActivation::Log1pRelu => "ln(1 + ln(1 + max(0, x)))",
        };
        let strategy = match self.strategy {
            Strategy::Max => "the largest of any token",
            Strategy::Sum => "the sum over all tokens",
        };
        let row = |what, value| Provenance::new(what, value, self.source.clone());
        [row("activation", formula), row("pooling", strategy)]
    }
}
