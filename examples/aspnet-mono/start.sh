#!/bin/sh
# The script ends when nginx ends, so that Lambda sees it. Debian's xsp4 would need no nginx, but does not start with its Mono.
fastcgi-mono-server4 /applications=/:. /socket=tcp:127.0.0.1:9009 &
mono=$!
nginx -p . -c nginx.conf -e stderr &
nginx=$!
trap 'kill "$mono" "$nginx"' TERM
wait "$nginx"
