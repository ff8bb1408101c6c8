//! The start script of zip functions (`layer/bootstrap`), under every shell that may run it.
//!
//! Lambda's managed runtimes call it as their `AWS_LAMBDA_EXEC_WRAPPER`; which shell `/bin/sh` is
//! depends on the image, so every rule is tested with dash, bash and busybox.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const BOOTSTRAP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/layer/bootstrap");
const PLAIN: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;

/// The shells of this machine, each as the start of a command line.
fn shells() -> impl Iterator<Item = &'static [&'static str]> {
    let all: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];
    all.into_iter().filter(|shell| {
        let found = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", ":"])
            .status();
        if found.is_err() {
            // Not captured by the test harness: a skip must be seen.
            let _ = writeln!(std::io::stderr(), "skipped: no {} here", shell[0]);
        }
        found.is_ok()
    })
}

/// A zip function's folder. Its name has characters that a quoting mistake would split or expand.
struct Task {
    root: PathBuf,
}

impl Task {
    fn new() -> Task {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("var task * $HOME {} {number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(&root).unwrap();
        Task { root }
    }

    fn path(&self, name: &str) -> String {
        self.root.join(name).to_str().unwrap().to_owned()
    }

    fn file(self, name: &str, mode: u32, content: &str) -> Task {
        let path = self.root.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// The bootstrap as Lambda starts it, with the command line of a managed runtime.
    fn bootstrap(&self, shell: &[&str], handler: &str) -> Command {
        let mut command = Command::new(shell[0]);
        command
            .args(&shell[1..])
            .args([BOOTSTRAP, "/var/lang/bin/node", "/var/runtime/index.mjs"])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LAMBDA_TASK_ROOT", &self.root)
            .env("_HANDLER", handler);
        command
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[track_caller]
fn assert_prints(command: &mut Command, expected: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}, {stderr}");
    assert_eq!(String::from_utf8_lossy(&stdout), expected, "{command:?}");
}

#[track_caller]
fn assert_fails(command: &mut Command, code: i32, complaint: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(code), "{command:?}: {stderr}");
    assert_eq!(String::from_utf8_lossy(&stdout), "", "{command:?}");
    let line = format!("lambda-adapter bootstrap: {complaint}\n");
    assert_eq!(stderr, line, "{command:?}");
}

#[test]
fn the_start_script_gets_no_word_of_the_runtime_command_line() {
    let task = Task::new().file("run me.sh", EXECUTABLE, "#!/bin/sh\necho \"$0\" $#\n");
    for shell in shells() {
        let expected = format!("{} 0\n", task.path("run me.sh"));
        assert_prints(&mut task.bootstrap(shell, "run me.sh"), &expected);
    }
}

#[test]
fn a_script_without_the_executable_bit_runs_through_the_interpreter_it_names() {
    let script = "#! /usr/bin/env FROM=shebang /bin/sh\necho \"$0\" $FROM $#\n";
    let task = Task::new()
        .file("run*.sh", PLAIN, script)
        .file("run2.sh", PLAIN, "");
    for shell in shells() {
        let expected = format!("{} shebang 0\n", task.path("run*.sh"));
        assert_prints(&mut task.bootstrap(shell, "run*.sh"), &expected);
    }
}

#[test]
fn a_script_that_names_no_interpreter_runs_through_sh() {
    let task = Task::new().file("plain", PLAIN, "echo \"$0\" $#").file(
        "executable",
        EXECUTABLE,
        "echo \"$0\" $#",
    );
    for shell in shells() {
        for handler in ["plain", "executable"] {
            let expected = format!("{} 0\n", task.path(handler));
            assert_prints(&mut task.bootstrap(shell, handler), &expected);
        }
    }
}

#[test]
fn windows_line_ends_are_said_in_plain_words() {
    let task = Task::new()
        .file("run.sh", EXECUTABLE, "#!/bin/sh\r\necho hello\r\n")
        .file("plain.sh", PLAIN, "echo hello\r\n");
    for shell in shells() {
        for handler in ["run.sh", "plain.sh"] {
            let path = task.path(handler);
            let complaint =
                format!("handler `{path}` has Windows line ends (CRLF): save it with LF");
            assert_fails(&mut task.bootstrap(shell, handler), 126, &complaint);
        }
    }
}

#[test]
fn a_missing_handler_is_named_with_its_path() {
    let task = Task::new();
    for shell in shells() {
        let why = "does not exist: the function's handler must name the app's start script, such \
            as run.sh";
        let looked_for = task.path("index.handler");
        let complaint = format!("handler `{looked_for}` {why}");
        assert_fails(&mut task.bootstrap(shell, "index.handler"), 127, &complaint);

        let complaint = format!("handler `/var/task/no such.sh` {why}");
        let mut bootstrap = task.bootstrap(shell, "no such.sh");
        assert_fails(bootstrap.env_remove("LAMBDA_TASK_ROOT"), 127, &complaint);
    }
}

#[test]
fn a_handler_that_cannot_be_started_is_told_why() {
    let task = Task::new()
        .file("program", PLAIN, "\u{7f}ELF\u{2}\u{1}\u{1}\0\0\0")
        .file("run.sh", EXECUTABLE, "#!/no/such/node --flag\n");
    for shell in shells() {
        let program = task.path("program");
        let complaint = format!(
            "handler `{program}` is a program without the executable bit: give it mode 755"
        );
        assert_fails(&mut task.bootstrap(shell, "program"), 126, &complaint);

        let script = task.path("run.sh");
        let complaint = format!(
            "handler `{script}` asks for the interpreter `/no/such/node`, which does not exist"
        );
        assert_fails(&mut task.bootstrap(shell, "run.sh"), 127, &complaint);

        let folder = task.path(".");
        let complaint = format!("handler `{folder}` is not a file");
        assert_fails(&mut task.bootstrap(shell, "."), 126, &complaint);

        let complaint = "_HANDLER is not set: the function's handler must name the app's start \
            script, such as run.sh";
        assert_fails(
            task.bootstrap(shell, "").env_remove("_HANDLER"),
            127,
            complaint,
        );
    }
}

#[test]
fn an_absolute_handler_is_looked_for_in_the_task_root_first() {
    let task = Task::new().file("run.sh", EXECUTABLE, "#!/bin/sh\necho inside\n");
    let other = Task::new().file("run.sh", EXECUTABLE, "#!/bin/sh\necho outside\n");
    for shell in shells() {
        assert_prints(&mut task.bootstrap(shell, "/run.sh"), "inside\n");
        assert_prints(
            &mut task.bootstrap(shell, &other.path("run.sh")),
            "outside\n",
        );
    }
}

#[test]
fn another_vendors_wrapper_starts_in_front_of_the_app() {
    let wrapper = "#!/bin/sh\nexport TRACING=on\necho \"wrapper: $*\"\nexec \"$@\"\n";
    let task = Task::new()
        .file("otel handler", EXECUTABLE, wrapper)
        .file("run.sh", EXECUTABLE, "#!/bin/sh\necho tracing $TRACING\n")
        .file("plain.sh", PLAIN, "echo tracing $TRACING\n");
    for shell in shells() {
        for (handler, interpreter) in [("run.sh", ""), ("plain.sh", "/bin/sh ")] {
            let mut bootstrap = task.bootstrap(shell, handler);
            bootstrap.env("AWS_LWA_EXEC_WRAPPER", task.path("otel handler"));
            let app = task.path(handler);
            assert_prints(
                &mut bootstrap,
                &format!("wrapper: {interpreter}{app}\ntracing on\n"),
            );
        }
    }
}

#[test]
fn a_wrapper_that_cannot_be_started_is_named() {
    let task = Task::new()
        .file("run.sh", EXECUTABLE, "#!/bin/sh\necho hello\n")
        .file("wrapper", PLAIN, "#!/bin/sh\nexec \"$@\"\n");
    for shell in shells() {
        let missing = "wrapper `/opt/no such` does not exist: AWS_LWA_EXEC_WRAPPER must name a \
            file, mostly one of another layer";
        let mut bootstrap = task.bootstrap(shell, "run.sh");
        assert_fails(
            bootstrap.env("AWS_LWA_EXEC_WRAPPER", "/opt/no such"),
            127,
            missing,
        );

        let wrapper = task.path("wrapper");
        let complaint = format!("wrapper `{wrapper}` is not executable: give it mode 755");
        let mut bootstrap = task.bootstrap(shell, "run.sh");
        assert_fails(
            bootstrap.env("AWS_LWA_EXEC_WRAPPER", &wrapper),
            126,
            &complaint,
        );
    }
}

#[test]
fn a_wrapper_that_is_the_bootstrap_itself_ends_in_the_app() {
    let task = Task::new().file("run.sh", EXECUTABLE, "#!/bin/sh\necho hello\n");
    for shell in shells() {
        let mut bootstrap = task.bootstrap(shell, "run.sh");
        assert_prints(bootstrap.env("AWS_LWA_EXEC_WRAPPER", BOOTSTRAP), "hello\n");
    }
}

#[test]
fn the_app_gets_the_endpoint_to_listen_on_unless_it_is_set() {
    let app = "echo \"$AWS_LAMBDA_HTTP_ENDPOINT\"\n";
    let task = Task::new().file("run.sh", PLAIN, app);
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[], "127.0.0.1:8080"),
        (&[("PORT", "3000"), ("AWS_LWA_PORT", "")], "127.0.0.1:3000"),
        (
            &[("PORT", "3000"), ("AWS_LWA_PORT", " 9000 ")],
            "127.0.0.1:9000",
        ),
        (
            &[("HOST", "0.0.0.0"), ("AWS_LWA_HOST", " ")],
            "0.0.0.0:8080",
        ),
        (&[("HOST", "x"), ("AWS_LWA_HOST", "::1")], "[::1]:8080"),
        (&[("AWS_LWA_HOST", "[::1]"), ("PORT", "1")], "[::1]:1"),
        (&[("AWS_LAMBDA_HTTP_ENDPOINT", " ")], "127.0.0.1:8080"),
        (
            &[("AWS_LAMBDA_HTTP_ENDPOINT", "0.0.0.0:3000"), ("PORT", "1")],
            "0.0.0.0:3000",
        ),
    ];
    for shell in shells() {
        for (variables, expected) in cases {
            let mut bootstrap = task.bootstrap(shell, "run.sh");
            bootstrap.envs(variables.iter().copied());
            assert_prints(&mut bootstrap, &format!("{expected}\n"));
        }
    }
}

#[test]
fn the_app_is_the_process_that_lambda_started_and_gets_its_signals() {
    let app = "trap 'exit 7' TERM\necho $$\nn=0\nwhile [ $n -lt 100 ]; do sleep 0.1; n=$((n + \
        1)); done\n";
    let wrapper = "#!/bin/sh\nexec \"$@\"\n";
    let task = Task::new()
        .file("run.sh", PLAIN, app)
        .file("wrapper", EXECUTABLE, wrapper);
    for shell in shells() {
        let mut bootstrap = task.bootstrap(shell, "run.sh");
        bootstrap.env("AWS_LWA_EXEC_WRAPPER", task.path("wrapper"));
        let mut child = bootstrap.stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        assert_eq!(first.trim(), child.id().to_string(), "{shell:?}");

        let kill = format!("kill -TERM {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(7), "{shell:?}");
    }
}
