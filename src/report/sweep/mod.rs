//! The page of a sweep: its settings in plots of quality against cost, and in a table.

mod figures;
mod plot;

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use super::page::{Escaped, Page};

pub use figures::SweepReport;

const STYLE: &str = include_str!("sweep.css");

/// What the page shows.
#[derive(Clone, Debug)]
pub struct SweepPage {
    /// Title of the page.
    pub title: String,
    /// What was swept, in a line below the title.
    pub subtitle: String,
    /// Which setting was chosen, in a sentence, where one was.
    pub choice: Option<String>,
    /// Levels of quality that the plots draw as lines, each with its label.
    pub levels: Vec<(f64, String)>,
    /// Titles of the plots' axes from left to right, one a plot.
    pub costs: Vec<&'static str>,
    /// Titles of the table's columns.
    pub columns: Vec<String>,
    /// The settings, in the order of the table; at least one.
    pub points: Vec<SweepPoint>,
}

/// A setting and what was found with it.
#[derive(Clone, Debug)]
pub struct SweepPoint {
    /// Name of the series that the point belongs to: what it has in common with the points it is joined with.
    pub series: String,
    /// What tells it from the other points of its series.
    pub value: String,
    /// The whole setting.
    pub label: String,
    /// nDCG@10.
    pub quality: f64,
    /// What it costs, a number for each of [`SweepPage::costs`].
    pub costs: Vec<f64>,
    /// Its row of the table, a cell for each of [`SweepPage::columns`].
    pub cells: Vec<String>,
    /// Whether it is the one that was chosen.
    pub is_chosen: bool,
}

impl SweepPage {
    /// Writes the page as one HTML file.
    ///
    /// * `data`: what the page keeps as JSON for programs that read it.
    ///
    /// # Errors
    ///
    /// If `data` cannot be JSON or `out` fails.
    pub fn write(&self, out: &mut impl Write, data: &impl Serialize) -> io::Result<()> {
        let mut body = format!(
            "<h1>{}</h1>\n<p class=\"muted\">{}</p>\n",
            Escaped(&self.title),
            Escaped(&self.subtitle)
        );
        // Writing to a string cannot fail.
        if let Some(choice) = &self.choice {
            let _ = writeln!(body, "<p class=\"kept\">{}</p>", Escaped(choice));
        }
        body.push_str("<div class=\"plots\">\n");
        for (cost, title) in self.costs.iter().enumerate() {
            body.push_str(&plot::svg(&self.points, &self.levels, title, |point| point.costs[cost]));
        }
        body.push_str("</div>\n");
        body.push_str(&plot::legend(&self.points));
        self.write_table(&mut body);
        Page { title: &self.title, styles: &[STYLE], body: &body, scripts: &[] }.write(out, data)
    }

    fn write_table(&self, body: &mut String) {
        body.push_str("<div class=\"wide\"><table>\n<thead><tr>");
        // Writing to a string cannot fail.
        for (column, title) in self.columns.iter().enumerate() {
            let class = if column > 0 { " class=\"number\"" } else { "" };
            let _ = write!(body, "<th scope=\"col\"{class}>{}</th>", Escaped(title));
        }
        body.push_str("</tr></thead>\n<tbody>\n");
        for point in &self.points {
            let class = if point.is_chosen { " class=\"kept\"" } else { "" };
            let _ = write!(body, "<tr{class}><th scope=\"row\">{}</th>", Escaped(&point.cells[0]));
            for cell in &point.cells[1..] {
                let _ = write!(body, "<td class=\"number\">{}</td>", Escaped(cell));
            }
            body.push_str("</tr>\n");
        }
        body.push_str("</tbody></table></div>");
    }
}
