"""The scratch test: rie.py BINARY runs the finished adapter where there is nothing else.

An empty tree gets the adapter, a static app as the function, and AWS's own Runtime
Interface Emulator; chroot makes it the root. The adapter runs once as an extension and once as the
image's entrypoint, which starts the app itself. Anything that a bare image lacks
is missing here, and the other side of every protocol is AWS's code, not ours. Each
kind of event is posted to /2015-03-31/functions/function/invocations and its reply
compared.

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

    def __init__(self, tree, adapter, build, place):
        rie = emulator(build)
        for folder in ("opt/extensions", "var/task", "tmp", "dev"):
            (tree / folder).mkdir(parents=True)
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

        def enter():
            os.chroot(tree)
            os.chdir("/var/task")

        self.process = subprocess.Popen(
            ["/rie", *flags, *command],
            env={"PORT": str(port), "AWS_LAMBDA_FUNCTION_TIMEOUT": "10"},
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
                with urllib.request.urlopen(request, timeout=20) as response:
                    return response.read()
            except urllib.error.HTTPError as error:
                return error.read()
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


def run(place, adapter, build):
    """The number of wrong replies with the adapter in this place."""
    wrong = 0
    with tempfile.TemporaryDirectory() as tree:
        sandbox = Sandbox(Path(tree), adapter, build, place)
        try:
            for kind, event, status, expected in CASES:
                reply = sandbox.invoke(event)
                fault = compare(event, status, expected, reply)
                print(f"{'FAIL' if fault else 'ok'}  {kind}\n      {json.dumps(event)}")
                print(f"   -> {reply.decode(errors='replace')}")
                if fault:
                    wrong += 1
                    print(f"      {fault}")
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

    for place in (EXTENSION, ENTRYPOINT):
        print(f"{adapter} as {place}")
        wrong = run(place, adapter, build)
        if wrong:
            sys.exit(f"rie.py: {wrong} of {len(CASES) + 1} checks failed")
        print(f"rie.py: {len(CASES)} kinds of event through {place} in an empty tree: all right")


if __name__ == "__main__":
    main()
