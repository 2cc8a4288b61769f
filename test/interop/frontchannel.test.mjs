// SPDX-License-Identifier: Apache-2.0
// Front-channel logout in a browser: each application that took part in the session gets
// its own cookies in a frame, and the user goes on to the one that they came from.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { inContext, launch, limit } from '../lib/browser.mjs';
import { dev } from '../lib/calleridp.mjs';

const number = '+46701740605', challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
let server, browser, site, home;
let heard = [], hang = false; // what the applications' addresses for signing out got

before(async () => {
  site = createServer((request, answer) => {
    const url = new URL(request.url, 'http://x');
    answer.setHeader('content-type', 'text/html');
    if (url.pathname.startsWith('/cb/')) answer.setHeader('set-cookie', `app_${url.pathname.slice(4)}=in; Path=/`);
    if (url.pathname.startsWith('/out/')) {
      heard.push({ app: url.pathname.slice(5), iss: url.searchParams.get('iss'), sid: url.searchParams.get('sid'), cookie: request.headers.cookie ?? '' });
      if (hang) return; // never answers
      answer.setHeader('set-cookie', `app_${url.pathname.slice(5)}=; Path=/; Max-Age=0`);
      // One that would take the whole window away.
      answer.end('<!doctype html><script>try { top.location = "https://evil.invalid/"; } catch { document.cookie = "script=stopped; Path=/"; }</script>');
      return;
    }
    answer.end('<!doctype html><title>App</title>');
  });
  await new Promise((ready) => site.listen(0, '127.0.0.1', ready));
  home = `http://127.0.0.1:${site.address().port}/`;
  const directory = await mkdtemp(path.join(tmpdir(), 'calleridp-front-'));
  const clients = path.join(directory, 'clients.yaml');
  const client = (id, more) => `{client_id: ${id}, name: ${id}, public: true, redirect_uris: ["${home}cb/${id}"], post_logout_redirect_uris: ["${home}bye"], ${more}}`;
  await writeFile(clients, `[${client('one', `frontchannel_logout_uri: "${home}out/one", frontchannel_logout_session_required: true`)},
${client('two', `frontchannel_logout_uri: "${home}out/two"`)}, ${client('away', `frontchannel_logout_uri: "${home}out/away"`)}]`);
  [server, browser] = await Promise.all([dev('--clients', clients), launch()]);
  await rm(directory, { recursive: true });
});
after(async () => {
  site?.close();
  site?.closeAllConnections();
  await browser?.close();
  await server?.stop();
});

const request = (id) => `${server.issuer}/authorize?` + new URLSearchParams({ response_type: 'code', client_id: id, scope: 'openid', redirect_uri: `${home}cb/${id}`,
  code_challenge: challenge, code_challenge_method: 'S256' });

// signIn signs the user in to both applications.
async function signIn(page) {
  heard = [];
  await page.goto(request('one'));
  await page.fill('#phone', number);
  await page.click('#submit');
  await page.waitForURL(/cb\/one\?code=/);
  await page.goto(request('two'));
  await page.waitForURL(/cb\/two\?code=/);
}

const signOut = (page, query = '') => page.goto(`${server.issuer}/logout${query}`).then(() => page.click('#submit'));
const onward = () => `?client_id=one&state=s&post_logout_redirect_uri=${encodeURIComponent(home + 'bye')}`;

function told() {
  assert.deepEqual(heard.map((h) => h.app).sort(), ['one', 'two']);
  const [one, two] = heard.sort((a, b) => a.app.localeCompare(b.app));
  assert.equal(one.iss, server.issuer);
  assert.match(one.sid, /^[\w-]{22}$/);
  assert.equal(two.iss, null);
  for (const h of heard) assert.match(h.cookie, new RegExp(`app_${h.app}=in`), 'the frame has the application\'s cookies');
}

test('each application is told, and the user goes on', { timeout: limit }, () => inContext(browser, {}, async (context) => {
  const page = await context.newPage();
  await signIn(page);
  await signOut(page, onward());
  await page.waitForURL(home + 'bye?state=s');
  told();
  const cookies = (await context.cookies()).map((c) => c.name);
  assert.deepEqual(cookies.filter((name) => name.startsWith('app_')), [], 'the applications have ended their sessions');
  assert.ok(cookies.includes('script'), 'their scripts run, and cannot take the window away');
}));

test('without an address to go to, the page stays', { timeout: limit }, () => inContext(browser, {}, async (context) => {
  const page = await context.newPage();
  await signIn(page);
  await signOut(page);
  await page.waitForSelector('#signed-out');
  await page.waitForLoadState('load');
  told();
  assert.equal(new URL(page.url()).origin, server.issuer);
  assert.equal(await page.locator('iframe').count(), 2);
}));

test('an application that does not answer holds nobody up', { timeout: limit }, () => inContext(browser, {}, async (context) => {
  const page = await context.newPage();
  await signIn(page);
  hang = true;
  await signOut(page, onward());
  await page.waitForURL(home + 'bye?state=s');
  hang = false;
  told();
}));

test('without a script', { timeout: limit }, async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await signIn(page);
  await signOut(page, onward());
  await page.waitForURL(home + 'bye?state=s');
  told();
  await context.close();
});
