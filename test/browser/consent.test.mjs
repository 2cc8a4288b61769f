// SPDX-License-Identifier: Apache-2.0
// The question whether an application may have what it asks for, in a real
// browser: with and without JavaScript, by keyboard, and no.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { claims, launch, limit, timeout, watched } from '../lib/browser.mjs';

let server, browser;
before(async () => { [server, browser] = await Promise.all([dev(), launch()]); });
after(async () => { await browser?.close(); await server?.stop(); });

// toTheQuestion signs in with a number that approves by itself.
async function toTheQuestion(page, number) {
  await page.goto(server.demo + '/login?prompt=consent');
  if (number) {
    await page.fill('#phone', number);
    await page.click('#submit');
  }
  await page.waitForSelector('#consent', { timeout });
}

for (const javaScriptEnabled of [true, false]) {
  test(`allowed after the approval, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, { timeout: limit }, async () => {
    const context = await browser.newContext({ javaScriptEnabled });
    const errors = watched(context);
    const page = await context.newPage();
    await toTheQuestion(page, '+46701740605');
    assert.match(await page.textContent('h1'), /Demo shop/);
    assert.doesNotMatch(await page.content(), /701740605/, 'the whole number is not on the page');
    await page.reload();
    await page.click('#allow');
    assert.equal((await claims(page)).phone_number, '+46701740605');
    await context.close();
    assert.deepEqual(errors, []);
  });

  test(`not allowed, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, { timeout: limit }, async () => {
    const context = await browser.newContext({ javaScriptEnabled });
    const page = await context.newPage();
    await toTheQuestion(page, '+46701740606');
    await page.click('#deny');
    await page.waitForURL((url) => url.href.startsWith(server.demo));
    assert.match(await page.textContent('body'), /access_denied/);
    // Signed in all the same: the question comes without another number. This
    // time another number is wanted.
    await toTheQuestion(page);
    await page.click('#another');
    await page.fill('#phone', '+46701740611');
    await page.click('#submit');
    await page.waitForSelector('#consent', { timeout });
    await page.click('#allow');
    assert.equal((await claims(page)).phone_number, '+46701740611');
    await context.close();
  });
}

test('by keyboard alone: no first by accident, each button in its order', { timeout: limit }, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await toTheQuestion(page, '+46701740610');
  const order = [];
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press('Tab');
    order.push(await page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute('href')));
  }
  assert.deepEqual(order, ['deny', 'allow', '/account', 'another']);
  for (let i = 0; i < 2; i++) await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  assert.equal((await claims(page)).phone_number, '+46701740610');
  await context.close();
});
