// SPDX-License-Identifier: Apache-2.0
// openid-client 6, the strictest of the JavaScript clients, against the built
// binary.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as client from 'openid-client';
import { dev, simulated } from '../lib/calleridp.mjs';
import { Walker } from '../lib/walk.mjs';
import { limit } from '../lib/time.mjs';

let server, phone, redirectURI, directory, signingKey;
const clients = {
  post: () => ['demo', client.ClientSecretPost('demo-secret')],
  basic: () => ['demo', client.ClientSecretBasic('demo-secret')],
  none: () => ['demo-public', client.None()],
  es256: () => ['demo-es256', client.ClientSecretPost('demo-es256-secret')],
};

// Two clients that sign assertions: client_secret_jwt and private_key_jwt.
const assertionSecret = 'a-secret-of-32-characters-or-more-'.repeat(2);
const assertionURI = 'https://jwt.example/callback';

// Clients whose responses are encrypted, by the key that decrypts them.
const encrypted = {
  'RSA-OAEP-256': { enc: 'A256GCM', idToken: 'ES256', userinfo: 'EdDSA', generate: { name: 'RSA-OAEP', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }, uses: ['encrypt', 'decrypt'] },
  'ECDH-ES': { enc: 'A128CBC-HS256', idToken: 'RS256', userinfo: 'RS256', generate: { name: 'ECDH', namedCurve: 'P-256' }, uses: ['deriveBits'] },
  'ECDH-ES+A256KW': { enc: 'A256CBC-HS512', idToken: 'EdDSA', generate: { name: 'ECDH', namedCurve: 'P-256' }, uses: ['deriveBits'] },
};
const encryptedSecret = 'a-secret-of-32-characters-or-more';

async function encryptedClients(directory) {
  let clients = '';
  for (const [alg, client] of Object.entries(encrypted)) {
    const { privateKey, publicKey } = await crypto.subtle.generateKey(client.generate, true, client.uses);
    client.key = { key: privateKey, kid: 'enc', alg };
    client.id = 'encrypted-' + alg.replace('+', '-');
    const jwk = await crypto.subtle.exportKey('jwk', publicKey);
    const { key_ops, ext, ...members } = { ...jwk, kid: 'enc', use: 'enc', alg };
    const jwks = path.join(directory, client.id + '.json');
    await writeFile(jwks, JSON.stringify({ keys: [members] }));
    clients += `
- client_id: ${client.id}
  name: ${alg}
  secret: ${encryptedSecret}
  jwks_file: ${jwks}
  redirect_uris: ["${assertionURI}"]
  id_token_signed_response_alg: ${client.idToken}
  id_token_encrypted_response_alg: ${alg}
  id_token_encrypted_response_enc: ${client.enc}
  userinfo_encrypted_response_alg: ${alg}
  userinfo_encrypted_response_enc: ${client.enc}
` + (client.userinfo ? `  userinfo_signed_response_alg: ${client.userinfo}\n` : '');
  }
  return clients;
}

async function clientsFile(directory) {
  const { privateKey, publicKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const jwks = path.join(directory, 'jwks.json');
  await writeFile(jwks, JSON.stringify({ keys: [{ ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'first' }] }));
  clients.client_secret_jwt = () => ['secret-jwt', client.ClientSecretJwt(assertionSecret)];
  signingKey = { key: privateKey, kid: 'first' };
  clients.private_key_jwt = () => ['key-jwt', client.PrivateKeyJwt({ key: privateKey, kid: 'first' })];
  const file = path.join(directory, 'clients.yaml');
  await writeFile(file, `
- client_id: secret-jwt
  name: Client with a secret
  token_endpoint_auth_method: client_secret_jwt
  secret: ${assertionSecret}
  redirect_uris: ["${assertionURI}"]
- client_id: key-jwt
  name: Client with a key
  token_endpoint_auth_method: private_key_jwt
  jwks_file: ${jwks}
  redirect_uris: ["${assertionURI}"]
- client_id: signed-userinfo
  name: Signed userinfo
  secret: ${encryptedSecret}
  redirect_uris: ["${assertionURI}"]
  userinfo_signed_response_alg: ES256
` + await encryptedClients(directory));
  return file;
}

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'calleridp-clients-'));
  server = await dev('--clients', await clientsFile(directory));
  phone = simulated(server.simulator);
  redirectURI = server.demo + '/callback';
});
after(async () => {
  await server?.stop();
  await rm(directory, { recursive: true });
});

async function configuration(kind) {
  const [id, auth] = clients[kind]();
  return client.discovery(new URL(server.issuer), id, undefined, auth, { execute: [client.allowInsecureRequests] });
}

async function authorization(config, extra = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const checks = { pkceCodeVerifier: verifier, expectedNonce: client.randomNonce(), expectedState: client.randomState(), idTokenExpected: true };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectURI,
    scope: 'openid profile email phone address truecaller offline_access',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    nonce: checks.expectedNonce,
    state: checks.expectedState,
    ...extra,
  });
  return { url, checks };
}

async function signIn(config, walker, number, extra) {
  const { url, checks } = await authorization(config, extra);
  const { left, page } = await walker.signIn(url, number);
  assert.ok(left, 'the flow came back to the client: ' + page);
  assert.equal(left.searchParams.get('iss'), server.issuer, 'RFC 9207');
  return { left, checks, grant: () => client.authorizationCodeGrant(config, left, checks) };
}

for (const kind of [...Object.keys(clients), 'client_secret_jwt', 'private_key_jwt']) {
  test(`${kind}: ID token, userinfo, refresh, revocation`, { timeout: limit }, async () => {
    const config = await configuration(kind);
    const extra = kind.endsWith('_jwt') ? { redirect_uri: assertionURI } : {};
    const { grant } = await signIn(config, new Walker(server.issuer), '+46 70 174 06 05', extra);
    const tokens = await grant();
    const claims = tokens.claims();
    assert.equal(claims.iss, server.issuer);
    assert.equal(claims.aud, config.clientMetadata().client_id);
    assert.equal(claims.phone_number, '+46701740605');
    assert.equal(claims.phone_number_verified, true);
    assert.equal(claims.email_verified, false);
    assert.ok(claims.at_hash && claims.auth_time && claims.sid && claims.nonce && claims.exp > claims.iat);

    const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
    for (const name of ['sub', 'phone_number', 'phone_number_verified', 'email', 'email_verified', 'name', 'given_name', 'family_name', 'picture', 'address', 'truecaller']) {
      assert.deepEqual(userinfo[name], claims[name], name);
    }

    const next = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.equal(next.claims().sub, claims.sub);
    assert.equal(next.claims().auth_time, claims.auth_time);
    assert.equal(next.claims().phone_number, claims.phone_number);
    assert.notEqual(next.refresh_token, tokens.refresh_token);

    await client.tokenRevocation(config, next.refresh_token);
    await assert.rejects(client.refreshTokenGrant(config, next.refresh_token), { error: 'invalid_grant' });
    await assert.rejects(client.fetchUserInfo(config, next.access_token, claims.sub), (error) => {
      assert.match(JSON.stringify(error.cause ?? {}) + error.message, /invalid_token|WWW-Authenticate/i);
      return true;
    });
  });
}

test('a signed request object, and one that was changed', { timeout: limit }, async () => {
  const config = await configuration('private_key_jwt');
  assert.equal(config.serverMetadata().request_parameter_supported, true);
  assert.ok(config.serverMetadata().request_object_signing_alg_values_supported.includes('ES256'));
  const { url: plain, checks } = await authorization(config, { redirect_uri: assertionURI, max_age: '600', claims: JSON.stringify({ id_token: { email: null } }), scope: 'openid' });
  const url = await client.buildAuthorizationUrlWithJAR(config, plain.searchParams, signingKey);
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request']);
  const { left, page } = await new Walker(server.issuer).signIn(url, '+46701740605');
  assert.ok(left, 'the flow came back to the client: ' + page);
  const tokens = await client.authorizationCodeGrant(config, left, { ...checks, maxAge: 600 });
  assert.ok(tokens.claims().email);

  const [header, payload, signature] = url.searchParams.get('request').split('.');
  const changed = { ...JSON.parse(Buffer.from(payload, 'base64url')), scope: 'openid phone' };
  url.searchParams.set('request', [header, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.'));
  const refused = await new Walker(server.issuer).signIn(url);
  await assert.rejects(client.authorizationCodeGrant(config, refused.left, checks), { error: 'invalid_request_object' });
});

async function registered(id, metadata) {
  return client.discovery(new URL(server.issuer), id, metadata, client.ClientSecretPost(encryptedSecret),
    { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] });
}

test('signed userinfo', { timeout: limit }, async () => {
  const config = await registered('signed-userinfo', { userinfo_signed_response_alg: 'ES256' });
  assert.ok(config.serverMetadata().userinfo_signing_alg_values_supported.includes('ES256'));
  const { grant } = await signIn(config, new Walker(server.issuer), '+46701740605', { redirect_uri: assertionURI });
  const tokens = await grant(), claims = tokens.claims();
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(userinfo.phone_number, '+46701740605');
  assert.equal(userinfo.aud, 'signed-userinfo');
});

for (const [alg, { enc, idToken, userinfo: signed }] of Object.entries(encrypted)) {
  test(`encrypted with ${alg} and ${enc}: ID token, userinfo, refresh`, { timeout: limit }, async () => {
    const { id, key } = encrypted[alg];
    const config = await registered(id, {
      id_token_signed_response_alg: idToken,
      ...(signed && { userinfo_signed_response_alg: signed }),
    });
    client.enableDecryptingResponses(config, [enc], key);
    const metadata = config.serverMetadata();
    for (const what of ['id_token', 'userinfo']) {
      assert.ok(metadata[`${what}_encryption_alg_values_supported`].includes(alg), what);
      assert.ok(metadata[`${what}_encryption_enc_values_supported`].includes(enc), what);
    }
    const { grant } = await signIn(config, new Walker(server.issuer), '+46701740605', { redirect_uri: assertionURI });
    const tokens = await grant(), claims = tokens.claims();
    assert.equal(tokens.id_token.split('.').length, 5, 'the ID token is a JWE');
    assert.equal(claims.phone_number, '+46701740605');
    const next = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.equal(next.claims().sub, claims.sub);
    if (!signed) return; // openid-client reads no userinfo that is encrypted only
    const userinfo = await client.fetchUserInfo(config, next.access_token, claims.sub);
    assert.equal(userinfo.phone_number, '+46701740605');
  });
}

test('single claims by name', { timeout: limit }, async () => {
  const config = await configuration('post');
  assert.equal(config.serverMetadata().claims_parameter_supported, true);
  const request = { scope: 'openid', claims: JSON.stringify({ id_token: { phone_number: null }, userinfo: { name: { essential: true } } }) };
  const tokens = await (await signIn(config, new Walker(server.issuer), '+46701740605', request)).grant();
  const claims = tokens.claims(), userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(claims.phone_number, '+46701740605');
  assert.equal(claims.name, undefined);
  assert.match(userinfo.name, /^Anna/);
  assert.equal(userinfo.phone_number, undefined);
});

test('introspection tells a live token from a dead one', { timeout: limit }, async () => {
  const config = await configuration('basic');
  const tokens = await (await signIn(config, new Walker(server.issuer), '+46701740605')).grant();
  const live = await client.tokenIntrospection(config, tokens.access_token);
  assert.equal(live.active, true);
  assert.equal(live.client_id, 'demo');
  assert.equal(live.iss, server.issuer);
  await client.tokenRevocation(config, tokens.access_token);
  assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false });
});

test('a code is good once; the second use revokes what the first gave', { timeout: limit }, async () => {
  const config = await configuration('post');
  const { grant } = await signIn(config, new Walker(server.issuer), '+46701740605');
  const tokens = await grant();
  await assert.rejects(grant(), { error: 'invalid_grant' });
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), { error: 'invalid_grant' });
});

test('one session serves a second client; prompt and max_age are kept', { timeout: limit }, async () => {
  const config = await configuration('post');
  const walker = new Walker(server.issuer);
  const first = await (await signIn(config, walker, '+46701740605')).grant();
  const pushes = async () => (await phone.log()).requests?.length ?? (await phone.log()).length;
  const before = await pushes();

  const again = await (await signIn(await configuration('none'), walker, undefined)).grant();
  assert.equal(again.claims().sub, first.claims().sub);
  assert.equal(again.claims().sid, first.claims().sid);
  assert.equal(again.claims().auth_time, first.claims().auth_time);

  const silent = await (await signIn(config, walker, undefined, { prompt: 'none' })).grant();
  assert.equal(silent.claims().sub, first.claims().sub);
  const hinted = await (await signIn(config, walker, undefined, { prompt: 'none', id_token_hint: first.id_token })).grant();
  assert.equal(hinted.claims().sub, first.claims().sub);
  assert.equal(await pushes(), before, 'none of these asked the phone');

  const login = await walker.signIn((await authorization(config, { prompt: 'login' })).url);
  assert.match(login.page, /id="phone"/, 'prompt=login asks again');
  await new Promise((resolve) => setTimeout(resolve, 1100)); // max_age counts whole seconds of real time
  const aged = await walker.signIn((await authorization(config, { max_age: '1' })).url);
  assert.match(aged.page, /id="phone"/, 'max_age asks again');
  const young = await (await signIn(config, walker, undefined, { max_age: '3600' })).grant();
  assert.equal(young.claims().auth_time, first.claims().auth_time);

  const renewed = await (await signIn(config, walker, '+46701740605', { prompt: 'login' })).grant();
  assert.equal(renewed.claims().sub, first.claims().sub);
  assert.ok(renewed.claims().auth_time > first.claims().auth_time);

  const url = client.buildEndSessionUrl(config, { id_token_hint: renewed.id_token, post_logout_redirect_uri: server.demo + '/', state: 'bye' });
  const { left } = await walker.signIn(url);
  assert.equal(left?.href, server.demo + '/?state=bye');
  const gone = await signIn(config, walker, undefined, { prompt: 'none' });
  await assert.rejects(gone.grant(), { error: 'login_required' });
});

test('a session survives a restart', { timeout: limit }, async () => {
  const own = await dev();
  try {
    const config = await client.discovery(new URL(own.issuer), 'demo', undefined, client.ClientSecretPost('demo-secret'), { execute: [client.allowInsecureRequests] });
    const walker = new Walker(own.issuer);
    const at = { redirect_uri: own.demo + '/callback' };
    const first = await authorization(config, at);
    const tokens = await client.authorizationCodeGrant(config, (await walker.signIn(first.url, '+46701740605')).left, first.checks);
    await own.kill('SIGTERM');
    await own.restart();
    const second = await authorization(config, { ...at, prompt: 'none' });
    const silent = await client.authorizationCodeGrant(config, (await walker.signIn(second.url)).left, second.checks);
    assert.equal(silent.claims().sub, tokens.claims().sub);
    await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
  } finally {
    await own.stop();
  }
});

test('a client without a session hears login_required from prompt=none', { timeout: limit }, async () => {
  const config = await configuration('post');
  const { grant } = await signIn(config, new Walker(server.issuer), undefined, { prompt: 'none' });
  await assert.rejects(grant(), { error: 'login_required' });
});

test('a wrong secret is invalid_client with a challenge, and leaves the code alone', { timeout: limit }, async () => {
  const config = await configuration('basic');
  const wrong = await client.discovery(new URL(server.issuer), 'demo', undefined, client.ClientSecretBasic('wrong'), { execute: [client.allowInsecureRequests] });
  const { left, checks, grant } = await signIn(config, new Walker(server.issuer), '+46701740605');
  await assert.rejects(client.authorizationCodeGrant(wrong, left, checks), (error) => {
    assert.equal(error.status ?? error.cause?.status ?? 401, 401);
    return true;
  });
  assert.ok((await grant()).access_token);
});

// A native application's backend or test with the library's generic grant: the
// code of Truecaller's SDK for tokens (RFC 8693).
async function sdk(number, verifier) {
  const answer = await fetch(server.simulator + '/sim/native/codes', {
    method: 'POST',
    body: new URLSearchParams({ phone: number, code_challenge: await client.calculatePKCECodeChallenge(verifier), scope: 'openid profile phone' }),
  });
  return (await answer.json()).authorizationCode;
}

test('token exchange of a native application, by the generic grant', { timeout: limit }, async () => {
  const config = await client.discovery(new URL(server.issuer), 'demo-native', undefined, client.None(), { execute: [client.allowInsecureRequests] });
  const grant = 'urn:ietf:params:oauth:grant-type:token-exchange';
  assert.ok(config.serverMetadata().grant_types_supported.includes(grant));
  const verifier = client.randomPKCECodeVerifier();
  const parameters = {
    subject_token: await sdk('+46701740605', verifier),
    subject_token_type: 'urn:calleridp:params:oauth:token-type:truecaller-code',
    code_verifier: verifier,
    scope: 'openid profile phone offline_access',
  };
  const tokens = await client.genericGrantRequest(config, grant, parameters);
  assert.equal(tokens.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token');
  const claims = tokens.claims(); // the library has checked signature, issuer, audience and times
  assert.equal(claims.aud, 'demo-native');
  assert.equal(claims.phone_number, '+46701740605');
  assert.equal(claims.given_name, 'Anna');
  assert.equal((await client.fetchUserInfo(config, tokens.access_token, claims.sub)).phone_number, claims.phone_number);
  const next = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal(next.claims().sub, claims.sub);

  await assert.rejects(client.genericGrantRequest(config, grant, parameters), { error: 'invalid_request', status: 400 });
  await assert.rejects(client.fetchUserInfo(config, next.access_token, claims.sub), 'a second use of the code revokes what the first gave');
  // The library reads the error of a 4xx only, and keeps any other answer.
  // The library reads the error of a 4xx only, and keeps any other answer.
  const later = { ...parameters, subject_token: await sdk('+46701740618', verifier) };
  const { cause } = await client.genericGrantRequest(config, grant, later).then(() => assert.fail('503 was expected'), (error) => error);
  assert.equal(cause.status, 503);
  assert.ok(Number(cause.headers.get('retry-after')) > 0);
  assert.equal((await cause.json()).error, 'temporarily_unavailable');
  await assert.rejects(client.genericGrantRequest(config, grant, { ...parameters, audience: 'https://api.example' }), { error: 'invalid_target' });
});
