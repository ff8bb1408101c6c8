from flask import Flask

app = Flask(__name__)


@app.get("/")
def page():
    return "<h1>Hello from a traced Flask</h1>"


@app.get("/orders/<int:number>")
def order(number):
    return {"order": number}
