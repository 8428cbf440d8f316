//! A page as one HTML file that needs nothing else.

use std::fmt::{self, Display, Formatter, Write as _};
use std::io::{self, Write};

use base64::prelude::{Engine as _, BASE64_STANDARD};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Colours in light and dark, type, tables, the ring around what has the focus, print.
const BASE_STYLE: &str = include_str!("page.css");

/// A page to be written.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// Title of the document.
    pub title: &'a str,
    /// Style sheets that follow the base one.
    pub styles: &'a [&'a str],
    /// What stands on it, as HTML in which every text from outside is [`Escaped`].
    pub body: &'a str,
    /// Scripts that run in this order when the body is there. What they work on is the JSON in `#data`.
    pub scripts: &'a [&'a str],
}

impl Page<'_> {
    /// Writes the page with the data of its scripts, which they find as JSON in `#data`.
    ///
    /// # Errors
    ///
    /// If `data` cannot be JSON or `out` fails.
    pub fn write(&self, out: &mut impl Write, data: &impl Serialize) -> io::Result<()> {
        let script = format!("\"use strict\";\n{}", self.scripts.concat());
        // Of all scripts only this one runs, were a text from outside ever taken for one.
        let hash = BASE64_STANDARD.encode(Sha256::digest(&script));
        write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{BASE_STYLE}{}</style>\n</head>\n<body>\n{}\n\
         <script type=\"application/json\" id=\"data\">{}</script>\n<script>{script}</script>\n</body>\n</html>\n",
        Escaped(self.title),
        self.styles.concat(),
        self.body,
        inert(&serde_json::to_string(data)?),
    )
    }
}

/// JSON in which nothing ends a script, opens a comment or breaks a line of JavaScript. These characters stand in
/// strings only, where an escape means the same.
fn inert(json: &str) -> String {
    let mut inert = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string cannot fail.
                let _ = write!(inert, "\\u{:04x}", u32::from(character));
            }
            _ => inert.push(character),
        }
    }
    inert
}

/// A text as HTML shows it: in an element or in an attribute between double quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                // A parser would read a line feed.
                '\r' => formatter.write_str("&#13;")?,
                // There is no way to write it.
                '\0' => formatter.write_char(char::REPLACEMENT_CHARACTER)?,
                _ => formatter.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// `3 texts`, `1 text`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "</script><!--<script>alert('1')</script>&amp;\"\u{2028}\u{2029}\r\n";

    #[test]
    fn data_cannot_leave_its_element_and_means_the_same() {
        let json = serde_json::to_string(HOSTILE).expect("JSON");
        let inert = inert(&json);
        assert!(!inert.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{inert}");
        assert_eq!(serde_json::from_str::<String>(&inert).expect("JSON"), HOSTILE);
    }

    #[test]
    fn a_text_opens_no_element_and_closes_no_attribute() {
        assert_eq!(
            Escaped("<b a=\"'\">\r\n&amp;\0").to_string(),
            "&lt;b a=&quot;'&quot;&gt;&#13;\n&amp;amp;\u{fffd}"
        );
    }

    #[test]
    fn a_page_is_one_document_whose_policy_allows_its_own_script() {
        let page = Page {
            title: HOSTILE,
            styles: &["p{}"],
            body: "<p>text</p>",
            scripts: &["let a = 1;", "let b = 2;"],
        };
        let mut written = Vec::new();
        page.write(&mut written, &HOSTILE).expect("memory");
        let written = String::from_utf8(written).expect("UTF-8");
        assert_eq!(written.matches("</script>").count(), 2, "that of the data and that of the script");
        // By `printf '"use strict";\nlet a = 1;let b = 2;' | openssl dgst -sha256 -binary | base64`.
        assert!(
            written.contains("script-src 'sha256-N8wc5xKQz/SfDVpZDOC/k/owUXyZbC7mXTOyM6v+mTA='"),
            "{written}"
        );
    }
}
