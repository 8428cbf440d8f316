//! Two runs, query by query.

use super::Figures;

/// How one figure differs between two runs, over the queries that both have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Queries that both have.
    pub num_queries: usize,
    /// Mean of the second less that of the first.
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

/// Compares a figure of two runs. Both are sorted by query id, as [`super::evaluate`] returns them.
pub fn compare(
    first: &[(String, Figures)],
    second: &[(String, Figures)],
    figure: fn(&Figures) -> f64,
) -> Comparison {
    let mut differences = Vec::new();
    let mut others = second.iter().peekable();
    for (query, figures) in first {
        while others.next_if(|other| other.0 < *query).is_some() {}
        if let Some(other) = others.next_if(|other| other.0 == *query) {
            differences.push(figure(&other.1) - figure(figures));
        }
    }
    let count = differences.len();
    let difference = differences.iter().sum::<f64>() / count.max(1) as f64;
    let better = differences.iter().filter(|&&difference| difference > 0.0).count();
    let worse = differences.iter().filter(|&&difference| difference < 0.0).count();
    Comparison {
        num_queries: count,
        difference,
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
