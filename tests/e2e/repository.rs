//! The promises about the source a machine can check.
//!
//! They are few and plain: where a file may look, how long it is, what it must not hold, and that
//! README says what the settings are.

use std::fs;
use std::path::{Path, PathBuf};

struct Source {
    /// Below `src`, as in `http1/head.rs`.
    name: String,
    text: String,
}

impl Source {
    /// The lines before the tests, without comments, with their numbers; none of a file that is all
    /// tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let all_tests = self.name.ends_with("/tests.rs");
        let lines = self
            .text
            .lines()
            .take_while(move |line| !all_tests && line.trim() != "#[cfg(test)]");
        let lines = (1..).zip(lines);
        lines.map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let folder = root().join("src");
    let mut files = Vec::new();
    walk(&folder, &mut files);
    let read = |path: PathBuf| Source {
        name: path
            .strip_prefix(&folder)
            .expect("below src")
            .display()
            .to_string(),
        text: fs::read_to_string(&path).expect("readable"),
    };
    files.into_iter().map(read).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => walk(&path, files),
            path if path.ends_with("tests.rs") => {}
            path if path.extension().is_some_and(|end| end == "rs") => files.push(path),
            _ => {}
        }
    }
}

/// Fails with all the places the check finds.
fn nowhere(check: impl Fn(&Source) -> Vec<String>) {
    let found: Vec<String> = sources().iter().flat_map(check).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn lines_with(source: &Source, is_odd: impl Fn(&str) -> bool) -> Vec<String> {
    let odd = source.code().filter(|(_, line)| is_odd(line));
    odd.map(|(number, line)| format!("{}:{number}: {}", source.name, line.trim()))
        .collect()
}

#[test]
fn files_have_under_400_lines_before_their_tests() {
    nowhere(|source| match source.code().count() {
        0..400 => Vec::new(),
        lines => vec![format!("{}: {lines} lines", source.name)],
    });
}

#[test]
fn files_open_with_what_they_are() {
    nowhere(|source| match source.text.starts_with("//! ") {
        true => Vec::new(),
        false => vec![source.name.clone()],
    });
}

#[test]
fn nothing_panics_on_purpose() {
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
    nowhere(|source| lines_with(source, |line| words.iter().any(|word| line.contains(word))));
}

#[test]
fn nothing_is_indexed_by_a_number() {
    nowhere(|source| lines_with(source, indexes_by_number));
}

/// Whether a line holds something like `name[0]`, `name[..8]` or `name()[1..]`, outside its
/// strings.
fn indexes_by_number(line: &str) -> bool {
    let outside: String = line.split('"').step_by(2).collect();
    outside.match_indices('[').any(|(at, _)| {
        let after_value =
            outside[..at].ends_with(|c: char| c.is_alphanumeric() || "_])".contains(c));
        let inside = outside[at + 1..].trim_start_matches(['.', '=']);
        after_value && inside.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[test]
fn the_finders_find() {
    for line in ["a[0]", "f()[1..]", "x[..8]", "a[0][1]", "self.list[..=2]"] {
        assert!(indexes_by_number(line), "{line}");
    }
    for line in [
        "[0; 8]",
        "&mut [0]",
        "a[at]",
        "vec![0]",
        "#[1]",
        "[u8; 4]",
        "matches!(x, [1, ..])",
    ] {
        assert!(!indexes_by_number(line), "{line}");
    }
}

#[test]
fn nothing_is_unsafe() {
    nowhere(|source| {
        lines_with(source, |line| {
            line.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe")
        })
    });
}

#[test]
fn readme_has_a_row_for_each_setting() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let rows: Vec<_> = readme
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for setting in lambda_adapter::config::SETTINGS {
        let row = rows
            .iter()
            .find(|row| row.contains(&format!("`{}`", setting.name)));
        let row = row.unwrap_or_else(|| panic!("no row for {}", setting.name));
        for word in setting.deprecated.iter().chain([&setting.default]) {
            assert!(
                row.contains(word),
                "{}: the row does not hold {word:?}: {row}",
                setting.name
            );
        }
    }
}

#[test]
fn readme_has_no_setting_that_does_not_exist() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let words = readme.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
    for word in words.filter(|word| word.starts_with("AWS_LWA_") && word.len() > 8) {
        let known = |setting: &lambda_adapter::config::Setting| {
            setting.name == word || setting.deprecated.contains(&word)
        };
        assert!(lambda_adapter::config::SETTINGS.iter().any(known), "{word}");
    }
}

#[test]
fn every_difference_names_a_test() {
    let folder = root().join("tests/e2e");
    let mut files = Vec::new();
    walk(&folder, &mut files);
    let text: String = files
        .iter()
        .map(|file| fs::read_to_string(file).expect("readable"))
        .collect();
    for test in crate::harness::differences::tests() {
        assert!(text.contains(&format!("fn {test}()")), "{test}");
    }
}
