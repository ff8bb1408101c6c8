//! The three import rules of `docs/architecture.md`, read from the paths in the files.

use super::{Source, assert_finds, assert_no_source, is_name};

/// One folder a peer: they never import one another.
const SIDES: &[&str] = &["lambda", "app", "translate"];
/// They see all sides; so do `lib.rs` and `main.rs`.
const ABOVE: &[&str] = &["init", "serve"];
/// They import one another and nothing else.
const BASE: &[&str] = &[
    "http",
    "net",
    "gzip",
    "error",
    "invocation",
    "platform",
    "text",
];
/// They import one another and the base; every module may import them, but for the base.
const SHARED: &[&str] = &["config", "cli", "logger", "shutdown"];
/// Folders of pure functions: no socket, clock, thread or environment.
const PURE: &[&str] = &["translate", "http"];
const IMPURE: &[&str] = &[
    "std::net",
    "std::thread",
    "std::env",
    "Instant",
    "SystemTime",
];

/// The names that follow a prefix such as `crate::`; all first names of a group in braces.
fn names_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let first = |text: &'a str| &text[..text.find(|c| !is_name(c)).unwrap_or(text.len())];
    let mut found = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        let rest = &line[at + prefix.len()..];
        if line[..at].ends_with(is_name) {
            continue;
        }
        let Some(group) = rest.strip_prefix('{') else {
            found.push(first(rest));
            continue;
        };
        let mut depth = 0;
        let is_comma = |c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        };
        let parts = group.split(is_comma);
        found.extend(
            parts
                .map(|part| first(part.trim()))
                .filter(|name| !name.is_empty()),
        );
    }
    found
}

/// Whether a module may import another one.
fn may_import(module: &str, other: &str) -> bool {
    let is = |group: &[&str], name: &str| group.contains(&name);
    if is(&["lib", "main"], module) || is(ABOVE, module) || module == other {
        return true;
    }
    let is_below = is(BASE, other) || (is(SHARED, other) && !is(BASE, module));
    is_below || !(is(SIDES, other) || is(ABOVE, other) || is(SHARED, other))
}

fn forbidden_imports(source: &Source) -> Vec<String> {
    if !source.is_adapter() {
        return Vec::new();
    }
    let module = source.module();
    let known = [SIDES, ABOVE, BASE, SHARED, &["lib", "main"]].concat();
    if !known.contains(&module) {
        return vec![format!(
            "{}: not a module of docs/architecture.md",
            source.name
        )];
    }
    let is_top = !source.name.contains('/') || source.name == format!("{module}/mod.rs");
    source.lines_with(|line| {
        let names = names_after(line, "crate::");
        let is_unclear = line.contains("super::super::") || (is_top && line.contains("super::"));
        is_unclear || names.iter().any(|name| !may_import(module, name))
    })
}

fn impure_names(source: &Source) -> Vec<String> {
    if !PURE.contains(&source.module()) {
        return Vec::new();
    }
    source.lines_with(|line| {
        let is_grouped = |name: &str| {
            let names = names_after(line, "std::");
            name.strip_prefix("std::")
                .is_some_and(|name| names.contains(&name))
        };
        let words: Vec<&str> = line.split(|c| !is_name(c)).collect();
        IMPURE
            .iter()
            .any(|name| is_grouped(name) || words.contains(name))
    })
}

/// `lambda-local` checks the adapter, so it shares tables and codecs with it, and no logic.
fn foreign_imports(source: &Source) -> Vec<String> {
    if source.module() != "bin" {
        return Vec::new();
    }
    let is_shared = |rest: &str| {
        let path = rest.strip_prefix("http::reason");
        path.is_some_and(|path| !path.starts_with(is_name))
    };
    source.lines_with(|line| {
        line.split("lambda_adapter::")
            .skip(1)
            .any(|rest| !is_shared(rest))
    })
}

fn ureq_outside_lambda_local(source: &Source) -> Vec<String> {
    if source.module() == "bin" {
        return Vec::new();
    }
    let lines = (1..).zip(source.text.lines());
    lines
        .filter(|(_, line)| line.contains("ureq"))
        .map(|(number, line)| source.at(number, line))
        .collect()
}

#[test]
fn modules_import_only_what_the_three_rules_allow() {
    assert_no_source(forbidden_imports);
    assert_no_source(foreign_imports);
}

#[test]
fn translation_and_http_name_no_socket_clock_thread_or_environment() {
    assert_no_source(impure_names);
}

#[test]
fn only_lambda_local_names_ureq() {
    assert_no_source(ureq_outside_lambda_local);
}

#[test]
fn import_checks_find_planted_violations() {
    assert_finds(
        forbidden_imports,
        "app/client.rs",
        &[
            "use crate::lambda::Runtime;",
            "use crate::{http::Body, translate::event};",
            "    crate::serve::run();",
            "use super::super::lambda;",
        ],
        &[
            "use crate::http::{self, Body};\nuse crate::config::Config;",
            "use crate::app::{spawn, stdio::Output};",
            "// crate::lambda",
            "#[cfg(test)]\nuse crate::lambda::Runtime;",
        ],
    );
    let other: &[(&str, &[&str], &[&str])] = &[
        (
            "app/mod.rs",
            &["use super::lambda;"],
            &["use crate::error;"],
        ),
        (
            "net/connection.rs",
            &["use crate::config::Config;"],
            &["use crate::http::Input;"],
        ),
        (
            "config/mod.rs",
            &["use crate::app::App;"],
            &["use crate::gzip;"],
        ),
        (
            "serve/mod.rs",
            &[],
            &["use crate::{app, init, lambda, translate};"],
        ),
        ("util.rs", &[""], &[]),
        ("bin/lambda-local/main.rs", &[], &["use crate::lambda::x;"]),
    ];
    for (name, wrong, right) in other {
        assert_finds(forbidden_imports, name, wrong, right);
    }
    assert_finds(
        impure_names,
        "http/head.rs",
        &[
            "use std::net::TcpStream;",
            "use std::{env, io};",
            "Instant::now()",
        ],
        &[
            "use std::io::Read;",
            "use std::time::Duration;",
            "let net = environment;",
        ],
    );
    assert_finds(
        impure_names,
        "net/connection.rs",
        &[],
        &["use std::net::TcpStream;"],
    );
    assert_finds(
        foreign_imports,
        "bin/lambda-local/front/alb.rs",
        &[
            "use lambda_adapter::translate::event;",
            "lambda_adapter::http::parse(bytes)",
        ],
        &["use lambda_adapter::http::reason;", "use codec::base64;"],
    );
    let ureq = ["use ureq::Agent;", "/// By ureq."];
    assert_finds(
        ureq_outside_lambda_local,
        "lambda/client.rs",
        &ureq,
        &["use crate::net;"],
    );
    assert_finds(
        ureq_outside_lambda_local,
        "bin/lambda-local/cli/invoke.rs",
        &[],
        &ureq,
    );
}
