// SPDX-License-Identifier: Apache-2.0
// The device flow (RFC 8628): openid-client as the device, Chromium as its user's browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as client from 'openid-client';
import { dev } from '../lib/calleridp.mjs';
import { inContext, launch, limit, timeout } from '../lib/browser.mjs';

let server, browser;
before(async () => { [server, browser] = await Promise.all([dev(), launch()]); });
after(async () => { await browser?.close(); await server?.stop(); });

// device begins a sign-in at a television.
async function device() {
  const config = await client.discovery(new URL(server.issuer), 'demo-device', undefined, client.None(), { execute: [client.allowInsecureRequests] });
  const waits = await client.initiateDeviceAuthorization(config, { scope: 'openid phone offline_access' });
  assert.equal(waits.expires_in, 600);
  assert.equal(waits.interval, 5);
  return { config, waits, polls: client.pollDeviceAuthorizationGrant(config, { ...waits, interval: 5 }, undefined, { signal: AbortSignal.timeout(timeout) }) };
}

for (const javaScriptEnabled of [true, false]) {
  test(`the user enters the code, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, { timeout: limit }, () =>
    inContext(browser, { javaScriptEnabled }, async (context) => {
      const { waits, polls } = await device();
      const page = await context.newPage();
      await page.goto(waits.verification_uri);
      await page.fill('#user_code', 'BCD-FGH-JKL');
      await page.click('#submit');
      await page.waitForSelector('#problem');
      await page.fill('#user_code', ` ${waits.user_code.replaceAll('-', '').toLowerCase()} `);
      await page.click('#submit');
      await page.waitForSelector('#confirm-device');
      assert.match(await page.textContent('h1'), /Demo for televisions/);
      assert.equal((await page.textContent('p.usercode')).trim(), waits.user_code);
      assert.doesNotMatch(page.url(), /user_code/);
      await page.click('#continue');
      await page.fill('#phone', '+46701740605');
      await page.click('#submit');
      await page.waitForSelector('#device-done');
      const tokens = await polls;
      assert.equal(tokens.claims().phone_number, '+46701740605');
      assert.ok(tokens.refresh_token);
      assert.doesNotMatch(server.log(), new RegExp(waits.device_code.replace('.', '\\.')));
    }));
}

test('the address has the code, and the user refuses', { timeout: limit }, () =>
  inContext(browser, {}, async (context) => {
    const { waits, polls } = await device();
    const refused = assert.rejects(polls, (e) => e.error === 'access_denied');
    const page = await context.newPage();
    await page.goto(waits.verification_uri_complete);
    assert.equal(await page.inputValue('#user_code'), waits.user_code);
    await page.keyboard.press('Enter'); // the field has the focus
    await page.waitForSelector('#confirm-device');
    assert.ok(await page.textContent('#warning'));
    await page.click('#deny');
    await page.waitForSelector('#device-denied');
    await refused;
  }));

test('in another language, and in a frame', { timeout: limit }, () =>
  inContext(browser, { locale: 'ar' }, async (context) => {
    const { waits, polls } = await device();
    polls.catch(() => {}); // nobody answers
    const page = await context.newPage();
    await page.goto(waits.verification_uri_complete);
    assert.equal(await page.getAttribute('html', 'dir'), 'rtl');
    await page.click('#submit');
    await page.waitForSelector('#confirm-device');
    assert.equal((await page.textContent('p.usercode')).trim(), waits.user_code);
    await page.click('.languages summary');
    await page.click('.languages button[value=sv]');
    await page.waitForSelector('html[lang=sv] #confirm-device');
    const framed = await page.request.get(waits.verification_uri);
    assert.match(framed.headers()['content-security-policy'], /frame-ancestors 'none'/);
  }));
