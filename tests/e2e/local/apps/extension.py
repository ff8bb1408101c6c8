#!/usr/bin/env python3
"""An extension that registers for all events and prints each one."""
import json
import os
import sys
from http.client import HTTPConnection

api = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
name = os.path.basename(sys.argv[0])
events = json.dumps({"events": ["INVOKE", "SHUTDOWN"]})
api.request("POST", "/2020-01-01/extension/register", events, {"Lambda-Extension-Name": name})
response = api.getresponse()
response.read()
identity = {"Lambda-Extension-Identifier": response.headers["Lambda-Extension-Identifier"]}
print("handler is", os.environ.get("_HANDLER", "hidden"), flush=True)
while True:
    api.request("GET", "/2020-01-01/extension/event/next", headers=identity)
    event = json.loads(api.getresponse().read())
    print("received", event["eventType"], event.get("shutdownReason", ""), flush=True)
    if event["eventType"] == "SHUTDOWN":
        break
