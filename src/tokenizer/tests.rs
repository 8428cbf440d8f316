//! Pieces against whole texts: the judge is the `tokenizers` crate with all of a text.

use std::fs;
use std::path::Path;

use base64::Engine;
use serde_json::{json, Map, Value};

use super::*;

/// What texts are made of: whatever some step of some tokenizer looks at.
const ATOMS: &[&str] = &[
    "a",
    "b",
    "the",
    "x",
    "é",
    "ß",
    "İ",
    "Σ",
    "слово",
    "שלום",
    "क",
    "कि",
    "ไทย",
    "中",
    "文",
    "か",
    "が",
    "ハ",
    "한",
    "각",
    "ᄀ",
    "ᅡ",
    "ᆨ",
    " ",
    " ",
    "  ",
    "   ",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "\u{2003}",
    "\u{85}",
    "\u{2028}",
    "!",
    "!",
    ".",
    ",",
    "-",
    "'",
    "'s",
    "'ll",
    "'S",
    "[",
    "]",
    "_",
    "<",
    ">",
    "|",
    "…",
    "。",
    "、",
    "—",
    "¿",
    "₹",
    "😀",
    "🏳️‍🌈",
    "🇩🇪",
    "1",
    "23",
    "٣",
    "½",
    "²",
    "\u{301}",
    "\u{327}",
    "\u{302e}",
    "\u{1d165}",
    "\u{e31}",
    "\u{3099}",
    "\u{0}",
    "\u{7}",
    "\u{200b}",
    "\u{200d}",
    "\u{ad}",
    "\u{feff}",
    "\u{fffd}",
    "≮",
    "ﬁ",
    "Ａ",
    "！",
    "＇",
    "ｶﾞ",
    "\u{1100}",
    "[MASK]",
    "<mask>",
    "<r>",
    "foo",
    "Foo",
    "é b",
    "▁",
    "_x",
    "\u{600}",
    "\u{378}",
    "\u{37e}",
    "\u{2017}",
];

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.below(30) {
            let atom = ATOMS[self.below(ATOMS.len())];
            let times = if self.below(6) == 0 { self.below(12) } else { 1 };
            text.push_str(&atom.repeat(times));
        }
        text
    }
}

fn token(content: &str, change: &[&str]) -> Value {
    let is = |what: &str| change.contains(&what);
    json!({"id": 0, "content": content, "single_word": is("single_word"), "lstrip": is("lstrip"),
           "rstrip": is("rstrip"), "normalized": is("normalized"), "special": !is("normalized")})
}

/// A map of characters as SentencePiece writes it: a trie of bytes in blocks of 256 units, then the texts.
fn charsmap(map: &[(&str, &str)]) -> String {
    let mut units = vec![0u32; 256];
    let mut nodes = vec![(Vec::<u8>::new(), 0u32)];
    let mut texts = Vec::new();
    for (from, to) in map {
        let mut node = 0;
        for end in 1..=from.len() {
            let path = &from.as_bytes()[..end];
            let next = nodes.iter().position(|(known, _)| known == path).unwrap_or_else(|| {
                nodes.push((path.to_vec(), units.len() as u32));
                let (base, child) = (nodes[node].1, units.len() as u32);
                units.extend([0; 256]);
                let byte = u32::from(path[end - 1]);
                let place = base ^ byte;
                units[place as usize] = ((place ^ child) << 10) | byte;
                nodes.len() - 1
            });
            if end == from.len() {
                let parent = nodes.iter().position(|(known, _)| known == &path[..end - 1]).expect("a node");
                units[(nodes[parent].1 ^ u32::from(path[end - 1])) as usize] |= 1 << 8;
                units[nodes[next].1 as usize] = texts.len() as u32;
            }
            node = next;
        }
        texts.extend(to.as_bytes());
        texts.push(0);
    }
    let units: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let bytes = [&(units.len() as u32).to_le_bytes(), &units[..], &texts].concat();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn bert(clean: bool, chinese: bool, strip: Option<bool>, lower: bool) -> Value {
    json!({"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": strip,
           "lowercase": lower})
}

fn byte_level(prefix: bool, regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex})
}

fn metaspace(scheme: &str) -> Value {
    json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true})
}

fn sequence(key: &str, steps: &[Value]) -> Value {
    json!({"type": "Sequence", key: steps})
}

fn normalizers() -> Vec<Value> {
    let replace =
        |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let plain = |name: &str| json!({"type": name});
    // It drops no character: the crate then gives wrong spans for what comes after.
    let precompiled = json!({"type": "Precompiled", "precompiled_charsmap": charsmap(&[
        ("\u{a0}", " "), ("\n", " "), ("e\u{301}", "E"), ("…", "..."), ("！", "!"), ("ｶﾞ", "ガ"), ("b", "bb"),
    ])});
    let collapse = replace(json!({"Regex": " {2,}"}), " ");
    vec![
        Value::Null,
        bert(true, true, None, true),
        bert(true, true, Some(false), true),
        bert(false, false, Some(true), false),
        bert(true, false, None, false),
        plain("NFC"),
        plain("NFKC"),
        sequence("normalizers", &[plain("NFD"), plain("Lowercase"), plain("StripAccents")]),
        sequence("normalizers", &[plain("Lowercase"), bert(true, true, None, true)]),
        sequence("normalizers", &[plain("Nmt"), plain("NFKC"), collapse.clone()]),
        replace(json!({"String": " "}), "!"),
        precompiled.clone(),
        sequence("normalizers", &[precompiled, collapse.clone()]),
        // Nothing is known of these, and nothing may be cut.
        json!({"type": "Prepend", "prepend": "▁"}),
        json!({"type": "Strip", "strip_left": true, "strip_right": true}),
        replace(json!({"String": "ab"}), "x"),
        sequence("normalizers", &[replace(json!({"String": "x"}), "\u{301}"), plain("NFC")]),
        sequence("normalizers", &[replace(json!({"String": "!"}), " "), collapse.clone()]),
    ]
}

fn pre_tokenizers() -> Vec<Value> {
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let plain = |name: &str| json!({"type": name});
    let both = |steps: &[Value]| sequence("pretokenizers", steps);
    let mut all = vec![
        plain("BertPreTokenizer"),
        byte_level(false, true),
        byte_level(true, true),
        both(&[split(rules::GPT2), byte_level(false, false)]),
        metaspace("always"),
        metaspace("first"),
        metaspace("never"),
        plain("Whitespace"),
        plain("WhitespaceSplit"),
        both(&[plain("WhitespaceSplit"), metaspace("always")]),
        both(&[plain("WhitespaceSplit"), metaspace("first")]),
        both(&[plain("BertPreTokenizer"), metaspace("first")]),
        both(&[json!({"type": "Digits", "individual_digits": true}), byte_level(true, true)]),
        both(&[json!({"type": "Punctuation", "behavior": "Isolated"}), plain("Whitespace")]),
        both(&[json!({"type": "Digits", "individual_digits": false}), byte_level(false, true)]),
        json!({"type": "Punctuation", "behavior": "MergedWithNext"}),
        json!({"type": "CharDelimiterSplit", "delimiter": "b"}),
        json!({"type": "CharDelimiterSplit", "delimiter": "a"}),
        json!({"type": "FixedLength", "length": 3}),
        split(r"a+|\s"),
        Value::Null,
    ];
    all.extend(rules::GPT4.map(|pattern| both(&[split(pattern), byte_level(false, false)])));
    all
}

/// Sets of added tokens, from none to those that reach as far as they can.
fn added() -> Vec<Value> {
    vec![
        json!([]),
        json!([token("[MASK]", &[]), token("<r>", &[])]),
        json!([token("<mask>", &["lstrip"]), token("<r>", &["rstrip"])]),
        json!([token("  ", &["normalized"]), token("   ", &["normalized"]), token("é b", &["normalized"])]),
        json!([token("foo", &["single_word"]), token("Foo", &["single_word", "normalized"])]),
        json!([token("[MASK]", &["lstrip", "rstrip", "normalized"]), token(". ", &[]), token("\n\n", &[])]),
    ]
}

/// A vocabulary that tells most words apart. Its longest words are unknown to WordPiece, as is a word that it cannot spell.
fn model(kind: &str) -> Value {
    let letters = "abethxfoFéß!.,-'[]_<>|▁ 中文か123слв😀ĠĊ";
    let mut terms = vec!["[UNK]".to_string()];
    for letter in letters.chars() {
        terms.push(letter.to_string());
        terms.push(format!("##{letter}"));
    }
    terms
        .extend(["the", "th", "foo", "  ", " b", "ab", "!!", "▁a", "Ġa", "ĠĠ", "aa", "bb"].map(String::from));
    let ids: Map<String, Value> =
        terms.iter().enumerate().map(|(id, term)| (term.clone(), json!(id))).collect();
    match kind {
        "WordPiece" => json!({"type": kind, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                              "max_input_chars_per_word": 5, "vocab": ids}),
        "BPE" => json!({"type": kind, "unk_token": "[UNK]", "fuse_unk": true, "vocab": ids,
                        "merges": [["a", "a"], ["Ġ", "a"], ["Ġ", "Ġ"], ["t", "h"], ["th", "e"], ["!", "!"], ["b", "b"]]}),
        _ => {
            let scores: Vec<Value> =
                terms.iter().enumerate().map(|(id, term)| json!([term, -(id as f64)])).collect();
            json!({"type": "Unigram", "unk_id": 0, "vocab": scores, "byte_fallback": false})
        }
    }
}

fn load(folder: &Path, tokenizer: &Value) -> Result<(Tokenizer, tokenizers::Tokenizer), String> {
    let bytes = serde_json::to_vec(tokenizer).expect("JSON");
    fs::write(folder.join("tokenizer.json"), &bytes).expect("written");
    let files = ModelFiles::folder("test", folder.to_path_buf());
    let spec = ModelSpec::read_tokenizer(&files).map_err(|error| error.to_string())?;
    let (ours, _) = Tokenizer::open(&files, &spec, None).map_err(|error| error.to_string())?;
    // Not loaded again: of two added tokens that normalize to the same text, either may be found.
    let mut library = ours.inner.clone();
    library.with_post_processor(ours.span_steps[0].clone());
    Ok((ours, library))
}

/// Compares everything that is made of a text with the whole text's tokens; whether it was not refused.
fn compare(tokenizer: &Tokenizer, library: &tokenizers::Tokenizer, text: &str, what: &str) -> bool {
    // Added tokens that take white space with them can overlap, which the crate does not survive.
    let Ok(whole) = catch_error(|| library.encode(text, false)) else { return true };
    let ids = whole.get_ids();
    let spans: Vec<_> = whole.get_offsets().iter().map(|&(start, end)| start..end).collect();
    let what = format!("{text:?} with {what}");
    match tokenizer.num_tokens(text) {
        Ok(num_tokens) => assert_eq!(num_tokens, ids.len(), "{what}"),
        Err(error) => {
            assert!(error.to_string().contains("holds no place where it can be split"), "{error}: {what}");
            return false;
        }
    }
    let windows = tokenizer.clone().bare(false).encode_windows(text, 0).expect("one window");
    assert_eq!(windows.iter().map(|window| &window.ids[..]).collect::<Vec<_>>(), [ids], "{what}");
    for (length, truncation) in [
        (1, TruncationSide::Right),
        (3, TruncationSide::Left),
        (4, TruncationSide::Right),
        (100, TruncationSide::Left),
    ] {
        let tokenizer = tokenizer.with_limit(length).truncated_at(truncation);
        let cut = ids.len().saturating_sub(length);
        let kept = match truncation {
            TruncationSide::Right => 0..ids.len() - cut,
            TruncationSide::Left => cut..ids.len(),
        };
        let what = format!("{what}, {length} from {truncation:?}");
        let tokens = TokenIds { ids: ids[kept.clone()].to_vec(), is_cut: cut > 0 };
        // Read from its other end, a text falls into other pieces, of which one can be a little too long.
        let Ok(ours) = tokenizer.encode(text) else { return false };
        assert_eq!(ours, tokens, "{what}");
        let ours: Vec<_> = tokenizer.spans(text).expect("spans").into_iter().flatten().collect();
        // Where such a mark ends a word, and changes places with others as it is normalized, the crate gives the place of
        // another one: of those that are left, if the word was shortened.
        let has_moving_marks =
            text.contains(['\u{302e}', '\u{1d165}']) && tokenizer.splitter.min_removed_bytes < 10;
        assert!(
            has_moving_marks || ours == spans[kept.clone()],
            "spans of {what}: {ours:?}, not {:?}",
            &spans[kept]
        );
    }
    for (length, overlap) in [(2, 0), (5, 3)] {
        let windows = tokenizer.with_limit(length).encode_windows(text, overlap).expect("windows");
        let mut start = 0;
        for (index, window) in windows.iter().enumerate() {
            let end = ids.len().min(start + length);
            assert_eq!(window.ids, ids[start..end], "window {index} of {length} less {overlap}: {what}");
            assert_eq!(end == ids.len(), index + 1 == windows.len(), "{what}");
            start += length - overlap;
        }
    }
    true
}

#[test]
fn pieces_have_the_tokens_of_the_whole_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let post_processors = [
        Value::Null,
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        json!({"type": "Sequence", "processors": [
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]}),
    ];
    let (mut num_texts, mut num_split) = (0, 0);
    for normalizer in &normalizers() {
        for pre_tokenizer in &pre_tokenizers() {
            for _ in 0..2 {
                let sets = added();
                let kind = ["WordPiece", "BPE", "Unigram"][numbers.below(3)];
                let description = json!({
                    "version": "1.0", "truncation": null, "padding": null, "decoder": null,
                    "added_tokens": sets[numbers.below(sets.len())], "normalizer": normalizer,
                    "pre_tokenizer": pre_tokenizer, "model": model(kind),
                    "post_processor": post_processors[numbers.below(3)],
                });
                let (mut tokenizer, library) = load(folder.path(), &description).expect("a tokenizer");
                let short = format!(
                    "{kind} {} {} {}{:.200}",
                    description["pre_tokenizer"],
                    description["added_tokens"],
                    description["post_processor"],
                    description["normalizer"].to_string()
                );
                for _ in 0..5 {
                    let text = numbers.text();
                    tokenizer.splitter.piece_bytes = 1 + numbers.below(4) * numbers.below(4);
                    num_split += usize::from(tokenizer.pieces(&text, TextEnd::First, 1).count() > 1);
                    num_texts += 1;
                    let bytes = tokenizer.splitter.piece_bytes;
                    let what = format!("pieces of {bytes}, {short}");
                    assert!(compare(&tokenizer, &library, &text, &what), "refused: {text:?} with {what}");
                }
            }
        }
    }
    assert!(num_split * 4 > num_texts, "{num_split} of {num_texts} texts were split");
}

#[test]
fn pieces_have_the_tokens_of_the_whole_text_for_real_tokenizers() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = ["roberta-bf16", "modernbert", "gte-new"];
    let folders = folders.map(|name| ModelFiles::folder(name, fixtures.join(name)));
    let words = fs::read_to_string(fixtures.join("texts.jsonl")).expect("texts");
    let mut numbers = Numbers(0xda94_2042_e4dd_58b5);
    for files in folders.into_iter().chain([ModelFiles::tiny()]) {
        let spec = ModelSpec::read(&files, None).expect("a sound model");
        let tokenizer = Tokenizer::load(&files, &spec).expect("a tokenizer");
        let mut tokenizer = tokenizer.bare(false);
        let mut library = tokenizer.inner.clone();
        library.with_post_processor(tokenizer.span_steps[0].clone());
        let awkward: Vec<String> = (0..12).map(|_| numbers.text()).collect();
        for line in words.lines().take(12).chain(awkward.iter().map(String::as_str)) {
            tokenizer.splitter.piece_bytes = 1 + numbers.below(20);
            assert!(compare(&tokenizer, &library, line, files.name()), "refused: {line:?}");
        }
    }
}

#[test]
fn shortened_runs_have_the_tokens_of_the_whole_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let (mut num_texts, mut num_shortened, mut num_refused) = (0, 0, 0);
    let plain = |name: &str| json!({"type": name});
    for pre_tokenizer in [plain("BertPreTokenizer"), json!({"type": "CharDelimiterSplit", "delimiter": "b"})]
    {
        for normalizer in &normalizers()[..9] {
            for tokens in &added() {
                let description = json!({
                    "version": "1.0", "truncation": null, "padding": null, "decoder": null, "added_tokens": tokens,
                    "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "model": model("WordPiece"),
                    "post_processor": null,
                });
                let (mut tokenizer, library) = load(folder.path(), &description).expect("a tokenizer");
                tokenizer.splitter.min_removed_bytes = 3;
                for _ in 0..20 {
                    tokenizer.splitter.piece_bytes = 1 + numbers.below(6);
                    tokenizer.splitter.max_unsplit_bytes = 24 + numbers.below(20);
                    let mut text = numbers.text();
                    let long =
                        ["a", "\u{301}", "\u{200b}", "a\u{301}\u{302}", "x\u{1d165}", "слово", "\u{7}", "😀"];
                    for _ in 0..numbers.below(3) {
                        text.push_str(&long[numbers.below(long.len())].repeat(numbers.below(40)));
                        text.push_str(&numbers.text());
                    }
                    let is_shortened = tokenizer
                        .pieces(&text, TextEnd::First, 1)
                        .any(|piece| piece.is_ok_and(|piece| piece.text.len() < piece.range.len()));
                    num_texts += 1;
                    num_shortened += usize::from(is_shortened);
                    let what = format!("{normalizer} {tokens} {pre_tokenizer}");
                    let is_refused = !compare(&tokenizer, &library, &text, &what);
                    num_refused += usize::from(is_refused);
                }
            }
        }
    }
    assert!(num_shortened * 20 > num_texts, "{num_shortened} of {num_texts} texts were shortened");
    // Those with added tokens that stand inside words, of which most of these sets have one.
    assert!(num_refused * 10 < num_texts * 9, "{num_refused} of {num_texts} texts were refused");
}
