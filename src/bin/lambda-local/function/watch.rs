//! `--watch`: a new environment when a file of the app changes.
//!
//! Modification times and sizes are compared several times a second. That works on every system
//! and file system, container mounts included; folders that tools fill by themselves are skipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Function;

const INTERVAL: Duration = Duration::from_millis(200);
/// A scan may take this part of the time.
const MAX_LOAD: u32 = 10;
const IGNORED: [&str; 8] = [
    "node_modules",
    "target",
    "__pycache__",
    "venv",
    "dist",
    "build",
    "coverage",
    "vendor",
];

type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Starts a thread that reloads the function whenever a file below `root` changes.
pub fn start(root: PathBuf, function: Arc<Function>) {
    std::thread::spawn(move || {
        let mut known = scan(&root);
        while !function.is_stopping() {
            let started = Instant::now();
            let mut found = scan(&root);
            let cost = started.elapsed();
            if let Some(path) = changed(&known, &found) {
                // An editor or a compiler may still be writing.
                loop {
                    std::thread::sleep(INTERVAL / 4);
                    let later = scan(&root);
                    if later == found {
                        break;
                    }
                    found = later;
                }
                let path = path.strip_prefix(&root).unwrap_or(&path);
                function.reload(&path.display().to_string());
                known = found;
            }
            std::thread::sleep(INTERVAL.max(cost * MAX_LOAD));
        }
    });
}

/// Returns a file that is new, different or gone.
fn changed(known: &Files, found: &Files) -> Option<PathBuf> {
    let different = found
        .iter()
        .find(|(path, stamp)| known.get(*path) != Some(stamp));
    let gone = known.iter().find(|(path, _)| !found.contains_key(*path));
    different.or(gone).map(|(path, _)| path.clone())
}

fn scan(root: &Path) -> Files {
    let (mut files, mut folders) = (Files::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // A folder that cannot be read now is gone.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && !is_ignored(&name) {
                folders.push(entry.path());
            } else if !kind.is_dir() && !is_temporary(&name) {
                // Follows a link, so that a change of its target counts.
                let Ok(metadata) = fs::metadata(entry.path()) else {
                    continue;
                };
                if metadata.is_file() {
                    files.insert(entry.path(), (metadata.modified().ok(), metadata.len()));
                }
            }
        }
    }
    files
}

/// Hidden folders are ignored, too, such as `.git` and `.venv`.
fn is_ignored(folder: &str) -> bool {
    folder.starts_with('.') || IGNORED.contains(&folder)
}

/// Files that editors and databases write beside the real ones.
fn is_temporary(file: &str) -> bool {
    let endings = [
        "~", ".swp", ".swx", ".tmp", ".pyc", ".log", "-journal", "-wal", "-shm",
    ];
    endings.iter().any(|ending| file.ends_with(ending)) || file.starts_with(".#") || file == "4913"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_different_and_missing_files_are_changes() {
        let files = |list: &[(&str, u64)]| {
            let files = list.iter();
            files
                .map(|(name, len)| (PathBuf::from(name), (None, *len)))
                .collect::<Files>()
        };
        let known = files(&[("a", 1), ("b", 1)]);
        assert_eq!(changed(&known, &known), None);
        for (found, path) in [
            (files(&[("a", 1), ("b", 2)]), "b"),
            (files(&[("a", 1), ("b", 1), ("c", 1)]), "c"),
            (files(&[("b", 1)]), "a"),
        ] {
            assert_eq!(changed(&known, &found), Some(PathBuf::from(path)));
        }
    }

    #[test]
    fn what_tools_write_is_ignored() {
        for folder in ["node_modules", ".git", "target", "__pycache__", ".venv"] {
            assert!(is_ignored(folder), "{folder}");
        }
        assert!(!is_ignored("src"));
        for file in ["app.js~", ".app.js.swp", "app.pyc", "db.sqlite-journal"] {
            assert!(is_temporary(file), "{file}");
        }
        assert!(!is_temporary(".env") && !is_temporary("app.js"));
    }
}
