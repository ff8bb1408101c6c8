// A small shop on Node's http server, with pages that work, stream, hang and crash. It listens on
// $PORT.
'use strict';
const http = require('node:http');

const item = { id: 7, name: 'Teapot', price: 24.5, tags: ['kitchen', 'porcelain'], stock: { berlin: 3, paris: 0 } };

const read = request => new Promise(resolve => {
  const chunks = [];
  request.on('data', chunk => chunks.push(chunk));
  request.on('end', () => resolve(Buffer.concat(chunks)));
});
const json = (response, status, value) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

const stream = (response, count, pause) => {
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  let n = 0;
  const next = () => {
    n += 1;
    response.write(`part ${n} of ${count}\n`);
    if (n < count) setTimeout(next, pause);
    else response.end();
  };
  next();
};

http.createServer(async (request, response) => {
  const url = new URL(request.url, 'http://app');
  const body = await read(request);
  if (!['/favicon.ico', '/'].includes(url.pathname)) console.log(`${request.method} ${request.url} (${body.length} bytes)`);
  switch (url.pathname) {
    case '/':
      return response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Shop</h1>\n');
    case '/items/7':
      return json(response, 200, item);
    case '/login':
      return response.writeHead(302, { location: '/', 'set-cookie': ['session=abc; HttpOnly', 'theme=dark'] }).end();
    case '/cart':
      return json(response, 201, { received: body.toString() });
    case '/large':
      return response.writeHead(200, { 'content-type': 'text/plain' }).end('x'.repeat(400000));
    case '/stream':
      return stream(response, Number(url.searchParams.get('count') || 4), Number(url.searchParams.get('pause') || 400));
    case '/_after':
      return setTimeout(() => response.writeHead(204).end(), 600);
    case '/hang':
      return undefined;
    case '/crash':
      console.error('Error: failed to connect to the database: connection refused\n    at checkout (/app/shop.js:41:11)');
      return process.exit(1);
    case '/markup':
      return response.writeHead(200, { 'content-type': 'text/html', 'x-markup': '<img src=x onerror=hacked=1>' }).end('<script>hacked=1</script>');
    case '/events': {
      const event = JSON.parse(body);
      if (event.fail) return json(response, 500, { error: 'the event cannot be handled' });
      return json(response, 200, { records: (event.Records || []).length });
    }
    default:
      return json(response, 404, { error: `no page at ${url.pathname}` });
  }
}).listen(process.env.PORT, '127.0.0.1', () => console.log(`shop listening on port ${process.env.PORT}`));
