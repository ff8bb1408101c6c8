from fastapi import Body, FastAPI
from fastapi.responses import HTMLResponse
app = FastAPI()

@app.get("/", response_class=HTMLResponse)
def page(): return "<h1>Hello</h1>"

@app.post("/json")
async def json(received=Body()): return {"received": received}
