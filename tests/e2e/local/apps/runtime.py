"""A custom runtime in a few lines: it speaks the Runtime API itself and needs no adapter."""
import json
import os
from http.client import HTTPConnection

while True:
    api = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    response = api.getresponse()
    request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(response.read())
    if event.get("fail"):
        path, result = "error", {"errorType": "Function.Asked", "errorMessage": "as you wished"}
        headers = {"Lambda-Runtime-Function-Error-Type": "Function.Asked"}
    elif "size" in event:
        path, headers, result = "response", {}, "x" * event["size"]
    elif event.get("break_off"):
        api.putrequest("POST", f"/2018-06-01/runtime/invocation/{request_id}/response")
        api.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
        api.putheader("Transfer-Encoding", "chunked")
        api.endheaders(b"5\r\nhello\r\n")
        api.close()
        continue
    else:
        path, headers = "response", {}
        context = response.headers.get("Lambda-Runtime-Client-Context")
        result = {"event": event, "context": context, "handler": os.environ.get("_HANDLER")}
    target = f"/2018-06-01/runtime/invocation/{request_id}/{path}"
    api.request("POST", target, json.dumps(result), headers)
    api.getresponse().read()
    api.close()
