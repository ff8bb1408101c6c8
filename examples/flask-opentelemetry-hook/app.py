from flask import Flask
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
# It sends a batch every five seconds: a frozen app never does.
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app, excluded_urls="/_after")


@app.get("/")
def page():
    return "<h1>Hello from Flask, with every span sent</h1>"


@app.get("/orders/<int:number>")
def order(number):
    return {"order": number}


# The adapter calls this after each response. Lambda freezes the app only when it has responded.
@app.post("/_after")
def after():
    provider.force_flush()
    return "", 204
