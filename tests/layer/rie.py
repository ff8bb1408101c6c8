"""The scratch test: rie.py BINARY runs the finished adapter where there is nothing else.

An empty tree gets the adapter, a static app as the function, and AWS's own Runtime
Interface Emulator; chroot makes it the root. The adapter runs as an extension and as the
image's entrypoint, which starts the app itself, each under both cores of RIE: the classic one, and
that of Managed Instances, with 16 invocations in flight. Anything that a bare image lacks
is missing here, and the other side of every protocol is AWS's code, not ours. Each
kind of event is posted to /2015-03-31/functions/function/invocations and its reply
compared. Error pages of 1 B to 6 MB and an app that dies must leave the invocations after them
alone.

RIE comes inside the wheel of AWS's SAM CLI (PyPI). Without root, network or an
x86_64 or arm64 Linux the test prints a line and counts as skipped.
"""

import base64
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "aws-sam-cli==1.170.0"
RIE = {
    "x86_64": (
        "aws-lambda-rie-x86_64",
        "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
    ),
    "aarch64": (
        "aws-lambda-rie-arm64",
        "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
    ),
}

TARGET_GROUP = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/tg/0a"
ELB = {"elb": {"targetGroupArn": TARGET_GROUP}}
MESSAGE = {"messageId": "m1", "body": "hi", "eventSource": "aws:sqs", "awsRegion": "eu-west-1"}
SQS = {"Records": [MESSAGE]}


def rest(method, path, **more):
    context = {"stage": "live", "requestId": "q-1", "httpMethod": method, "path": f"/live{path}"}
    event = {"resource": "/{proxy+}", "path": path, "httpMethod": method, "requestContext": context}
    event |= {"headers": {"Host": "r1.example"}, "multiValueHeaders": {"Host": ["r1.example"]}}
    return event | more


def http(method, path, **more):
    context = {"stage": "$default", "requestId": "q-2", "http": {"method": method, "path": path}}
    event = {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": ""}
    return event | {"headers": {"host": "h2.example"}, "requestContext": context} | more


def alb(method, path, **more):
    event = {"requestContext": ELB, "httpMethod": method, "path": path}
    return event | {"body": "", "isBase64Encoded": False} | more


def lattice(method, path, **more):
    service = "arn:aws:vpc-lattice:eu-west-1:111122223333:service/svc-1"
    context = {"serviceArn": service, "region": "eu-west-1"}
    return {"version": "2.0", "path": path, "method": method, "requestContext": context} | more


# Kind, event, and the expected reply: the status, then the app's text (or bytes).
# A status of None is for replies that are not HTTP: they are the app's own JSON.
CASES = [
    (
        "REST API",
        rest(
            "POST",
            "/shop/caf%C3%A9",
            multiValueHeaders={"Host": ["r1.example"], "X-Rep": ["one", "two"]},
            multiValueQueryStringParameters={"q": ["a&b", "x y"]},
            body='{"dish":"soup"}',
        ),
        200,
        "POST /shop/caf%C3%A9?q=a%26b&q=x%20y\nhost: r1.example\nx-rep: one\nx-rep: two\n"
        '{"dish":"soup"}',
    ),
    (
        "HTTP API",
        http(
            "PUT",
            "/live/a b",
            rawQueryString="t=1&t=2&e=%C3%A9",
            cookies=["sid=77", "lang=fr"],
            body=base64.b64encode("crêpe".encode()).decode(),
            isBase64Encoded=True,
        ),
        200,
        "PUT /live/a%20b?t=1&t=2&e=%C3%A9\nhost: h2.example\ncookie: sid=77; lang=fr\ncrêpe",
    ),
    ("Function URL", http("GET", "/bytes"), 200, bytes(range(256))),
    ("Function URL, not found", http("GET", "/missing"), 404, "no such page"),
    (
        "ALB",
        alb("GET", "/find", queryStringParameters={"q": "a%26b"}, headers={"host": "lb.example"}),
        200,
        "GET /find?q=a%26b\nhost: lb.example\n",
    ),
    (
        "ALB with multi-value headers",
        alb(
            "GET",
            "/find",
            multiValueQueryStringParameters={"q": ["1", "2%2B2"]},
            multiValueHeaders={"host": ["lb.example"], "x-rep": ["one", "two"]},
        ),
        200,
        "GET /find?q=1&q=2%2B2\nhost: lb.example\nx-rep: one\nx-rep: two\n",
    ),
    (
        "VPC Lattice",
        lattice(
            "GET",
            "/p",
            headers={"host": ["svc.lattice"]},
            queryStringParameters={"q": ["1", "2"]},
        ),
        200,
        "GET /p?q=1&q=2\nhost: svc.lattice\n",
    ),
    ("SQS", SQS, None, SQS),
    (
        "EventBridge",
        {"version": "0", "id": "e1", "detail-type": "Order", "detail": {"id": 7}},
        None,
        ...,
    ),
    ("anything else", [1, "two", None], None, ...),
]


# As many invocations as are in flight at once, and the size of `/together` in app.rs.
CONCURRENCY = 16
# The bytes of error pages: text, and those that take most in JSON; and their sizes, around the
# limits of AWS's readers: 64 KiB for a log line, 1 MiB for an error, 6 MiB for a reply.
PAGES = [(byte, size) for byte in (120, 34, 1) for size in (1, 8000, 66000, 1050000, 6000000)]

EXTENSION = "/opt/extensions/lambda-adapter"
ENTRYPOINT = "/lambda-adapter"


def skip(why):
    print(f"skipped: rie.py ({why})")
    sys.exit(0)


def emulator(folder):
    """AWS's RIE for this machine, unpacked once into `folder` and checked."""
    name, digest = RIE.get(platform.machine()) or skip(f"no RIE for {platform.machine()}")
    path = folder / name
    if not path.exists():
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        download += ["--dest", folder, WHEEL]
        if subprocess.run(download).returncode != 0:
            skip(f"failed to download {WHEEL}")
        with zipfile.ZipFile(next(folder.glob("aws_sam_cli-*.whl"))) as wheel:
            path.write_bytes(wheel.read(f"samcli/local/rapid/{name}"))
        path.chmod(0o755)
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        sys.exit(f"failed to verify `{path}`: not the file of {WHEEL}")
    return path


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Sandbox:
    """The empty tree, and RIE as its first process."""

    def __init__(self, tree, adapter, build, place, managed):
        rie = emulator(build)
        for folder in ("opt/extensions", "var/task", "tmp", "dev"):
            (tree / folder).mkdir(parents=True)
        # The core of Managed Instances runs the function as another user.
        tree.chmod(0o755)
        # RIE gives its children this as their standard input; empty does as well as a device.
        (tree / "dev/null").touch()
        shutil.copy(adapter, tree / place.lstrip("/"))
        shutil.copy(rie, tree / "rie")
        app = tree / "var/task/bootstrap"
        compiler = ["rustc", "--edition", "2024", "-O", "-C", "target-feature=+crt-static"]
        subprocess.run([*compiler, "-o", app, ROOT / "tests/layer/app.rs"], check=True)

        api, self.port, port = free_ports(3)
        self.log = tempfile.TemporaryFile()
        flags = ["--runtime-api-address", f"127.0.0.1:{api}"]
        flags += ["--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        # Without a command RIE starts the bootstrap, as Lambda does in a zip function.
        command = [place, "--", "/var/task/bootstrap"] if place == ENTRYPOINT else []

        env = {"PORT": str(port), "AWS_LAMBDA_FUNCTION_TIMEOUT": "10"}
        env["AWS_LWA_ERROR_STATUS_CODES"] = "500-599"
        if managed:
            env["AWS_LAMBDA_MAX_CONCURRENCY"] = str(CONCURRENCY)
            env |= {"START": place} if place == ENTRYPOINT else {}

        def enter():
            os.chroot(tree)
            os.chdir("/var/task")

        self.process = subprocess.Popen(
            ["/rie", *flags, *command],
            env=env,
            preexec_fn=enter,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def invoke(self, event):
        url = f"http://127.0.0.1:{self.port}/2015-03-31/functions/function/invocations"
        request = urllib.request.Request(url, json.dumps(event).encode(), method="POST")
        deadline = time.monotonic() + 10
        while True:
            try:
                try:
                    with urllib.request.urlopen(request, timeout=20) as response:
                        reply = response.read()
                except urllib.error.HTTPError as error:
                    reply = error.read()
                # The core of Managed Instances has no queue: it refuses an invocation while no
                # thread of the adapter waits for one, as just after a reply.
                if b'"Runtime.Unavailable"' not in reply or time.monotonic() > deadline:
                    return reply
                time.sleep(0.02)
            except urllib.error.URLError:
                # Until RIE listens; an invocation once accepted is never repeated.
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-8000:]


def compare(event, status, expected, reply):
    """The first fault of `reply`, or an empty string."""
    try:
        got = json.loads(reply)
    except ValueError:
        return f"not JSON: {reply!r}"
    if status is None:
        expected = event if expected is ... else expected
        return "" if got == expected else f"expected {json.dumps(expected)}"
    content = got.get("body", "")
    content = base64.b64decode(content) if got.get("isBase64Encoded") else content.encode()
    expected = expected if isinstance(expected, bytes) else expected.encode()
    headers = {name: [value] for name, value in got.get("headers", {}).items()}
    headers |= got.get("multiValueHeaders", {})
    cookies = got.get("cookies") or headers.get("set-cookie")
    if got.get("statusCode") != status:
        return f"expected status {status}"
    if content != expected:
        return f"expected body {expected!r}, got {content!r}"
    if cookies != ["s=1"] or "content-type" not in headers:
        return "a header is missing"
    return ""


def failed_with(reply, expected):
    """Whether the reply is the failure of this type."""
    try:
        return json.loads(reply)["errorType"] == expected
    except (ValueError, KeyError, TypeError):
        return False


def error_page(sandbox, byte, size):
    """The fault of the reply to an error page, or of the one after it."""
    reply = sandbox.invoke(http("GET", f"/fail/{byte}/{size}"))
    if not failed_with(reply, "HTTP.500"):
        return f"expected HTTP.500, got {reply[:200]!r}"
    page = json.loads(json.loads(reply)["errorMessage"])["body"]
    if size < 60000 // 7 and page != chr(byte) * size:
        return f"expected the page, got {page[:200]!r}"
    if size > 65536 and not page.endswith(f"(cut, {size} bytes in all)"):
        return f"expected its size, got {page[-200:]!r}"
    return after(sandbox)


def after(sandbox):
    """The fault of a good request, as each must be followed by."""
    reply = sandbox.invoke(http("GET", "/after"))
    good = compare(None, 200, "GET /after\nhost: h2.example\n", reply)
    return good and f"the next invocation: {good}, got {reply[:200]!r}"


def together(sandbox):
    """The fault of 16 requests that wait for one another, three times."""
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        events = [http("GET", "/together")] * (3 * CONCURRENCY)
        replies = list(threads.map(sandbox.invoke, events))
    faults = [compare(None, 200, "", reply) for reply in replies]
    return next((fault for fault in faults if fault), "")


def pages_together(sandbox):
    """The fault of many error pages at once, after which everything goes on."""
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        paths = [f"/fail/120/{size}" for size in (1, 66000, 114000, 2000000)] * CONCURRENCY
        replies = list(threads.map(lambda path: sandbox.invoke(http("GET", path)), paths))
    odd = [reply[:200] for reply in replies if not failed_with(reply, "HTTP.500")]
    return f"expected HTTP.500, got {odd[0]!r}" if odd else after(sandbox)


def death(sandbox):
    """The fault of an app that dies, and is restarted."""
    reply = sandbox.invoke(http("GET", "/die"))
    if not failed_with(reply, "Function.AppExited"):
        return f"expected Function.AppExited, got {reply[:200]!r}"
    return after(sandbox)


def checks(place, managed):
    """What is tried beside the kinds of event: names and functions."""
    for byte, size in PAGES:
        yield f"error page of {size} bytes {byte}", lambda s, b=byte, n=size: error_page(s, b, n)
    if managed:
        yield f"{CONCURRENCY} in flight", together
        yield f"error pages, {CONCURRENCY} in flight", pages_together
    if place == ENTRYPOINT:
        yield "the app dies", death
    if managed:
        yield f"{CONCURRENCY} in flight in the end", together


def run(place, adapter, build, managed):
    """The number of wrong replies with the adapter in this place."""
    wrong = 0
    with tempfile.TemporaryDirectory() as tree:
        sandbox = Sandbox(Path(tree), adapter, build, place, managed)
        try:
            for kind, event, status, expected in CASES:
                reply = sandbox.invoke(event)
                fault = compare(event, status, expected, reply)
                print(f"{'FAIL' if fault else 'ok'}  {kind}\n      {json.dumps(event)}")
                print(f"   -> {reply.decode(errors='replace')}")
                if fault:
                    wrong += 1
                    print(f"      {fault}")
            for name, check in checks(place, managed):
                fault = check(sandbox)
                print(f"{'FAIL' if fault else 'ok'}  {name}")
                if fault:
                    wrong += 1
                    print(f"      {fault}")
        except OSError as error:
            wrong += 1
            print(f"FAIL  RIE does not respond: {error}")
        finally:
            ended = sandbox.end()
    if ended != 0:
        wrong += 1
        print(f"FAIL  RIE ended with {ended} after SIGTERM")
    if wrong:
        print(sandbox.output())
    return wrong


def main():
    adapter = Path(sys.argv[1])
    if sys.platform != "linux" or os.geteuid() != 0:
        skip("chroot needs root on Linux")
    build = ROOT / "build/rie"
    build.mkdir(parents=True, exist_ok=True)

    for managed in (False, True):
        for place in (EXTENSION, ENTRYPOINT):
            core = "Managed Instances" if managed else "classic"
            print(f"{adapter} as {place}, {core}")
            count = len(CASES) + len(list(checks(place, managed))) + 1
            wrong = run(place, adapter, build, managed)
            if wrong:
                sys.exit(f"rie.py: {wrong} of {count} checks failed")
            print(f"rie.py: {count} checks through {place} in an empty tree, {core}: all right")


if __name__ == "__main__":
    main()
