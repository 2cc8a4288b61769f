// What a person sees when nobody answers, in a real browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { launch, timeout, sendNumber } from '../lib/browser.mjs';

let server, browser;
before(async () => { [server, browser] = await Promise.all([dev('--attempt-life', '5s'), launch()]); });
after(async () => { await browser?.close(); await server?.stop(); });

for (const javaScriptEnabled of [true, false]) {
  test(`nobody answers in time, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, { timeout: 120_000 }, async () => {
    const context = await browser.newContext({ javaScriptEnabled });
    const page = await context.newPage();
    await sendNumber(page, server.demo, javaScriptEnabled ? '+46701740609' : '+46701740607');
    await page.waitForSelector('#waiting');
    if (javaScriptEnabled) {
      // The live page stays where it is: the refresh has been taken over.
      await page.waitForFunction(() => performance.now() > 4000, undefined, { timeout });
    }
    await page.waitForSelector('#waiting', { state: 'detached', timeout });
    assert.equal(await page.locator('#error').count() + await page.locator('form[action$="/again"]').count() > 0, true);
    assert.match(page.url(), /\/attempt\//);
    await page.locator('form[action$="/leave"] button').click();
    await page.waitForURL((url) => url.href.startsWith(server.demo));
    assert.match(await page.textContent('body'), /access_denied/);
    await context.close();
  });
}
