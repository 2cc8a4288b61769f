// SPDX-License-Identifier: Apache-2.0
// express-openid-connect in its default mode, an ID token by form post, against the built
// binary: the application is another site than the provider, over TLS, as its cookies need.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createDirectServer } from 'node:http';
import { createServer } from 'node:https';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { inContext, launch, limit, timeout } from '../lib/browser.mjs';
import { dev } from '../lib/calleridp.mjs';

const require = createRequire(import.meta.url);
const express = require('express');
const { auth } = require('express-openid-connect');

const number = '+46701740605', declined = '+46701740608';
let server, browser, site, direct, home;

before(async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'calleridp-express-'));
  const at = (name) => path.join(directory, name);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', at('key'), '-out', at('certificate')], { stdio: 'ignore' });
  const app = express();
  site = createServer({ key: readFileSync(at('key')), cert: readFileSync(at('certificate')) }, app);
  await new Promise((ready) => site.listen(0, 'localhost', ready));
  home = `https://localhost:${site.address().port}`;
  direct = createDirectServer(app); // for logout tokens: the provider does not trust our certificate
  await new Promise((ready) => direct.listen(0, '127.0.0.1', ready));
  writeFileSync(at('clients.yaml'), `
- client_id: express
  name: Express
  public: true
  redirect_uris: ["${home}/callback"]
  response_types: [id_token]
- client_id: hybrid
  name: Hybrid
  secret: a-secret-of-the-hybrid-flow
  redirect_uris: ["${home}/hybrid/callback"]
  response_types: [code, code id_token]
  backchannel_logout_uri: "http://127.0.0.1:${direct.address().port}/hybrid/backchannel-logout"
  backchannel_logout_session_required: true
  dangerously_without_pkce: true # the library sends PKCE with the type code alone
`);
  [server, browser] = await Promise.all([dev('--clients', at('clients.yaml')), launch()]);
  rmSync(directory, { recursive: true });

  const common = { issuerBaseURL: server.issuer, secret: 'a-secret-for-the-cookies-of-the-application', authRequired: false };
  const shows = (req, res) => {
    if (!req.oidc.isAuthenticated()) return res.send('<p id="out">signed out</p>');
    res.send(`<pre id="claims">${JSON.stringify(req.oidc.idTokenClaims)}</pre><p id="access">${req.oidc.accessToken ? 'yes' : 'no'}</p>`);
  };
  const refused = (error, req, res, next) => res.status(error.status ?? 500).send(`<p id="error">${error.error ?? error.message}</p>`);
  const loggedOut = new Map();
  const store = {
    get: (key, done) => done(null, loggedOut.get(key)),
    set: (key, value, done) => { loggedOut.set(key, value); done(null); },
    destroy: (key, done) => { loggedOut.delete(key); done(null); },
  };
  const hybrid = express.Router();
  hybrid.use(auth({ ...common, baseURL: home + '/hybrid', clientID: 'hybrid', clientSecret: 'a-secret-of-the-hybrid-flow', session: { name: 'hybrid', cookie: { path: '/hybrid' } },
    backchannelLogout: { store },
    transactionCookie: { name: 'hybrid_verification' }, authorizationParams: { response_type: 'code id_token', response_mode: 'form_post', scope: 'openid phone' } }));
  hybrid.get('/', shows);
  app.use('/hybrid', hybrid);
  app.use(auth({ ...common, baseURL: home, clientID: 'express', authorizationParams: { scope: 'openid profile phone' } }));
  app.get('/', shows);
  app.use(refused);
});
after(async () => {
  site?.close();
  site?.closeAllConnections();
  direct?.close();
  direct?.closeAllConnections();
  await browser?.close();
  await server?.stop();
});

// visiting runs a test in a browser of its own, and checks that no address of its visit
// has a token or a code.
function visiting(what, options, run) {
  test(what, { timeout: limit }, () => inContext(browser, { ignoreHTTPSErrors: true, ...options }, async (context) => {
    const page = await context.newPage();
    const visited = [];
    page.on('request', (request) => visited.push(request.url()));
    await run(page);
    assert.deepEqual(visited.filter((url) => /[?&#](code|id_token|access_token)=/.test(url)), [], 'no token is in a URL');
  }));
}

for (const javaScriptEnabled of [true, false]) {
  visiting(`an ID token by form post, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, { javaScriptEnabled }, async (page) => {
    await page.goto(home + '/login');
    await page.fill('#phone', number);
    await page.click('#submit');
    if (!javaScriptEnabled) {
      await page.waitForSelector('#formpost', { timeout });
      await page.click('#formpost button');
    }
    const claims = JSON.parse(await page.textContent('#claims'));
    assert.equal(claims.iss, server.issuer);
    assert.equal(claims.phone_number, number);
    assert.match(claims.name, /^Anna/);
    assert.equal(claims.at_hash, undefined);
    assert.equal(await page.textContent('#access'), 'no');
    if (!javaScriptEnabled) return;

    // The session serves the next one without the phone, and silently.
    await page.context().clearCookies({ domain: 'localhost' });
    await page.goto(home + '/login');
    assert.equal(JSON.parse(await page.textContent('#claims')).sub, claims.sub);
  });
}

visiting('the hybrid flow: an ID token in front, tokens from the token endpoint', {}, async (page) => {
  await page.goto(home + '/hybrid/login');
  await page.fill('#phone', number);
  await page.click('#submit');
  const claims = JSON.parse(await page.textContent('#claims'));
  assert.equal(claims.phone_number, number);
  assert.equal(await page.textContent('#access'), 'yes');
});

visiting('back-channel logout: an operator signs the user out, and the application knows', {}, async (page) => {
  await page.goto(home + '/hybrid/login');
  await page.fill('#phone', number);
  await page.click('#submit');
  const { sub } = JSON.parse(await page.textContent('#claims'));
  execFileSync(process.env.CALLERIDP, ['user', 'signout', sub, '--socket', path.join(server.data, 'admin.sock')], { stdio: 'pipe' });
  for (const until = Date.now() + timeout; !(await page.$('#out'));) {
    assert.ok(Date.now() < until, 'the application still has its session');
    await page.goto(home + '/hybrid/');
  }
});

visiting('a user who declines: the error comes by form post', {}, async (page) => {
  await page.goto(home + '/login');
  await page.fill('#phone', declined);
  await page.click('#submit');
  await page.locator('form[action$="/leave"] button').click();
  assert.match(await page.textContent('#error'), /access_denied/);
});
