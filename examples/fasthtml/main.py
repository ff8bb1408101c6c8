import asyncio

from fasthtml.common import *
from starlette.responses import PlainTextResponse, Response, StreamingResponse

app, rt = fast_app()


@rt("/", methods=["GET", "HEAD"])
def page():
    return Titled("Hello from FastHTML", P("A page without any HTML."))


@rt("/json")
async def post(request):
    return JSONResponse({"received": await request.json()})


@rt("/query")
def get(request):
    return PlainTextResponse(request.url.query)


@rt("/cookies")
def get():
    response = PlainTextResponse("two cookies")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", expires="Wed, 21 Oct 2037 07:28:00 GMT")
    return response


@rt("/download")
def get():
    return Response(bytes(range(256)) * 256, media_type="application/octet-stream")


@rt("/redirect")
def get():
    return RedirectResponse("/", status_code=303)


async def ticks():
    for n in range(1, 5):
        yield f"tick {n}\n"
        await asyncio.sleep(0.3)


@rt("/stream")
def get():
    return StreamingResponse(ticks(), media_type="text/plain")
