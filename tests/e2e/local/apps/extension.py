#!/usr/bin/env python3
"""An extension that says what it is told: it registers for everything and prints each event."""
import json
import os
import sys
from http.client import HTTPConnection

api = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
name = os.path.basename(sys.argv[0])
api.request("POST", "/2020-01-01/extension/register", json.dumps({"events": ["INVOKE", "SHUTDOWN"]}), {"Lambda-Extension-Name": name})
answer = api.getresponse()
answer.read()
identifier = answer.headers["Lambda-Extension-Identifier"]
print("handler is", os.environ.get("_HANDLER", "hidden"), flush=True)
while True:
    api.request("GET", "/2020-01-01/extension/event/next", headers={"Lambda-Extension-Identifier": identifier})
    event = json.loads(api.getresponse().read())
    print("told of", event["eventType"], event.get("shutdownReason", ""), flush=True)
    if event["eventType"] == "SHUTDOWN":
        break
