//! Conventions in which models differ: what a model's files decide, or, where they leave a choice, its name or its user.

/// What is applied to the maximum of the logits. Named as in sentence-transformers' pooling config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolingActivation {
    /// ln(1 + max(0, x)): SPLADE, and OpenSearch's v1 and v2 models.
    #[default]
    Relu,
    /// ln(1 + ln(1 + max(0, x))): OpenSearch's v3 models.
    Log1pRelu,
}

impl PoolingActivation {
    /// The weight for the largest logit `x` of a term: f32, at least 0.
    pub(crate) fn apply(self, x: f32) -> f32 {
        if x <= 0.0 {
            // Nearly every term: not worth a logarithm.
            return 0.0;
        }
        let saturated = x.ln_1p();
        match self {
            PoolingActivation::Relu => saturated,
            PoolingActivation::Log1pRelu => saturated.ln_1p(),
        }
    }
}

/// How the positions of a text become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// The largest weight of any token.
    #[default]
    Max,
    /// The sum of all tokens' weights.
    Sum,
}

/// Which matrix projects on the vocabulary when a checkpoint stores one that differs from its embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UntiedDecoder {
    /// The stored one, as transformers 5 reads it.
    #[default]
    UseStored,
    /// The embeddings, as transformers 4 read it unless config.json said `tie_word_embeddings: false`.
    UseEmbeddings,
}

impl UntiedDecoder {
    /// Both.
    pub const ALL: [UntiedDecoder; 2] = [UntiedDecoder::UseStored, UntiedDecoder::UseEmbeddings];

    /// `stored` or `embeddings`.
    pub fn name(self) -> &'static str {
        match self {
            UntiedDecoder::UseStored => "stored",
            UntiedDecoder::UseEmbeddings => "embeddings",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        UntiedDecoder::ALL.into_iter().find(|decoder| decoder.name() == name)
    }
}

/// The end at which a text that is too long is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TruncationSide {
    /// The first tokens are kept.
    #[default]
    Right,
    /// The last tokens are kept.
    Left,
}
