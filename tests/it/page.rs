//! The pages of `explain --html` and `score --html`.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{folder, neural_sparse, Finished};

const QUERY: &str = "What's the weather in ny now?";
const HOSTILE: &str =
    "</script><script>alert('1')</script>\n<!-- <img src=x onerror=\"alert(2)\"> &amp; \u{2028} \
                       مرحبا 日本語 😀 e\u{301}  two  spaces\r\n]]> ${x} `y`";

struct Page {
    place: TempDir,
    html: String,
}

/// The page that a command writes, without a word.
fn page(args: &[&str]) -> Page {
    let place = folder();
    let path = place.path().join("page.html");
    let args = [args, &["--model", "tiny", "--quiet", "--html", path.to_str().unwrap()]].concat();
    assert_eq!(neural_sparse(&args).run().ok(), "");
    let names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["page.html"], "one file");
    let html = fs::read_to_string(&path).unwrap();
    Page { place, html }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap_or_else(|| panic!("no {start}")).1.split_once(end).unwrap().0
}

impl Page {
    fn data(&self) -> Value {
        serde_json::from_str(between(
            &self.html,
            "<script type=\"application/json\" id=\"data\">",
            "</script>",
        ))
        .unwrap()
    }

    /// What a reader sees of each text on the page.
    fn texts(&self) -> Vec<String> {
        let parts = self.html.split("<div class=\"text\" dir=\"auto\">").skip(1);
        parts.map(|part| shown(part.split("</div>").next().unwrap())).collect()
    }
}

/// HTML without its tags, its entities as what they stand for.
fn shown(html: &str) -> String {
    let mut text = String::new();
    for (number, part) in html.split('<').enumerate() {
        text += if number == 0 { part } else { part.split_once('>').unwrap().1 };
    }
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#13;", "\r"), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, character)| text.replace(entity, character))
}

fn explained(text: &str) -> Value {
    serde_json::from_str(&neural_sparse(&["explain", "--model", "tiny", "--json", "--", text]).run().ok())
        .unwrap()
}

#[test]
fn the_page_of_a_text_says_what_explain_says() {
    let page = page(&["explain", QUERY]);
    let (data, expected) = (page.data(), explained(QUERY));
    let tokens: Vec<&Value> =
        expected["tokens"].as_array().unwrap().iter().map(|token| &token["token"]).collect();
    assert_eq!(data["text"]["tokens"].as_array().unwrap().iter().collect::<Vec<_>>(), tokens);
    let terms = expected["terms"].as_array().unwrap();
    assert_eq!(data["terms"].as_array().unwrap().len(), terms.len());
    for (found, term) in data["terms"].as_array().unwrap().iter().zip(terms) {
        let (name, weight) = (term["term"].as_str().unwrap(), term["weight"].as_f64().unwrap());
        assert_eq!(found[0], name);
        assert_eq!((&found[1], &found[2], &found[3]), (&term["weight"], &term["literal"], &term["position"]));
        // In the table too, which needs no script.
        assert!(page.html.contains(&format!("<td>{weight:.4}<td><button>{name}</button>")), "{name}");
    }
    assert_eq!(page.texts(), [QUERY]);
    // The darkest token is the one that the most weight came from.
    let mut weights = vec![0.0; tokens.len()];
    for term in terms {
        weights[term["position"].as_u64().unwrap() as usize] += term["weight"].as_f64().unwrap();
    }
    let heaviest = (0..weights.len()).max_by(|a, b| weights[*a].total_cmp(&weights[*b])).unwrap();
    assert_eq!(between(&page.html, "<span class=s8>", "</span>"), tokens[heaviest].as_str().unwrap());
    assert!(page.html.contains(&format!("</span> {:.4}</p>", weights[heaviest])), "the legend ends with it");
}

#[test]
fn texts_from_outside_stay_texts() {
    for page in [page(&["explain", HOSTILE]), page(&["score", HOSTILE, HOSTILE, "rain"])] {
        assert!(page.texts().iter().filter(|text| *text == HOSTILE).count() >= 1);
        assert_eq!(page.html.matches("<script").count(), 2);
        assert_eq!(page.html.matches("</script>").count(), 2);
        for tag in ["<img", "<!--"] {
            assert!(!page.html.contains(tag), "{tag}");
        }
    }
    assert_eq!(page(&["explain", HOSTILE]).data()["text"]["tokens"].as_array().unwrap().len(), {
        explained(HOSTILE)["tokens"].as_array().unwrap().len()
    });
}

#[test]
fn a_page_asks_for_nothing_outside() {
    for page in [page(&["explain", QUERY]), page(&["score", QUERY, "Currently New York is rainy.", "sun"])] {
        for outside in ["http:", "https:", "src=", "url(", "@import", "<link", "fetch(", "XMLHttpRequest"] {
            assert!(!page.html.contains(outside), "{outside}");
        }
        let links = page.html.matches("href=\"").count();
        assert_eq!(links, page.html.matches("href=\"#document-").count());
        assert!(page.html.contains("content=\"default-src 'none';"));
    }
}

#[test]
fn the_page_of_scores_has_those_of_score_and_their_terms() {
    let documents = ["Paris is sunny.", "Currently New York is rainy.", "zzzz"];
    let arguments = [&["score", QUERY][..], &documents].concat();
    let page = page(&arguments);
    let explain = [&arguments[..], &["--model", "tiny", "--explain", "--json"]].concat();
    let expected = neural_sparse(&explain).run().ok();
    let mut expected: Vec<Value> = expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    expected.sort_by(|a, b| b["score"].as_f64().unwrap().total_cmp(&a["score"].as_f64().unwrap()));
    let data = page.data();
    let found = data["documents"].as_array().unwrap();
    assert_eq!(found.len(), 3);
    let (query, mut texts) = (explained(QUERY), Vec::new());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found["score"], expected["score"]);
        texts.extend([QUERY, expected["document"].as_str().unwrap()]);
        let terms = expected["terms"].as_array().unwrap();
        assert_eq!(found["terms"].as_array().unwrap().len(), terms.len());
        let document = explained(expected["document"].as_str().unwrap());
        for (found, term) in found["terms"].as_array().unwrap().iter().zip(terms) {
            assert_eq!(found[0], term["term"]);
            assert_eq!((&found[1][0], &found[1][1]), (&term["query"], &term["document"]));
            assert_eq!((&found[2], &found[3]), (&term["product"], &term["share"]));
            // Each joins the tokens that explain names.
            for (side, explained) in [&query, &document].into_iter().enumerate() {
                let own =
                    explained["terms"].as_array().unwrap().iter().find(|own| own["term"] == term["term"]);
                assert_eq!(found[4][side], own.unwrap()["position"]);
            }
        }
        let score = expected["score"].as_f64().unwrap();
        assert!(
            page.html.contains(&format!("<td class=\"number\">{score:.4}<td><a href=\"#document-")),
            "{score}"
        );
    }
    assert_eq!(page.texts(), texts);
    assert!(page.html.contains("share no term: the score is 0."));
}

#[test]
fn a_text_that_is_cut_says_so_and_shows_the_rest() {
    let text = "rain and sun ".repeat(20);
    let page = page(&["explain", "--max-length", "12", &text]);
    assert_eq!(page.texts(), std::slice::from_ref(&text));
    assert!(page.html.contains("the model read 12 tokens of it, 50 more were cut."));
    let unread = shown(between(&page.html, "<i class=\"unread\">", "</i>"));
    assert!(text.ends_with(&unread) && unread.split_whitespace().count() == 50, "{unread}");
    let scored = self::page(&["score", "--max-length", "12", "rain", &text]);
    assert!(scored.html.contains("The document is longer than the limit: the model read 12 tokens"));
}

#[test]
fn a_query_that_is_looked_up_has_its_tokens_weights() {
    let place = folder();
    let path = place.path().join("page.html");
    let model = ["--model", "doc-v2-distill", "--as", "query", "--quiet"];
    neural_sparse(&[&["explain", QUERY, "--html", path.to_str().unwrap()], &model[..]].concat()).run().ok();
    let page = Page { html: fs::read_to_string(&path).unwrap(), place };
    assert_eq!(page.texts(), [QUERY]);
    assert!(page.place.path().exists());
    for term in page.data()["terms"].as_array().unwrap() {
        assert_eq!(term[2], true, "{term}");
    }
}

#[test]
fn an_empty_text_has_a_page_too() {
    let page = page(&["explain", ""]);
    assert_eq!(page.texts().concat(), "");
    assert!(page.html.contains("(empty text)"));
}

#[test]
fn a_page_is_in_nobodys_way() {
    let place = folder();
    let path = place.path().join("page.html");
    let file = path.to_str().unwrap();
    let explain = ["explain", "--model", "tiny", "rain", "--html", file];
    let Finished { code, stdout, stderr } = neural_sparse(&explain).run();
    assert_eq!((code, stdout.as_str()), (Some(0), ""));
    assert_eq!(stderr, format!("note: `{file}` is written, to be opened in a browser\n"));
    let stderr = neural_sparse(&explain).run().fails(1);
    assert!(stderr.contains("exists already"), "{stderr}");
    let printed = neural_sparse(&["explain", "--model", "tiny", "--quiet", "rain", "--html", "-"]).run().ok();
    assert_eq!(printed, fs::read_to_string(&path).unwrap());
    for args in [
        &["explain", "rain", "--html", "new.html", "--json"][..],
        &["explain", "rain", "--html", "new.html", "--output", "other"],
        &["explain", "--input", "docs.jsonl", "--html", "new.html"],
        &["score", "rain", "sun", "--html", "new.html", "--explain"],
        &["score", "rain", "sun", "--html", "new.html", "--json"],
        &["score", "--input", "pairs.jsonl", "--html", "new.html"],
        &["score", "rain", "--html", "new.html"],
    ] {
        neural_sparse(args).run().fails(2);
    }
}
