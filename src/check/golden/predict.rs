//! What a request to ml-commons' _predict asks for, and what the reply holds.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::unexpected;
use crate::encoder::Side;
use crate::input::json::weights::Keys;
use crate::input::{json, RowError};

/// What a request to ml-commons asks for.
#[derive(Default, Deserialize)]
pub(super) struct Parameters {
    content_type: Option<String>,
    sparse_embedding_format: Option<String>,
}

impl Parameters {
    pub(super) fn read(value: &RawValue) -> Result<Self, RowError> {
        serde_json::from_str(value.get())
            .map_err(|error| RowError::new(format!("`parameters`: {}", json::message(&error))))
    }

    pub(super) fn side(&self) -> Result<Option<Side>, RowError> {
        let Some(written) = &self.content_type else { return Ok(None) };
        match written.to_ascii_lowercase().as_str() {
            "query" => Ok(Some(Side::Query)),
            "passage" => Ok(Some(Side::Document)),
            _ => Err(unexpected("content_type", written, "`query` or `passage`")),
        }
    }

    /// What the keys of a reply are; `unstated` where the request does not say it. `word` in the code of ml-commons is
    /// `lexical` in its documentation.
    pub(super) fn keys(&self, unstated: Keys) -> Result<Keys, RowError> {
        let Some(written) = &self.sparse_embedding_format else { return Ok(unstated) };
        match written.to_ascii_lowercase().as_str() {
            "word" | "lexical" => Ok(Keys::Terms),
            "token_id" => Ok(Keys::Ids),
            _ => Err(unexpected("sparse_embedding_format", written, "`word`, `lexical` or `token_id`")),
        }
    }
}

#[derive(Deserialize)]
struct InferenceResult<'a> {
    #[serde(borrow)]
    output: Vec<Output<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    #[serde(borrow)]
    data_as_map: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    response: Vec<&'a RawValue>,
}

/// The vectors of a _predict reply: a local model gives each text a result of its own, a remote one may give them
/// one result together.
pub(super) fn responses(results: &RawValue) -> Result<Vec<&RawValue>, RowError> {
    let results: Vec<InferenceResult> = serde_json::from_str(results.get()).map_err(|error| {
        let what = json::message(&error);
        RowError::new(format!(
            "`inference_results`: {what}, expected [{{\"output\": [{{\"dataAsMap\": {{\"response\": \
             [{{\"term\": weight, …}}]}}}}]}}]"
        ))
    })?;
    let outputs = results.into_iter().flat_map(|result| result.output);
    Ok(outputs.flat_map(|output| output.data_as_map.response).collect())
}
