//! Code that `src` does not contain: panics, indexes by a number, `unsafe`.

use super::{Source, assert_finds, assert_no_source, is_name};

fn missing_head(source: &Source) -> Vec<String> {
    let found = (!source.text.starts_with("//! ")).then(|| source.name.clone());
    found.into_iter().collect()
}

fn panics(source: &Source) -> Vec<String> {
    let words = [
        ".unwrap()",
        ".expect(",
        "panic!",
        "unreachable!",
        "todo!",
        "unimplemented!",
        "assert!(",
        "assert_eq!(",
    ];
    source.lines_with(|line| words.iter().any(|word| line.contains(word)))
}

/// Lines with `name[0]`, `name[..8]` or `name()[1..]`, outside their strings.
fn number_indexes(source: &Source) -> Vec<String> {
    source.lines_with(|line| {
        let outside: String = line.split('"').step_by(2).collect();
        outside.match_indices('[').any(|(at, _)| {
            let after_value = outside[..at].ends_with(|c: char| is_name(c) || "])".contains(c));
            let inside = outside[at + 1..].trim_start_matches(['.', '=']);
            after_value && inside.starts_with(|c: char| c.is_ascii_digit())
        })
    })
}

fn unsafe_code(source: &Source) -> Vec<String> {
    source.lines_with(|line| line.split(|c| !is_name(c)).any(|word| word == "unsafe"))
}

#[test]
fn files_open_with_their_purpose() {
    assert_no_source(missing_head);
}

#[test]
fn nothing_panics_on_purpose() {
    assert_no_source(panics);
}

#[test]
fn nothing_is_indexed_by_a_number() {
    assert_no_source(number_indexes);
}

#[test]
fn nothing_is_unsafe() {
    assert_no_source(unsafe_code);
}

#[test]
fn code_checks_find_planted_violations() {
    assert_finds(
        missing_head,
        "a.rs",
        &["use std::io;", ""],
        &["//! A head.\n"],
    );
    assert_finds(
        panics,
        "a.rs",
        &["x.unwrap()"],
        &["x.unwrap_or(1)", "// panic!"],
    );
    assert_finds(
        number_indexes,
        "a.rs",
        &["a[0]", "f()[1..]", "x[..8]", "a[0][1]", "self.list[..=2]"],
        &[
            "[0; 8]",
            "&mut [0]",
            "a[at]",
            "vec![0]",
            "#[1]",
            "[u8; 4]",
            "matches!(x, [1, ..])",
        ],
    );
    assert_finds(
        unsafe_code,
        "a.rs",
        &["unsafe { x }"],
        &["unsafe_code", "// unsafe"],
    );
}
