//! Limits for files, functions and lines.

use super::{Source, assert_finds, assert_no_source, root};
use std::fs;

const MAX_LINES: usize = 399;
const MAX_FUNCTION: usize = 70;
const MAX_COLUMNS: usize = 100;
const MAX_ENTRIES: usize = 20;

fn long_file(source: &Source) -> Vec<String> {
    let lines = source.before_tests().count();
    let found = (lines > MAX_LINES).then(|| format!("{}: {lines} lines", source.name));
    found.into_iter().collect()
}

/// In formatted code a function ends at the brace with the indent of its `fn`.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let is_function = line.trim_start().starts_with("fn ") || line.contains(" fn ");
        if !is_function || line.trim_start().starts_with("//") || line.ends_with([';', '}']) {
            continue;
        }
        let (body_end, signature_end) = (format!("{indent}}}"), format!("{indent})"));
        let is_end = |line: &&str| {
            *line == body_end || (line.starts_with(&signature_end) && line.ends_with(';'))
        };
        let length = lines[start..].iter().position(is_end).unwrap_or(0) + 1;
        if length > MAX_FUNCTION {
            found.push(format!("{} ({length} lines)", source.at(start + 1, line)));
        }
    }
    found
}

fn long_lines(source: &Source) -> Vec<String> {
    let lines = (1..).zip(source.text.lines());
    lines
        .filter(|(_, line)| line.chars().count() > MAX_COLUMNS)
        .map(|(number, line)| source.at(number, line))
        .collect()
}

#[test]
fn src_has_at_most_20_entries() {
    let entries = fs::read_dir(root().join("src")).expect("src").count();
    assert!(entries <= MAX_ENTRIES, "{entries} entries");
}

#[test]
fn files_have_under_400_lines_before_their_tests() {
    assert_no_source(long_file);
}

#[test]
fn functions_have_at_most_70_lines() {
    assert_no_source(long_functions);
}

#[test]
fn lines_have_at_most_100_columns() {
    assert_no_source(long_lines);
}

#[test]
fn size_checks_find_planted_violations() {
    let lines = |count: usize| "    x();\n".repeat(count);
    let tests = format!("{}#[cfg(test)]\n{}", lines(399), lines(99));
    assert_finds(long_file, "a.rs", &[&lines(400)], &[&lines(399), &tests]);
    let function = |count| format!("pub fn f(\n    a: u8,\n) {{\n{}}}\n", lines(count));
    let method = format!("    fn f() {{\n{}    }}\n}}", lines(69));
    let short = format!("fn f();\n{}}}\n", lines(99));
    assert_finds(
        long_functions,
        "a.rs",
        &[&function(67), &method],
        &[&function(66), &short],
    );
    let (line, wide) = ("x".repeat(101), "ü".repeat(100));
    assert_finds(long_lines, "a.rs", &[&line], &[&line[1..], &wide]);
}
