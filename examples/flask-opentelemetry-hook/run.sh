#!/bin/sh
exec python3 -m gunicorn --bind "127.0.0.1:${PORT:-8080}" app:app
