from flask import Flask, request

app = Flask(__name__)


@app.post("/events")
def event():
    event = request.get_json()
    if event["detail-type"] != "Order placed":
        # The invocation fails: Lambda tries twice more, then sends the event to the function's failure destination.
        return {"error": f"unknown event {event['detail-type']}"}, 422
    print(f"order {event['detail']['order']} placed", flush=True)
    return {"order": event["detail"]["order"]}
