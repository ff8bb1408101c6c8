"""Keeps Lambda from freezing the app before its background tasks are done.

Lambda stops all processes when the answer is out and every extension has asked for its next event. This is such an extension, inside of the
app ("internal" in Lambda's words): it asks only when the request's tasks have ended too. The client does not wait for them.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

import json
import os
import queue
import threading
import time
import urllib.request

API = os.environ.get("AWS_LAMBDA_RUNTIME_API")
finished = queue.Queue()


class HoldLambda:
    """ASGI middleware: Starlette runs a response's background tasks before its call returns."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        try:
            await self.app(scope, receive, send)
        finally:
            # The adapter gives this header to each invocation, but not to its readiness probes.
            if any(name == b"x-amzn-lambda-context" for name, _ in scope.get("headers", [])):
                finished.put(None)


def call(path, headers, body=None):
    request = urllib.request.Request(f"http://{API}/2020-01-01/extension/{path}", body, headers)
    with urllib.request.urlopen(request) as response:
        return response.headers, json.load(response)


def hold(identifier):
    while True:
        _, event = call("event/next", {"Lambda-Extension-Identifier": identifier})
        try:
            finished.get(timeout=max(0, event["deadlineMs"] / 1000 - time.time()))
        except queue.Empty:
            pass


if API:
    headers = {"Lambda-Extension-Name": "background-tasks", "Content-Type": "application/json"}
    headers, _ = call("register", headers, json.dumps({"events": ["INVOKE"]}).encode())
    threading.Thread(target=hold, args=[headers["Lambda-Extension-Identifier"]], daemon=True).start()
