// SPDX-License-Identifier: Apache-2.0
// The account page in a real browser: signing in to it, who has access, other
// browsers, the copy and the end. With and without JavaScript, and by keyboard.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { claims, launch, limit, sendNumber, timeout, watched } from '../lib/browser.mjs';

let server, browser;
before(async () => { [server, browser] = await Promise.all([dev(), launch()]); });
after(async () => { await browser?.close(); await server?.stop(); });

async function toAccount(page, number) {
  await page.goto(server.issuer + '/account');
  await page.fill('#phone', number);
  await page.click('#submit');
  await page.waitForSelector('#account', { timeout });
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript';
  const number = javaScriptEnabled ? '+46701740605' : '+46701740606';

  test(`the account, from the sign-in to the end of it, ${how}`, { timeout: limit }, async () => {
    const [laptop, phone] = await Promise.all([browser.newContext({ javaScriptEnabled, acceptDownloads: true }), browser.newContext({ javaScriptEnabled })]);
    const errors = watched(laptop);
    const other = await phone.newPage();
    await sendNumber(other, server.demo, number);
    const first = await claims(other);

    const page = await laptop.newPage();
    await toAccount(page, number);
    assert.equal(new URL(page.url()).pathname, '/account');
    assert.doesNotMatch(await page.content(), new RegExp(number.slice(3)), 'the whole number is not on the page');
    assert.match(await page.textContent('#account'), /Demo shop/);
    assert.match(await page.textContent('#account'), /This browser/);
    assert.match(await page.textContent('#account'), /Chrome.*Linux/s);
    assert.equal(await page.locator('form[action="/account/signout"]').count(), 2);

    // The other browser is signed out; the application's access ends.
    await page.locator('form[action="/account/signout"] button').nth(1).click();
    await page.waitForSelector('#did');
    assert.equal(await page.locator('form[action="/account/signout"]').count(), 1);
    await other.goto(server.issuer + '/account');
    assert.equal(await other.locator('#phone').count(), 1, 'the other browser is asked to sign in');
    await page.click('#account summary'); // an application is one row until it is opened
    await page.locator('form[action="/account/revoke"] button').click();
    await page.waitForSelector('#did');
    assert.equal(await page.locator('form[action="/account/revoke"]').count(), 0);

    await page.click('#download');
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#submit')]);
    const stored = JSON.parse(await readFile(await download.path(), 'utf8'));
    assert.equal(stored.phone_number, number);
    assert.equal(stored.sub, first.sub);
    assert.equal(stored.sessions.length, 1);
    assert.deepEqual([stored.sessions[0].browser, stored.sessions[0].os], ['Chrome', 'Linux']);

    await page.goto(server.issuer + '/account');
    await page.click('#delete');
    await page.click('#submit');
    await page.waitForSelector('#account-deleted');
    await page.goto(server.issuer + '/account');
    assert.equal(await page.locator('#phone').count(), 1, 'nobody is signed in any more');

    await other.goto(server.demo + '/logout');
    await sendNumber(other, server.demo, number);
    assert.notEqual((await claims(other)).sub, first.sub, 'whoever comes back is a new person');
    assert.deepEqual(errors, []);
    await laptop.close();
    await phone.close();
  });
}

test('the account by keyboard: everything is reached, in its order, and can be pressed', { timeout: limit }, async () => {
  const context = await browser.newContext({ viewport: { width: 320, height: 640 } });
  const page = await context.newPage();
  await sendNumber(page, server.demo, '+46701740611');
  await claims(page);
  await page.goto(server.issuer + '/account');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'nothing overflows at 320 px');
  const seen = [];
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press('Tab');
    seen.push(await page.evaluate(() => {
      const e = document.activeElement;
      return e.id || e.form?.getAttribute('action') || e.tagName.toLowerCase();
    }));
    if (i === 0) await page.keyboard.press('Enter'); // opens the row of the application
  }
  assert.deepEqual(seen, ['summary', '/account/revoke', '/account/signout', 'everywhere', 'download', 'delete']);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#account-delete');
  await page.goBack();
  await page.locator('#everywhere').focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('#signed-out');
  await context.close();
});
