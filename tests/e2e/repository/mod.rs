//! The rules of the repository that a machine can check: imports, sizes, code, vocabulary and
//! documents.
//!
//! Each check is a function of a file's name and text, and has a test with planted violations.

mod code;
mod documents;
mod imports;
mod peer;
mod sizes;
mod vocabulary;

use std::fs;
use std::path::{Path, PathBuf};

struct Source {
    /// The path below `src`, as in `http/head.rs`.
    name: String,
    text: String,
}

impl Source {
    fn new(name: &str, text: &str) -> Source {
        Source {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The lines before the tests with their numbers; none of a file that is all tests.
    fn before_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let all_tests = self.name.ends_with("/tests.rs");
        let lines = self
            .text
            .lines()
            .take_while(move |line| !all_tests && line.trim() != "#[cfg(test)]");
        (1..).zip(lines)
    }

    /// The same without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.before_tests()
            .map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
    }

    /// The first part of the name: a folder of `src` or a file in it.
    fn module(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap_or_default()
    }

    fn is_adapter(&self) -> bool {
        !["bin", "codec"].contains(&self.module())
    }

    fn at(&self, number: usize, line: &str) -> String {
        format!("{}:{number}: {}", self.name, line.trim())
    }

    fn lines_with(&self, is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
        self.code()
            .filter(|(_, line)| is_wrong(line))
            .map(|(number, line)| self.at(number, line))
            .collect()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path, extension)),
            path if path.extension().is_some_and(|end| end == extension) => found.push(path),
            _ => {}
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources() -> Vec<Source> {
    let folder = root().join("src");
    let name = |path: &Path| {
        path.strip_prefix(&folder)
            .expect("below src")
            .display()
            .to_string()
    };
    files(&folder, "rs")
        .iter()
        .map(|path| Source::new(&name(path), &read(path)))
        .collect()
}

fn assert_no_source(check: impl Fn(&Source) -> Vec<String>) {
    let found: Vec<String> = sources().iter().flat_map(check).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Asserts that the check finds something in each of the first texts and nothing in the others.
fn assert_finds(check: fn(&Source) -> Vec<String>, name: &str, wrong: &[&str], right: &[&str]) {
    for (texts, expected) in [(wrong, true), (right, false)] {
        for text in texts {
            let found = check(&Source::new(name, text));
            assert_eq!(!found.is_empty(), expected, "{name}: {text}: {found:?}");
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
