// SPDX-License-Identifier: Apache-2.0
// oidc-client-ts in a page: the response in the fragment, which no server sees, and the
// token endpoint and userinfo called from the page's own origin.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { inContext, launch, limit } from '../lib/browser.mjs';
import { dev } from '../lib/calleridp.mjs';

const library = readFileSync(path.join(path.dirname(createRequire(import.meta.url).resolve('oidc-client-ts')), '../browser/oidc-client-ts.min.js'));
const number = '+46701740605';
let server, browser, site, home;
const seen = []; // what the application's server was asked for

before(async () => {
  site = createServer((request, answer) => {
    seen.push(request.url);
    const script = request.url === '/oidc-client-ts.js';
    answer.setHeader('content-type', script ? 'text/javascript' : 'text/html').end(script ? library
      : '<!doctype html><title>App</title><script src="/oidc-client-ts.js"></script>');
  });
  await new Promise((ready) => site.listen(0, 'localhost', ready));
  home = `http://localhost:${site.address().port}/`;
  const directory = await mkdtemp(path.join(tmpdir(), 'calleridp-spa-'));
  const clients = path.join(directory, 'clients.yaml');
  await writeFile(clients, `[{client_id: spa, name: SPA, public: true, redirect_uris: ["${home}"]}]`);
  [server, browser] = await Promise.all([dev('--clients', clients), launch()]);
  await rm(directory, { recursive: true });
});
after(async () => {
  site?.close();
  site?.closeAllConnections();
  await browser?.close();
  await server?.stop();
});

test('a code in the fragment', { timeout: limit }, () => inContext(browser, {}, async (context) => {
  const page = await context.newPage();
  const settings = { authority: server.issuer, client_id: 'spa', redirect_uri: home, scope: 'openid profile phone', response_mode: 'fragment', loadUserInfo: true };
  await page.goto(home);
  await page.evaluate((settings) => { new globalThis.oidc.UserManager(settings).signinRedirect(); }, settings);
  await page.fill('#phone', number);
  await page.click('#submit');
  await page.waitForURL(/#code=/);
  const profile = await page.evaluate(async (settings) => (await new globalThis.oidc.UserManager(settings).signinCallback()).profile, settings);
  assert.equal(profile.phone_number, number);

  // And an error, silently: the phone is not asked.
  await context.clearCookies();
  await page.goto(home);
  await page.evaluate((settings) => { new globalThis.oidc.UserManager(settings).signinRedirect({ prompt: 'none' }); }, settings);
  await page.waitForURL(/#error=/);
  const error = await page.evaluate((settings) => new globalThis.oidc.UserManager(settings).signinCallback().then(() => '', (e) => e.error), settings);
  assert.equal(error, 'login_required');
  assert.deepEqual(seen.filter((url) => /[?&]/.test(url)), [], 'the application\'s server saw nothing of a response');
}));
