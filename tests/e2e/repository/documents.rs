//! README, docs and the other pages against the code: settings, links, shell commands; and the
//! table of differences.

use super::{files, read, root};
use lambda_adapter::config::{SETTINGS, Setting};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
fn wrong_rows(table: &str, settings: &[&Setting]) -> Vec<String> {
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
            |setting: &&Setting| setting.name == *word || setting.deprecated.contains(word);
        SETTINGS.iter().any(is_named)
    };
    text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_')
        .filter(|word| word.starts_with("AWS_LWA_") && word.len() > "AWS_LWA_".len())
        .filter(|word| !is_known(word))
        .collect()
}

/// All Markdown pages that are ours.
fn pages() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for folder in ["docs", "examples", "layer"] {
        paths.extend(files(&root().join(folder), "md"));
    }
    let top = fs::read_dir(root()).expect("the checkout");
    let top = top.map(|entry| entry.expect("an entry").path());
    paths.extend(top.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    let foreign = |path: &PathBuf| {
        path.components()
            .any(|part| part.as_os_str() == "node_modules")
    };
    paths.retain(|path| !foreign(path));
    paths
}

/// The relative links of a Markdown page that lead to no file, or to no heading of one.
fn broken_links<'a>(page: &Path, text: &'a str) -> Vec<&'a str> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let is_broken = |target: &&str| {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path = match path {
            "" => page.to_path_buf(),
            path => page.with_file_name(path),
        };
        let leads = || anchor.is_empty() || anchors(&read(&path)).contains(anchor);
        !path.exists() || !leads()
    };
    let relative = targets.filter(|target| !target.contains(':') && !target.contains(' '));
    relative.filter(is_broken).collect()
}

/// The pages of docs/ that a text has no link to.
fn unlinked<'a>(text: &str, pages: &'a [PathBuf]) -> Vec<&'a Path> {
    let is_linked = |page: &&Path| {
        let name = page.file_name().expect("a name").to_string_lossy();
        text.contains(&format!("](docs/{name})"))
    };
    let pages = pages.iter().map(PathBuf::as_path);
    pages.filter(|page| !is_linked(page)).collect()
}

/// The anchors of the headings of a Markdown page, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    for heading in headings {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let anchor: String = heading.chars().filter(kept).collect();
        anchors.insert(anchor.replace(' ', "-"));
    }
    anchors
}

/// The shell blocks of a Markdown page.
fn shell_blocks(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .collect()
}

/// The targets of `make` in a shell block that the Makefile does not have.
fn missing_targets<'a>(makefile: &str, block: &'a str) -> Vec<&'a str> {
    let commands = block
        .split("&&")
        .flat_map(|part| part.split(['\n', '(', '|']));
    let targets = commands.filter_map(|command| {
        let mut words = command
            .trim()
            .split(' ')
            .skip_while(|word| word.contains('='));
        let is_make = words.next() == Some("make");
        words.find(|word| is_make && !word.starts_with('-'))
    });
    let is_missing = |target: &&str| {
        let rule = format!("\n{target}:");
        !makefile.contains(&rule)
    };
    targets.filter(is_missing).collect()
}

/// What the shell says of the syntax of a block.
fn syntax_error(block: &str) -> Option<String> {
    let output = Command::new("bash").args(["-n", "-c", block]).output();
    let output = output.expect("bash");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
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
fn links_lead_to_files_and_headings() {
    for path in pages() {
        let text = read(&path);
        let broken = broken_links(&path, &text);
        assert!(broken.is_empty(), "{}: {broken:?}", path.display());
    }
}

#[test]
fn readme_links_each_page_of_docs() {
    let pages = files(&root().join("docs"), "md");
    let readme = read(&root().join("README.md"));
    assert!(pages.len() > 10, "{pages:?}");
    let unlinked = unlinked(&readme, &pages);
    assert!(unlinked.is_empty(), "{unlinked:?}");
}

#[test]
fn shell_blocks_parse_and_name_targets_of_make() {
    let makefile = read(&root().join("Makefile"));
    for path in pages() {
        for block in shell_blocks(&read(&path)) {
            assert_eq!(syntax_error(block), None, "{}: {block}", path.display());
            let missing = missing_targets(&makefile, block);
            assert!(missing.is_empty(), "{}: {missing:?}", path.display());
        }
    }
}

#[test]
fn readme_counts_the_examples_and_the_samples() {
    let folders = fs::read_dir(root().join("examples")).expect("examples/");
    let folders = folders.map(|entry| entry.expect("an entry").path().join("README.md"));
    // Without examples/deploy, which has templates for the app of another.
    let apps = folders.filter(|page| page.exists()).count() - 1;
    let samples = root().join("src/bin/lambda-local/cli/samples");
    let samples = files(&samples, "json").len();
    let readme = read(&root().join("README.md")).replace('\n', " ");
    for text in [
        format!(" {apps} complete apps to copy from"),
        format!(" {samples} sample events"),
    ] {
        assert!(readme.contains(&text), "README.md: not{text}");
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
    let text = "[a](src/none.rs) [b](README.md#settings) [c](https://a.example/) [d](#top)";
    let broken = broken_links(&root().join("README.md"), text);
    assert_eq!(broken, ["src/none.rs", "#top"]);
    let pages = ["docs/a.md", "docs/b.md"].map(PathBuf::from);
    let text = "[a](docs/a.md) docs/b.md";
    assert_eq!(unlinked(text, &pages), [Path::new("docs/b.md")]);
    assert!(anchors("## 502, \"Internal `Server`\"").contains("502-internal-server"));
    let missing = missing_targets("\ntest: x", "A=1 make -s test && make none\nls make");
    assert_eq!(missing, ["none"]);
    assert_eq!(shell_blocks("```sh\nls\n```\n"), ["ls\n"]);
    assert!(syntax_error("ls && (").is_some());
}
