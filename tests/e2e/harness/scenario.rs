//! The builder that makes a test five lines: a fake Lambda, a fake app, the adapter between them.
//!
//! The adapter's environment has only the variables that the scenario names.

use crate::harness::api::{self, Invocation};
use crate::harness::app::{self, Response};
pub use crate::harness::run::Run;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

#[derive(Default)]
pub struct Scenario {
    env: Vec<(String, String)>,
    api: api::Script,
    app: app::Script,
    binary: Option<PathBuf>,
    args: Option<Vec<String>>,
    output: Output,
    late_app: bool,
    late_api: bool,
}

/// The adapter's standard output and error, which are one.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Output {
    #[default]
    File,
    Pipe,
    /// Not read before the gate [`Output::READ`] opens.
    UnreadPipe,
    UnreadSocket,
}

impl Output {
    pub const READ: &str = "the log is read";
}

pub fn scenario() -> Scenario {
    Scenario::default()
}

/// The adapter with one event, and an app with one response.
pub fn invoke_once(event: impl Into<Invocation>, response: Response) -> Run {
    scenario().respond(response).invoke(event).run()
}

impl Scenario {
    /// Sets a variable; the value `(unset)` removes one that every test has.
    pub fn env(mut self, name: &str, value: &str) -> Scenario {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn invoke(mut self, invocation: impl Into<Invocation>) -> Scenario {
        self.api.invocations.push_back(invocation.into());
        self
    }

    pub fn invoke_all(
        self,
        invocations: impl IntoIterator<Item = impl Into<Invocation>>,
    ) -> Scenario {
        invocations.into_iter().fold(self, Scenario::invoke)
    }

    pub fn respond(mut self, response: Response) -> Scenario {
        self.app.responses.push_back(response);
        self
    }

    /// The responses to readiness probes, in order; the last one repeats.
    pub fn probe(mut self, response: Response) -> Scenario {
        self.app.probes.push_back(response);
        self
    }

    /// The responses to requests for one target, in order; the last one repeats.
    pub fn at(mut self, target: &str, response: Response) -> Scenario {
        match self
            .app
            .targets
            .iter_mut()
            .find(|(known, _)| known == target)
        {
            Some((_, responses)) => responses.push_back(response),
            None => self
                .app
                .targets
                .push((target.to_owned(), [response].into())),
        }
        self
    }

    pub fn api(mut self, change: impl FnOnce(&mut api::Script)) -> Scenario {
        change(&mut self.api);
        self
    }

    /// The app refuses connections until `Run::start_app`.
    pub fn app_down(self) -> Scenario {
        Scenario {
            late_app: true,
            ..self
        }
    }

    /// Lambda's API refuses connections until `Run::start_api`.
    pub fn api_down(self) -> Scenario {
        Scenario {
            late_api: true,
            ..self
        }
    }

    /// Runs this file instead of the adapter as built.
    pub fn binary(self, path: PathBuf) -> Scenario {
        Scenario {
            binary: Some(path),
            ..self
        }
    }

    /// The adapter's command line; the default depends on the mode of the suite.
    pub fn args<'a>(self, args: impl IntoIterator<Item = &'a str>) -> Scenario {
        let args = args.into_iter().map(str::to_owned).collect();
        Scenario {
            args: Some(args),
            ..self
        }
    }

    /// The adapter's standard streams are one pipe, as on Lambda, and not a file.
    pub fn piped(self) -> Scenario {
        Scenario {
            output: Output::Pipe,
            ..self
        }
    }

    pub fn output(self, output: Output) -> Scenario {
        Scenario { output, ..self }
    }

    /// Starts everything, and returns at once.
    pub fn start(self) -> Run {
        let app = ReservedAddress::reserve(self.late_app);
        let api = ReservedAddress::reserve(self.late_api);
        let mut env = vec![
            ("AWS_LAMBDA_RUNTIME_API".to_owned(), api.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME".to_owned(), "fn".to_owned()),
            (
                "AWS_LAMBDA_FUNCTION_VERSION".to_owned(),
                "$LATEST".to_owned(),
            ),
            (
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(),
                "128".to_owned(),
            ),
            ("AWS_LWA_PORT".to_owned(), app.address.port().to_string()),
        ];
        if self.late_app {
            env.push(("AWS_LWA_HOST".to_owned(), app.address.ip().to_string()));
        }
        for (name, value) in self.env {
            env.retain(|(known, _)| *known != name);
            let value = value
                .replace("{app}", &app.address.to_string())
                .replace("{api}", &api.address.to_string());
            env.push((
                name,
                value.replace("{port}", &app.address.port().to_string()),
            ));
        }
        env.retain(|(_, value)| value != "(unset)");

        let mut run = Run::new(app, api, self.app, self.api);
        if !self.late_app {
            run.start_app();
        }
        if !self.late_api {
            run.start_api();
        }
        let binary = self
            .binary
            .unwrap_or_else(crate::harness::differences::adapter);
        let args = self
            .args
            .unwrap_or_else(crate::harness::differences::arguments);
        run.spawn(binary, args, env, self.output);
        run
    }

    /// Starts everything, and waits until each invocation has its reply and the next one is
    /// requested.
    pub fn run(self) -> Run {
        let mut run = self.start();
        run.finish();
        run
    }
}

/// A loopback address of our own, listening or not.
pub struct ReservedAddress {
    pub address: SocketAddr,
    listener: Option<TcpListener>,
}

impl ReservedAddress {
    /// One that does not listen yet has its own loopback IP, where no other process takes the port.
    pub fn reserve(late: bool) -> ReservedAddress {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let own = format!(
            "127.{}.{}.{}:0",
            1 + std::process::id() % 250,
            number[0],
            number[1].max(1)
        );
        let host = if late { own.as_str() } else { "127.0.0.1:0" };
        let listener = TcpListener::bind(host).expect("a loopback port");
        let address = listener.local_addr().expect("its address");
        ReservedAddress {
            address,
            listener: (!late).then_some(listener),
        }
    }

    pub fn listen(&mut self) -> TcpListener {
        self.listener
            .take()
            .unwrap_or_else(|| TcpListener::bind(self.address).expect("the reserved port"))
    }
}

/// A copy of the adapter under another name, in its own folder, which is removed on drop.
pub struct Renamed {
    pub path: PathBuf,
}

impl Renamed {
    pub fn copy(name: &str) -> Renamed {
        let renamed = Renamed::in_own_folder(name);
        // In a process of its own: what this one has open for writing, another test's child may
        // have open too for a moment, and a file that is open for writing cannot be started.
        let mut copy = Command::new("cp");
        let copied = copy
            .arg(crate::harness::differences::adapter())
            .arg(&renamed.path)
            .status();
        assert!(copied.is_ok_and(|status| status.success()), "no copy");
        renamed
    }

    pub fn link(name: &str) -> Renamed {
        let renamed = Renamed::in_own_folder(name);
        std::os::unix::fs::symlink(crate::harness::differences::adapter(), &renamed.path)
            .expect("a link to the adapter");
        renamed
    }

    fn in_own_folder(name: &str) -> Renamed {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("adapter-e2e-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a directory");
        Renamed {
            path: folder.join(name),
        }
    }
}

impl Drop for Renamed {
    fn drop(&mut self) {
        if let Some(folder) = self.path.parent() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}
