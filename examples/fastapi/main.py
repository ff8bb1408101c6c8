import asyncio

from fastapi import Body, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse

app = FastAPI()


@app.api_route("/", methods=["GET", "HEAD"], response_class=HTMLResponse)
def page():
    return "<h1>Hello from FastAPI</h1>"


@app.post("/json")
def json(received=Body()):
    return {"received": received}


@app.get("/query", response_class=PlainTextResponse)
def query(request: Request):
    return request.url.query


@app.get("/cookies")
def cookies(response: Response):
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", expires="Wed, 21 Oct 2037 07:28:00 GMT")
    return "two cookies"


@app.get("/download")
def download():
    return Response(bytes(range(256)) * 256, media_type="application/octet-stream")


@app.get("/redirect")
def redirect():
    return RedirectResponse("/")


async def ticks():
    for n in range(1, 5):
        yield f"tick {n}\n"
        await asyncio.sleep(0.3)


@app.get("/stream")
def stream():
    return StreamingResponse(ticks(), media_type="text/plain")
