#!/bin/sh
# The script ends when nginx ends, so that Lambda sees it; php-fpm leaves the process group, so it is told to end by its number.
php-fpm8.2 --fpm-config fpm.conf --nodaemonize &
fpm=$!
nginx -p . -c nginx.conf -e stderr &
nginx=$!
trap 'kill "$fpm" "$nginx"' TERM
wait "$nginx"
