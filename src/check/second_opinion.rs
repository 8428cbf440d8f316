//! candle-transformers' own BERT over the same parameters: an implementation of other hands.
//!
//! Only `model verify` uses it, to compare our vectors with.

use std::collections::HashMap;

use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertForMaskedLM, Config, HiddenAct, PositionEmbeddingType};

use crate::error::Error;
use crate::forward::MaskedLm;
use crate::parameters::{AbsoluteLayer, Affine, Layers, Parameters};
use crate::spec::HiddenActivation;

/// A checkpoint run by candle-transformers' `BertForMaskedLM`.
///
/// DistilBERT is BERT without token types: its tensors run there under BERT's
/// names with a token-type embedding of zeros.
pub(crate) struct StockBert {
    model: BertForMaskedLM,
}

impl StockBert {
    /// `None` where its BERT is another model: other blocks, other activations, a head with one of its own.
    pub fn new(lm: &MaskedLm) -> Result<Option<Self>, Error> {
        let config = lm.config();
        let parameters = lm.parameters().tensors(lm.device())?;
        let (Layers::Absolute(layers), Some(positions)) =
            (&parameters.layers, &parameters.position_embeddings)
        else {
            return Ok(None);
        };
        if config.head_activation != config.activation {
            return Ok(None);
        }
        // RoBERTa's first token has another row than the first.
        let first_position = config.max_positions - config.max_tokens();
        let positions = positions.narrow(0, first_position, config.max_tokens())?;
        let hidden_act = match config.activation {
            HiddenActivation::GeluErf => HiddenAct::Gelu,
            HiddenActivation::GeluTanh => HiddenAct::GeluApproximate,
            HiddenActivation::Relu => HiddenAct::Relu,
            HiddenActivation::Silu => return Ok(None),
        };
        let config = Config {
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            num_hidden_layers: config.num_layers,
            num_attention_heads: config.num_heads,
            intermediate_size: config.feed_forward_size,
            hidden_act,
            hidden_dropout_prob: 0.0,
            max_position_embeddings: config.max_tokens(),
            type_vocab_size: 1,
            layer_norm_eps: config.layer_norm_eps,
            position_embedding_type: PositionEmbeddingType::Absolute,
            ..Config::default()
        };
        let tensors = named(&parameters, layers, positions)?;
        let tensors = VarBuilder::from_tensors(tensors, DType::F32, lm.device());
        Ok(Some(StockBert { model: BertForMaskedLM::load(tensors, &config)? }))
    }

    /// The logits of one text: (T, V).
    pub fn logits(&self, ids: &[u32], lm: &MaskedLm) -> Result<Vec<Vec<f32>>, Error> {
        let ids = Tensor::new(ids, lm.device())?.unsqueeze(0)?;
        Ok(self.model.forward(&ids, &ids.zeros_like()?, None)?.squeeze(0)?.to_vec2()?)
    }
}

/// The parameters under the names that candle-transformers asks for.
///
/// * `positions`: (positions, H), the first row that of a text's first token.
fn named(
    parameters: &Parameters<Tensor>,
    layers: &[AbsoluteLayer<Tensor>],
    positions: Tensor,
) -> Result<HashMap<String, Tensor>, Error> {
    let mut tensors = HashMap::new();
    let word_embeddings = &parameters.word_embeddings;
    let token_type = match &parameters.token_type_embedding {
        Some(row) => row.unsqueeze(0)?,
        None => Tensor::zeros((1, word_embeddings.dim(1)?), DType::F32, word_embeddings.device())?,
    };
    tensors.insert("bert.embeddings.word_embeddings.weight".into(), word_embeddings.clone());
    tensors.insert("bert.embeddings.position_embeddings.weight".into(), positions);
    tensors.insert("bert.embeddings.token_type_embeddings.weight".into(), token_type);
    tensors.insert("cls.predictions.decoder.weight".into(), parameters.decoder.clone());
    tensors.insert("cls.predictions.decoder.bias".into(), parameters.decoder_bias.clone());
    let mut affine = |name: String, it: &Affine<Tensor>| {
        tensors.insert(format!("{name}.weight"), it.weight.clone());
        tensors.insert(format!("{name}.bias"), it.bias.clone());
    };
    affine("bert.embeddings.LayerNorm".into(), &parameters.embedding_norm);
    affine("cls.predictions.transform.dense".into(), &parameters.transform);
    affine("cls.predictions.transform.LayerNorm".into(), &parameters.transform_norm);
    for (index, layer) in layers.iter().enumerate() {
        let prefix = format!("bert.encoder.layer.{index}");
        affine(format!("{prefix}.attention.self.query"), &layer.attention.query);
        affine(format!("{prefix}.attention.self.key"), &layer.attention.key);
        affine(format!("{prefix}.attention.self.value"), &layer.attention.value);
        affine(format!("{prefix}.attention.output.dense"), &layer.attention.output);
        affine(format!("{prefix}.attention.output.LayerNorm"), &layer.attention_norm);
        affine(format!("{prefix}.intermediate.dense"), &layer.up);
        affine(format!("{prefix}.output.dense"), &layer.down);
        affine(format!("{prefix}.output.LayerNorm"), &layer.output_norm);
    }
    Ok(tensors)
}
