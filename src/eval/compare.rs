//! Two runs, query by query.

use std::collections::HashMap;

use super::{Evaluation, Measure, QueryFigures};

/// How the values of one measure differ between two runs, over the judged queries that either run has hits for; one that
/// only the other answers counts with 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// What is compared.
    pub measure: Measure,
    /// Queries that either run answers.
    pub num_queries: usize,
    /// The mean over these queries of the first run, and of the second.
    pub first: f64,
    /// See [`Comparison::first`].
    pub second: f64,
    /// Mean over the queries of the second's value less the first's.
    pub difference: f64,
    /// Queries that the second does better, alike and worse.
    pub better: usize,
    /// See [`Comparison::better`].
    pub equal: usize,
    /// See [`Comparison::better`].
    pub worse: usize,
    /// Student's paired t test, two-sided: how probable a difference as large is, if there is none; 1 where all
    /// differences are 0.
    pub p_value: f64,
}

/// Compares two runs that were judged by the same judgements and measures: a comparison for each measure that both have.
pub fn compare(first: &Evaluation, second: &Evaluation) -> Vec<Comparison> {
    let others: HashMap<&str, &QueryFigures> =
        second.queries().iter().map(|query| (query.query.as_str(), query)).collect();
    let pairs = first.queries().iter().filter_map(|query| Some((query, *others.get(query.query.as_str())?)));
    let pairs: Vec<_> = pairs.filter(|(one, other)| one.is_answered || other.is_answered).collect();
    let mut comparisons = Vec::new();
    for (place, &measure) in first.measures().iter().enumerate() {
        if let Some(other) = second.measures().iter().position(|other| *other == measure) {
            let values: Vec<(f64, f64)> =
                pairs.iter().map(|(a, b)| (a.values[place], b.values[other])).collect();
            comparisons.push(comparison(measure, &values));
        }
    }
    comparisons
}

fn comparison(measure: Measure, values: &[(f64, f64)]) -> Comparison {
    let count = values.len();
    let mean = |sum: f64| sum / count.max(1) as f64;
    let differences: Vec<f64> = values.iter().map(|(first, second)| second - first).collect();
    let better = differences.iter().filter(|&&difference| difference > 0.0).count();
    let worse = differences.iter().filter(|&&difference| difference < 0.0).count();
    Comparison {
        measure,
        num_queries: count,
        first: mean(values.iter().fold(0.0, |sum, value| sum + value.0)),
        second: mean(values.iter().fold(0.0, |sum, value| sum + value.1)),
        difference: mean(differences.iter().fold(0.0, |sum, difference| sum + difference)),
        better,
        equal: count - better - worse,
        worse,
        p_value: paired_t_test(&differences),
    }
}

fn paired_t_test(differences: &[f64]) -> f64 {
    let count = differences.len() as f64;
    if differences.iter().all(|&difference| difference == 0.0) || count < 2.0 {
        return 1.0;
    }
    let mean = differences.iter().sum::<f64>() / count;
    let variance =
        differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0);
    if variance == 0.0 {
        return 0.0;
    }
    let t = mean / (variance / count).sqrt();
    let freedom = count - 1.0;
    incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))
}

/// The regularised incomplete beta function I_x(a, b), by its continued fraction (Abramowitz and Stegun 26.5.8, evaluated
/// as Lentz does).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast below the mean only; above it, the other tail is computed.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let tiny = 1e-300;
    let nonzero = |value: f64| if value.abs() < tiny { tiny } else { value };
    let (mut c, mut d) = (1.0, 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..500 {
        let m = f64::from(step);
        for numerator in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / nonzero(1.0 + numerator * d);
            c = nonzero(1.0 + numerator / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// ln Γ(x) for x > 0: Stirling's series above 10, and the recurrence up to there.
fn ln_gamma(x: f64) -> f64 {
    if x < 10.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    // The values are scipy.special.betainc's and math.lgamma's.
    #[test]
    fn special_functions_are_scipys() {
        for (a, b, x, expected) in [
            (0.5, 0.5, 0.25, 0.333_333_333_333_333_3),
            (112.0, 0.5, 0.98, 0.033_592_338_697_657_39),
            (112.0, 0.5, 0.999, 0.636_301_109_446_060_4),
            (2.0, 0.5, 0.1, 0.003_882_537_046_960_510_7),
            (1.0, 0.5, 0.9, 0.683_772_233_983_162_1),
        ] {
            let found = incomplete_beta(a, b, x);
            assert!((found - expected).abs() < 1e-12 * expected.max(1e-3), "I_{x}({a}, {b}) is {found}");
        }
    }
}
