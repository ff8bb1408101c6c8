// The page where the adapter sends more than one request: hooks and split batches: `make page`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, start } from './harness.mjs';

let browser, local, page;
const panel = () => page.locator('#panel');
const shows = text => panel().getByText(text).first().waitFor();
const phases = () => panel().locator('.waterfall').first().getByRole('listitem').allInnerTexts();

before(async () => {
  [local, browser] = await Promise.all([start('--env', 'AWS_LWA_AFTER_RESPONSE_PATH=/_after', '--env', 'AWS_LWA_SPLIT_BATCHES=true'), launch()]);
  page = await browser.newPage({ viewport: { width: 1280, height: 760 } });
  page.setDefaultTimeout(20000);
  await page.goto(local.page);
  await page.locator('#environment.ready').waitFor();
});

after(async () => {
  await browser?.close();
  await local?.stop();
});

test('the hook is a phase of its own after the reply', async () => {
  assert.equal((await fetch(`${local.url}/items/7`)).status, 200);
  await shows(/^REPORT RequestId/);
  await shows('hook: POST /_after 204');
  const times = Object.fromEntries((await phases()).map(phase => phase.split('\n').slice(0, 2)));
  assert.ok(!Object.values(times).some(time => time.startsWith('-')), JSON.stringify(times));
  assert.match(times['hook: POST /_after 204'], /^[6-9]\d\d ms$|^\d\.\d+ s$/);
  const first = parseFloat(times['app: until first byte']);
  assert.ok(first < 500 && times['app: until first byte'].endsWith(' ms'), JSON.stringify(times));
  await page.click('#tab-request');
  await shows('GET /items/7 HTTP/1.1');
  await page.click('#tab-response');
  await shows('HTTP/1.1 200 OK');
  await page.click('#tab-timeline');
});

test('the first record that failed is shown, with its number', async () => {
  const record = (n, fail) => ({ messageId: `m${n}`, eventSource: 'aws:sqs', body: JSON.stringify({ n, fail }) });
  const Records = [record(1, false), record(2, true), record(3, false)];
  const invoke = await fetch(`${local.url}/2015-03-31/functions/function/invocations`, { method: 'POST', body: JSON.stringify({ Records }) });
  assert.equal((await invoke.json()).batchItemFailures.length, 1);
  await shows('app: 3 requests');
  await shows(/^REPORT RequestId/);
  await page.click('#tab-request');
  await shows('Number 2 of 3: the first that failed.');
  await shows('"fail": true');
  await page.click('#tab-response');
  await shows('HTTP/1.1 500 Internal Server Error');
});
