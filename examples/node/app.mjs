// SPDX-License-Identifier: Apache-2.0
// An application that signs users in with Truecaller, through express-openid-connect.
import { randomBytes } from 'node:crypto';
import express from 'express';
import openid from 'express-openid-connect';

const port = process.env.PORT ?? '3000';
const home = process.env.HOME_URL ?? `http://localhost:${port}/`; // https:// in production

const app = express();
app.use(openid.auth({
  issuerBaseURL: process.env.ISSUER ?? 'http://127.0.0.1:9440',
  baseURL: home,
  clientID: process.env.CLIENT_ID ?? 'example-node',
  clientSecret: process.env.CLIENT_SECRET ?? 'example-node-secret',
  // Encrypts the session cookie: set it in production, or a restart signs everybody out.
  secret: process.env.SESSION_SECRET ?? randomBytes(32).toString('hex'),
  // The defaults are the implicit flow, and scopes without the phone number.
  authorizationParams: { response_type: 'code', scope: 'openid profile phone' },
  authRequired: false,
  idpLogout: true, // signing out ends the session at the provider, too
  routes: { logout: false, postLogoutRedirect: home }, // POST below: a link on another site signs nobody out
}));

app.get('/', (req, res) => {
  if (!req.oidc.isAuthenticated()) {
    res.send(page`<a href="/login">Sign in with Truecaller</a>`);
    return;
  }
  // user.sub is the key of their account: numbers change hands, and phone_number is then missing.
  const { user } = req.oidc;
  res.send(page`<p>Name: <b id="name">${user.name}</b><p>Phone number: <b id="phone">${user.phone_number ?? ''}</b>
<form method="post" action="/logout"><button>Sign out</button></form>`);
});

app.post('/logout', (req, res) => res.oidc.logout());

// What went wrong at the provider comes here, such as access_denied: the user cancelled.
app.use((error, req, res, next) => {
  console.error(error.message);
  res.status(error.status ?? 500).send(page`<p id="error">${error.error ?? 'error'}: ${error.error_description ?? 'The sign-in could not be completed.'}
<p><a href="/login">Try again</a>`);
});

app.listen(port, 'localhost', () => console.log(`listening at ${home}`));

// page escapes the values, which users and other sites choose.
function page(parts, ...values) {
  const escaped = values.map((value) => String(value).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`));
  return '<!doctype html><title>Example</title>' + String.raw({ raw: parts }, ...escaped);
}
