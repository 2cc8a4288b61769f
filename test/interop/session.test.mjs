// SPDX-License-Identifier: Apache-2.0
// Sessions as an application's page sees them: oidc-client-ts renews silently in a frame,
// and watches the page of the check_session_iframe.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { inContext, launch, limit, timeout } from '../lib/browser.mjs';
import { dev } from '../lib/calleridp.mjs';

const library = readFileSync(path.join(path.dirname(createRequire(import.meta.url).resolve('oidc-client-ts')), '../browser/oidc-client-ts.min.js'));
const number = '+46701740605';
let server, browser, site, home, strangers;
const posted = []; // addresses that got a response by form post

before(async () => {
  site = createServer((request, answer) => {
    if (request.method === 'POST') posted.push(request.url);
    if (request.method === 'POST') { answer.end('<!doctype html>'); return; }
    const script = request.url === '/oidc-client-ts.js';
    const silent = '<!doctype html><script src="/oidc-client-ts.js"></script><script>new oidc.UserManager({authority: "x", client_id: "x", redirect_uri: "x"}).signinCallback()</script>';
    answer.setHeader('content-type', script ? 'text/javascript' : 'text/html')
      .end(script ? library : request.url.startsWith('/silent') ? silent : '<!doctype html><title>App</title><script src="/oidc-client-ts.js"></script>');
  });
  await new Promise((ready) => site.listen(0, ready)); // at 127.0.0.1 and at localhost
  const { port } = site.address();
  home = `http://127.0.0.1:${port}/`; // the provider's host: its cookies reach a frame in this page
  strangers = `http://stranger.localhost:${port}/`;
  const directory = await mkdtemp(path.join(tmpdir(), 'calleridp-session-'));
  const clients = path.join(directory, 'clients.yaml');
  await writeFile(clients, `[{client_id: spa, name: SPA, public: true, redirect_uris: ["${home}", "${home}silent"], post_logout_redirect_uris: ["${home}bye"]},
{client_id: far, name: Far, public: true, redirect_uris: ["http://localhost:${port}/"]}]`);
  [server, browser] = await Promise.all([dev('--clients', clients), launch()]);
  await rm(directory, { recursive: true });
});
after(async () => {
  site?.close();
  site?.closeAllConnections();
  await browser?.close();
  await server?.stop();
});

// signIn signs a user in to the application at this address.
async function signIn(page, settings) {
  await page.goto(settings.redirect_uri);
  await page.evaluate((settings) => { new globalThis.oidc.UserManager(settings).signinRedirect(); }, settings);
  await page.fill('#phone', number);
  await page.click('#submit');
  await page.waitForURL((url) => url.searchParams.has('code'));
  return page.evaluate(async (settings) => (await new globalThis.oidc.UserManager(settings).signinCallback()).session_state, settings);
}

const spa = () => ({ authority: server.issuer, client_id: 'spa', redirect_uri: home, silent_redirect_uri: home + 'silent', scope: 'openid profile phone' });

// frame puts the page of the check_session_iframe into a page, and resolves to its address
// there.
async function frame(page, issuer = server.issuer) {
  await page.evaluate(async (issuer) => {
    const frame = document.createElement('iframe');
    frame.src = issuer + '/session';
    await new Promise((done) => { frame.onload = done; document.body.append(frame); });
  }, issuer);
  return page.frames()[1].url();
}

// ask resolves to the framed page's answers to messages.
async function ask(page, issuer, ...messages) {
  assert.equal(await frame(page, issuer), issuer + '/session');
  return page.evaluate(async ([issuer, messages]) => {
    const answers = [];
    for (const message of messages) {
      answers.push(await new Promise((done) => {
        window.onmessage = (event) => done(event.origin === issuer ? event.data : 'foreign');
        document.querySelector('iframe').contentWindow.postMessage(message, issuer);
      }));
    }
    document.querySelector('iframe').remove();
    return answers;
  }, [issuer, messages]);
}

test('renews silently in a frame', { timeout: limit }, () => inContext(browser, {}, async (context) => {
  const page = await context.newPage();
  await signIn(page, spa());
  const [before, renewed] = await page.evaluate(async (settings) => {
    const manager = new globalThis.oidc.UserManager(settings);
    const before = await manager.getUser();
    const after = await manager.signinSilent();
    return [before, after];
  }, spa());
  assert.notEqual(renewed.access_token, before.access_token);
  assert.equal(renewed.profile.sub, before.profile.sub);
  await context.clearCookies();
  const error = await page.evaluate((settings) => new globalThis.oidc.UserManager(settings).signinSilent().then(() => '', (e) => e.error), spa());
  assert.equal(error, 'login_required');
}));

// By redirect or by form post: a silent response needs no page that anybody sees.
test('a silent response by form post', { timeout: limit }, () => inContext(browser, {}, async (context) => {
  const page = await context.newPage();
  await signIn(page, spa());
  const url = `${server.issuer}/authorize?` + new URLSearchParams({ response_type: 'code', response_mode: 'form_post', prompt: 'none', client_id: 'spa', scope: 'openid',
    redirect_uri: home + 'silent', code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' });
  const landed = context.waitForEvent('response', (response) => response.url() === home + 'silent');
  await page.evaluate((src) => document.body.append(Object.assign(document.createElement('iframe'), { src })), url);
  await landed;
  assert.deepEqual(posted, ['/silent']);
}));

test('hears of a sign-out in another tab', { timeout: limit }, () => inContext(browser, {}, async (context) => {
  const page = await context.newPage();
  await signIn(page, spa());
  await page.evaluate((settings) => {
    globalThis.heard = [];
    globalThis.unchanged = 0;
    window.addEventListener('message', (event) => { if (event.data === 'unchanged') globalThis.unchanged++; });
    const manager = new globalThis.oidc.UserManager({ ...settings, monitorSession: true, checkSessionIntervalInSeconds: 1 });
    manager.events.addUserSignedOut(() => globalThis.heard.push('signed out'));
    manager.events.addUserSessionChanged(() => globalThis.heard.push('changed'));
    return manager.getUser(); // starts the monitor
  }, spa());
  const other = await context.newPage();
  await page.waitForFunction(() => globalThis.unchanged > 2);
  assert.deepEqual(await page.evaluate(() => globalThis.heard), [], 'nothing has happened yet');

  await other.goto(server.issuer + '/logout');
  await other.click('#submit');
  await other.waitForSelector('#signed-out');
  await page.waitForFunction(() => globalThis.heard.length > 0);
  assert.deepEqual(await page.evaluate(() => globalThis.heard), ['signed out']);
}));

test('the page answers the client\'s page, and no other', { timeout: limit }, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const state = await signIn(page, spa());
  const mine = 'spa ' + state;
  assert.deepEqual(await ask(page, server.issuer, mine, mine + 'x', 'far ' + state, 'spa x', '', 'spa', 'spa  ' + state, mine + ' x', 7, null),
    ['unchanged', 'changed', 'changed', 'changed', 'error', 'error', 'error', 'error', 'error', 'error']);

  // Another site.
  await page.goto(strangers);
  assert.notEqual(await frame(page), server.issuer + '/session'); // refused

  // A client whose pages get no cookies of ours: of another site, over plain HTTP.
  await page.goto(`http://localhost:${new URL(home).port}/`);
  assert.deepEqual(await ask(page, server.issuer, mine, 'x y'), ['error', 'error']);

  await page.goto(home);
  await context.clearCookies();
  assert.deepEqual(await ask(page, server.issuer, mine), ['changed']);
  await context.close();
});

// Over HTTPS, the state's cookie reaches a frame in a page of another site, unless the
// browser keeps the cookies of other sites from it. Then the answer is error: a client that
// heard of a change would try to sign in silently, which fails as well, and again and again.
for (const blocked of [false, true]) {
  test(`in a page of another site, with its cookies ${blocked ? 'blocked' : 'allowed'}`, { timeout: limit }, async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'calleridp-thirdparty-'));
    const clients = path.join(directory, 'clients.yaml'), far = `http://localhost:${new URL(home).port}/`;
    await writeFile(clients, `[{client_id: far, name: Far, public: true, redirect_uris: ["${far}"]}]`);
    await mkdir(path.join(directory, 'Default'));
    await writeFile(path.join(directory, 'Default/Preferences'),
      JSON.stringify({ profile: { cookie_controls_mode: blocked ? 1 : 0, block_third_party_cookies: blocked } }));
    const over = await dev('--tls', '--clients', clients);
    const context = await chromium.launchPersistentContext(directory, {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu'], ignoreHTTPSErrors: true, timeout,
    });
    try {
      context.setDefaultTimeout(timeout);
      const page = await context.newPage();
      await page.goto(`${over.issuer}/authorize?` + new URLSearchParams({ response_type: 'code', client_id: 'far', scope: 'openid', redirect_uri: far,
        code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }));
      await page.fill('#phone', number);
      await page.click('#submit');
      await page.waitForURL((url) => url.searchParams.has('code'));
      const state = new URL(page.url()).searchParams.get('session_state');
      assert.deepEqual(await ask(page, over.issuer, 'far ' + state), [blocked ? 'error' : 'unchanged']);
      await context.clearCookies();
      assert.deepEqual(await ask(page, over.issuer, 'far ' + state), [blocked ? 'error' : 'changed']);
    } finally {
      await context.close();
      await over.stop();
      await rm(directory, { recursive: true, force: true });
    }
  });
}
