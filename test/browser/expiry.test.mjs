// SPDX-License-Identifier: Apache-2.0
// What a person sees when nobody answers, in a real browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { launch, limit, sendNumber } from '../lib/browser.mjs';

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

// An attempt must live until its waiting page has come. On a machine that is too slow
// for that, the test starts again with more time.
const lives = ['5s', '20s', '50s'];

for (const javaScriptEnabled of [true, false]) {
  test(`nobody answers in time, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, { timeout: limit }, async () => {
    for (const life of lives) {
      const server = await dev('--attempt-life', life);
      const context = await browser.newContext({ javaScriptEnabled });
      try {
        if (await expires(server, await context.newPage(), javaScriptEnabled)) return;
      } finally {
        await context.close();
        await server.stop();
      }
    }
    assert.fail(`no waiting page within ${lives.at(-1)}`);
  });
}

// expires resolves to false if the attempt had expired before its page came.
async function expires(server, page, javaScriptEnabled) {
  await sendNumber(page, server.demo, javaScriptEnabled ? '+46701740609' : '+46701740607');
  await page.waitForSelector('#waiting, form[action$="/again"]');
  if (await page.locator('#waiting').count() === 0) return false;
  if (javaScriptEnabled) {
    // The live page stays where it is: the refresh has been taken over.
    await page.waitForFunction(() => performance.now() > 4000);
  }
  await page.waitForSelector('#waiting', { state: 'detached' });
  assert.equal(await page.locator('#error').count() + await page.locator('form[action$="/again"]').count() > 0, true);
  assert.match(page.url(), /\/attempt\//);
  await page.locator('form[action$="/leave"] button').click();
  await page.waitForURL((url) => url.href.startsWith(server.demo));
  assert.match(await page.textContent('body'), /access_denied/);
  return true;
}
