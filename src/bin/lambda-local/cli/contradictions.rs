//! Options that exclude one another, because Lambda has no such function.

use crate::cli::options::{Adapter, Details, Init, InvokeMode, Kind, Options};

/// Returns why Lambda has no such function.
pub fn find(options: &Options) -> Option<&'static str> {
    of_web_functions(options).or_else(|| of_events(options))
}

fn of_events(options: &Options) -> Option<&'static str> {
    let has_stages = matches!(options.kind, Kind::HttpApi | Kind::RestApi);
    let can_stream = matches!(options.kind, Kind::FunctionUrl | Kind::RestApi);
    if options.stage.is_some() && !has_stages {
        return Some("`--stage` needs `--event http-api` or `--event rest-api`");
    }
    if options.stage.as_deref() == Some("") {
        return Some("`--stage` must not be empty");
    }
    if options.invoke_mode == InvokeMode::ResponseStream && !can_stream {
        return Some(
            "`--invoke-mode response_stream` needs `--event function-url` or `--event rest-api`",
        );
    }
    if options.concurrency.is_some() && options.init != Init::OnDemand {
        return Some("`--concurrency` (Managed Instances) and `--init` exclude each other");
    }
    if options.concurrency.is_some() && options.freeze {
        return Some(
            "`--freeze` and `--concurrency` exclude each other: \
             Managed Instances are never frozen",
        );
    }
    if options.max_environments.is_some_and(|max| max > 1) && options.app_port.is_some() {
        return Some(
            "`--max-environments` and `--app-port` exclude each other: the app of each \
             environment needs a port of its own, from $PORT",
        );
    }
    if options.max_environments.is_some() && options.concurrency.is_some() {
        return Some("`--max-environments` and `--concurrency` exclude each other");
    }
    if options.adapter == Adapter::None && options.command.is_empty() {
        return Some("`--no-adapter` needs a command: a runtime that uses the Runtime API");
    }
    None
}

fn of_web_functions(options: &Options) -> Option<&'static str> {
    if !options.web_function {
        return None;
    }
    if options.adapter != Adapter::Default || !options.extensions.is_empty() {
        return Some("`--event web-function` has no adapter and no extensions");
    }
    if options.concurrency.is_some_and(|number| number > 128) {
        return Some("`--concurrency` of a web function is 128 at most");
    }
    let is_excluded = options.init != Init::OnDemand
        || options.invoke_mode != InvokeMode::Buffered
        || options.freeze
        || options.tenant.is_some()
        || options.max_environments.is_some()
        || options.dead_letter.is_some()
        || options.report != Details::None;
    is_excluded.then_some(
        "`--event web-function` excludes `--init`, `--invoke-mode` (it always streams), \
         `--freeze`, `--tenant`, `--max-environments`, `--dead-letter` and `--report`",
    )
}
