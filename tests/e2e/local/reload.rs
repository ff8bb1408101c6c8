//! `--watch`: a change of the app makes a new environment.

use super::run::{self, fixture, has, start};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A folder with the Python site in it, and the options to watch it.
fn watched(name: &str) -> Option<(run::Local, PathBuf)> {
    if !has("python3") {
        return None;
    }
    let folder = format!("lambda-local-{name}-{}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    fs::create_dir_all(folder.join("node_modules")).expect("a folder");
    fs::copy(fixture("site.py"), folder.join("site.py")).expect("a copy");
    let dir = folder.to_str().expect("a path");
    let args = ["--watch", "--dir", dir];
    Some((start(&args, &["python3", "site.py"]), folder))
}

#[test]
fn a_changed_file_makes_a_new_environment() {
    let Some((mut local, folder)) = watched("changed") else {
        return;
    };
    let before = local.get("/pid").text();
    fs::write(folder.join("node_modules/ignored.js"), "1").expect("a file");
    let site = fs::read_to_string(folder.join("site.py")).expect("the site");
    let changed = site.replace("b\"ready\\n\"", "b\"changed\\n\"");
    assert_ne!(site, changed);
    let started = Instant::now();
    fs::write(folder.join("site.py"), changed).expect("a file");
    local.wait_for("`site.py` has changed");
    let noticed = started.elapsed();
    assert!(noticed < Duration::from_secs(5), "{noticed:?}");
    assert_eq!(local.get("/").text(), "changed\n");
    assert_ne!(local.get("/pid").text(), before);
    run::wait_for_end(&before);
    assert!(!local.output().contains("ignored.js"));
}

#[test]
fn a_change_ends_a_running_invocation_and_a_hanging_init() {
    let Some((mut local, folder)) = watched("running") else {
        return;
    };
    let address = local.address;
    let caller =
        std::thread::spawn(move || run::send(address, "GET", "/slow?seconds=60", &[], b""));
    local.wait_for("START RequestId");
    let site = fs::read_to_string(folder.join("site.py")).expect("the site");
    fs::write(folder.join("site.py"), "import time\ntime.sleep(600)\n").expect("a file");
    let response = caller.join().expect("a response");
    assert_eq!(response.status, 502);
    let cause = response.header("x-lambda-local-error");
    assert!(cause.is_some_and(|cause| cause.contains("`site.py` has changed")));
    // The new app never listens.
    local.wait_for_count("INIT_START", 2);
    fs::write(folder.join("site.py"), site).expect("a file");
    local.wait_for_count("`site.py` has changed: starting", 2);
    assert_eq!(local.get("/json").status, 200);
}
