import asyncio

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import HTMLResponse

import tasks

app = FastAPI()


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


app.add_middleware(tasks.HoldLambda)
