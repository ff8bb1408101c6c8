// Takes the pictures of the page that the documents show: `make pictures`.
import { launch, start } from './harness.mjs';

const folder = process.argv[2] || 'docs';
const local = await start('--invoke-mode', 'response_stream', '--function-name', 'shop', '--timeout', '5');
const browser = await launch();
const get = (path, options) => fetch(local.url + path, { redirect: 'manual', ...options }).then(response => response.text(), () => '');

const page = await browser.newPage({ viewport: { width: 1240, height: 640 } });
await page.goto(local.page);
await page.locator('#environment.ready').waitFor();
await get('/');
await get('/items/7');
await get('/login');
await get('/cart', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"item":7,"count":2}' });
await get('/items/8?from=search');
await page.click('#new-event');
await page.selectOption('#event-sample', 'sqs');
await page.click('#event-send');
await page.locator('#badge', { hasText: 'ok' }).waitFor();
await get('/crash');
await get('/items/7');
await get('/stream?count=5&pause=300');

const take = async (text, tab, name, of = page) => {
  await of.locator('#rows tr', { hasText: text, hasNotText: /running|queued|…/ }).first().click();
  await of.click(`#tab-${tab}`);
  await of.locator(`#tab-${tab}[aria-selected=true]`).waitFor();
  await of.locator('#panel > *').first().waitFor();
  await of.screenshot({ path: `${folder}/${name}.png` });
};
await take('/stream', 'timeline', 'page');
await page.locator('#rows tr').last().click();
await page.locator('h3', { hasText: 'Cold start' }).waitFor();
await page.screenshot({ path: `${folder}/page-cold-start.png` });
await page.emulateMedia({ colorScheme: 'dark' });
await take('/crash', 'timeline', 'page-failure');
const phone = await browser.newPage({ viewport: { width: 390, height: 640 }, isMobile: true, hasTouch: true });
await phone.goto(local.page);
await take('/stream', 'timeline', 'page-phone', phone);
await browser.close();
await local.stop();
