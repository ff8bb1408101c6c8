from flask import Flask, make_response, redirect, request

app = Flask(__name__)


@app.get("/")
def page():
    return "<h1>Hello from Flask</h1>"


@app.post("/json")
def json():
    return {"received": request.get_json()}


@app.get("/query")
def query():
    return request.query_string, {"Content-Type": "text/plain"}


@app.get("/cookies")
def cookies():
    response = make_response("two cookies")
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", expires=2139722880)
    return response


@app.get("/download")
def download():
    return bytes(range(256)) * 256, {"Content-Type": "application/octet-stream"}


@app.get("/redirect")
def elsewhere():
    return redirect("/")
