//! Each front's round trip, compared with a direct request: status, headers and body must be the
//! app's.

use super::run::{Local, Response, fixture, has, send, start};

/// A front, the options that choose it, the prefix of its URLs, and its limits.
struct Front {
    name: &'static str,
    args: &'static [&'static str],
    prefix: &'static str,
    one_megabyte: bool,
}

const FRONTS: [Front; 9] = [
    front("function url", &[]),
    front(
        "function url, streaming",
        &["--invoke-mode", "response_stream"],
    ),
    front("http api", &["--event", "http-api"]),
    Front {
        prefix: "/live",
        ..front(
            "http api with a stage",
            &[
                "--event",
                "http-api",
                "--stage",
                "live",
                "--env",
                "AWS_LWA_REMOVE_BASE_PATH=/live",
            ],
        )
    },
    front("rest api", &["--event", "rest-api"]),
    Front {
        prefix: "/live",
        ..front(
            "rest api with a stage, streaming",
            &[
                "--event",
                "rest-api",
                "--stage",
                "live",
                "--invoke-mode",
                "response_stream",
            ],
        )
    },
    Front {
        one_megabyte: true,
        ..front("load balancer", &["--event", "alb"])
    },
    Front {
        one_megabyte: true,
        ..front(
            "load balancer, multi-value",
            &["--event", "alb-multi-value"],
        )
    },
    Front {
        ..front("lattice", &["--event", "lattice"])
    },
];

const fn front(name: &'static str, args: &'static [&'static str]) -> Front {
    Front {
        name,
        args,
        prefix: "",
        one_megabyte: false,
    }
}

/// Method, target, headers, body.
type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [u8],
);

const BINARY: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut place = 0;
    while place < 256 {
        bytes[place] = place as u8;
        place += 1;
    }
    bytes
};

const ROWS: [Row; 14] = [
    ("GET", "/html", &[], b""),
    ("HEAD", "/html", &[], b""),
    ("GET", "/json", &[], b""),
    ("GET", "/small.bin", &[], b""),
    ("GET", "/large.bin", &[], b""),
    ("GET", "/cookies", &[("cookie", "x=1; y=2")], b""),
    ("GET", "/redirect", &[], b""),
    (
        "POST",
        "/echo",
        &[("content-type", "application/octet-stream")],
        &BINARY,
    ),
    (
        "PUT",
        "/echo",
        &[("content-type", "text/plain; charset=utf-8")],
        "Grüße".as_bytes(),
    ),
    (
        "POST",
        "/echo",
        &[("content-type", "application/x-www-form-urlencoded")],
        b"a=1&b=x+y%26",
    ),
    (
        "GET",
        "/seen?b=2&a=1&c=%C3%BC",
        &[("x-probe", "p, q"), ("cookie", "s=1; t=2")],
        b"",
    ),
    ("GET", "/missing", &[], b""),
    ("GET", "/broken", &[], b""),
    ("GET", "/nothing", &[], b""),
];

#[test]
fn a_python_app_answers_through_each_front_as_it_does_directly() {
    if has("python3") {
        each_front(&["python3", &fixture("site.py")]);
    }
}

#[test]
fn a_node_app_answers_through_each_front_as_it_does_directly() {
    if has("node") {
        each_front(&["node", &fixture("site.js")]);
    }
}

fn each_front(app: &[&str]) {
    let mut differences = Vec::new();
    for front in &FRONTS {
        let local = start(front.args, app);
        for row in &ROWS {
            differences.extend(compare(front, &local, row));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The difference, as text.
fn compare(front: &Front, local: &Local, (method, target, headers, body): &Row) -> Option<String> {
    let direct = send(local.app, method, target, headers, body);
    let through = send(
        local.address,
        method,
        &format!("{}{target}", front.prefix),
        headers,
        body,
    );
    let difference = |text: &str| Some(format!("{}: {method} {target}: {text}", front.name));
    if *target == "/large.bin" && front.one_megabyte {
        return if through.status == 502 {
            None
        } else {
            difference("more than 1 MB came through a load balancer")
        };
    }
    if direct.status != through.status {
        return difference(&format!(
            "status {} became {}",
            direct.status, through.status
        ));
    }
    if direct.body != through.body || !through.complete {
        return difference(&format!(
            "{} bytes became {}, whole: {}",
            direct.body.len(),
            through.body.len(),
            through.complete
        ));
    }
    let (wanted, mut got) = (comparable(&direct), comparable(&through));
    if !wanted.iter().any(|(name, _)| name == "content-type") {
        // A front adds a type where the app sends none.
        got.retain(|(name, _)| name != "content-type");
    }
    (wanted != got).then(|| {
        format!(
            "{}: {method} {target}: {wanted:?} became {got:?}",
            front.name
        )
    })
}

/// The headers that are the app's to choose: not those of the connection, nor those that a front
/// sets or renames.
fn comparable(response: &Response) -> Vec<(String, String)> {
    let own = [
        "date",
        "server",
        "connection",
        "keep-alive",
        "content-length",
        "transfer-encoding",
        "apigw-requestid",
        "x-amz-apigw-id",
    ];
    let mut headers: Vec<(String, String)> = response
        .headers
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()) && !name.starts_with("x-amzn-"))
        .cloned()
        .collect();
    // The order of names may change, the order of one name's values may not.
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}

#[test]
fn a_stage_is_a_part_of_every_url() {
    if !has("python3") {
        return;
    }
    for (kind, status) in [("rest-api", 403), ("http-api", 404)] {
        let local = start(
            &["--event", kind, "--stage", "live"],
            &["python3", &fixture("site.py")],
        );
        assert_eq!(local.get("/json").status, status, "{kind}");
    }
}

#[test]
fn a_request_is_refused_at_the_size_at_which_its_front_refuses_it() {
    let large = vec![b'x'; (1 << 20) + 1];
    let local = start(&["--event", "alb"], &[]);
    assert_eq!(
        send(local.address, "POST", "/upload", &[], &large).status,
        413
    );
    let local = start(&[], &[]);
    assert_eq!(
        send(local.address, "POST", "/upload", &[], &large).status,
        200
    );
    assert_eq!(
        send(local.address, "POST", "/upload", &[], &large.repeat(7)).status,
        413
    );
}

#[test]
fn a_stream_arrives_as_it_is_written() {
    let Some(local) = super::run::python_site(&["--invoke-mode", "response_stream"]) else {
        return;
    };
    let response = local.get("/stream");
    assert!(response.complete);
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    assert_eq!(response.text().matches("data: ").count(), 5);
    let spread = response.arrivals[4] - response.arrivals[0];
    assert!(
        response.arrivals.len() == 5 && spread.as_millis() > 400,
        "{spread:?}"
    );
}

#[test]
fn a_stream_that_breaks_off_is_not_a_whole_answer() {
    let Some(mut local) = super::run::python_site(&["--invoke-mode", "response_stream"]) else {
        return;
    };
    let response = local.get("/stream?die_after=3");
    assert_eq!(response.text().matches("data: ").count(), 3);
    assert!(!response.complete);
    local.wait_for("GET /stream?die_after=3 200 ");
    local.wait_for(", incomplete");
    assert!(
        local.get("/json").complete,
        "the next one is not touched by it"
    );
}

#[test]
fn a_buffered_front_gets_a_stream_in_one() {
    let Some(local) = super::run::python_site(&[]) else {
        return;
    };
    let response = local.get("/stream");
    assert!(response.complete && response.arrivals.is_empty());
    assert_eq!(response.text().matches("data: ").count(), 5);
}
