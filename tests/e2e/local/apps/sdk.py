"""Calls a running lambda-local with boto3 and prints what it returns as JSON.

Arguments: the endpoint, and an event.
"""
import json
import sys

import boto3
from botocore.config import Config

endpoint, event = sys.argv[1:]
client = boto3.client(
    "lambda",
    endpoint_url=endpoint,
    region_name="eu-west-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    config=Config(retries={"max_attempts": 0}),
)
invoked = client.invoke(FunctionName="function", Payload=event, LogType="Tail")
streamed = client.invoke_with_response_stream(FunctionName="function", Payload=event)
chunks, complete = [], None
for message in streamed["EventStream"]:
    if "PayloadChunk" in message:
        chunks.append(message["PayloadChunk"]["Payload"].decode())
    else:
        complete = message["InvokeComplete"]
try:
    client.list_layers()
    missing = None
except client.exceptions.ResourceNotFoundException as error:
    missing = str(error)
print(json.dumps({
    "invoked": invoked["Payload"].read().decode(),
    "error": invoked.get("FunctionError"),
    "has_log": "LogResult" in invoked,
    "chunks": chunks,
    "complete": complete,
    "function": client.get_function(FunctionName="function")["Configuration"]["FunctionName"],
    "functions": [found["FunctionName"] for found in client.list_functions()["Functions"]],
    "missing": missing,
}))
