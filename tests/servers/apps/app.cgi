#!/bin/sh
# The app as a CGI script (RFC 3875). It ends the lines of its head with LF, as most scripts do.
case $PATH_INFO in
/plain) printf 'Content-Type: text/plain\n\nplain' ;;
/echo) printf 'Content-Type: text/plain\n\n' && head -c "${CONTENT_LENGTH:-0}" ;;
/large) printf 'Content-Type: text/plain\n\n' && head -c 3000000 /dev/zero | tr '\0' x ;;
/stream)
    printf 'Content-Type: text/event-stream\n\n'
    for part in 0 1 2 3 4; do
        printf 'data: %s\n\n' $part
        sleep 0.1
    done
    ;;
/refuse) printf 'Status: 413 Content Too Large\nContent-Type: text/plain\n\nrefused' ;;
*) printf 'Status: 404 Not Found\nContent-Type: text/plain\n\nmissing' ;;
esac
