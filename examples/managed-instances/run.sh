#!/bin/sh
exec python3 -m uvicorn --port "${PORT:-8080}" main:app
