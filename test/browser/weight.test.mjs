// SPDX-License-Identifier: Apache-2.0
// What the sign-in page weighs, as a browser gets it: compressed, and each file once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { launch, limit } from '../lib/browser.mjs';

const most = 30_000; // bytes, with headers: the goal for the whole page

let server, browser;
before(async () => {
  [server, browser] = await Promise.all([dev(), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// fetched is every answer on the way to the sign-in page: what it is, whether it came
// from the browser's cache, and how many bytes crossed the network.
async function fetched(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const answers = new Map();
  session.on('Network.responseReceived', ({ requestId, type, response }) => {
    if (response.url.startsWith(server.issuer)) answers.set(requestId, { type, url: response.url, headers: response.headers, cached: response.fromDiskCache });
  });
  session.on('Network.requestServedFromCache', ({ requestId }) => answers.set(requestId + ' cached', {}));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (answers.has(requestId)) answers.get(requestId).bytes = encodedDataLength;
  });
  await page.goto(server.demo + '/login', { waitUntil: 'networkidle' });
  await session.detach();
  return [...answers.entries()].filter(([, a]) => a.url).map(([id, a]) => ({ ...a, cached: a.cached || answers.has(id + ' cached') }));
}

for (const [who, options] of [
  ['a desktop in English', {}],
  ['a desktop in Tamil', { locale: 'ta-IN' }],
  ['an Android phone in Hindi', { locale: 'hi-IN', userAgent: 'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36' }],
]) {
  test(`the sign-in page on ${who} is under ${most / 1000} kB, in one request each for page, style and script`, { timeout: limit }, async (t) => {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const first = await fetched(page);
    const sum = first.reduce((n, a) => n + a.bytes, 0);
    t.diagnostic(`${sum} bytes: ${first.map((a) => `${a.type} ${a.bytes}`).join(', ')}`);
    assert.ok(sum < most, `${sum} bytes`);
    const count = (type) => first.filter((a) => a.type === type).length;
    assert.equal(await page.locator('#onetap').count(), who.includes('Android') ? 1 : 0);
    assert.deepEqual([count('Document'), count('Stylesheet'), count('Script')], [1, 1, 1], 'requests for HTML, CSS and JavaScript');

    for (const a of first.filter((a) => a.type !== 'Document')) {
      assert.match(new URL(a.url).pathname, /^\/static\/[a-z]+-[\w-]{12}\.\w+$/, 'a name that holds a hash');
      assert.match(a.headers['Cache-Control'], /max-age=31536000, immutable/, a.url);
      assert.equal(a.headers['Content-Encoding'], 'gzip', a.url);
    }
    // Who comes back gets the page alone.
    const again = await fetched(page);
    assert.deepEqual(again.filter((a) => !a.cached).map((a) => a.type), ['Document']);
    await context.close();
  });
}

test('nothing comes from anywhere else', { timeout: limit }, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const elsewhere = [];
  page.on('request', (r) => { if (!r.url().startsWith(server.issuer) && !r.url().startsWith(server.demo)) elsewhere.push(r.url()); });
  await page.goto(server.demo + '/login', { waitUntil: 'networkidle' });
  assert.deepEqual(elsewhere, []);
  await context.close();
});
