from urllib.parse import quote

import httpx
from fastapi import FastAPI

app = FastAPI(description="What the agent may do: give it this app's /openapi.json as its API schema.")


@app.get("/orders/{id}", description="The state of an order")
def order(id: int):
    return {"id": id, "state": "shipped"}


@app.post("/events", include_in_schema=False)
async def agent(event: dict):
    """Sends the agent's call through the app itself, and wraps the answer as Bedrock wants it."""
    path, query = event["apiPath"], {}
    for parameter in event.get("parameters", []):
        place = "{" + parameter["name"] + "}"
        if place in path:
            path = path.replace(place, quote(parameter["value"], safe=""))
        else:
            query[parameter["name"]] = parameter["value"]
    properties = event.get("requestBody", {}).get("content", {}).get("application/json", {}).get("properties", [])
    body = {item["name"]: item["value"] for item in properties} or None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agent") as client:
        answer = await client.request(event["httpMethod"], path, params=query, json=body)
    return {
        "messageVersion": "1.0",
        "response": {
            "actionGroup": event["actionGroup"],
            "apiPath": event["apiPath"],
            "httpMethod": event["httpMethod"],
            "httpStatusCode": answer.status_code,
            "responseBody": {"application/json": {"body": answer.text}},
        },
    }
