"""A custom runtime in a few lines: it speaks the Runtime API itself and needs no adapter."""
import json
import os
from http.client import HTTPConnection

while True:
    api = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    answer = api.getresponse()
    request_id, event = answer.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(answer.read())
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
        result = {"event": event, "context": answer.headers.get("Lambda-Runtime-Client-Context"), "handler": os.environ.get("_HANDLER")}
    api.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/{path}", json.dumps(result), headers)
    api.getresponse().read()
    api.close()
