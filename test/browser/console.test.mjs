// SPDX-License-Identifier: Apache-2.0
// The operators' console in a real browser: signing in by CallerIdP itself, what operators
// do most, who is kept out, and the bar of accessibility that the pages of users have.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { launch, limit, timeout, watched } from '../lib/browser.mjs';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const operator = '+46701740605'; // approves by itself

let server, browser, cookies;
before(async () => {
  [server, browser] = await Promise.all([dev(), launch()]);
  const context = await browser.newContext();
  await signIn(await context.newPage(), operator);
  cookies = await context.cookies();
  await context.close();
});
after(async () => { await browser?.close(); await server?.stop(); });

const at = (path) => server.console + '/console/' + path;

async function signIn(page, number) {
  await page.goto(at(''));
  await page.click('text=Sign in with your phone');
  await page.fill('#phone', number);
  await page.click('#submit');
  if (number === operator) await page.waitForURL(at(''), { timeout });
}

// operating runs something in a browser that is signed in.
async function operating(options, run) {
  const context = await browser.newContext(options);
  await context.addCookies(cookies);
  const errors = watched(context);
  await run(await context.newPage());
  await context.close();
  assert.deepEqual(errors, [], 'the pages raise no script errors and break no content security policy');
}

test('a client is added, edited, given a new secret and removed, without JavaScript', { timeout: limit }, async () => {
  await operating({ javaScriptEnabled: false }, async (page) => {
    await page.goto(at('clients'));
    await page.click('text=Add a client');
    await page.fill('#f-client_id', 'tea');
    await page.fill('#f-client_name', '<img src=x onerror=alert(1)>');
    await page.fill('#f-redirect_uris', 'ftp://tea.example/cb');
    await page.click('text=Add this client');
    await page.waitForSelector('#f-redirect_uris[aria-invalid=true]');
    assert.equal(await page.inputValue('#f-redirect_uris'), 'ftp://tea.example/cb', 'what was typed stays');
    await page.fill('#f-redirect_uris', 'https://tea.example/cb');
    await page.click('text=Add this client');
    const secret = await page.textContent('.secret');
    assert.ok(secret.length >= 43);
    assert.equal(await page.textContent('h1'), '<img src=x onerror=alert(1)>');
    await page.goto(at('clients/tea'));
    assert.ok(!(await page.content()).includes(secret), 'the secret is shown once');

    // Another tab was faster: the first form no longer counts.
    const other = await page.context().newPage();
    for (const p of [page, other]) await p.goto(at('clients/tea/edit'));
    await other.fill('#f-client_name', 'Tea shop');
    await other.click('text=Save');
    await other.waitForSelector('text=The client was changed.');
    await page.fill('#f-client_name', 'Too late');
    await page.click('text=Save');
    assert.match(await page.textContent('[role=alert]'), /has been changed since/);

    await page.goto(at('clients?q=TEA.example'));
    assert.equal(await page.locator('tbody tr').count(), 1);
    await page.click('text=Tea shop');
    await page.click('text=Give it a new secret');
    await page.click('text=Make a new secret');
    assert.notEqual(await page.textContent('.secret'), secret);
    await page.click('text=Remove the client');
    await page.fill('#confirm', 'coffee');
    await page.click('text=Remove this client');
    await page.waitForSelector('#confirm[aria-invalid=true]');
    await page.fill('#confirm', 'tea');
    await page.click('text=Remove this client');
    await page.waitForSelector('text=The client was removed.');
  });
});

test('a user is found by the number, which is in no address, and erased', { timeout: limit }, async () => {
  const context = await browser.newContext();
  const user = await context.newPage();
  await user.goto(server.demo + '/login');
  await user.fill('#phone', '+46701740610');
  await user.click('#submit');
  await user.waitForSelector('#claims', { timeout });
  await context.close();
  await operating({}, async (page) => {
    const addresses = [];
    page.on('request', (r) => addresses.push(r.url()));
    await page.goto(at('users'));
    await page.fill('#number', '+46 70 174 06 10');
    await page.press('#number', 'Enter');
    await page.waitForSelector('text=Applications with access');
    assert.ok(!addresses.some((a) => /7017|740610/.test(decodeURIComponent(a))), addresses.join('\n'));
    assert.doesNotMatch(await page.content(), /701740610/);
    await page.click('text=Erase the user');
    await page.fill('#confirm', 'erase');
    await page.click('text=Erase this user');
    await page.waitForSelector('text=The user was erased.');
  });
});

test('who is not on the list is kept out, and signing out ends the copy of a cookie', { timeout: limit }, async () => {
  const stranger = await browser.newContext();
  const page = await stranger.newPage();
  await signIn(page, '+46701740611');
  await page.waitForSelector('text=Not an operator');
  await page.goto(at('clients'));
  assert.match(page.url(), /\/console\/signin$/);
  await stranger.close();

  const context = await browser.newContext();
  const own = await context.newPage();
  await signIn(own, operator);
  const copy = await context.cookies();
  await own.click('text=Sign out');
  await own.waitForURL(/\/console\/signin$/);
  await context.addCookies(copy);
  await own.goto(at(''));
  assert.match(own.url(), /\/console\/signin$/, 'a stolen cookie does not outlive the session');
  await context.close();
});

test('a page on another port of the host makes the console do nothing', { timeout: limit }, async () => {
  await operating({ bypassCSP: true }, async (page) => {
    await page.goto(at('limits'));
    const token = await page.getAttribute('input[name=token]', 'value');
    await page.goto(server.issuer + '/');
    const statuses = [];
    page.on('response', (r) => { if (r.url().startsWith(server.console)) statuses.push(r.status()); });
    await page.evaluate(([to, token]) => {
      const form = document.createElement('form');
      form.method = 'post';
      form.action = to;
      form.innerHTML = `<input name="kind" value="deployment"><input name="do" value="clear"><input name="token" value="${token}">`;
      document.body.append(form);
      form.submit();
    }, [at('limits'), token]);
    await page.waitForSelector('text=Not from here');
    assert.deepEqual(statuses.filter((s) => s !== 200), [403]);
  });
});

// spilled says what is wider than the window. It runs in the page.
function spilled() {
  const width = document.documentElement.clientWidth;
  return document.documentElement.scrollWidth > width ? [`${document.documentElement.scrollWidth} wide in a window of ${width}`] : [];
}

// tiny names what is smaller than 44 px to tap. A checkbox is tapped on its label, and the link
// past the navigation is for keyboards.
function tiny() {
  return [...document.querySelectorAll('a:not(.skip), button, summary, select, textarea, input:not([type=hidden], [type=checkbox]), .check label')]
    .map((e) => [e, e.getBoundingClientRect()])
    .filter(([, r]) => r.width > 0 && (r.height < 43.5 || r.width < 43.5))
    .map(([e, r]) => `${e.tagName.toLowerCase()} "${e.textContent.trim().slice(0, 20)}" ${Math.round(r.width)}x${Math.round(r.height)}`);
}

const paths = ['', '?range=7d', '?range=90d', 'clients', 'clients/demo', 'clients/new', 'users', 'grants', 'grants?client=demo', 'limits', 'notices', 'keys', 'api-keys', 'audit', 'audit?event=console.', 'settings', 'nothing-here'];

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing, ${colorScheme}, and nothing spills over at 320 px or with text twice as large`, { timeout: limit }, async () => {
    const wrong = [];
    await operating({ bypassCSP: true, colorScheme }, async (page) => {
      for (const path of [...paths, 'signin']) {
        if (path === 'signin') await page.context().clearCookies();
        await page.setViewportSize({ width: 1200, height: 900 });
        await page.goto(at(path));
        await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
        await page.addScriptTag({ path: axe });
        const found = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] }), rules);
        wrong.push(...found.violations.map((v) => `${path}: ${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`));
        if (colorScheme === 'dark') continue;
        await page.setViewportSize({ width: 320, height: 640 });
        wrong.push(...(await page.evaluate(spilled)).map((what) => `${path}: ${what}`));
        wrong.push(...(await page.evaluate(tiny)).map((what) => `${path}: too small to tap: ${what}`));
        await page.setViewportSize({ width: 1200, height: 900 });
        await page.addStyleTag({ content: 'html { font-size: 200%; }' });
        wrong.push(...(await page.evaluate(spilled)).map((what) => `${path}, large: ${what}`));
      }
    });
    assert.equal(wrong.join('\n'), '');
  });
}

test('on a phone the navigation is a menu, and the configuration is short', { timeout: limit }, async () => {
  await operating({ viewport: { width: 360, height: 740 }, javaScriptEnabled: false }, async (page) => {
    await page.goto(at('settings'));
    const { height } = await page.locator('html').boundingBox();
    assert.ok(height < 6000, `the configuration is ${height} px high`);
    assert.equal(await page.locator('nav a:visible').count(), 0);
    await page.click('text=Menu');
    assert.equal(await page.getAttribute('nav a[aria-current]:visible', 'href'), '/console/settings');
    await page.click('nav a:visible >> text=Grants');
    await page.waitForURL(at('grants'));
    // What a client got is revoked from the list, and the list says so.
    await page.click('button:has-text("Revoke") >> nth=0');
    await page.waitForSelector('text=The grant was revoked.');
    await page.goto(at('audit?event=user.grant_revoked'));
    assert.equal(await page.locator('tbody tr').count(), 1);
  });
});

test('by keyboard alone: past the navigation, to a client and back', { timeout: limit }, async () => {
  await operating({}, async (page) => {
    await page.goto(at('clients'));
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Add a client');
    for (let i = 0; i < 3; i++) await page.keyboard.press('Tab');
    const name = await page.evaluate(() => document.activeElement.textContent);
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/console\/clients\/[^/]+$/);
    assert.equal(await page.textContent('h1'), name);
  });
});
