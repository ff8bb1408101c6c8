import asyncio

from fastapi import BackgroundTasks, FastAPI, Response
from fastapi.responses import HTMLResponse

app = FastAPI()
running = set()


class TrackTasks:
    """ASGI middleware: Starlette runs a response's background tasks before its call returns."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"] == "/_after":
            return await self.app(scope, receive, send)
        call = asyncio.ensure_future(self.app(scope, receive, send))
        running.add(call)
        call.add_done_callback(running.discard)
        await call


@app.get("/", response_class=HTMLResponse)
def page():
    return "<h1>Hello from FastAPI, with time after the answer</h1>"


async def send_mail(to: str):
    await asyncio.sleep(1)
    print(f"mail sent to {to}", flush=True)


@app.post("/mails/{to}", status_code=202)
def mail(to: str, background: BackgroundTasks):
    background.add_task(send_mail, to)
    return {"accepted": to}


# The adapter calls this after each response. Lambda freezes the app only when it has responded.
@app.post("/_after", status_code=204)
async def after():
    await asyncio.gather(*running, return_exceptions=True)
    return Response(status_code=204)


app.add_middleware(TrackTasks)
