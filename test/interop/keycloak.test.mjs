// SPDX-License-Identifier: Apache-2.0
// Keycloak as a hub (docs/recipes/hubs.md): it imports our discovery document, its users sign
// in here, and sessions end in both directions.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { inContext, launch, limit, timeout } from '../lib/browser.mjs';
import { dev } from '../lib/calleridp.mjs';
import { keycloak, patience } from '../lib/keycloak.mjs';

const number = '+46701740605', declined = '+46701740608';
const secret = 'a-secret-between-keycloak-and-calleridp';
let hub, server, browser, application, home;

// The two ways in which the hub authenticates here: an identity provider of Keycloak for each.
// That with a secret is what `calleridp client show --settings` prints, the other Keycloak's import
// of our discovery document.
const ways = { secret: 'client_secret_post', assertion: 'private_key_jwt' };

before(async () => {
  application = createServer((request, response) => response.setHeader('content-type', 'text/html').end('<p id="application">application</p>'));
  await new Promise((ready) => application.listen(0, '127.0.0.1', ready));
  home = `http://127.0.0.1:${application.address().port}`;
  [hub, browser] = await Promise.all([keycloak(), launch()]);

  await hub.admin('POST', '', { realm: 'demo', enabled: true, sslRequired: 'none' });
  const profile = await hub.admin('GET', '/demo/users/profile');
  for (const attribute of profile.attributes) if (attribute.name !== 'username') delete attribute.required;
  const permissions = { view: ['admin', 'user'], edit: ['admin'] };
  profile.attributes.push({ name: 'phoneNumber', permissions }, { name: 'phoneNumberVerified', permissions });
  await hub.admin('PUT', '/demo/users/profile', profile);
  await hub.admin('POST', '/demo/clients', {
    clientId: 'application', publicClient: true, redirectUris: [`${home}/*`],
    attributes: { 'post.logout.redirect.uris': '+' }, defaultClientScopes: ['basic', 'profile', 'phone'],
  });

  const certificates = await fetch(`${hub.base}/realms/demo/protocol/openid-connect/certs`).then((r) => r.json());
  const directory = mkdtempSync(path.join(tmpdir(), 'calleridp-hub-'));
  const clients = path.join(directory, 'clients.yaml');
  const entry = (way) => ({
    client_id: `hub-${way}`,
    name: 'Hub',
    redirect_uris: [`${broker(way)}/endpoint`],
    post_logout_redirect_uris: [`${broker(way)}/endpoint/logout_response`],
    backchannel_logout_uri: endpoint('logout/backchannel-logout'),
  });
  writeFileSync(path.join(directory, 'jwks.json'), JSON.stringify({ keys: certificates.keys.filter((key) => key.use === 'sig') }));
  writeFileSync(clients, JSON.stringify([ // JSON is YAML
    { ...entry('secret'), secret },
    { ...entry('assertion'), token_endpoint_auth_method: ways.assertion, jwks_file: path.join(directory, 'jwks.json') },
  ]));
  server = await dev('--clients', clients);
  rmSync(directory, { recursive: true });

  const printed = operate(['client', 'show', 'hub-secret'], '--settings', 'keycloak').replace('PASTE-THE-CLIENT-SECRET', secret);
  await hub.admin('POST', '/demo/partialImport', JSON.parse(printed));
  const config = await hub.admin('POST', '/demo/identity-provider/import-config', {
    providerId: 'oidc', fromUrl: `${server.issuer}/.well-known/openid-configuration`,
  });
  await hub.admin('POST', '/demo/identity-provider/instances', {
    alias: 'assertion', providerId: 'oidc', enabled: true, trustEmail: false,
    config: {
      ...config, clientId: 'hub-assertion', clientAuthMethod: ways.assertion,
      pkceEnabled: 'true', pkceMethod: 'S256', defaultScope: 'openid profile phone', syncMode: 'FORCE', backchannelSupported: 'true',
    },
  });
  for (const [claim, attribute] of [['phone_number', 'phoneNumber'], ['phone_number_verified', 'phoneNumberVerified']]) {
    await hub.admin('POST', '/demo/identity-provider/instances/assertion/mappers', {
      name: claim, identityProviderAlias: 'assertion', identityProviderMapper: 'oidc-user-attribute-idp-mapper',
      config: { claim, 'user.attribute': attribute, syncMode: 'INHERIT' },
    });
  }
}, { timeout: patience });
after(async () => {
  application?.close();
  application?.closeAllConnections();
  await browser?.close();
  await server?.stop();
  await hub?.stop();
});

const broker = (way) => `${hub.base}/realms/demo/broker/${way}`;
const endpoint = (name) => `${hub.base}/realms/demo/protocol/openid-connect/${name}`;

// begin sends the browser of the application to Keycloak, and from there to us.
async function begin(page, way, more = {}) {
  await page.goto(`${endpoint('auth')}?${new URLSearchParams({
    client_id: 'application', redirect_uri: `${home}/back`, response_type: 'code', scope: 'openid phone', kc_idp_hint: way, ...more,
  })}`);
}

// signIn signs a user in through the hub, and returns the tokens that Keycloak gives to the
// application, with the claims of its ID token.
async function signIn(page, way) {
  await begin(page, way);
  if (page.url().startsWith(server.issuer)) {
    await page.fill('#phone', number);
    await page.click('#submit');
  }
  await page.waitForSelector('#application', { timeout });
  const answer = await fetch(endpoint('token'), {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code', client_id: 'application', redirect_uri: `${home}/back`, code: new URL(page.url()).searchParams.get('code'),
    }),
  });
  const tokens = await answer.json();
  assert.ok(answer.ok, JSON.stringify(tokens));
  return { ...tokens, claims: JSON.parse(Buffer.from(tokens.id_token.split('.')[1], 'base64url')) };
}

// lives reports whether the session of Keycloak that gave this refresh token lives.
async function lives(refresh_token) {
  const answer = await fetch(endpoint('token'), {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'application', refresh_token }),
  });
  if (answer.ok) return true;
  assert.equal((await answer.json()).error, 'invalid_grant');
  return false;
}

// ends waits until something that ends by itself has ended.
async function ends(what, living) {
  for (const until = Date.now() + timeout; await living();) {
    assert.ok(Date.now() < until, `${what} lives on`);
    await pause(200);
  }
}

// told waits until a client has taken all its logout tokens.
async function told(client) {
  for (const until = Date.now() + patience; ;) {
    const receiver = JSON.parse(operate(['notice', 'list'], '--output=json')).find((r) => r.client_id === client);
    if (receiver?.waiting === 0) return;
    assert.ok(Date.now() < until, `${client} has not taken its logout tokens: ${JSON.stringify(receiver)}`);
    await pause(200);
  }
}

// signedInHere reports whether the browser has a session at the provider.
async function signedInHere(page) {
  await page.goto(`${server.issuer}/account`);
  return await page.locator('#phone').count() === 0;
}

function visiting(what, run) {
  test(what, { timeout: 2 * limit }, () => inContext(browser, {}, async (context) => {
    const page = await context.newPage();
    try {
      await run(page, context);
    } catch (error) {
      error.message += `\n${page.url()}\n${await page.textContent('body').catch(() => '')}\n${hub.log().slice(-4_000)}\n${server.log().slice(-4_000)}`;
      throw error;
    }
  }));
}

const operate = (command, ...args) => execFileSync(process.env.CALLERIDP, [...command, '--socket', server.admin_socket, ...args], { encoding: 'utf8' });

for (const way of Object.keys(ways)) {
  visiting(`${ways[way]}: sign in, the number in the user's attributes and in the application's token`, async (page) => {
    const { claims } = await signIn(page, way);
    assert.equal(claims.phone_number, number);
    assert.equal(claims.phone_number_verified, true);
    const [user] = await hub.admin('GET', `/demo/users?q=phoneNumber:${encodeURIComponent(number)}`);
    assert.deepEqual(user.attributes.phoneNumber, [number]);
    assert.deepEqual(user.attributes.phoneNumberVerified, ['true']);
    assert.equal(user.firstName, 'Anna');
    await hub.admin('DELETE', `/demo/users/${user.id}`); // the next way is another user of Keycloak
  });
}

visiting('a user who declines comes back to Keycloak, and may try again', async (page) => {
  await begin(page, 'secret');
  await page.fill('#phone', declined);
  await page.click('#submit');
  await page.click('form[action$="/leave"] button');
  await page.waitForURL((url) => url.href.startsWith(hub.base), { timeout });
  assert.equal(await page.locator('#social-secret').count(), 1, 'the page offers to sign in again');
});

visiting('keys may rotate between two sign-ins', async (page, context) => {
  const first = await signIn(page, 'secret');
  operate(['keys', 'rotate'], '--force');
  await context.clearCookies();
  const second = await signIn(page, 'secret');
  assert.equal(second.claims.sub, first.claims.sub, 'the same user of Keycloak');
});

visiting('signing out of the application ends the session here, and leads back', async (page) => {
  const { id_token } = await signIn(page, 'secret');
  await page.goto(`${endpoint('logout')}?${new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri: `${home}/out` })}`);
  await page.waitForURL(`${home}/out`, { timeout });
  assert.equal(await signedInHere(page), false);
});

visiting('when an administrator of Keycloak ends a session, the one here ends', async (page) => {
  const { claims } = await signIn(page, 'secret');
  assert.equal(await signedInHere(page), true);
  await hub.admin('DELETE', `/demo/sessions/${claims.sid}`);
  await ends('the session', () => signedInHere(page));
});

// A refresh token that Keycloak redeems while it ends the session revives that session, so
// Keycloak is asked once, after it has taken the logout token.
visiting('when an operator here signs a user out, their session at Keycloak ends', async (page) => {
  const { refresh_token } = await signIn(page, 'secret');
  assert.ok(await lives(refresh_token));
  const { sub } = JSON.parse(operate(['user', 'find'], '--output=json', number));
  operate(['user', 'signout'], sub);
  await told('hub-secret');
  assert.equal(await lives(refresh_token), false);
});
