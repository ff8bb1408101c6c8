//! Each `lambda-local` command that README and docs/ show works as it stands there.
//!
//! Only the ports are the test's own, and stand-ins take the place of the reader's files.

use super::run::{Local, address_in, command, fixture, free_port, has, launch, send};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The `lambda-local` commands in the shell blocks of README and docs/, without comments.
fn documented() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).expect("docs/");
    let mut pages: Vec<PathBuf> = pages.map(|page| page.expect("a page").path()).collect();
    pages.retain(|page| page.extension().is_some_and(|kind| kind == "md"));
    pages.push(root.join("README.md"));
    let texts = pages
        .iter()
        .map(|page| fs::read_to_string(page).expect("text"));
    let mut commands: Vec<String> = texts.flat_map(|text| commands(&text)).collect();
    commands.sort();
    commands.dedup();
    commands
}

fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or("").lines());
    lines
        .map(|line| line.split(" #").next().unwrap_or(line).trim())
        .filter(|line| line.split(' ').any(|word| word == "lambda-local"))
        .map(str::to_owned)
        .collect()
}

/// A folder with all that the commands name.
fn folder() -> PathBuf {
    let name = format!("lambda-local-documented-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(folder.join("my-app")).expect("a folder");
    let site = format!("#!/bin/sh\nexec python3 {}\n", fixture("site.py"));
    let adapter = super::run::adapter();
    let adapter = format!("#!/bin/sh\nexec {} \"$@\"\n", adapter.display());
    for (name, script) in [
        ("app", &site),
        ("node", &site),
        ("uvicorn", &site),
        ("lambda-adapter", &adapter),
    ] {
        let path = folder.join(name);
        fs::write(&path, script).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    fs::write(folder.join(".env"), "A=1\n").expect("a file");
    fs::write(folder.join("event.json"), r#"{"source":"test"}"#).expect("a file");
    folder.canonicalize().expect("a folder")
}

/// The words of a command, as a shell reads them: one in single quotes may have spaces.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    words.collect()
}

/// Starts the command as it stands there, but on free ports.
fn started(line: &str, folder: &Path) -> Local {
    let (folder, line) = match line.split_once(" && ") {
        Some((enter, line)) => (folder.join(enter.trim_start_matches("cd ")), line),
        None => (folder.to_path_buf(), line),
    };
    let adapter = super::run::adapter();
    let adapter = adapter.to_str().expect("a path");
    let line = line.replace("/path/to/lwa", adapter);
    let line = line.replace("--app-port 8000", &format!("--app-port {}", free_port()));
    let mut args = words(&line);
    args.splice(0..1, ["--port", "0"]);
    let without = ["--adapter", "--no-adapter", "web-function"];
    if !args.iter().any(|arg| without.contains(arg)) {
        args.splice(0..0, ["--adapter", adapter]);
    }
    let mut command = command(&args);
    let path = std::env::var("PATH").expect("a path");
    let stand_ins = folder.ancestors().nth(folder.ends_with("my-app").into());
    let stand_ins = stand_ins.expect("a folder").display();
    command
        .current_dir(&folder)
        .env("PATH", format!("{stand_ins}:{path}"));
    let mut local = launch(command, SocketAddr::from(([127, 0, 0, 1], 1)));
    local.address = address_in(&local.wait_for("listening on http://"));
    local
}

#[test]
fn a_documented_app_command_starts_an_app_that_responds() {
    if !has("python3") {
        return;
    }
    let folder = folder();
    let is_app = |line: &&String| line.contains(" -- ");
    for line in documented().iter().filter(is_app) {
        eprintln!("{line}");
        let mut local = started(line, &folder);
        let target = if line.contains("--stage prod") {
            "/prod/json"
        } else {
            "/json"
        };
        let response = send(local.address, "GET", target, &[], b"");
        assert_eq!(response.status, 200, "{line}: {}", response.text());
        assert!(local.end("TERM").success(), "{line}");
    }
}

#[test]
fn a_documented_event_command_prints_its_result() {
    if !has("python3") {
        return;
    }
    let folder = folder();
    let local = started("lambda-local -- ./app", &folder);
    let port = local.address.port().to_string();
    let documented = documented();
    let lines = documented.iter().filter(|line| !line.contains(" -- "));
    for line in lines.filter(|line| line.starts_with("lambda-local")) {
        let line = line.split('>').next().unwrap_or(line);
        let mut args: Vec<&str> = line.split_whitespace().skip(1).collect();
        if args.contains(&"invoke") {
            args.extend(["--port", &port]);
        }
        let mut command = command(&args);
        let output = command.current_dir(&folder).output().expect("a command");
        assert!(output.status.success(), "{line}: {output:?}");
        assert!(!output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn commands_are_found_in_a_page() {
    let page = "```sh\ncd a && lambda-local -- ./app   # x\nls\n```\nlambda-local --help\n";
    assert_eq!(commands(page), ["cd a && lambda-local -- ./app"]);
    assert!(documented().len() > 15, "{:?}", documented());
}
