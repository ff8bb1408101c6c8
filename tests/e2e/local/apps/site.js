// A small web site on Node's http server: one of each kind of response. It listens on $PORT.
'use strict';
const http = require('http');

const pattern = (_, place) => (place * 31 + (place >> 8)) & 255;
const block = Buffer.from(Array.from({ length: 1 << 16 }, pattern));
const small = Buffer.concat(Array(3).fill(block)), large = Buffer.concat(Array(48).fill(block));
const cookies = ['a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2'];

const typed = (type, body) => response => response.setHeader('content-type', type).end(body);
const pages = {
  '/html': typed('text/html; charset=utf-8', '<h1>Grüße</h1>\n'),
  '/json': typed('application/json', '{"b":1,"a":[1.50,"ü"]}'),
  '/small.bin': typed('application/octet-stream', small),
  '/large.bin': typed('application/octet-stream', large),
  '/cookies': response => response.setHeader('set-cookie', cookies).end('two'),
  '/redirect': response => response.writeHead(302, { location: '/html?from=redirect' }).end(),
  '/broken': response =>
    response.writeHead(500, { 'content-type': 'text/plain' }).end('it broke'),
  '/nothing': response => response.writeHead(204).end(),
};

http.createServer((request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/echo') {
    const chunks = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
      const type = request.headers['content-type'] || 'application/octet-stream';
      response.setHeader('content-type', type);
      response.end(Buffer.concat(chunks));
    });
  } else if (path === '/seen') {
    const { method, url, headers } = request;
    const seen = { method, url, probe: headers['x-probe'], cookie: headers.cookie };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(seen));
  } else if (pages[path]) {
    pages[path](response);
  } else {
    response.writeHead(404, { 'content-type': 'text/plain' }).end(`no ${path}\n`);
  }
}).listen(process.env.PORT, '127.0.0.1');
