import asyncio

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI()
waiting = 0


@app.get("/", response_class=HTMLResponse)
def page():
    return "<h1>Hello from a managed instance</h1>"


@app.get("/wait")
async def wait():
    """Waits as for a database, and says how many requests waited with it."""
    global waiting
    waiting += 1
    await asyncio.sleep(1)
    together = waiting
    await asyncio.sleep(1)
    waiting -= 1
    return {"together": together}
