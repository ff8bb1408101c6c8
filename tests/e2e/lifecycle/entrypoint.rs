//! The adapter as the entrypoint: the process that Lambda starts, and the parent of the app.
//!
//! The duties of a container's init are those that tini and dumb-init test: exit statuses, signals,
//! groups, orphans. The app's HTTP side is the test, as everywhere; its process is a line of shell.

use crate::harness::app::{raw, response};
use crate::harness::events::get;
use crate::harness::scenario::{Renamed, Run, Scenario, scenario};
use std::fs;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output};

pub const INIT_ERROR: &str = "/2018-06-01/runtime/init/error";
const NEXT: &str = "/2018-06-01/runtime/invocation/next";
/// An app of one process that exits at the end of its input.
pub const WAITING_APP: &str = "echo up; read line";

/// The adapter with a line of shell as its app.
pub fn shell(script: &str) -> Scenario {
    scenario().args(["--", "/bin/sh", "-c", script])
}

/// The same outside Lambda.
fn outside_lambda(args: &[&str]) -> Command {
    let mut command = Command::new(crate::harness::differences::adapter());
    command.args(args).env_remove("AWS_LAMBDA_RUNTIME_API");
    command
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the adapter starts");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

/// The children of a process, by proc(5)'s stat.
pub fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| stat(*id).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// The state of a process, and its parent.
fn stat(id: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn is_alive(id: u32) -> bool {
    stat(id).is_some_and(|(state, _)| state != 'Z')
}

pub fn kill(signal: &str, id: u32) {
    let status = Command::new("kill")
        .args([&format!("-{signal}"), &id.to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "kill {id}");
}

/// Waits until the app has started this many times, and returns its process.
pub fn app(run: &mut Run, starts: usize) -> u32 {
    run.wait_until("the app is up", |run| {
        run.log().matches("up\n").count() >= starts && children(run.pid()).len() == 1
    });
    children(run.pid())[0]
}

#[test]
fn the_command_is_started_and_its_app_served() {
    let mut run = shell(WAITING_APP).invoke(get("/")).run();
    app(&mut run, 1);
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn the_app_gets_the_environment_as_it_is() {
    let mut run = shell("echo \"$AWS_LWA_PORT-$COLOUR-$#\"; read line")
        .env("COLOUR", "bl ue")
        .start();
    let expected = format!("{}-bl ue-0\n", run.app_address().port());
    run.wait_until("the variables", |run| run.log().contains(&expected));
}

#[test]
fn the_app_gets_the_endpoint_to_listen_on_unless_it_is_set() {
    let script = "echo \"at $AWS_LAMBDA_HTTP_ENDPOINT.\"; read line";
    for (value, expected) in [
        ("(unset)", "at 127.0.0.1:{port}.\n"),
        ("", "at 127.0.0.1:{port}.\n"),
        ("0.0.0.0:{port}", "at 0.0.0.0:{port}.\n"),
    ] {
        let mut run = shell(script).env("AWS_LAMBDA_HTTP_ENDPOINT", value).start();
        let expected = expected.replace("{port}", &run.app_address().port().to_string());
        run.wait_until("the endpoint", |run| run.log().contains(&expected));
    }
}

#[test]
fn elsewhere_the_app_gets_no_endpoint() {
    // A container's port must be reachable from outside, so not on the loopback address.
    let script = "echo \"at $AWS_LAMBDA_HTTP_ENDPOINT.\"";
    let (status, stdout, _) = output(&mut outside_lambda(&["--", "/bin/sh", "-c", script]));
    assert_eq!((status, &*stdout), (Some(0), "at .\n"));
}

#[test]
fn it_registers_as_an_internal_extension_and_parks() {
    let mut run = shell(WAITING_APP).invoke(get("/")).run();
    run.wait_until("a parked event/next", |run| {
        !run.api_requests("/2020-01-01/extension/event/next")
            .is_empty()
    });
    let (_, register) = &run.api_requests("/2020-01-01/extension/register")[0];
    let name = register.header("lambda-extension-name").expect("a name");
    assert_ne!(name, "lambda-adapter");
}

#[test]
fn it_serves_where_there_is_no_extensions_api() {
    let missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
    let run = shell(WAITING_APP)
        .api(|api| api.register.push_back(missing))
        .invoke(get("/"))
        .run();
    assert_eq!(run.reply(1)["statusCode"], 200);
    assert!(!run.log().contains("WARN"), "{}", run.log());
}

#[test]
fn elsewhere_the_app_takes_the_place_of_the_adapter() {
    let child = outside_lambda(&["--", "/bin/sh", "-c", "echo $$"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the adapter starts");
    let id = child.id();
    let stdout = child.wait_with_output().expect("its output");
    assert_eq!(String::from_utf8_lossy(&stdout.stdout), format!("{id}\n"));
}

#[test]
fn elsewhere_an_empty_address_of_lambda_counts_as_none() {
    let mut command = outside_lambda(&["/bin/sh", "-c", "exit 3"]);
    command.env("AWS_LAMBDA_RUNTIME_API", "");
    assert_eq!(output(&mut command).0, Some(3));
}

#[test]
fn a_command_that_cannot_be_started_is_named_with_the_status_of_shells() {
    let file = Renamed::copy("plain");
    fs::write(&file.path, "#!/no/such/interpreter\n").expect("a script");
    let script = file.path.to_str().expect("a path");
    let executable = |mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(script, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    let assert_refused = |command: &str, expected: i32, words: &str| {
        let (status, stdout, stderr) = output(&mut outside_lambda(&["--", command]));
        assert_eq!((status, &*stdout), (Some(expected), ""), "{stderr}");
        let line = format!("failed to start the app `{command}`: ");
        assert!(stderr.contains(&line) && stderr.contains(words), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");

        let mut run = scenario().app_down().args(["--", command]).start();
        assert_eq!(run.exit().code(), Some(expected), "on Lambda");
        assert!(
            run.log().contains(&line) && run.log().contains(words),
            "{}",
            run.log()
        );
        assert_eq!(run.api_requests(INIT_ERROR).len(), 1);
    };
    assert_refused("/no/such/command", 127, "No such file");
    assert_refused("no-such-command", 127, "No such file");
    executable(0o755);
    assert_refused(script, 127, "interpreter");
    executable(0o644);
    assert_refused(script, 126, "755");
    assert_refused("/", 126, "755");
}

#[test]
fn every_exit_status_is_passed_on() {
    for status in 0..=255 {
        let mut run = shell(&format!("exit {status}")).app_down().start();
        assert_eq!(run.exit().code(), Some(status));
        let (code, ..) = output(&mut outside_lambda(&[
            "/bin/sh",
            "-c",
            &format!("exit {status}"),
        ]));
        assert_eq!(code, Some(status), "elsewhere");
    }
}

#[test]
fn an_app_that_ends_during_init_fails_it_with_its_status() {
    let mut run = shell("echo last words >&2; exit 42").app_down().start();
    assert_eq!(run.exit().code(), Some(42));
    let (_, error) = &run.api_requests(INIT_ERROR)[0];
    assert_eq!(
        error.header("lambda-runtime-function-error-type"),
        Some("Runtime.AppExited")
    );
    assert!(error.text().contains("exit status: 42"), "{}", error.text());
    assert!(run.log().contains("last words\n"), "{}", run.log());
    assert!(run.api_requests(NEXT).is_empty());
}

#[test]
fn an_app_killed_by_a_signal_gives_128_and_its_number() {
    for (name, number) in [("KILL", 9), ("SEGV", 11), ("ABRT", 6)] {
        let mut run = shell(&format!("kill -{name} $$")).app_down().start();
        assert_eq!(run.exit().code(), Some(128 + number), "{name}");
    }
}

/// Signals by name and number, without those that the tests themselves were started to ignore (a
/// shell ignores INT and QUIT for its background jobs): ignored signals stay ignored.
fn signals() -> impl Iterator<Item = (&'static str, i32)> {
    let status = fs::read_to_string("/proc/self/status").expect("our status");
    let all = [
        ("TERM", 15),
        ("INT", 2),
        ("HUP", 1),
        ("QUIT", 3),
        ("USR1", 10),
        ("USR2", 12),
        ("WINCH", 28),
        ("CONT", 18),
    ];
    all.into_iter().filter(move |(name, number)| {
        let heeded = !in_set(&status, "SigIgn", *number);
        if !heeded {
            eprintln!("skipped: SIG{name} is ignored here");
        }
        heeded
    })
}

/// Whether a signal is in the set `SigIgn` or `SigCgt` of proc(5)'s status.
pub fn in_set(status: &str, name: &str, number: i32) -> bool {
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let set = u64::from_str_radix(set.expect("a set").trim(), 16).expect("a number");
    set >> (number - 1) & 1 == 1
}

#[test]
fn signals_are_passed_on_and_end_what_they_end() {
    for (name, number) in signals().filter(|(name, _)| !["WINCH", "CONT"].contains(name)) {
        let mut run = shell(WAITING_APP).invoke(get("/")).run();
        app(&mut run, 1);
        run.signal(name);
        assert_eq!(run.exit().code(), Some(128 + number), "{name}");
        assert!(!run.log().contains("FATAL"), "{}", run.log());
    }
}

/// Continues to read after each trapped signal; exits soon after the end of its input.
const TRAPPING_LOOP: &str = "i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); read line; done";

#[test]
fn signals_reach_the_app_one_by_one() {
    let names: Vec<_> = signals().map(|(name, _)| name).collect();
    let traps: String = names
        .iter()
        .map(|name| format!("trap 'echo got {name}' {name}; "))
        .collect();
    let mut run = shell(&format!("{traps} echo up; {TRAPPING_LOOP}")).start();
    app(&mut run, 1);
    for name in &names {
        run.signal(name);
        let expected = format!("got {name}\n");
        run.wait_until(name, |run| run.log().contains(&expected));
    }
    let log = run.log();
    assert_eq!(log.matches("got ").count(), names.len(), "{log}");
}

#[test]
fn signals_reach_the_whole_group_of_the_app() {
    // The app itself ignores the signal; it exits when the process it waits for does.
    let mut run = shell("trap : USR1; sh -c 'trap - USR1; echo up; read line'; exit 5").start();
    app(&mut run, 1);
    run.signal("USR1");
    assert_eq!(run.exit().code(), Some(5));
}

#[test]
fn a_signal_to_the_group_of_the_adapter_reaches_the_app_once() {
    let script = &format!("trap 'echo got it' TERM; echo up; {TRAPPING_LOOP}");
    let mut command = Command::new(crate::harness::differences::adapter());
    let mut run = shell(script).start();
    app(&mut run, 1);
    // A scenario's adapter is in the group of this test, so this one leads a group of its own.
    let api = run.api_address().to_string();
    let child = command
        .args(["--", "/bin/sh", "-c", script])
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .env("AWS_LWA_PORT", run.app_address().port().to_string())
        .process_group(0)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("a second adapter");
    let mut child = Guard(child);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
        child.0.stdout.take().expect("its output"),
    ));
    assert_eq!(lines.next().expect("a line").expect("text"), "up");
    let group = Command::new("kill")
        .args(["-TERM", "--", &format!("-{}", child.0.id())])
        .status();
    assert!(group.is_ok_and(|status| status.success()));
    assert_eq!(lines.next().expect("a line").expect("text"), "got it");
    // A second one would have arrived earlier.
    kill("USR1", child.0.id());
    assert!(lines.next().is_none(), "the signal came twice");
    assert_eq!(child.0.wait().expect("its end").code(), Some(138));
}

/// Killed with the test, in any case.
struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let ignoring =
        |adapter: &str| format!("trap '' INT USR1 TTOU; exec {adapter} -- cat /proc/self/status");
    let adapter = crate::harness::differences::adapter();
    let adapter = adapter.to_str().expect("a path");
    let check = |status: &str| {
        for number in [2, 10, 22] {
            assert!(in_set(status, "SigIgn", number), "{number} in {status}");
        }
    };
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &ignoring(adapter)])
        .env_remove("AWS_LAMBDA_RUNTIME_API");
    check(&output(&mut command).1);

    let mut run = scenario()
        .app_down()
        .binary("/bin/sh".into())
        .args(["-c", &ignoring(adapter)])
        .start();
    run.exit();
    check(&run.log());
}

#[test]
fn what_the_app_leaves_behind_is_asked_to_end_with_the_process() {
    let left = r#"sh -c 'trap "echo terminated; exit" TERM; echo up; read line <&3' & "#;
    let script = format!("exec 3<&0; {left} read line");
    let mut run = shell(&script).app_down().start();
    kill("KILL", app(&mut run, 1));
    assert_eq!(run.exit().code(), Some(137));
    run.wait_until("the remaining process gets SIGTERM", |run| {
        run.log().contains("terminated\n")
    });
}

#[test]
fn what_the_app_leaves_behind_is_killed_for_its_next_life() {
    let left = r#"sh -c 'trap "" TERM; echo left $$ up; read line <&3' & "#;
    let script = format!("exec 3<&0; {left} read line");
    let mut run = shell(&script).invoke(get("/")).run();
    let first = app(&mut run, 1);
    let log = run.log();
    let left = log.lines().find_map(|line| line.strip_prefix("left "));
    let left = left.and_then(|line| line.strip_suffix(" up")?.parse().ok());
    kill("KILL", first);
    let left = left.expect("its process");
    run.wait_until("it is gone", |_| !is_alive(left));
    app(&mut run, 2);
}

#[test]
fn the_app_does_not_outlive_a_killed_adapter() {
    let mut run = shell(WAITING_APP).start();
    let app = app(&mut run, 1);
    run.signal("KILL");
    run.exit();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while is_alive(app) {
        assert!(std::time::Instant::now() < deadline, "the app still runs");
        run.record.wait_briefly();
    }
}

#[test]
fn an_app_that_ends_fails_what_it_had_and_is_started_again() {
    let dies = raw("HTTP/1.1 200")
        .open("requested")
        .wait_for("dead")
        .close();
    let mut run = shell(WAITING_APP)
        .respond(dies)
        .respond(response("200 OK", "alive"))
        .invoke(get("/"))
        .start();
    run.wait_until("a request", |run| run.is_open("requested"));
    let first = app(&mut run, 1);
    kill("KILL", first);
    run.open("dead");
    run.finish();
    run.assert_failure(1, "Function.AppExited", &["SIGKILL", "GET /"]);
    assert_ne!(app(&mut run, 2), first);
    run.invoke(get("/"));
    run.finish();
    assert_eq!(run.reply(2)["body"], "alive");
}

#[test]
fn an_app_that_ends_in_the_middle_of_a_streamed_answer_is_told_in_the_trailers() {
    let dies = raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        .open("half")
        .wait_for("dead")
        .close();
    let mut run = shell("echo up; read line; exit 9")
        .env("AWS_LWA_INVOKE_MODE", "response_stream")
        .respond(dies)
        .invoke(get("/"))
        .start();
    run.wait_until("half a response", |run| run.is_open("half"));
    let first = app(&mut run, 1);
    kill("KILL", first);
    run.open("dead");
    run.finish();
    assert_eq!(
        run.response(1)
            .trailer("lambda-runtime-function-error-type"),
        Some("Function.AppExited")
    );
}

#[test]
fn an_app_started_again_is_waited_for_before_the_next_invocation() {
    let dies = raw("HTTP/1.1 200")
        .open("requested")
        .wait_for("dead")
        .close();
    let mut run = shell(WAITING_APP)
        .probe(response("200 OK", ""))
        .probe(response("503 Service Unavailable", ""))
        .probe(response("200 OK", ""))
        .respond(dies)
        .invoke(get("/"))
        .start();
    run.wait_until("a request", |run| run.is_open("requested"));
    let first = app(&mut run, 1);
    kill("KILL", first);
    run.open("dead");
    run.finish();
    assert_eq!(run.probes().len(), 3);
    let polls = run.api_requests(NEXT);
    assert!(run.probes()[2].0.at < polls[polls.len() - 1].0.at);
}

#[test]
fn an_app_that_ends_while_idle_is_started_again() {
    let mut run = shell(WAITING_APP).invoke(get("/")).run();
    let first = app(&mut run, 1);
    kill("KILL", first);
    let second = app(&mut run, 2);
    assert_ne!(first, second);
    run.invoke(get("/"));
    run.finish();
    assert_eq!(run.reply(2)["statusCode"], 200);
}

#[test]
fn an_app_that_ends_again_and_again_ends_the_process_with_its_status() {
    let flag = Renamed::copy("flag");
    let path = flag.path.to_str().expect("a path");
    let script = format!("test -e '{path}' || exit 7; {WAITING_APP}");
    let mut run = shell(&script).invoke(get("/")).run();
    let first = app(&mut run, 1);
    fs::remove_file(path).expect("the flag");
    kill("KILL", first);
    assert_eq!(run.exit().code(), Some(7));
    let log = run.log();
    assert_eq!(log.matches("restarting it").count(), 5, "{log}");
    assert_eq!(log.matches("FATAL").count(), 1, "{log}");
}

#[test]
fn a_hung_app_is_started_again_where_a_margin_is_set() {
    let mut run = shell(WAITING_APP)
        .env("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", "1000")
        .respond(raw("").hang())
        .respond(response("200 OK", "again"))
        .invoke(crate::harness::api::Invocation::from(get("/")).remaining(1300))
        .start();
    let first = app(&mut run, 1);
    run.finish();
    run.assert_failure(1, "Function.AppTimeout", &[]);
    assert_ne!(app(&mut run, 2), first);
    run.invoke(get("/"));
    run.finish();
    assert_eq!(run.reply(2)["body"], "again");
}

#[test]
fn the_end_after_a_signal_waits_for_what_is_in_flight() {
    let slow = response("200 OK\nContent-Length: 4", "sl")
        .open("half")
        .wait_for("rest")
        .send("ow");
    let mut run = shell("trap 'echo bye; exit 3' TERM; echo up; read line")
        .respond(slow)
        .invoke(get("/"))
        .start();
    run.wait_until("half a response", |run| run.is_open("half"));
    app(&mut run, 1);
    run.signal("TERM");
    run.wait_until("the app has ended", |run| {
        run.log().contains("bye\n") && children(run.pid()).is_empty()
    });
    run.open("rest");
    assert_eq!(run.exit().code(), Some(3));
    assert_eq!(run.reply(1)["body"], "slow");
}

#[test]
fn a_signal_after_the_exit_of_the_app_does_not_change_the_exit_status() {
    let slow = response("200 OK\nContent-Length: 4", "sl")
        .open("half")
        .wait_for("rest")
        .send("ow");
    let mut run = shell("trap 'exit 3' TERM; echo up; read line")
        .env("AWS_LAMBDA_LOG_LEVEL", "debug")
        .respond(slow)
        .invoke(get("/"))
        .start();
    run.wait_until("half a response", |run| run.is_open("half"));
    let first = app(&mut run, 1);
    kill("TERM", run.pid());
    run.wait_until("the app has exited", |run| {
        run.log().contains("exited after signal") && !is_alive(first)
    });
    kill("TERM", run.pid());
    run.wait_until("the second signal is received", |run| {
        run.log().contains("ignoring signal 15")
    });
    run.open("rest");
    assert_eq!(run.exit().code(), Some(3));
    assert_eq!(run.reply(1)["body"], "slow");
}

#[test]
fn a_bootstrap_starts_the_file_that_the_handler_names() {
    let bootstrap = Renamed::copy("bootstrap");
    let root = bootstrap.path.parent().expect("its folder").to_owned();
    let script = root.join("run.sh");
    fs::write(&script, "#!/bin/sh\necho \"$0 $#\"; exec sleep 1000\n").expect("a script");
    Command::new("chmod")
        .arg("755")
        .arg(&script)
        .status()
        .expect("chmod");
    let mut run = scenario()
        .binary(bootstrap.path.clone())
        .args([])
        .env("_HANDLER", "run.sh")
        .env("LAMBDA_TASK_ROOT", root.to_str().expect("a path"))
        .invoke(get("/"))
        .run();
    assert_eq!(run.reply(1)["statusCode"], 200);
    let line = format!("{} 0\n", script.display());
    run.wait_until("its name", |run| run.log().contains(&line));
}

#[test]
fn help_and_version_are_printed_and_what_is_no_option_is_an_error() {
    let (status, stdout, stderr) = output(&mut outside_lambda(&["--help"]));
    assert_eq!((status, &*stderr), (Some(0), ""));
    assert!(stdout.contains("COMMAND [ARGS...]"), "{stdout}");
    let (status, stdout, _) = output(&mut outside_lambda(&["--version"]));
    assert_eq!(status, Some(0));
    assert_eq!(
        stdout,
        format!("lambda-adapter {}\n", env!("CARGO_PKG_VERSION"))
    );
    for args in [&["--verbose", "true"][..], &["-x"], &["--"]] {
        let (status, stdout, stderr) = output(&mut outside_lambda(args));
        assert_eq!((status, &*stdout), (Some(2), ""), "{args:?}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// The adapter as the first process of its own PID namespace; `None` where that is not allowed.
fn first_process(script: &str) -> Option<Scenario> {
    const UNSHARE: [&str; 4] = ["-pf", "--mount-proc", "--kill-child", "--"];
    let mut probe = Command::new("unshare");
    if !probe
        .args(UNSHARE)
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        let _ = writeln!(std::io::stderr(), "skipped: no PID namespaces here");
        return None;
    }
    let adapter = crate::harness::differences::adapter();
    let adapter = adapter.to_str().expect("a path");
    let line = UNSHARE
        .into_iter()
        .chain([adapter, "--", "/bin/sh", "-c", script]);
    Some(
        scenario()
            .binary("unshare".into())
            .env("PATH", "/usr/bin:/bin")
            .args(line),
    )
}

#[test]
fn orphans_are_reaped_as_the_first_process() {
    let script = "sh -c 'sleep 0.1 & sleep 0.1 & :'; echo up; read line";
    let Some(scenario) = first_process(script) else {
        return;
    };
    let mut run = scenario
        .env("AWS_LAMBDA_LOG_LEVEL", "debug")
        .invoke(get("/"))
        .run();
    let adapter = children(run.pid())[0];
    run.wait_until("two orphans are reaped", |run| {
        run.log().matches("reaped the orphan").count() == 2
    });
    assert_eq!(children(adapter).len(), 1);
}

#[test]
fn signals_and_the_exit_status_are_passed_on_as_the_first_process() {
    for (name, number) in [("TERM", 15), ("USR1", 10)] {
        let Some(scenario) = first_process("echo $$ up; read line") else {
            return;
        };
        let mut run = scenario.invoke(get("/")).run();
        run.wait_until("the app is up", |run| run.log().contains(" up\n"));
        // Not 1: the adapter is.
        assert!(
            !run.log().contains("\n1 up") && !run.log().starts_with("1 up"),
            "{}",
            run.log()
        );
        kill(name, children(run.pid())[0]);
        let status = run.exit();
        assert_eq!(
            (status.code(), status.signal()),
            (Some(128 + number), None),
            "{name}"
        );
    }
}
