// SPDX-License-Identifier: Apache-2.0
// What tests do with an application whose users sign in through a redirect.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inContext, limit, timeout } from './browser.mjs';

// visiting runs a test in a browser of its own, with the list of the addresses that it
// requests, and checks that none of them has a token of those that the application got.
// That of signing out has the ID token, as a hint (RP-Initiated Logout 1.0, section 2).
export function visiting(what, browser, tokens, run) {
  test(what, { timeout: limit }, () => inContext(browser(), { ignoreHTTPSErrors: true }, async (context) => {
    const page = await context.newPage(), visited = [];
    page.on('request', (request) => visited.push(request.url()));
    await run(page, visited);
    const hintless = visited.map((url) => url.replace(/([?&])id_token_hint=[^&]*/, '$1'));
    for (const { access_token, refresh_token, id_token } of tokens) {
      for (const token of [access_token, refresh_token, id_token]) {
        assert.ok(token, 'a token of each kind');
        assert.deepEqual(hintless.filter((url) => url.includes(token)), [], 'no token is in a URL');
      }
    }
  }));
}

// enter sends a number from the sign-in page.
export async function enter(page, number) {
  await page.fill('#phone', number);
  await page.click('#submit');
}

// decline enters a number whose user declines, and leaves for the application.
export async function decline(page) {
  await enter(page, '+46701740608');
  await page.locator('form[action$="/leave"] button').click();
}

// held signs in by begin, and resolves to the response's address instead of following it:
// the callback that the application has not seen yet.
export async function held(page, issuer, begin) {
  const at = (url) => url.href.startsWith(issuer) && url.pathname.endsWith('/continue');
  let location;
  await page.route(at, async (route) => { // Chromium's own redirects are not routed
    const response = await route.fetch({ maxRedirects: 0 });
    location = response.headers().location;
    await route.fulfill({ body: 'held back' });
  });
  await begin();
  await page.getByText('held back').waitFor({ timeout });
  await page.unroute(at);
  assert.match(location, /[?&]code=/);
  return location;
}

// press clicks what leads to another page, and resolves once the browser is there, also if
// its address is the same.
export async function press(page, selector) {
  const landed = page.waitForEvent('framenavigated');
  await page.click(selector);
  await landed;
}

// user waits for the home page of an application, and resolves to the user that it shows as
// JSON in #user.
export async function user(page, home) {
  await page.waitForURL(home + '/');
  return JSON.parse(await page.textContent('#user'));
}

// signedOut asserts that the home page of an application shows nobody.
export async function signedOut(page, home) {
  await page.goto(home + '/');
  assert.equal(await page.textContent('#out'), 'signed out');
}

// escaped is text as HTML.
export function escaped(text) {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
