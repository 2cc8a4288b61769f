// SPDX-License-Identifier: Apache-2.0
// An application that posts its authorization request: browsers withhold the session
// cookie from a form of another site, and a page of ours sends it again.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { claims, inContext, launch, limit, sendNumber, timeout } from '../lib/browser.mjs';

const number = '+46701740605';
let server, browser, site, form = '';

before(async () => {
  [server, browser] = await Promise.all([dev(), launch()]);
  site = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(form));
  await new Promise((ready) => site.listen(0, 'localhost', ready));
});
after(async () => {
  site?.close();
  await browser?.close();
  await server?.stop();
});

for (const javaScriptEnabled of [true, false]) {
  test(`a posted request finds the session, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, { timeout: limit },
    () => inContext(browser, { javaScriptEnabled }, async (context) => {
      const page = await context.newPage();
      await sendNumber(page, server.demo, number);
      await claims(page);

      const started = await context.request.get(server.demo + '/login', { maxRedirects: 0 });
      const request = new URL(started.headers().location);
      request.searchParams.set('login_hint', number);
      request.searchParams.set('prompt', 'none');
      form = `<form method="post" action="${request.origin}${request.pathname}">` +
        [...request.searchParams].map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`).join('') +
        '<button>Sign in</button></form>';

      const visited = [];
      page.on('request', (r) => visited.push(r.url()));
      await page.goto(`http://localhost:${site.address().port}/`); // localhost and 127.0.0.1 are different sites
      await page.click('button');
      if (!javaScriptEnabled) {
        await page.waitForSelector('#formpost', { timeout });
        await page.click('#formpost button');
      }
      assert.equal((await claims(page)).phone_number, number);
      assert.deepEqual(visited.filter((url) => url.includes('701740605')), [], 'the number is in no URL');
    }));
}
