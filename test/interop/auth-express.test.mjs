// SPDX-License-Identifier: Apache-2.0
// Auth.js (@auth/express) with a generic OpenID Connect provider, as docs/recipes/node.md
// sets it up: its own pages, its session in cookies of an https site, refresh tokens rotated in its callback.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { parseEnv } from 'node:util';
import { Auth } from '@auth/core';
import { getToken } from '@auth/core/jwt';
import { ExpressAuth } from '@auth/express';
import express from 'express';
import { decline, enter, escaped, held, press, signedOut, user, visiting } from '../lib/application.mjs';
import { inContext, launch } from '../lib/browser.mjs';
import { dev } from '../lib/calleridp.mjs';

const number = '+46701740605', secret = 'a-secret-for-the-cookies-of-the-application';
const clientId = 'authjs', clientSecret = 'a-secret-of-the-client-of-authjs';
let server, browser, site, home, metadata;
let early = 0; // how long before its expiry an access token is refreshed, in seconds
const granted = []; // the tokens that the application got, the newest last

// post sends a form to an endpoint, with the client's authentication.
const post = (endpoint, form) => fetch(endpoint, {
  method: 'POST', body: new URLSearchParams(form),
  headers: { authorization: 'Basic ' + Buffer.from(`${clientId}:${clientSecret}`).toString('base64') },
});

// printed returns the provider that `calleridp client show --settings` prints, with a scope
// for refresh tokens.
function printed() {
  const text = execFileSync(process.env.CALLERIDP, ['client', 'show', clientId, '--settings', 'authjs', '--socket', server.admin_socket], { encoding: 'utf8' });
  const env = parseEnv(text.replace('PASTE-THE-CLIENT-SECRET', clientSecret));
  const [, code] = text.match(/^(#   \{\n(?:#     .*\n)+#   \},)$/m);
  const [provider] = new Function('process', `return [${code.replaceAll(/^#/gm, '')}]`)({ env });
  provider.authorization.params.scope += ' offline_access';
  return [provider];
}

function application() {
  const config = {
    basePath: '/auth', trustHost: true, secret,
    providers: printed(),
    callbacks: {
      async jwt({ token, account, profile }) {
        if (account) {
          granted.push(account);
          const { access_token: access, refresh_token: refresh, expires_at: expires, id_token: idToken } = account;
          return { sub: profile.sub, name: profile.name, phone: profile.phone_number, access, refresh, expires, idToken };
        }
        if (Date.now() < (token.expires - early) * 1000) return token;
        const response = await post(metadata.token_endpoint, { grant_type: 'refresh_token', refresh_token: token.refresh });
        if (response.status === 400) return null; // signs them out
        if (!response.ok) return token; // for a while only
        const next = await response.json();
        granted.push(next);
        return { ...token, access: next.access_token, refresh: next.refresh_token, expires: Math.floor(Date.now() / 1000) + next.expires_in, idToken: next.id_token };
      },
      session({ session, token }) {
        Object.assign(session.user, { id: token.sub, phone: token.phone });
        return session;
      },
    },
    logger: { error() {}, warn() {}, debug() {} },
  };

  const app = express();
  app.use('/auth', ExpressAuth(config));
  // getSession of @auth/express drops the cookie with the new refresh token.
  async function session(req, res) {
    const answer = await Auth(new Request(home + '/auth/session', { headers: { cookie: req.headers.cookie ?? '' } }), config);
    for (const cookie of answer.headers.getSetCookie()) res.append('set-cookie', cookie);
    return answer.json();
  }
  app.get('/', async (req, res) => {
    const current = await session(req, res);
    if (!current) return res.send('<p id="out">signed out</p>');
    res.send(`<pre id="user">${escaped(JSON.stringify(current.user))}</pre><form method="post" action="/logout"><button id="logout">Sign out</button></form>`);
  });
  app.post('/logout', async (req, res) => {
    const token = await getToken({ req, secret, secureCookie: true });
    for (const [name] of (req.headers.cookie ?? '').matchAll(/__Secure-authjs\.session-token[^=]*/g)) res.clearCookie(name, { secure: true });
    if (!token) return res.redirect(303, '/');
    await post(metadata.revocation_endpoint, { token: token.refresh });
    res.redirect(303, metadata.end_session_endpoint + '?' + new URLSearchParams({ id_token_hint: token.idToken, post_logout_redirect_uri: home + '/' }));
  });
  return app;
}

before(async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'calleridp-authjs-'));
  const key = path.join(directory, 'key'), certificate = path.join(directory, 'certificate');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  site = createServer({ key: await readFile(key), cert: await readFile(certificate) });
  await new Promise((ready) => site.listen(0, 'localhost', ready));
  home = `https://localhost:${site.address().port}`;
  const clients = path.join(directory, 'clients.yaml');
  await writeFile(clients, `
- client_id: ${clientId}
  name: Auth.js
  secret: ${clientSecret}
  redirect_uris: ["${home}/auth/callback/truecaller"]
  post_logout_redirect_uris: ["${home}/"]
`);
  [server, browser] = await Promise.all([dev('--clients', clients), launch()]);
  await rm(directory, { recursive: true });
  metadata = await (await fetch(server.issuer + '/.well-known/openid-configuration')).json();
  site.on('request', application());
});
after(async () => {
  site?.close();
  site?.closeAllConnections();
  await browser?.close();
  await server?.stop();
});

async function begin(page) {
  await page.goto(home + '/auth/signin');
  await page.getByRole('button', { name: 'Truecaller' }).click();
}

async function signIn(page) {
  await begin(page);
  await enter(page, number);
  return user(page, home);
}

visiting('sign-in: PKCE, state and nonce; the claims of the ID token', () => browser, granted, async (page, visited) => {
  const who = await signIn(page);
  assert.equal(who.phone, number);
  assert.match(who.name, /^Anna/);
  const request = new URL(visited.find((url) => url.startsWith(metadata.authorization_endpoint))).searchParams;
  assert.equal(request.get('code_challenge_method'), 'S256');
  for (const name of ['code_challenge', 'state', 'nonce']) assert.ok(request.get(name), name);
  const claims = JSON.parse(Buffer.from(granted.at(-1).id_token.split('.')[1], 'base64url'));
  assert.equal(claims.nonce, request.get('nonce'));
  assert.equal(claims.sub, who.id);

  // The callback once more: an error, and the session stays.
  const callback = visited.find((url) => url.startsWith(home + '/auth/callback/'));
  const count = granted.length;
  await page.goto(callback);
  assert.match(page.url(), /\/auth\/error\?error=Configuration$/);
  assert.equal(granted.length, count, 'nothing was granted');
  await page.goto(home + '/');
  assert.equal((await user(page, home)).id, who.id);
});

visiting('a user who declines: the sign-in page shows an error', () => browser, granted, async (page) => {
  await begin(page);
  await decline(page);
  await page.waitForURL(/\/auth\/signin\?error=OAuthCallbackError$/);
  assert.match(await page.textContent('.error'), /Try signing in with a different account/);
  await signedOut(page, home);
});

visiting("another browser's callback, and one with a changed state, sign nobody in", () => browser, granted, async (page) => {
  let callback;
  await inContext(browser, { ignoreHTTPSErrors: true }, async (context) => {
    const attacker = await context.newPage();
    callback = await held(attacker, server.issuer, async () => { await begin(attacker); await enter(attacker, number); });
    const changed = new URL(callback);
    changed.searchParams.set('state', 'changed');
    for (const [victim, url] of [[page, callback], [attacker, changed.href]]) {
      await victim.goto(url);
      assert.match(victim.url(), /\/auth\/error\?error=Configuration$/);
      await signedOut(victim, home);
    }
  });
  const request = { grant_type: 'authorization_code', code: new URL(callback).searchParams.get('code'), redirect_uri: home + '/auth/callback/truecaller' };
  const stolen = await post(metadata.token_endpoint, request);
  assert.equal((await stolen.json()).error, 'invalid_grant', 'a code without its verifier');
});

visiting('refresh: the rotated token is in the session, and goes on', () => browser, granted, async (page) => {
  const who = await signIn(page), first = granted.length - 1;
  await page.reload();
  assert.equal(granted.length, first + 1, 'a fresh access token is kept');
  try {
    early = 1e6;
    for (let round = 1; round <= 3; round++) {
      await page.reload();
      assert.deepEqual(await user(page, home), who);
      assert.equal(granted.length, first + 1 + round);
    }
  } finally {
    early = 0;
  }
  const round = granted.slice(first);
  assert.equal(new Set(round.map((tokens) => tokens.refresh_token)).size, 4, 'each refresh rotates');
  const userinfo = await fetch(metadata.userinfo_endpoint, { headers: { authorization: 'Bearer ' + round.at(-1).access_token } });
  const claims = await userinfo.json();
  assert.equal(claims.sub, who.id);
  assert.equal(claims.phone_number, number);

  // A revoked token ends the application's session at the next refresh.
  await post(metadata.revocation_endpoint, { token: round.at(-1).refresh_token });
  try {
    early = 1e6;
    await signedOut(page, home);
  } finally {
    early = 0;
  }
  await signedOut(page, home);
});

visiting('signing out: of the application alone, and here too', () => browser, granted, async (page) => {
  const who = await signIn(page);
  await page.goto(home + '/auth/signout');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(home + '/');
  await signedOut(page, home);
  await begin(page); // silently
  assert.equal((await user(page, home)).id, who.id);

  const { refresh_token } = granted.at(-1);
  await press(page, '#logout');
  await page.waitForURL(home + '/');
  await signedOut(page, home);
  const refused = await post(metadata.token_endpoint, { grant_type: 'refresh_token', refresh_token });
  assert.equal((await refused.json()).error, 'invalid_grant');
  await begin(page);
  await page.waitForSelector('#phone');
  assert.ok(page.url().startsWith(server.issuer));
});
