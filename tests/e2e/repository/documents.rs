//! README and docs against the code: settings, links; and the table of differences.

use super::{files, read, root};
use lambda_adapter::config::{SETTINGS, Setting};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// README and the pages of docs/.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = files(&root().join("docs"), "md");
    paths.push(root().join("README.md"));
    let with_text = |path: PathBuf| {
        let text = read(&path);
        (path, text)
    };
    paths.into_iter().map(with_text).collect()
}

/// The rows that are missing from a table of settings, or lack a name or the default.
fn wrong_rows(table: &str, settings: &[Setting]) -> Vec<String> {
    let mut wrong = Vec::new();
    for setting in settings {
        let name = format!("`{}`", setting.name);
        let mut rows = table.lines().filter(|line| line.starts_with("| `"));
        let Some(row) = rows.find(|row| row.contains(&name)) else {
            wrong.push(format!("{}: no row", setting.name));
            continue;
        };
        let mut cells = setting.deprecated.iter().chain([&setting.default]);
        if let Some(missing) = cells.find(|cell| !row.contains(**cell)) {
            wrong.push(format!("{}: no {missing:?} in {row}", setting.name));
        }
    }
    wrong
}

/// The variables in a text that begin with `AWS_LWA_` and are no setting.
fn unknown_settings(text: &str) -> BTreeSet<&str> {
    let is_known = |word: &&str| {
        let is_named =
            |setting: &Setting| setting.name == *word || setting.deprecated.contains(word);
        SETTINGS.iter().any(is_named)
    };
    text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_')
        .filter(|word| word.starts_with("AWS_LWA_") && word.len() > "AWS_LWA_".len())
        .filter(|word| !is_known(word))
        .collect()
}

/// The relative links of a Markdown text that lead to no file.
fn broken_links<'a>(folder: &Path, text: &'a str) -> Vec<&'a str> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next());
    targets
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .filter(|target| !folder.join(target).exists())
        .collect()
}

#[test]
fn the_table_of_settings_has_a_row_for_each_setting() {
    let wrong = wrong_rows(&read(&root().join("docs/settings.md")), SETTINGS);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn documents_have_no_setting_that_does_not_exist() {
    for (path, text) in documents() {
        let unknown = unknown_settings(&text);
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
    }
}

#[test]
fn links_of_the_documents_lead_to_files() {
    for (path, text) in documents() {
        let broken = broken_links(path.parent().expect("a folder"), &text);
        assert!(broken.is_empty(), "{}: {broken:?}", path.display());
    }
}

#[test]
fn every_difference_names_a_test() {
    let text: String = files(&root().join("tests/e2e"), "rs")
        .iter()
        .map(|path| read(path))
        .collect();
    for test in crate::harness::differences::tests() {
        assert!(text.contains(&format!("fn {test}()")), "{test}");
    }
}

#[test]
fn document_checks_find_planted_violations() {
    let setting = &SETTINGS[..1];
    let row = format!(
        "| `{}` | {} | {} |",
        setting[0].name,
        setting[0].default,
        setting[0].deprecated.join(" ")
    );
    assert!(wrong_rows(&row, setting).is_empty(), "{row}");
    assert_eq!(wrong_rows("", setting).len(), 1);
    assert_eq!(
        wrong_rows(&row.replace(setting[0].default, ""), setting).len(),
        1
    );
    let text = format!("`AWS_LWA_NONE`, `{}` and AWS_LWA_*", setting[0].name);
    assert_eq!(Vec::from_iter(unknown_settings(&text)), ["AWS_LWA_NONE"]);
    let text = "[a](src/none.rs) [b](README.md#top) [c](https://a.example/) [d](#top)";
    assert_eq!(broken_links(&root(), text), ["src/none.rs"]);
}
