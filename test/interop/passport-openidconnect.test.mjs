// SPDX-License-Identifier: Apache-2.0
// passport-openidconnect, as docs/recipes/node.md sets it up. It knows no PKCE, so its client
// is exempt; another client shows what happens without the exemption.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import express from 'express';
import session from 'express-session';
import passport from 'passport';
import OpenIDConnectStrategy from 'passport-openidconnect';
import { decline, enter, escaped, held, press, signedOut, user, visiting } from '../lib/application.mjs';
import { inContext, launch } from '../lib/browser.mjs';
import { dev } from '../lib/calleridp.mjs';

const number = '+46701740605', clientSecret = 'a-secret-of-the-clients-of-passport';
let server, browser, site, home, metadata;
const granted = []; // the tokens that the application got, the newest last
const profiles = []; // what the library made of the claims, the newest last

function strategy(clientID, callbackURL) {
  return new OpenIDConnectStrategy({
    issuer: server.issuer,
    authorizationURL: metadata.authorization_endpoint,
    tokenURL: metadata.token_endpoint,
    userInfoURL: metadata.userinfo_endpoint,
    clientID, clientSecret, callbackURL,
    scope: ['profile', 'phone', 'offline_access'],
    nonce: true,
  }, (issuer, uiProfile, idProfile, context, idToken, accessToken, refreshToken, params, done) => {
    profiles.push({ uiProfile, idProfile, context });
    granted.push({ access_token: accessToken, refresh_token: refreshToken, id_token: idToken });
    // OpenID Connect Core, section 5.3.2: the library does not compare them.
    if (uiProfile.id !== idProfile.id) return done(null, false, { message: 'userinfo of another user' });
    done(null, { sub: idProfile.id, name: idProfile.displayName, phone: uiProfile._json.phone_number, idToken, accessToken, refreshToken });
  });
}

function application() {
  const truecaller = strategy('passport', home + '/callback');
  passport.use('truecaller', truecaller);
  passport.use('strict', strategy('passport-strict', home + '/strict'));
  passport.serializeUser((user, done) => done(null, user));
  passport.deserializeUser((user, done) => done(null, user));

  const app = express();
  app.use(session({ secret: 'a-secret-for-the-cookies-of-the-application', resave: false, saveUninitialized: false, cookie: { httpOnly: true, sameSite: 'lax' } }));
  app.use(passport.session());
  app.get('/login', passport.authenticate('truecaller'));
  app.get('/callback', passport.authenticate('truecaller', { successRedirect: '/', failureRedirect: '/failed', failureMessage: true }));
  app.get('/strict', passport.authenticate('strict', { successRedirect: '/' }));
  app.get('/failed', (req, res) => res.send(`<p id="error">${escaped(req.session.messages?.at(-1))}</p>`));
  app.get('/', (req, res) => {
    if (!req.user) return res.send('<p id="out">signed out</p>');
    const { sub, name, phone } = req.user;
    const button = (action) => `<form method="post" action="/${action}"><button id="${action}">${action}</button></form>`;
    res.send(`<pre id="user">${escaped(JSON.stringify({ sub, name, phone }))}</pre>` + ['refresh', 'leave', 'logout'].map(button).join(''));
  });
  // The library's own OAuth client refreshes; passport-oauth2-refresh does the same.
  app.post('/refresh', (req, res, next) => {
    truecaller._oauth2.getOAuthAccessToken(req.user.refreshToken, { grant_type: 'refresh_token' }, (error, accessToken, refreshToken, params) => {
      if (error) return next(Object.assign(new Error('refresh'), JSON.parse(error.data)));
      granted.push({ access_token: accessToken, refresh_token: refreshToken, id_token: params.id_token });
      Object.assign(req.session.passport.user, { accessToken, refreshToken, idToken: params.id_token });
      res.redirect(303, '/');
    });
  });
  app.post('/leave', (req, res, next) => req.logout((error) => error ? next(error) : res.redirect(303, '/')));
  app.post('/logout', (req, res, next) => {
    const hint = { id_token_hint: req.user.idToken, post_logout_redirect_uri: home + '/' };
    req.logout((error) => error ? next(error) : res.redirect(303, metadata.end_session_endpoint + '?' + new URLSearchParams(hint)));
  });
  app.use((error, req, res, next) => res.status(400).send(`<p id="error">${escaped(error.error ?? error.code ?? error.message)}</p>`));
  return app;
}

before(async () => {
  site = createServer();
  await new Promise((ready) => site.listen(0, 'localhost', ready));
  home = `http://localhost:${site.address().port}`;
  const directory = await mkdtemp(path.join(tmpdir(), 'calleridp-passport-'));
  const clients = path.join(directory, 'clients.yaml');
  await writeFile(clients, `
- client_id: passport
  name: Passport
  secret: ${clientSecret}
  redirect_uris: ["${home}/callback"]
  post_logout_redirect_uris: ["${home}/"]
  dangerously_without_pkce: true
- client_id: passport-strict
  name: Passport, not exempt
  secret: ${clientSecret}
  redirect_uris: ["${home}/strict"]
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

async function signIn(page) {
  await page.goto(home + '/login');
  await enter(page, number);
  return user(page, home);
}

visiting('sign-in: state and nonce; the profile of the ID token, and that of userinfo', () => browser, granted, async (page, visited) => {
  const who = await signIn(page);
  assert.equal(who.phone, number);
  assert.match(who.name, /^Anna/);
  const request = new URL(visited.find((url) => url.startsWith(metadata.authorization_endpoint))).searchParams;
  for (const name of ['state', 'nonce']) assert.ok(request.get(name), name);
  assert.equal(request.get('code_challenge'), null, 'the library has learnt PKCE: take the exemption away');
  assert.equal(request.get('scope'), 'openid profile phone offline_access');

  const { uiProfile: { _raw, _json, ...uiProfile }, idProfile, context } = profiles.at(-1);
  assert.deepEqual(uiProfile, idProfile);
  assert.equal(idProfile.id, who.sub);
  assert.match(idProfile.name.givenName, /^Anna/);
  assert.doesNotMatch(JSON.stringify(idProfile), /46701740605/, 'the profile drops the number');
  assert.equal(_json.phone_number_verified, true);
  assert.ok(context.timestamp instanceof Date, 'auth_time');
  assert.ok(context.class, 'acr');

  // The callback once more: an error, and the session stays.
  const callback = visited.find((url) => url.startsWith(home + '/callback'));
  const count = granted.length;
  await page.goto(callback);
  assert.equal(page.url(), home + '/failed');
  assert.match(await page.textContent('#error'), /Unable to verify authorization request state/);
  assert.equal(granted.length, count, 'nothing was granted');
  await page.goto(home + '/');
  assert.deepEqual(await user(page, home), who);
});

visiting('a user who declines: the application shows the error', () => browser, granted, async (page, visited) => {
  await page.goto(home + '/login');
  await decline(page);
  await page.waitForURL(home + '/failed');
  assert.ok(visited.some((url) => url.startsWith(home + '/callback?') && new URL(url).searchParams.get('error') === 'access_denied'));
  assert.ok(await page.textContent('#error'));
  await signedOut(page, home);
});

visiting('a client that is not exempt from PKCE: invalid_request', () => browser, granted, async (page) => {
  await page.goto(home + '/strict');
  assert.equal(await page.textContent('#error'), 'invalid_request');
  await signedOut(page, home);
});

visiting("another browser's callback, and one with a changed state, sign nobody in", () => browser, granted, async (page) => {
  await inContext(browser, {}, async (context) => {
    const attacker = await context.newPage();
    const callback = await held(attacker, server.issuer, async () => { await attacker.goto(home + '/login'); await enter(attacker, number); });
    const changed = new URL(callback);
    changed.searchParams.set('state', 'changed');
    for (const [victim, url] of [[page, callback], [attacker, changed.href]]) {
      await victim.goto(url);
      assert.equal(victim.url(), home + '/failed');
      assert.match(await victim.textContent('#error'), /authorization request state/);
      await signedOut(victim, home);
    }
  });
});

visiting('refresh, by the OAuth client of the library', () => browser, granted, async (page) => {
  const who = await signIn(page), first = granted.length - 1;
  for (let round = 1; round <= 2; round++) {
    await press(page, '#refresh');
    assert.deepEqual(await user(page, home), who);
    assert.equal(granted.length, first + 1 + round);
  }
  assert.equal(new Set(granted.slice(first).map((tokens) => tokens.refresh_token)).size, 3, 'each refresh rotates');
  const userinfo = await fetch(metadata.userinfo_endpoint, { headers: { authorization: 'Bearer ' + granted.at(-1).access_token } });
  assert.equal((await userinfo.json()).sub, who.sub);
  await fetch(metadata.revocation_endpoint, { method: 'POST', body: new URLSearchParams({ client_id: 'passport', client_secret: clientSecret, token: granted.at(-1).refresh_token }) });
  await page.click('#refresh');
  assert.equal(await page.textContent('#error'), 'invalid_grant');
});

visiting('signing out: of the application alone, and here too', () => browser, granted, async (page) => {
  const who = await signIn(page);
  await press(page, '#leave');
  await page.waitForURL(home + '/');
  await signedOut(page, home);
  await page.goto(home + '/login'); // silently
  assert.deepEqual(await user(page, home), who);

  await press(page, '#logout');
  await page.waitForURL(home + '/');
  await signedOut(page, home);
  await page.goto(home + '/login');
  await page.waitForSelector('#phone');
  assert.ok(page.url().startsWith(server.issuer));
});
