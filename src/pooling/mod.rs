//! SpladePooling: turns the hidden states of one text into one weight per vocabulary entry.
//!
//! The (T, V) logits are never built: products are folded into the running
//! maximum as they are computed.

pub(crate) mod screening;
mod sums;

use std::ops::Range;

use candle_core::{Storage, Tensor, D};
use rayon::prelude::*;

use crate::conventions::Strategy;
use crate::error::Error;
use crate::kernel::{self, Epilogue, GemmWeight, InstructionSet, MatRef, Matrix, TextMaxima};
use crate::parallel::Parallelism;
use crate::parameters::Parameter;
use crate::spec::PoolingConfig;
use screening::{ScreenCount, Screening, PIECE_TERMS};
use sums::Sums;

/// Vocabulary entries that the reference projects at a time: its extra memory is T × this many floats.
const TILE: usize = 1024;

/// One pooled text.
pub(crate) struct PooledRow {
    /// (V): f32, finite, at least 0.
    pub weights: Vec<f32>,
    /// (V): the position of the text whose logit was the largest, the first of equals; anything where the weight is 0.
    /// Empty unless asked for.
    pub positions: Vec<u32>,
}

/// Pools token hidden states into one non-negative weight per vocabulary entry.
///
/// For the tokens t of one text and vocabulary entry v:
///
/// ```text
/// w[v] = f( max_t (hidden[t] · decoder[v]) + bias[v] )      f = ln(1 + relu(x)), once or twice
/// w[v] = Σ_t f( hidden[t] · decoder[v] + bias[v] )          for the few models that say so
/// ```
///
/// The bias and f never decrease, so taking the maximum first gives the same
/// weights as the published order, and they run once per (text, term).
///
/// Source: SPLADE v2 (arXiv:2109.10086); the second logarithm arXiv:2504.14839.
pub(crate) struct SpladePooling {
    /// (V, H)
    decoder: Parameter,
    on_device: Option<Tensor>,
    /// (V)
    bias: Parameter,
    config: PoolingConfig,
    /// Entries whose weight is always 0: the special tokens.
    zeroed: Vec<u32>,
    screening: Screening,
}

impl SpladePooling {
    /// * `decoder`: (V, H).
    /// * `on_device`: the same, on the device that hidden states will be on; `None` where that is the CPU.
    /// * `bias`: (V).
    /// * `zeroed`: vocabulary ids below V.
    pub fn new(
        decoder: &Parameter,
        on_device: Option<&Tensor>,
        bias: &Parameter,
        config: PoolingConfig,
        zeroed: Vec<u32>,
        screening: Screening,
    ) -> Self {
        let (decoder, on_device, bias) = (decoder.clone(), on_device.cloned(), bias.clone());
        SpladePooling { decoder, on_device, bias, config, zeroed, screening }
    }

    /// How many logits were screened and computed on the CPU so far.
    pub fn screen_count(&self) -> ScreenCount {
        self.screening.count()
    }

    /// Pools texts over the kernels. Their logits are never written, and the decoder is read once for all of them.
    ///
    /// * `hidden`: (T, H).
    /// * `texts`: which rows are each text's, at least one row each, one text after the other. No other row is looked at.
    /// * `with_positions`: whether to remember which token won each term.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] when a logit is NaN or +∞.
    pub fn pool_on_cpu(
        &self,
        kernel: InstructionSet,
        hidden: MatRef,
        texts: &[Range<usize>],
        sharing: Parallelism,
        with_positions: bool,
    ) -> Result<Vec<PooledRow>, Error> {
        if self.config.strategy == Strategy::Sum {
            let sum = |tokens: &Range<usize>| {
                self.sum_on_cpu(kernel, hidden.rows(tokens.clone()), sharing, with_positions)
            };
            return texts.iter().map(sum).collect();
        }
        let (Some(first), Some(last)) = (texts.first(), texts.last()) else { return Ok(Vec::new()) };
        let (start, hidden) = (first.start, hidden.rows(first.start..last.end));
        let decoder = MatRef::new(self.decoder.values(), hidden.num_columns());
        let num_terms = decoder.num_rows();
        let empty = || PooledRow {
            weights: vec![0.0; num_terms],
            positions: vec![0; if with_positions { num_terms } else { 0 }],
        };
        let mut rows: Vec<PooledRow> = texts.iter().map(|_| empty()).collect();
        let quantized = self.screening.quantized_tokens(kernel, hidden, decoder, self.bias.values());
        let width = sharing.share(num_terms).next_multiple_of(PIECE_TERMS);
        let mut shares: Vec<Vec<TextMaxima>> = Vec::new();
        shares.resize_with(num_terms.div_ceil(width), Vec::new);
        for (tokens, row) in texts.iter().zip(&mut rows) {
            // No positions, where nobody asked for them.
            let positions = row.positions.chunks_mut(width).map(Some).chain(std::iter::repeat_with(|| None));
            let parts = row.weights.chunks_mut(width).zip(positions);
            for (share, (maxima, positions)) in shares.iter_mut().zip(parts) {
                let tokens = tokens.start - start..tokens.end - start;
                share.push(TextMaxima { tokens, maxima, positions });
            }
        }
        let pool = |(index, mut texts): (usize, Vec<TextMaxima>)| {
            let first = index * width;
            let decoder = decoder.rows(first..num_terms.min(first + width));
            let screened = quantized.as_ref().is_some_and(|quantized| {
                self.screening.maximum(kernel, hidden, quantized, decoder, first, &mut texts)
            });
            if !screened {
                kernel::maximum(kernel, hidden, decoder, &mut texts);
            }
        };
        match sharing {
            Parallelism::Single => shares.into_iter().enumerate().for_each(pool),
            Parallelism::Threads(_) => shares.into_par_iter().enumerate().for_each(pool),
        }
        rows.into_iter().map(|row| self.finish(row.weights, row.positions)).collect()
    }

    /// The sums of one text. Its logits exist for a piece of the vocabulary at a time.
    fn sum_on_cpu(
        &self,
        kernel: InstructionSet,
        hidden: MatRef,
        sharing: Parallelism,
        with_positions: bool,
    ) -> Result<PooledRow, Error> {
        let decoder = MatRef::new(self.decoder.values(), hidden.num_columns());
        let terms: Vec<Range<usize>> = (0..decoder.num_rows())
            .step_by(PIECE_TERMS)
            .map(|first| first..decoder.num_rows().min(first + PIECE_TERMS))
            .collect();
        let piece = |terms: Range<usize>| {
            let mut logits = Matrix::new(hidden.num_rows(), terms.len());
            let bias = &self.bias.values()[terms.clone()];
            let weight = GemmWeight::Rows(decoder.rows(terms.clone()));
            kernel::linear(kernel, hidden, weight, bias, Epilogue::None, logits.rows_mut());
            let mut sums = Sums::new(terms.len(), self.config.activation);
            (0..hidden.num_rows()).for_each(|token| sums.add(token as u32, logits.rows().row(token)));
            sums
        };
        let pieces: Vec<Sums> = match sharing {
            Parallelism::Single => terms.into_iter().map(piece).collect(),
            Parallelism::Threads(_) => terms.into_par_iter().map(piece).collect(),
        };
        self.finish_sums(pieces, with_positions)
    }

    fn finish_sums(&self, pieces: Vec<Sums>, with_positions: bool) -> Result<PooledRow, Error> {
        let mut row = PooledRow { weights: Vec::new(), positions: Vec::new() };
        for piece in pieces {
            row.weights.extend(piece.weights.iter().map(|weight| *weight as f32));
            if with_positions {
                row.positions.extend(piece.positions);
            }
        }
        if row.weights.iter().any(|weight| !weight.is_finite()) {
            return Err(Error::NotFinite("a logit"));
        }
        self.zero(&mut row.weights);
        Ok(row)
    }

    /// The weights of one text from all of its logits (T, V), each position by itself and then all of them: the
    /// published order.
    pub fn pool_logits(&self, logits: &[Vec<f32>]) -> Vec<f32> {
        let mut weights = vec![0.0; self.bias.values().len()];
        for row in logits {
            for (weight, &logit) in weights.iter_mut().zip(row) {
                let value = self.config.activation.apply(logit);
                *weight = match self.config.strategy {
                    Strategy::Max if logit.is_nan() => f32::NAN,
                    Strategy::Max => value.max(*weight),
                    Strategy::Sum => value + *weight,
                };
            }
        }
        self.zero(&mut weights);
        weights
    }

    fn zero(&self, weights: &mut [f32]) {
        for &special in &self.zeroed {
            weights[special as usize] = 0.0;
        }
    }

    /// Pools one text in candle tensors, on any device: the twin of [`SpladePooling::pool_on_cpu`].
    ///
    /// * `hidden`: (T, H), f32, T at least 1.
    /// * `with_positions`: whether to remember which token won each term.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] when a logit is NaN or +∞.
    pub fn pool(&self, hidden: &Tensor, with_positions: bool) -> Result<PooledRow, Error> {
        let decoder = match &self.on_device {
            Some(decoder) => decoder.clone(),
            None => self.decoder.tensor(hidden.device())?,
        };
        let num_terms = decoder.dim(0)?;
        if self.config.strategy == Strategy::Sum {
            let logits = hidden.matmul(&decoder.t()?)?.broadcast_add(&self.bias.tensor(hidden.device())?)?;
            let mut sums = Sums::new(num_terms, self.config.activation);
            for (token, row) in logits.to_vec2()?.iter().enumerate() {
                sums.add(token as u32, row);
            }
            return self.finish_sums(vec![sums], with_positions);
        }
        let (mut maxima, mut positions) = (Vec::with_capacity(num_terms), Vec::new());
        for start in (0..num_terms).step_by(TILE) {
            let tile = decoder.narrow(0, start, TILE.min(num_terms - start))?;
            let (tile_maxima, tile_positions) = tile_maximum(hidden, &tile, with_positions)?;
            maxima.extend(tile_maxima);
            positions.extend(tile_positions);
        }
        self.finish(maxima, positions)
    }

    /// The weights of a text from its largest products, the bias not yet added.
    ///
    /// A logit of −∞ gives the weight 0, as in PyTorch: biases of −∞ and of the lowest f32 take a term out of the
    /// vocabulary.
    fn finish(&self, maxima: Vec<f32>, positions: Vec<u32>) -> Result<PooledRow, Error> {
        let mut row = PooledRow { weights: maxima, positions };
        for (weight, bias) in row.weights.iter_mut().zip(self.bias.values()) {
            let logit = *weight + bias;
            if logit.is_nan() || logit == f32::INFINITY {
                return Err(Error::NotFinite("a logit"));
            }
            *weight = self.config.activation.apply(logit);
        }
        self.zero(&mut row.weights);
        Ok(row)
    }
}

/// The largest product of any token with each row of `tile`, and which token gave it.
fn tile_maximum(hidden: &Tensor, tile: &Tensor, with_positions: bool) -> Result<(Vec<f32>, Vec<u32>), Error> {
    let logits = hidden.matmul(&tile.t()?)?;
    if !logits.device().is_cpu() {
        let positions = if with_positions { logits.argmax(0)?.to_vec1()? } else { Vec::new() };
        return Ok((logits.max(0)?.to_vec1()?, positions));
    }
    let width = logits.dim(D::Minus1)?;
    let mut maxima = vec![f32::NEG_INFINITY; width];
    let mut positions = vec![0; if with_positions { width } else { 0 }];
    let (storage, layout) = logits.storage_and_layout();
    let (start, end) = layout.contiguous_offsets().expect("a product is contiguous, anything else is a bug");
    if let Storage::Cpu(storage) = &*storage {
        fold_maximum(&storage.as_slice::<f32>()?[start..end], &mut maxima, &mut positions);
    }
    Ok((maxima, positions))
}

/// Folds rows of logits into `maxima`, and the row that won into `positions` unless that is empty.
///
/// The first of equal logits wins. A NaN wins once and for all, so that it is
/// seen in the end.
fn fold_maximum(logits: &[f32], maxima: &mut [f32], positions: &mut [u32]) {
    for (position, row) in logits.chunks_exact(maxima.len()).enumerate() {
        if positions.is_empty() {
            for (maximum, &logit) in maxima.iter_mut().zip(row) {
                *maximum = if logit > *maximum || logit.is_nan() { logit } else { *maximum };
            }
        } else {
            for ((maximum, winner), &logit) in maxima.iter_mut().zip(positions.iter_mut()).zip(row) {
                if logit > *maximum || logit.is_nan() {
                    (*maximum, *winner) = (logit, position as u32);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conventions::PoolingActivation;
    use candle_core::Device;

    /// The published order, with the (T, V) logits in full: the twin that `pool` is compared with.
    fn pool_naive(
        hidden: &[Vec<f32>],
        decoder: &[Vec<f32>],
        bias: &[f32],
        activation: PoolingActivation,
    ) -> Vec<f32> {
        let weight = |term: usize| {
            hidden.iter().map(move |token| {
                let product: f64 = token.iter().zip(&decoder[term]).map(|(a, b)| f64::from(a * b)).sum();
                let logit = product + f64::from(bias[term]);
                match activation {
                    PoolingActivation::Relu => logit.max(0.0).ln_1p(),
                    PoolingActivation::Log1pRelu => logit.max(0.0).ln_1p().ln_1p(),
                }
            })
        };
        (0..decoder.len()).map(|term| weight(term).fold(0.0, f64::max) as f32).collect()
    }

    /// Numbers in [-1, 1) from a fixed multiplicative generator.
    fn numbers(rows: usize, columns: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut state = seed.wrapping_mul(2) + 1;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..rows).map(|_| (0..columns).map(|_| next()).collect()).collect()
    }

    fn tensor(rows: &[Vec<f32>]) -> Tensor {
        Tensor::from_vec(rows.concat(), (rows.len(), rows[0].len()), &Device::Cpu).expect("shape fits")
    }

    fn pooling(
        decoder: &[Vec<f32>],
        bias: &[f32],
        config: impl Into<PoolingConfig>,
        zeroed: &[u32],
    ) -> SpladePooling {
        let config = config.into();
        let bias = Parameter::owned(bias.to_vec(), &[bias.len()]);
        let decoder = Parameter::owned(decoder.concat(), &[decoder.len(), decoder[0].len()]);
        SpladePooling::new(&decoder, None, &bias, config, zeroed.to_vec(), Screening::default())
    }

    /// Biases that take terms out of the vocabulary, among others that leave some of them.
    #[test]
    fn biases_of_minus_infinity_and_of_the_lowest_f32_give_no_weight() {
        let terms = 2 * PIECE_TERMS + 37;
        let (hidden, decoder) = (numbers(24, 64, 1), numbers(terms, 64, 2));
        let mut bias: Vec<f32> = numbers(1, terms, 3).remove(0).iter().map(|bias| bias - 6.0).collect();
        let is_out = |term: usize| term % 7 == 3;
        for term in (0..terms).filter(|&term| is_out(term)) {
            // The lowest f32 with a product added is itself, or −∞ where the product is as low.
            bias[term] = [f32::NEG_INFINITY, f32::MIN, f32::MIN.next_up()][term % 3];
        }
        let (plain, rows) = (pool_naive(&hidden, &decoder, &bias, PoolingActivation::Relu), hidden.concat());
        assert!((0..terms).all(|term| !is_out(term) || plain[term] == 0.0));
        assert!(plain.iter().filter(|weight| **weight > 0.0).count() > 20);
        for kernel in InstructionSet::available() {
            let pooled = |screening: Screening, bias: &[f32], scale: f32| {
                let mut pooling = pooling(&decoder, bias, PoolingActivation::Relu, &[]);
                pooling.screening = screening;
                let rows: Vec<f32> = rows.iter().map(|value| value * scale).collect();
                let text = 0..hidden.len();
                let row = pooling
                    .pool_on_cpu(kernel, MatRef::new(&rows, 64), &[text], Parallelism::Single, true)
                    .map(|mut rows| rows.remove(0));
                (row, pooling.screen_count())
            };
            let (screened, count) = pooled(Screening::default(), &bias, 1.0);
            let (whole, _) = pooled(Screening::off(), &bias, 1.0);
            let (screened, whole) = (screened.expect("pools"), whole.expect("pools"));
            assert_eq!(count.pairs > 0, Screening::instructions(kernel).is_some(), "{kernel:?}: {count:?}");
            assert!(
                count.computed * 4 < count.pairs.max(1),
                "{kernel:?}: a term spoils the screen, {count:?}"
            );
            for (term, naive) in plain.iter().enumerate() {
                let (one, other) = (screened.weights[term], whole.weights[term]);
                assert_eq!(one.to_bits(), other.to_bits(), "{kernel:?} {term}");
                assert!(one == 0.0 || screened.positions[term] == whole.positions[term], "{kernel:?} {term}");
                assert!((one - naive).abs() < 1e-5, "{kernel:?} {term}: {one} {naive}");
            }
            // Products so large that their sum with the lowest f32 is −∞.
            for screening in [Screening::default(), Screening::off()] {
                let row = pooled(screening, &vec![f32::MIN; terms], 1e36).0.expect("pools");
                assert!(row.weights.iter().all(|weight| *weight == 0.0), "{kernel:?}");
            }
            for spoiled in [f32::NAN, f32::INFINITY] {
                for screening in [Screening::default(), Screening::off()] {
                    let mut bias = bias.clone();
                    bias[5] = spoiled;
                    let row = pooled(screening, &bias, 1.0).0;
                    assert!(matches!(row, Err(Error::NotFinite(_))), "{kernel:?} {spoiled}");
                }
            }
        }
        for strategy in [Strategy::Max, Strategy::Sum] {
            let config = PoolingConfig { strategy, ..PoolingActivation::Relu.into() };
            let pooling = pooling(&decoder, &bias, config, &[]);
            let twin = pooling.pool(&tensor(&hidden), true).expect("pools");
            let text = 0..hidden.len();
            let kernel = InstructionSet::best();
            let row = pooling
                .pool_on_cpu(kernel, MatRef::new(&rows, 64), &[text], Parallelism::Single, true)
                .expect("pools")
                .remove(0);
            for term in 0..terms {
                let (one, other) = (row.weights[term], twin.weights[term]);
                assert!((one - other).abs() < 1e-4, "{strategy:?} {term}: {one} {other}");
                assert!(!is_out(term) || (one == 0.0 && other == 0.0), "{strategy:?} {term}");
            }
        }
    }

    impl From<PoolingActivation> for PoolingConfig {
        fn from(activation: PoolingActivation) -> Self {
            PoolingConfig { activation, ..PoolingConfig::default() }
        }
    }

    #[test]
    fn sums_equal_the_published_order_over_all_logits() {
        let terms = 2 * PIECE_TERMS + 3;
        let (hidden, decoder, bias) =
            (numbers(13, 16, 1), numbers(terms, 16, 2), numbers(1, terms, 3).remove(0));
        for activation in [PoolingActivation::Relu, PoolingActivation::Log1pRelu] {
            let config = PoolingConfig { strategy: Strategy::Sum, ..activation.into() };
            let pooling = pooling(&decoder, &bias, config, &[7]);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let logits: Vec<Vec<f32>> = hidden
                .iter()
                .map(|h| decoder.iter().zip(&bias).map(|(row, bias)| dot(h, row) + bias).collect())
                .collect();
            let naive = pooling.pool_logits(&logits);
            assert!(naive[7] == 0.0 && naive.iter().filter(|weight| **weight > 1.0).count() > 100);
            let reference = pooling.pool(&tensor(&hidden), true).expect("pools");
            for (kernel, sharing) in InstructionSet::available()
                .into_iter()
                .flat_map(|kernel| [(kernel, Parallelism::Single), (kernel, Parallelism::Threads(2))])
            {
                let rows = [numbers(4, 16, 9).concat(), hidden.concat()].concat();
                let (rows, texts) = (MatRef::new(&rows, 16), [0..4, 4..17]);
                let mut pooled = pooling.pool_on_cpu(kernel, rows, &texts, sharing, true).expect("pools");
                let row = pooled.remove(1);
                assert_eq!(row.positions, reference.positions, "{kernel:?}");
                for ours in [&row.weights, &reference.weights] {
                    assert!(ours.iter().zip(&naive).all(|(a, b)| (a - b).abs() < 2e-5), "{kernel:?}");
                }
            }
        }
    }

    #[test]
    fn fused_equals_naive_at_tile_borders() {
        for (tokens, terms) in [(1, 1), (1, TILE), (2, TILE + 1), (5, TILE - 1), (13, 2 * TILE), (7, 2500)] {
            let (hidden, decoder) = (numbers(tokens, 16, 1), numbers(terms, 16, 2));
            let bias = numbers(1, terms, 3).remove(0);
            for activation in [PoolingActivation::Relu, PoolingActivation::Log1pRelu] {
                let row =
                    pooling(&decoder, &bias, activation, &[]).pool(&tensor(&hidden), true).expect("pools");
                let naive = pool_naive(&hidden, &decoder, &bias, activation);
                for (kernel, sharing) in InstructionSet::available().into_iter().zip([
                    Parallelism::Single,
                    Parallelism::Threads(3),
                    Parallelism::Threads(2),
                ]) {
                    // The same text twice, with another before it.
                    let rows = [numbers(4, 16, 9).concat(), hidden.concat(), hidden.concat()].concat();
                    let texts = [0..4, 4..4 + tokens, 4 + tokens..4 + 2 * tokens];
                    let pooled = pooling(&decoder, &bias, activation, &[])
                        .pool_on_cpu(kernel, MatRef::new(&rows, 16), &texts, sharing, true)
                        .expect("pools");
                    for twice in &pooled[1..] {
                        for (term, place) in row.positions.iter().enumerate() {
                            assert!(
                                row.weights[term] == 0.0 || twice.positions[term] == *place,
                                "{kernel:?}"
                            );
                        }
                        for (ours, reference) in twice.weights.iter().zip(&row.weights) {
                            assert!((ours - reference).abs() < 1e-6, "{kernel:?}: {ours} {reference}");
                        }
                    }
                }
                for (term, (fused, naive)) in row.weights.iter().zip(&naive).enumerate() {
                    assert!(
                        (fused - naive).abs() < 1e-6,
                        "{tokens} tokens, term {term} of {terms}: {fused} {naive}"
                    );
                }
                assert!(terms == 1 || naive.iter().any(|weight| *weight > 0.0));
            }
        }
    }

    #[test]
    fn positions_name_the_first_token_with_the_largest_logit() {
        let hidden = vec![vec![1.0, 0.0], vec![0.0, 2.0], vec![0.0, 2.0]];
        let decoder = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        let row = pooling(&decoder, &[0.0, 0.0], PoolingActivation::Relu, &[])
            .pool(&tensor(&hidden), true)
            .expect("pools");
        assert_eq!(row.positions, [0, 1]);
    }

    #[test]
    fn special_tokens_weigh_nothing() {
        let decoder = numbers(3, 4, 5);
        let pooling = pooling(&decoder, &[9.0; 3], PoolingActivation::Relu, &[1]);
        let weights = pooling.pool(&tensor(&numbers(2, 4, 6)), false).expect("pools").weights;
        assert!(weights[0] > 0.0 && weights[1] == 0.0 && weights[2] > 0.0);
    }

    #[test]
    fn negative_logits_everywhere_give_an_empty_row() {
        let pooling = pooling(&numbers(5, 4, 5), &[-99.0; 5], PoolingActivation::Relu, &[]);
        assert_eq!(pooling.pool(&tensor(&numbers(2, 4, 6)), false).expect("pools").weights, [0.0; 5]);
    }

    #[test]
    fn a_value_that_is_not_finite_is_an_error_wherever_it_stands() {
        for damaged in [f32::NAN, f32::INFINITY] {
            for token in 0..3 {
                let mut hidden = numbers(3, 4, 6);
                hidden[token][2] = damaged;
                for strategy in [Strategy::Max, Strategy::Sum] {
                    let config = PoolingConfig { strategy, ..PoolingActivation::Relu.into() };
                    let pooled =
                        pooling(&numbers(5, 4, 5), &[0.0; 5], config, &[]).pool(&tensor(&hidden), false);
                    assert!(matches!(pooled, Err(Error::NotFinite(_))), "{damaged} in token {token}");
                }
            }
        }
    }
}
