//! Quality against cost, as SVG in the page.

use std::fmt::Write as _;

use super::SweepPoint;
use crate::report::page::Escaped;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Room for the numbers beside the axes, and for the labels of the outermost points.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 52.0;

/// Shapes of points, so that colour alone tells nothing apart; the style has as many colours.
const MARKS: [&str; 6] = [
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "M-4.5 -4.5h9v9h-9z",
    "M0 -6L5.5 4.5h-11z",
    "M0 -6.5L6 0L0 6.5L-6 0z",
    "M0 6L5.5 -4.5h-11z",
    "M-6 -2h4v-4h4v4h4v4h-4v4h-4v-4h-4z",
];

/// From values to places.
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        self.start + (value - self.from) / (self.to - self.from) * (self.end - self.start)
    }

    /// Round numbers, four to ten of them, and their decimals.
    fn ticks(&self) -> (Vec<f64>, usize) {
        let rough = (self.to - self.from) / 8.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let (first, last) = ((self.from / step).ceil() as i64, (self.to / step).floor() as i64);
        ((first..=last).map(|number| number as f64 * step).collect(), decimals)
    }
}

/// The class of a series that gives it its colour, and its mark; no two of 36 have both in common.
fn look(number: usize) -> (usize, &'static str) {
    ((number + number / MARKS.len()) % MARKS.len(), MARKS[number % MARKS.len()])
}

/// The points of each series, by its name, in the order of their first points.
fn series(points: &[SweepPoint]) -> Vec<(&str, Vec<&SweepPoint>)> {
    let mut all: Vec<(&str, Vec<&SweepPoint>)> = Vec::new();
    for point in points {
        match all.iter_mut().find(|(name, _)| *name == point.series) {
            Some((_, points)) => points.push(point),
            None => all.push((&point.series, vec![point])),
        }
    }
    all
}

/// The marks and what they stand for.
pub(super) fn legend(points: &[SweepPoint]) -> String {
    let mut html = String::from("<ul class=\"legend\">\n");
    for (number, (name, _)) in series(points).iter().enumerate() {
        let (colour, mark) = look(number);
        // Writing to a string cannot fail.
        let _ = writeln!(
            html,
            "<li><svg class=\"s{colour}\" viewBox=\"-8 -8 16 16\" width=\"16\" height=\"16\" aria-hidden=\"true\">\
             <path d=\"{mark}\"/></svg> {}</li>",
            Escaped(name)
        );
    }
    html + "</ul>\n"
}

/// nDCG@10 of the points against their cost, with a line for each of `levels` that is in sight.
pub(super) fn svg(
    points: &[SweepPoint],
    levels: &[(f64, String)],
    title: &str,
    cost: impl Fn(&SweepPoint) -> f64,
) -> String {
    let gains = || points.iter().map(|point| point.quality);
    let (low, high) = (gains().fold(f64::MAX, f64::min), gains().fold(0.0, f64::max));
    let pad = ((high - low) * 0.06).max(0.002);
    let most = points.iter().map(&cost).fold(0.0, f64::max);
    let x = Scale { from: 0.0, to: most.max(1e-9) * 1.04, start: LEFT, end: WIDTH - RIGHT };
    let y = Scale { from: (low - pad).max(0.0), to: high + pad, start: HEIGHT - BOTTOM, end: TOP };
    let mut svg = format!(
        "<figure><svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"nDCG@10 against {}; the \
         table has the numbers\">\n",
        Escaped(title)
    );
    // Writing to a string cannot fail.
    let _ = write_axes(&mut svg, &x, &y, title);
    for (gain, label) in levels.iter().filter(|(gain, _)| *gain >= y.from) {
        let place = y.place(*gain);
        let _ = writeln!(
            svg,
            "<path class=\"level\" d=\"M{LEFT} {place:.1}H{}\"/><text class=\"level\" x=\"{}\" y=\"{:.1}\">{label}</text>",
            WIDTH - RIGHT,
            LEFT + 6.0,
            place - 4.0
        );
    }
    let mut labelled: Vec<(f64, f64)> = Vec::new();
    // Above all lines and marks.
    let mut labels = String::new();
    for (number, (_, points)) in series(points).iter().enumerate() {
        let (colour, mark) = look(number);
        let place = |point: &&SweepPoint| (x.place(cost(point)), y.place(point.quality));
        let path: Vec<String> =
            points.iter().map(place).map(|(across, down)| format!("{across:.1} {down:.1}")).collect();
        let _ = writeln!(svg, "<g class=\"s{colour}\"><path class=\"line\" d=\"M{}\"/>", path.join("L"));
        for point in points {
            let (across, down) = place(point);
            let _ = writeln!(
                svg,
                "<path d=\"{mark}\" transform=\"translate({across:.1} {down:.1})\"><title>{}: {:.5}</title></path>",
                Escaped(&point.label),
                point.quality
            );
            if point.is_chosen {
                let _ =
                    writeln!(svg, "<circle class=\"ring\" cx=\"{across:.1}\" cy=\"{down:.1}\" r=\"10\"/>");
            }
            let is_free =
                |other: &(f64, f64)| (other.0 - across).abs() > 34.0 || (other.1 - down).abs() > 14.0;
            if labelled.iter().all(is_free) {
                labelled.push((across, down));
                let _ = writeln!(
                    labels,
                    "<text class=\"value s{colour}\" x=\"{across:.1}\" y=\"{:.1}\">{}</text>",
                    down + 19.0,
                    Escaped(&point.value)
                );
            }
        }
        svg.push_str("</g>\n");
    }
    svg + &labels + "</svg></figure>\n"
}

fn write_axes(svg: &mut String, x: &Scale, y: &Scale, title: &str) -> std::fmt::Result {
    let (ticks, decimals) = y.ticks();
    for tick in ticks {
        let place = y.place(tick);
        writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {place:.1}H{}\"/><text class=\"tick left\" x=\"{}\" y=\"{:.1}\">{tick:.decimals$}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            place + 4.0
        )?;
    }
    let (ticks, decimals) = x.ticks();
    for tick in ticks {
        let place = x.place(tick);
        writeln!(
            svg,
            "<path class=\"grid\" d=\"M{place:.1} {TOP}V{}\"/><text class=\"tick\" x=\"{place:.1}\" y=\"{}\">{tick:.decimals$}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0
        )?;
    }
    writeln!(
        svg,
        "<text class=\"title\" x=\"{}\" y=\"{}\">{}</text><text class=\"title left\" x=\"{LEFT}\" y=\"14\">nDCG@10</text>",
        WIDTH / 2.0,
        HEIGHT - 8.0,
        Escaped(title)
    )
}
