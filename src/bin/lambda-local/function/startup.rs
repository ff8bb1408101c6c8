//! The steps of each cold start, as they happen: for `--report cold-start` and for the page.
//!
//! lambda-local sees a step where it takes part in it: in the Runtime API, and in the relay to the
//! app, which readiness probes, priming and the hooks of a snapshot pass. Without a relay, the
//! start of the app and its probe are one step.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::log::cold_start::{ColdStart, Part, Phase, Side};

/// A point in time at which a step ends or, for `Restoring` and `Sent`, begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first process calls `/extension/register`.
    Registering,
    Registered,
    /// The app accepts connections.
    Listening,
    /// The first `/next`, or `/restore/next`.
    Ready,
    Restoring,
    /// The first `/next` after a restore.
    Restored,
    /// The first event is there for the runtime.
    Sent,
    /// The runtime posts the first response.
    Responded,
}

/// A request of the adapter's own to the app.
#[derive(Clone, Debug)]
pub struct OwnRequest {
    pub method: String,
    pub target: String,
    pub is_priming: bool,
    pub started: Instant,
    pub status: Option<u16>,
}

impl OwnRequest {
    fn name(&self) -> &'static str {
        match (self.is_priming, self.method.as_str()) {
            (true, _) => "prime",
            (false, "POST") => "hook",
            (false, _) => "probe",
        }
    }

    /// Returns the request as a log line has it.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub fn is_probe(&self) -> bool {
        self.name() == "probe"
    }

    fn detail(&self) -> String {
        match self.status {
            Some(status) => format!("{} {status}", self.line()),
            None => format!("{} no response", self.line()),
        }
    }

    /// Returns true if the start ends with this request: it has no response, or one that the
    /// adapter does not accept. Priming may have any.
    fn has_failed(&self) -> bool {
        match (self.name(), self.status) {
            (_, None) => true,
            ("hook", Some(status)) => !(200..300).contains(&status),
            ("probe", Some(status)) => status >= 400,
            _ => false,
        }
    }
}

/// A request with the end of its response so far, or of its connection.
#[derive(Debug)]
struct Sent {
    request: OwnRequest,
    ended: Option<Instant>,
}

#[derive(Debug)]
struct Startup {
    app_port: u16,
    began: Instant,
    has_relay: bool,
    steps: Vec<(Step, Instant)>,
    requests: Vec<Sent>,
    is_reported: bool,
}

/// The last start of each environment. An environment is known by the port of its app.
#[derive(Debug, Default)]
pub struct Startups(Mutex<Vec<Startup>>);

impl Startups {
    fn lock(&self) -> MutexGuard<'_, Vec<Startup>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new environment is created.
    pub fn begin(&self, app_port: u16, has_relay: bool) {
        let mut all = self.lock();
        all.retain(|startup| startup.app_port != app_port);
        all.push(Startup {
            app_port,
            began: Instant::now(),
            has_relay,
            steps: Vec::new(),
            requests: Vec::new(),
            is_reported: false,
        });
    }

    fn change(&self, app_port: u16, change: impl FnOnce(&mut Startup)) {
        let mut all = self.lock();
        let mut open = all.iter_mut().filter(|startup| !startup.is_reported);
        if let Some(startup) = open.find(|startup| startup.app_port == app_port) {
            change(startup);
        }
    }

    /// Records a step. Several extensions register: the first start counts, and the last end.
    pub fn step(&self, app_port: u16, step: Step) {
        let now = Instant::now();
        self.change(app_port, |startup| {
            let known = startup.steps.iter_mut().find(|(known, _)| *known == step);
            match known {
                Some((Step::Registered, at)) => *at = now,
                Some(_) => {}
                None => startup.steps.push((step, now)),
            }
        });
    }

    /// Records a request that has been sent.
    pub fn begin_request(&self, app_port: u16, request: &OwnRequest) {
        self.change(app_port, |startup| {
            startup.requests.push(Sent {
                request: request.clone(),
                ended: None,
            });
        });
    }

    /// Records a part of the response to a request, or the end of its connection without one.
    pub fn end_request(&self, app_port: u16, request: &OwnRequest) {
        let now = Instant::now();
        self.change(app_port, |startup| {
            let mut sent = startup.requests.iter_mut();
            if let Some(sent) = sent.find(|sent| sent.request.started == request.started) {
                sent.request.status = request.status;
                sent.ended = Some(now);
            }
        });
    }

    /// Returns the last request of the start of this environment, and whether it is in flight.
    pub fn last_request(&self, app_port: u16) -> Option<(OwnRequest, bool)> {
        let all = self.lock();
        let startup = all.iter().find(|startup| startup.app_port == app_port)?;
        let last = startup.requests.last()?;
        Some((last.request.clone(), last.ended.is_none()))
    }

    /// Returns the cold start whose first invocation has ended; `None` for a warm one.
    pub fn finish(&self, app_port: u16) -> Option<ColdStart> {
        let mut finished = None;
        self.change(app_port, |startup| {
            startup.is_reported = true;
            finished = Some(startup.cold_start(Instant::now()));
        });
        finished
    }
}

impl Startup {
    fn at(&self, step: Step) -> Option<Instant> {
        let mut steps = self.steps.iter();
        steps.find(|(known, _)| *known == step).map(|(_, at)| *at)
    }

    fn cold_start(&self, now: Instant) -> ColdStart {
        let mut init = Phases::new(Part::Init, self.began);
        let ready = self.at(Step::Ready);
        let mut ends = vec![
            (self.at(Step::Registering), "process start", Side::Adapter),
            (self.at(Step::Registered), "register", Side::Adapter),
            (self.at(Step::Listening), "app start", Side::App),
        ];
        if !self.has_relay {
            ends.push((ready, "app start", Side::App));
        }
        // As the entry point, the adapter registers while the app starts.
        ends.sort_by_key(|(at, ..)| *at);
        for (at, name, side) in ends {
            init.push_known(name, side, at);
        }
        self.push_requests(&mut init, ready.unwrap_or(now));
        if self.has_relay {
            let name = if self.at(Step::Restoring).is_some() {
                "snapshot"
            } else {
                "first /next"
            };
            init.push_known(name, Side::Adapter, ready);
        }
        let mut phases = init.finish(ready.is_some(), self.open_step(), now);
        if let Some(restoring) = self.at(Step::Restoring) {
            let mut restore = Phases::new(Part::Restore, restoring);
            let restored = self.at(Step::Restored);
            self.push_requests(&mut restore, restored.unwrap_or(now));
            restore.push_known("first /next", Side::Adapter, restored);
            let open = match self.requests_since(restoring).last() {
                Some(last) if last.request.has_failed() => None,
                Some(_) => Some("first /next"),
                None => Some("restore"),
            };
            phases.extend(restore.finish(restored.is_some(), open, now));
        }
        if let Some(sent) = self.at(Step::Sent) {
            let mut first = Phases::new(Part::Response, sent);
            let responded = self.at(Step::Responded);
            first.push_known("first response", Side::App, responded);
            phases.extend(first.finish(responded.is_some(), Some("first response"), now));
        }
        ColdStart { phases }
    }

    /// Adds the requests of this part of the start; the probes in a row are one phase.
    fn push_requests(&self, phases: &mut Phases, until: Instant) {
        let sent = self.requests_since(phases.began);
        for Sent { request, ended } in sent.filter(|sent| sent.request.started <= until) {
            let (name, detail) = (request.name(), request.detail());
            // The adapter reads no long page of a probe to its end.
            let ended = ended.map_or(until, |ended| until.min(ended));
            match phases.list.last_mut() {
                Some(last) if name == "probe" && last.name == name => {
                    last.duration += ended.saturating_duration_since(phases.at);
                    last.detail = detail;
                    last.times += 1;
                    phases.at = ended;
                }
                _ => phases.push(name, Side::App, ended, detail),
            }
        }
    }

    fn requests_since(&self, since: Instant) -> impl Iterator<Item = &Sent> {
        let requests = self.requests.iter();
        requests.filter(move |sent| sent.request.started >= since)
    }

    /// Returns the name of the step in which init has failed; `None` for its last request.
    fn open_step(&self) -> Option<&'static str> {
        let names = [
            (Step::Registering, "process start"),
            (Step::Registered, "register"),
            (Step::Listening, "app start"),
        ];
        let open = names.iter().find(|(step, _)| self.at(*step).is_none());
        match (open, self.requests.last()) {
            (Some((_, name)), _) => Some(name),
            (None, Some(last)) if last.request.has_failed() => None,
            (None, Some(_)) => Some("first /next"),
            (None, None) => Some("probe"),
        }
    }
}

/// Phases in a row: each begins where the one before it has ended.
struct Phases {
    part: Part,
    began: Instant,
    at: Instant,
    list: Vec<Phase>,
}

impl Phases {
    fn new(part: Part, began: Instant) -> Phases {
        Phases {
            part,
            began,
            at: began,
            list: Vec::new(),
        }
    }

    fn push(&mut self, name: &'static str, side: Side, ended: Instant, detail: String) {
        self.list.push(Phase {
            part: self.part,
            name,
            side,
            duration: ended.saturating_duration_since(self.at),
            detail,
            times: 1,
            has_failed: false,
        });
        self.at = ended.max(self.at);
    }

    fn push_known(&mut self, name: &'static str, side: Side, ended: Option<Instant>) {
        if let Some(ended) = ended {
            self.push(name, side, ended, String::new());
        }
    }

    /// Returns the phases, with the one that has failed at their end: the last one, or one of its
    /// own with this name.
    fn finish(mut self, is_complete: bool, open: Option<&'static str>, now: Instant) -> Vec<Phase> {
        if is_complete {
            return self.list;
        }
        if let Some(name) = open {
            self.push(name, Side::App, now, String::new());
        }
        if let Some(last) = self.list.last_mut() {
            last.duration += now.saturating_duration_since(self.at);
            last.has_failed = true;
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 1;

    fn probe(startups: &Startups, status: u16) {
        send(startups, "GET", "/health", Some(status));
    }

    fn send(startups: &Startups, method: &str, target: &str, status: Option<u16>) {
        let mut request = OwnRequest {
            method: method.to_owned(),
            target: target.to_owned(),
            is_priming: target.contains("prime"),
            started: Instant::now(),
            status: None,
        };
        startups.begin_request(PORT, &request);
        request.status = status;
        if status.is_some() {
            startups.end_request(PORT, &request);
        }
    }

    /// The phases from the first request on, with their remarks.
    fn phases(startups: &Startups) -> Vec<String> {
        let phases = startups.finish(PORT).expect("a cold start").phases;
        let phases = phases.iter().map(|phase| {
            let failed = if phase.has_failed { " failed" } else { "" };
            format!("{} {}{failed}", phase.name, phase.detail)
        });
        let first = |phase: &String| !phase.starts_with("probe");
        phases.skip_while(first).collect()
    }

    fn started(steps: &[Step]) -> Startups {
        let startups = Startups::default();
        startups.begin(PORT, true);
        steps.iter().for_each(|step| startups.step(PORT, *step));
        startups
    }

    #[test]
    fn probes_in_a_row_are_one_phase_with_the_last_status() {
        let startups = started(&[Step::Registering, Step::Registered, Step::Listening]);
        for status in [503, 503, 200] {
            probe(&startups, status);
        }
        startups.step(PORT, Step::Ready);
        let phases = startups.finish(PORT).expect("a cold start").phases;
        let names: Vec<_> = phases.iter().map(|phase| phase.name).collect();
        let expected = [
            "process start",
            "register",
            "app start",
            "probe",
            "first /next",
        ];
        assert_eq!(names, expected);
        let probe = &phases[3];
        assert_eq!((probe.times, &*probe.detail), (3, "GET /health 200"));
    }

    #[test]
    fn a_start_without_an_end_has_failed_in_its_last_phase() {
        let startups = started(&[Step::Registering, Step::Registered, Step::Listening]);
        probe(&startups, 503);
        let phases = startups.finish(PORT).expect("a cold start").phases;
        let last = phases.last().expect("a phase");
        assert_eq!((last.name, last.has_failed), ("probe", true));
    }

    #[test]
    fn the_request_in_flight_is_the_phase_that_has_failed() {
        let listening = [Step::Registering, Step::Registered, Step::Listening];
        for (status, remark) in [(None, "no response"), (Some(500), "500")] {
            let startups = started(&listening);
            probe(&startups, 200);
            send(&startups, "GET", "/prime", Some(404));
            send(&startups, "POST", "/before", status);
            let expected = [
                "probe GET /health 200".to_owned(),
                "prime GET /prime 404".to_owned(),
                format!("hook POST /before {remark} failed"),
            ];
            assert_eq!(phases(&startups), expected);
            let startups = started(&[&listening[..], &[Step::Ready, Step::Restoring]].concat());
            probe(&startups, 200);
            send(&startups, "POST", "/after", status);
            let expected = [
                "probe GET /health 200".to_owned(),
                format!("hook POST /after {remark} failed"),
            ];
            assert_eq!(phases(&startups), expected);
        }
        let startups = started(&listening);
        probe(&startups, 200);
        assert_eq!(phases(&startups)[1], "first /next  failed");
    }

    #[test]
    fn a_start_is_reported_once_and_others_not_at_all() {
        let startups = started(&[]);
        assert!(startups.finish(PORT + 1).is_none());
        assert!(startups.finish(PORT).is_some());
        assert!(startups.finish(PORT).is_none());
        startups.begin(PORT, true);
        assert!(startups.finish(PORT).is_some());
    }
}
