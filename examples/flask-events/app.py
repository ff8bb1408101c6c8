from flask import Flask, request

app = Flask(__name__)


@app.post("/events/sqs")
def messages():
    failed = []
    for record in request.get_json()["Records"]:
        print(f"message: {record['body']}", flush=True)
        if record["body"] == "bad":
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


@app.post("/events/s3")
def objects():
    keys = [record["s3"]["object"]["key"] for record in request.get_json()["Records"]]
    return {"keys": keys}


@app.post("/events/schedule")
def clean_up():
    print("cleaned up", flush=True)
    return {"cleaned": True}


@app.post("/events/<source>")
def other(source):
    # The invocation fails, and the log names the source.
    return {"error": f"no route for events of {source}"}, 501
