//! Starting one's own app: `make run`, the working directory, and the port of the app.

use super::run::{self, Local, adapter, command, fixture, free_port, has, start};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// A new folder.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("lambda-local-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).expect("a folder");
    path.canonicalize().expect("a folder")
}

/// `lambda-local ARGS`, with these variables in its environment.
fn launch(args: &[&str], variables: &[(&str, &str)]) -> Local {
    let adapter = adapter();
    let mut all = vec!["--adapter", adapter.to_str().expect("a path")];
    all.extend(args);
    let mut command = command(&all);
    command.envs(variables.iter().copied());
    run::launch(command, SocketAddr::from(([127, 0, 0, 1], 1)))
}

/// The arguments of the program that `make run` starts last.
fn made(args: &[&str]) -> Option<Vec<String>> {
    let cargo = folder("cargo").join("cargo");
    fs::write(
        &cargo,
        "#!/bin/sh\nfor arg in \"$@\"; do echo \"$arg\"; done\n",
    )
    .expect("a script");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("a mode");
    let output = Command::new("make")
        .args(["-s", "-C", env!("CARGO_MANIFEST_DIR"), "run"])
        .arg(format!("CARGO={}", cargo.display()))
        .args(args)
        .env_remove("MAKEFLAGS")
        .output()
        .expect("make");
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).expect("text");
    let (_, args) = lines.rsplit_once("lambda-local\n--\n")?;
    Some(args.lines().map(str::to_owned).collect())
}

#[test]
fn make_run_hands_the_command_to_a_shell_as_it_was_typed() {
    if !has("make") {
        return;
    }
    let app = "cd x && FOO='a b' node $PORT, \"#1\"";
    let made_args = made(&[
        &format!("APP={app}"),
        "DIR=/some folder",
        "ARGS=--port 4000 --env 'A=b c'",
    ]);
    let expected = [
        "--dir",
        "/some folder",
        "--port",
        "4000",
        "--env",
        "A=b c",
        "--",
        "sh",
        "-c",
        app,
    ];
    assert_eq!(made_args.as_deref(), Some(&expected.map(str::to_owned)[..]));
    assert_eq!(made(&[]), Some(Vec::new()));
}

#[test]
fn the_app_runs_in_its_own_folder() {
    if !has("python3") {
        return;
    }
    let folder = folder("dir");
    fs::copy(fixture("site.py"), folder.join("mine.py")).expect("a copy");
    let dir = folder.to_str().expect("a path");
    let local = start(&["--dir", dir], &["python3", "mine.py"]);
    assert_eq!(local.get("/env?name=LAMBDA_TASK_ROOT").text(), dir);
    let missing = command(&["--port", "0", "--dir", "/no/such/folder"]).output();
    let error = String::from_utf8(missing.expect("lambda-local").stderr).expect("text");
    assert!(
        error.contains("failed to find directory `/no/such/folder`"),
        "{error}"
    );
}

#[test]
fn the_app_does_not_get_the_port_of_lambda_local() {
    if !has("python3") {
        return;
    }
    let port = free_port().to_string();
    let app = ["--port", &port, "--", "python3", &fixture("site.py")];
    let mut local = launch(&app, &[("PORT", &port)]);
    let line = local.wait_for("the port of lambda-local itself");
    assert!(
        line.contains(&format!("PORT is {port}")) && line.contains("--port N"),
        "{line}"
    );
    local.wait_for("listening on http://");
    local.address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
    assert_eq!(local.get("/json").status, 200);
    assert_ne!(local.get("/env?name=PORT").text(), port);

    let refused = command(&["--port", "4000", "--app-port", "4000"]).output();
    let error = String::from_utf8(refused.expect("lambda-local").stderr).expect("text");
    assert!(error.contains("`--app-port` is 4000"), "{error}");
}

#[test]
fn a_server_that_is_already_on_the_port_is_not_taken_for_the_app() {
    if !has("python3") {
        return;
    }
    let other = TcpListener::bind("127.0.0.1:0").expect("another server");
    let port = other.local_addr().expect("an address").port().to_string();
    let holder = format!("(process {}) listens on already", std::process::id());
    let app = ["--port", "0", "--", "python3", &fixture("site.py")];
    let mut local = launch(&app, &[("PORT", &port)]);
    let line = local.wait_for("listens on already");
    assert!(line.contains(&format!("PORT is {port}")), "{line}");
    assert!(
        cfg!(not(target_os = "linux")) || line.contains(&holder),
        "{line}"
    );
    local.wait_for("the app is ready");

    let refused = command(&["--port", "0", "--app-port", &port]).output();
    let error = String::from_utf8(refused.expect("lambda-local").stderr).expect("text");
    assert!(
        error.contains(&format!("`--app-port` is {port}, which")),
        "{error}"
    );
    let refused = command(&["--port", &port]).output();
    let error = String::from_utf8(refused.expect("lambda-local").stderr).expect("text");
    assert!(
        error.contains(&format!("(process {})", std::process::id())),
        "{error}"
    );
}

#[test]
fn an_app_on_another_port_is_told_which_one() {
    if !has("python3") {
        return;
    }
    let other = free_port().to_string();
    let app = ["--port", "0", "--", "python3", "-m", "http.server", &other];
    let mut local = launch(&app, &[]);
    let line = local.wait_for("but its processes listen on");
    assert!(
        line.contains(&format!("listen on port {other}"))
            && line.contains(&format!("--app-port {other}")),
        "{line}"
    );
}

#[test]
fn an_app_without_a_port_is_told_of_port() {
    let mut local = launch(&["--port", "0", "--", "sleep", "60"], &[]);
    local.wait_for("none of its processes listens on a port; it must listen on $PORT");
}
