// A small web site on Node's own http server, with one of each kind of answer. It listens on $PORT.
'use strict';
const http = require('http');

const block = Buffer.from(Array.from({ length: 1 << 16 }, (_, place) => (place * 31 + (place >> 8)) & 255));
const small = Buffer.concat(Array(3).fill(block)), large = Buffer.concat(Array(48).fill(block));

const pages = {
  '/html': response => response.setHeader('content-type', 'text/html; charset=utf-8').end('<h1>Grüße</h1>\n'),
  '/json': response => response.setHeader('content-type', 'application/json').end('{"b":1,"a":[1.50,"ü"]}'),
  '/small.bin': response => response.setHeader('content-type', 'application/octet-stream').end(small),
  '/large.bin': response => response.setHeader('content-type', 'application/octet-stream').end(large),
  '/cookies': response => response.setHeader('set-cookie', ['a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2']).end('two'),
  '/redirect': response => response.writeHead(302, { location: '/html?from=redirect' }).end(),
  '/broken': response => response.writeHead(500, { 'content-type': 'text/plain' }).end('it broke'),
  '/nothing': response => response.writeHead(204).end(),
};

http.createServer((request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/echo') {
    const chunks = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
      response.setHeader('content-type', request.headers['content-type'] || 'application/octet-stream');
      response.end(Buffer.concat(chunks));
    });
  } else if (path === '/seen') {
    const { host, ...headers } = request.headers;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method: request.method, url: request.url, probe: headers['x-probe'], cookie: headers.cookie }));
  } else if (pages[path]) {
    pages[path](response);
  } else {
    response.writeHead(404, { 'content-type': 'text/plain' }).end(`no ${path}\n`);
  }
}).listen(process.env.PORT, '127.0.0.1');
