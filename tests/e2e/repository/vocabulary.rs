//! The words of names and comments.

use super::{Source, assert_finds, assert_no_source, is_name, sources};

/// Words that an engineer would not use in a review, in any file below `src`.
const BANNED: &[&str] = &[
    "burial",
    "farewell",
    "fruitless",
    "hasten",
    "hastened",
    "hurry",
    "hurried",
    "knock",
    "knocked",
    "knocks",
    "lives",
    "nobody",
    "patience",
    "settle",
    "settled",
    "settles",
    "told",
    "whoever",
    "whomever",
];
/// Names of the old code, as they were written.
const BANNED_NAMES: &[&str] = &["Wire", "Told", "Varies", "AsItIs", "NotNow"];
/// Words that are rare in good comments, and their limit in a thousand words.
const RARE: &[(&[&str], f64)] = &[
    (&["what"], 3.0),
    (&["answer", "answers", "answered"], 0.9),
    (&["tell", "tells", "say", "says", "said"], 4.5),
];

/// The words of a line: `KnockTwice` and `knock_twice` have two each.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in line.chars() {
        if !c.is_alphabetic() || (was_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let (true, Some(word)) = (c.is_alphabetic(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn banned_words(source: &Source) -> Vec<String> {
    let is_banned = |line: &str| {
        words(line)
            .iter()
            .any(|word| BANNED.contains(&word.as_str()))
            || line
                .split(|c| !is_name(c))
                .any(|name| BANNED_NAMES.contains(&name))
    };
    let mut found = Vec::new();
    if is_banned(&source.name) {
        found.push(source.name.clone());
    }
    let lines = (1..).zip(source.text.lines());
    let lines = lines.filter(|(_, line)| is_banned(line));
    found.extend(lines.map(|(number, line)| source.at(number, line)));
    found
}

/// How many of a thousand words in comments are among these.
fn share_in_comments(sources: &[Source], wanted: &[&str]) -> f64 {
    let lines = sources.iter().flat_map(|source| source.text.lines());
    let comments = lines.filter_map(|line| line.split_once("//").map(|(_, comment)| comment));
    let all: Vec<String> = comments.flat_map(words).collect();
    let found = all
        .iter()
        .filter(|word| wanted.contains(&word.as_str()))
        .count();
    found as f64 * 1000.0 / all.len().max(1) as f64
}

#[test]
fn the_old_vocabulary_stays_out_of_the_source() {
    assert_no_source(banned_words);
}

#[test]
fn comments_name_their_subject() {
    for (words, limit) in RARE {
        let share = share_in_comments(&sources(), words);
        assert!(
            share <= *limit,
            "{words:?}: {share:.1} in 1,000 words, {limit} at most"
        );
    }
}

#[test]
fn vocabulary_checks_find_planted_violations() {
    assert_finds(
        banned_words,
        "app/client.rs",
        &[
            "fn knock_twice()",
            "// Lives on.",
            "struct AppPatience;",
            "use x::Wire;",
            "\"told\"",
        ],
        &[
            "knocking",
            "wire",
            "olives",
            "let timeout = 1;",
            "#[cfg(test)]\nfn x() {}",
        ],
    );
    assert_finds(banned_words, "app/knock.rs", &["//! A probe."], &[]);
    assert_finds(
        banned_words,
        "a.rs",
        &["#[cfg(test)]\nfn nobody_else() {}"],
        &[],
    );
    let source = Source::new("a.rs", "x(); // what is\n/// What else\nlet what = 1;");
    assert_eq!(share_in_comments(&[source], &["what"]), 500.0);
}
