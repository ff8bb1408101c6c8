// The page while several invocations run at a time: `make page`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, start } from './harness.mjs';

let browser, local, page;
const errors = [];
const get = path => fetch(local.url + path).then(async response => [response.status, await response.text()]);
const rows = text => page.locator('#rows tr', { hasText: text });
const shows = text => page.locator('#panel').getByText(text).first().waitFor();

/** The text of the panel of this invocation. */
const log = async text => {
  await rows(text).first().click();
  await page.locator('#name', { hasText: text }).waitFor();
  await shows(/^REPORT RequestId/);
  return page.locator('#panel').innerText();
};

before(async () => {
  [local, browser] = await Promise.all([start('--concurrency', '4', '--timeout', '20', '--invoke-mode', 'response_stream'), launch()]);
  page = await browser.newPage({ viewport: { width: 1280, height: 760 } });
  page.setDefaultTimeout(20000);
  page.on('pageerror', error => errors.push(error.message));
  await page.goto(local.page);
  await page.locator('#environment.ready').waitFor();
});

after(async () => {
  await browser?.close();
  await local?.stop();
});

test('invocations that run at a time have their own states, phases and log lines', async () => {
  assert.match(await page.locator('#facts').innerText(), /concurrency 4/);
  const slow = ['a', 'b', 'c'].map(name => get(`/stream?count=4&pause=500&name=${name}`));
  await page.locator('#environment.busy').waitFor();
  await rows('running').or(rows('…')).nth(2).waitFor();
  assert.equal((await get('/items/7'))[0], 200, 'it does not wait');
  await Promise.all(slow);
  for (const name of ['a', 'b', 'c']) {
    const text = await log(`name=${name}`);
    for (const line of ['START', 'END', 'REPORT']) assert.equal(text.match(new RegExp(`^${line} RequestId`, 'gm'))?.length, 1, text);
    assert.match(text, /app: response/);
    assert.match(text, /A line without a request id is listed in each invocation/);
    await page.click('#tab-request');
    await shows(`name=${name} HTTP/1.1`);
    await page.click('#tab-timeline');
  }
});

test('a time-out ends the running invocations and no later one', async () => {
  const hanging = [get('/hang?n=1'), get('/hang?n=2')];
  await rows('/hang').nth(1).waitFor();
  await rows('running').nth(1).waitFor();
  await page.click('#timeout');
  for (const [status] of await Promise.all(hanging)) assert.equal(status, 502);
  await rows('timeout').nth(1).waitFor();
  assert.equal((await get('/items/7?after=time-out'))[0], 200);
});

test('an armed time-out leaves the environment usable', async () => {
  await page.click('#timeout');
  await page.locator('#timeout[aria-pressed=true]').waitFor();
  assert.equal((await get('/?with=armed'))[0], 502);
  assert.equal((await get('/items/7?after=armed'))[0], 200);
});

test('a freeze is refused with the reason', async () => {
  await page.click('#freeze');
  await page.locator('#notice.on').waitFor();
  assert.match(await page.locator('#notice').innerText(), /never frozen/);
});

test('a crash fails all running invocations, and the next one starts cold', async () => {
  const hanging = [get('/hang?n=3'), get('/hang?n=4')];
  await rows('n=4').filter({ hasText: 'running' }).waitFor();
  await rows('n=3').filter({ hasText: 'running' }).waitFor();
  await page.click('#crash');
  for (const [status] of await Promise.all(hanging)) assert.equal(status, 502);
  assert.equal((await get('/?after=crash'))[0], 200);
  await rows('after=crash').filter({ hasText: 'cold' }).waitFor();
  assert.deepEqual(errors, []);
});
