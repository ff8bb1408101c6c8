#!/usr/bin/env python3
"""Run the adapter in front of real servers: tests/servers/run.py BINARY [--strict] [NAME...].

Each server runs the same small app. Between it and a Lambda of this file's own, the binary forwards
a plain request, a body in both directions, a large response, a stream, a HEAD, and a large request
that the app refuses before it has read it: buffered, streamed, and four at a time. Every reply is
compared with the app's bytes, a streamed one also with the time of its first part.

A server that is not installed is skipped by name; with --strict, that is a failure. Packages come
from apt-get (see .ci/run), and from PyPI and npm into build/servers.
"""

import argparse
import base64
import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.dont_write_bytecode = True
import servers  # noqa: E402

BUILD = servers.BUILD
TIMEOUT = 30
ECHO = "crêpe\n" * 20_000
STREAM = "".join(f"data: {part}\n\n" for part in range(5))
# Method, path, body, expected status and body. A None of the expected ones is not compared.
CASES = [
    ("plain", "GET", "/plain", "", 200, "plain"),
    ("echo", "POST", "/echo", ECHO, 200, ECHO),
    ("large", "GET", "/large", "", 200, "x" * 3_000_000),
    ("stream", "GET", "/stream", "", 200, STREAM),
    ("head", "HEAD", "/plain", "", 200, ""),
    ("early close", "POST", "/refuse", "y" * 4_000_000, 413, None),
    ("missing", "GET", "/nowhere", "", 404, None),
    ("plain after all", "GET", "/plain", "", 200, "plain"),
]
MODES = {
    "buffered": {},
    "streamed": {"AWS_LWA_INVOKE_MODE": "response_stream"},
    "four at a time": {"AWS_LAMBDA_MAX_CONCURRENCY": "4"},
}


class Lambda(ThreadingHTTPServer):
    """The Runtime API and the Extensions API, for one adapter."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Api)
        self.invocations = queue.Queue()
        self.replies = {}
        self.number = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """An adapter that is killed resets its connections."""

    def invoke(self, event):
        """Hands out the event; returns where its reply will be."""
        self.number += 1
        self.replies[str(self.number)] = reply = queue.Queue()
        self.invocations.put((str(self.number), json.dumps(event).encode()))
        return reply


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.endswith("/event/next"):
            time.sleep(3600)
        number, event = self.server.invocations.get()
        deadline = int((time.time() + TIMEOUT) * 1000)
        fields = {
            "Lambda-Runtime-Aws-Request-Id": number,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:111122223333:function:f",
        }
        self.respond(200, event, fields)

    def do_POST(self):
        began = time.monotonic()
        body, first = self.read_body()
        took = time.monotonic() - began
        if self.path.endswith("/register"):
            return self.respond(200, b"{}", {"Lambda-Extension-Identifier": "x"})
        *_, number, kind = self.path.split("/")
        if number not in self.server.replies:
            return self.respond(202, b"", {})
        trailers = body.partition(b"\0trailers\0")[2]
        reply = Reply(kind, body, took - first, bool(trailers))
        self.server.replies[number].put(reply)
        self.respond(202, b"", {})

    def read_body(self):
        """The body, and the seconds until its first bytes."""
        began = time.monotonic()
        if self.headers.get("Transfer-Encoding") != "chunked":
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return body, time.monotonic() - began
        chunks, first = [], 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            # The head of the response comes with the first part of its body, or before it.
            first = first or time.monotonic() - began
            self.rfile.readline()
        trailers = b""
        while (line := self.rfile.readline()).strip():
            trailers += line
        return b"".join(chunks) + (b"\0trailers\0" + trailers if trailers else b""), first

    def respond(self, status, body, fields):
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Reply:
    """What was posted for an invocation."""

    def __init__(self, kind, body, spread, has_trailers):
        self.kind, self.raw, self.spread, self.has_trailers = kind, body, spread, has_trailers

    def parsed(self):
        """Status and body as the client gets them."""
        if self.kind != "response" or self.has_trailers:
            raise AssertionError(f"failed: {self.raw[-300:].decode(errors='replace')}")
        prelude, zeros, body = self.raw.partition(b"\0" * 8)
        if zeros:
            return json.loads(prelude)["statusCode"], body
        reply = json.loads(self.raw)
        body = reply["body"].encode()
        return reply["statusCode"], base64.b64decode(body) if reply["isBase64Encoded"] else body


def event(method, path, body):
    context = {"http": {"method": method, "path": path}, "domainName": "u.lambda-url.eu-west-1.on.aws"}
    event = {"version": "2.0", "rawPath": path, "rawQueryString": "", "requestContext": context}
    return event | {"headers": {"host": "app.example", "content-type": "text/plain"}, "body": body}


def check(case, mode, reply):
    name, _, _, _, status, body = case
    got_status, got = reply.parsed()
    # The comment that ssestream begins with.
    got = got.removeprefix(b":ok\n\n")
    if got_status != status or (body is not None and got != body.encode()):
        raise AssertionError(f"{name}: {got_status}, {len(got)} bytes: {got[:80]!r}")
    if name == "stream" and mode == "streamed" and reply.spread < 0.2:
        raise AssertionError(f"{name}: all parts came within {reply.spread:.2f} s")


@contextlib.contextmanager
def process(command, log, **options):
    """A process group that ends with the block."""
    child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def run(server, mode, binary):
    folder = BUILD / server.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    lambda_ = Lambda()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{lambda_.server_port}",
        "AWS_LWA_PORT": str(port),
        "AWS_LWA_READINESS_CHECK_PATH": f"{server.base}/plain",
        "AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS": str(server.starts_within),
    }
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open(folder / "log", "w"))
        for command, options in server.commands(folder, port):
            stack.enter_context(process(command, log, **options))
        adapter = stack.enter_context(process([binary], log, env=environment | MODES[mode]))
        cases = [case for case in CASES if case[0] not in server.without]
        if mode == "four at a time":
            cases = [case for case in cases for _ in range(3)]
        waiting = []
        for case in cases:
            reply = lambda_.invoke(event(case[1], server.base + case[2], case[3]))
            if mode == "four at a time":
                waiting.append((case, reply))
            else:
                check(case, mode, wait(reply, adapter, server))
        for case, reply in waiting:
            check(case, mode, wait(reply, adapter, server))
    lambda_.shutdown()


def wait(reply, adapter, server):
    ends = time.monotonic() + server.starts_within + TIMEOUT
    while time.monotonic() < ends:
        with contextlib.suppress(queue.Empty):
            return reply.get(timeout=0.1)
        if adapter.poll() is not None:
            raise AssertionError(f"the adapter exited with status {adapter.returncode}")
    raise AssertionError("no reply in time")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description="Run the adapter in front of real servers.")
    parser.add_argument("binary")
    parser.add_argument("names", nargs="*", metavar="NAME", help="servers to run; without one, all")
    parser.add_argument("--strict", action="store_true", help="what was skipped has failed")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    binary = str(Path(arguments.binary).resolve())
    known = {server.name for server in servers.SERVERS}
    if unknown := set(arguments.names) - known:
        parser.error(f"no server {', '.join(sorted(unknown))}: there are {', '.join(sorted(known))}")
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for server in servers.SERVERS:
        if arguments.names and server.name not in arguments.names:
            continue
        for mode in MODES:
            began = time.monotonic()
            result, reason = verdict(server, mode, binary)
            counts[result] += 1
            took = time.monotonic() - began
            print(f"{server.name:<20} {mode:<15} {result:<8} {took:5.1f} s  {reason}", flush=True)
            if result == "skipped":
                break
    print(", ".join(f"{count} {result}" for result, count in counts.items()))
    sys.exit(1 if counts["failed"] or (arguments.strict and counts["skipped"]) else 0)


def verdict(server, mode, binary):
    try:
        server.prepare()
        run(server, mode, binary)
        return "passed", ""
    except servers.Skipped as reason:
        return "skipped", str(reason)
    except Exception as error:  # It is this row's result, not the end of the others.
        return "failed", f"{error} (build/servers/{server.name}/log)"


if __name__ == "__main__":
    main()
