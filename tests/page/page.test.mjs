// The page at /__lambda/, driven by clicks and keys as a user would: `make page`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, start } from './harness.mjs';

let browser, local, page;
const errors = [];

const open = async (url = local.page, options = { viewport: { width: 1280, height: 760 } }) => {
  const opened = await browser.newPage(options);
  opened.setDefaultTimeout(20000);
  opened.on('pageerror', error => errors.push(error.message));
  opened.on('console', message => { if (message.type() === 'error' && !/^Failed to load resource/.test(message.text())) errors.push(message.text()); });
  await opened.goto(url);
  await opened.waitForSelector('#environment.ready, #environment.busy');
  return opened;
};

/** The newest row with this text, once it has ended. */
const row = text => page.locator('#rows tr', { hasText: text, hasNotText: /running|queued|…/ }).first();
const get = path => fetch(local.url + path, { redirect: 'manual' }).then(response => response.text());
const panel = () => page.locator('#panel');
const shows = text => panel().getByText(text).first().waitFor();

before(async () => {
  [local, browser] = await Promise.all([start('--invoke-mode', 'response_stream', '--timeout', '20'), launch()]);
  page = await open();
});

after(async () => {
  await browser?.close();
  await local?.stop();
});

test('the list fills while the page is open', async () => {
  await page.getByText('No invocation yet').waitFor();
  assert.equal(await get('/'), '<h1>Shop</h1>\n');
  await get('/items/7');
  await get('/nothing');
  await row('/items/7').waitFor();
  assert.match(await row('/nothing').innerText(), /404/);
  const first = await page.locator('#rows tr').last().innerText();
  assert.match(first, /GET.*\/.*200.*ms.*cold/s);
  assert.match(await row('/items/7').innerText(), /warm/);
  assert.equal(await page.locator('#rows tr').count(), 3);
});

test('an invocation shows its event, request, response, reply, log and phases', async () => {
  await row('/items/7').click();
  for (const phase of ['adapter: request', 'app: until first byte', 'adapter: reply']) await shows(phase);
  await shows('GET /items/7 (0 bytes)');
  await shows(/^START RequestId/);
  await page.click('#tab-event');
  await shows('"rawPath"');
  await page.click('#tab-request');
  await shows('GET /items/7 HTTP/1.1');
  await shows('x-amzn-lambda-context');
  await page.click('#tab-response');
  await shows('HTTP/1.1 200 OK');
  await shows('"Teapot"');
  await page.click('#tab-reply');
  await shows('Prelude of the stream');
  await shows('Response to the client');
  await page.click('#tab-timeline');
});

test('the first invocation shows the phases of the cold start', async () => {
  await page.locator('#rows tr').last().click();
  await shows(/^Cold start: init .* ms, first response .* ms$/);
  const rows = await panel().locator('.waterfall').nth(1).getByRole('listitem').allInnerTexts();
  const labels = ['process start', 'register', 'app start', 'probe GET / 200', 'first /next', 'first response'];
  assert.deepEqual(rows.map(row => row.split('\n')[0]), labels);
  for (const row of rows) assert.match(row, /\n\d+(\.\d+)?( m?s)?$/);
  const bars = await panel().locator('.waterfall').nth(1).locator('.span').all();
  const edges = await Promise.all(bars.map(async bar => (await bar.boundingBox()).x));
  assert.deepEqual(edges, [...edges].sort((one, next) => one - next), 'each phase is after the one before it');
  await row('/items/7').click();
  await shows('GET /items/7 (0 bytes)');
  assert.equal(await panel().locator('.waterfall').count(), 1, 'a warm invocation has no cold start');
});

test('a restore is drawn apart from the init before its snapshot', async () => {
  const restored = await start('--init', 'snap-start', '--env', 'AWS_LWA_PRIME_PATHS=/items/7');
  try {
    await fetch(`${restored.url}/`);
    const own = await open(restored.page);
    await own.locator('#rows tr').last().click();
    await own.getByText(/^Cold start: init .* ms, restore .* ms, first response .* ms$/).waitFor();
    const labels = async at => (await own.locator('.waterfall').nth(at).getByRole('listitem').allInnerTexts()).map(row => row.split('\n')[0]);
    assert.deepEqual((await labels(1)).slice(-3), ['probe GET / 200', 'prime GET /items/7 200', 'snapshot']);
    assert.deepEqual(await labels(2), ['probe GET / 200', 'first /next', 'first response']);
    await own.close();
  } finally {
    await restored.stop();
  }
});

test('a stream arrives live', async () => {
  const done = get('/stream?count=4&pause=500');
  await page.locator('#rows tr', { hasText: '/stream' }).first().click();
  await page.click('#tab-reply');
  await shows('part 1 of 4');
  assert.doesNotMatch(await panel().innerText(), /part 4 of 4/, 'it has not ended');
  assert.match(await page.locator('#badge').innerText(), /…|running/);
  await shows('part 4 of 4');
  await done;
  await page.click('#tab-timeline');
  await shows(/^Streamed reply: \d+ chunks/);
});

test('a replay sends the same event again', async () => {
  await row('/items/7').click();
  const before = await page.locator('#rows tr').count();
  await page.click('#replay');
  await page.locator('#summary', { hasText: /replay of \d/ }).waitFor();
  await row('↻').waitFor();
  assert.match(await row('↻').innerText(), /\/items\/7.*200/s);
  assert.equal(await page.locator('#rows tr').count(), before + 1);
});

test('a request is sent through another front end', async () => {
  await page.click('#new-request');
  await page.selectOption('#request-front', 'alb');
  await page.fill('#request-method', 'POST');
  await page.fill('#request-target', '/cart?from=page');
  await page.fill('#request-headers', 'content-type: text/plain\nx-mine: 1');
  await page.fill('#request-body', 'two teapots');
  await page.click('#request-send');
  await page.locator('#name', { hasText: 'POST /cart' }).waitFor();
  await row('/cart').waitFor();
  await page.click('#tab-event');
  await shows('"elb"');
  await page.click('#tab-request');
  await shows('x-mine');
  await shows('two teapots');
  await page.click('#tab-timeline');
});

test('a request that no client could send is refused with the reason', async () => {
  await page.click('#new-request');
  await page.fill('#request-target', '/a b');
  await page.click('#request-send');
  await page.getByText('the path is not valid in HTTP').waitFor();
  await page.keyboard.press('Escape');
});

test('a sample event is edited and sent', async () => {
  await page.click('#new-event');
  await page.selectOption('#event-sample', 'sqs');
  assert.match(await page.inputValue('#event-text'), /aws:sqs/);
  await page.fill('#event-text', '{"Records": [1, 2');
  await page.click('#event-send');
  await page.getByText('the event is not JSON').waitFor();
  await page.fill('#event-text', '{"Records": [1, 2, 3]}');
  await page.keyboard.press('Control+Enter');
  await page.locator('#badge', { hasText: 'ok' }).waitFor();
  await page.click('#tab-reply');
  await shows('"records"');
  await shows('3');
  await page.click('#tab-timeline');
});

test('an app that fails shows the cause', async () => {
  await get('/crash').catch(() => {});
  await row('/crash').click();
  await page.locator('#problem', { hasText: 'Runtime.ExitError' }).waitFor();
  await shows('Error: failed to connect to the database: connection refused');
  await get('/');
  assert.match(await page.locator('#rows tr').first().innerText(), /cold/);
  await page.check('#failed');
  assert.equal(await page.locator('#rows tr:visible').count(), 1);
  await page.uncheck('#failed');
});

test('a request that the front end refuses is listed with the cause', async () => {
  const refused = await fetch(`${local.url}/upload`, { method: 'POST', body: 'x'.repeat(7e6) });
  assert.equal(refused.status, 413);
  await row('/upload').click();
  await page.locator('#problem', { hasText: 'the body is larger than 6291456 bytes' }).waitFor();
  assert.match(await row('/upload').innerText(), /413/);
  assert.ok(await page.locator('#replay').isDisabled());
});

test('the buttons make a cold start, a freeze, a crash and a time-out', async () => {
  await page.locator('#environment.ready').waitFor();
  await page.click('#cold-start');
  await page.locator('#environment.none').waitFor();
  await get('/?after=cold-start');
  assert.match(await row('after=cold-start').innerText(), /cold/);

  await page.locator('#environment.ready').waitFor();
  await page.click('#freeze');
  await page.locator('#environment.frozen').waitFor();
  await get('/?after=freeze');
  assert.match(await row('after=freeze').innerText(), /warm/);

  await page.click('#crash');
  await page.locator('#crash[aria-pressed=true]').waitFor();
  await get('/?with=crash');
  await row('with=crash').click();
  await page.locator('#problem', { hasText: 'Runtime.ExitError' }).waitFor();
  await page.locator('#crash[aria-pressed=false]').waitFor();

  await page.click('#timeout');
  await page.locator('#timeout[aria-pressed=true]').waitFor();
  await get('/?with=timeout');
  await row('with=timeout').click();
  await page.locator('#problem', { hasText: 'Task timed out after 1.00 seconds' }).waitFor();

  const hanging = get('/hang');
  await page.locator('#rows tr', { hasText: '/hang' }).first().click();
  await page.locator('#environment.busy').waitFor();
  await page.click('#timeout');
  await hanging;
  await page.locator('#problem', { hasText: 'Task timed out' }).waitFor();
});

test('the keyboard is enough', async () => {
  await page.locator('h1').click();
  await page.keyboard.press('n');
  await page.fill('#request-method', 'GET');
  await page.fill('#request-target', '/items/7?by=keyboard');
  await page.keyboard.press('Enter');
  await page.locator('#name', { hasText: 'by=keyboard' }).waitFor();
  await page.keyboard.press('3');
  await shows('GET /items/7?by=keyboard HTTP/1.1');
  await page.keyboard.press('1');
  await page.keyboard.press('ArrowDown');
  await page.locator('#name', { hasText: '/hang' }).waitFor();
  await page.keyboard.press('ArrowUp');
  await page.locator('#name', { hasText: 'by=keyboard' }).waitFor();
  await page.keyboard.press('r');
  await page.locator('#summary', { hasText: 'replay of' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('nothing');
  await page.locator('#count', { hasText: '1 of' }).waitFor();
  await page.fill('#filter', '');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.locator('#detail').waitFor({ state: 'hidden' });
});

test('markup of the app is shown as text', async () => {
  await fetch(`${local.url}/markup?x=<img src=x onerror=hacked=1>`, { headers: { 'user-agent': '<img src=x onerror=hacked=1>' } });
  await row('/markup').click();
  for (const tab of ['event', 'request', 'response', 'reply', 'timeline']) {
    await page.click(`#tab-${tab}`);
    await page.locator(`#tab-${tab}[aria-selected=true]`).waitFor();
    await panel().locator('*').first().waitFor();
  }
  await page.click('#tab-response');
  await shows('<script>hacked=1</script>');
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator('main img, main script').count(), 0);
  await page.click('#tab-timeline');
});

test('a phone shows the list, and the invocation in its place', async () => {
  const phone = await open(local.page, { viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true });
  await phone.locator('#rows tr', { hasText: '/items/7' }).first().tap();
  await phone.locator('#list').waitFor({ state: 'hidden' });
  await phone.getByText('app: until first byte').waitFor();
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `${wide} px wide`);
  await phone.tap('#back');
  await phone.locator('#list').waitFor();
  await phone.close();
});

test('only the last 200 invocations are kept', async () => {
  for (let n = 0; n < 205; n++) await get('/');
  await page.locator('#count', { hasText: /^200$/ }).waitFor();
  assert.equal(await page.locator('#rows tr').count(), 200);
  await page.click('#clear');
  await page.getByText('No invocation yet').waitFor();
});

test('a page of another origin can neither read nor send', async () => {
  const other = await browser.newPage();
  await other.route('http://other.example/', route => route.fulfill({ contentType: 'text/html', body: 'other' }));
  await other.goto('http://other.example/');
  const result = await other.evaluate(async url => {
    const attempt = options => fetch(`${url}event`, { method: 'POST', body: '{}', ...options }).then(response => response.status, () => 'refused');
    const read = await fetch(`${url}config`).then(response => response.status, () => 'refused');
    return [read, await attempt({ headers: { 'content-type': 'application/json' } }), await attempt({ mode: 'no-cors' })];
  }, local.page);
  assert.deepEqual(result.slice(0, 2), ['refused', 'refused']);
  await other.close();
  assert.equal(await page.locator('#rows tr').count(), 0, 'no event was sent');
});

test('the page reports when lambda-local has ended, and has logged no error until then', async () => {
  assert.deepEqual(errors, []);
  await local.stop();
  await page.getByText('lambda-local does not respond').waitFor();
});
