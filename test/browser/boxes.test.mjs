// SPDX-License-Identifier: Apache-2.0
// The measures of the pages, as docs/pages.md gives them: what a phone shows without
// scrolling and above its keyboard, what stays in its place, and how long pages are. Fonts
// differ between machines, so that the measures are bounds.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { inContext, launch, limit } from '../lib/browser.mjs';

let server, browser;
before(async () => { [server, browser] = await Promise.all([dev(), launch()]); });
after(async () => { await browser?.close(); await server?.stop(); });

const phone = { viewport: { width: 360, height: 640 } };

// open shows a page of the gallery without the strip that says that it is a simulation.
async function open(page, scene, lang = 'en') {
  await page.goto(`${server.issuer}/gallery/${scene}?lang=${lang}`);
  await page.evaluate(() => document.querySelector('.simulation').remove());
}

const box = (page, selector) => page.locator(selector).first().evaluate((e) => {
  const { top, bottom, left, right, width, height } = e.getBoundingClientRect();
  return { top, bottom, left, right, width, height };
});

// content is how long a page is with its footer, without the space between the two.
const content = async (page) => (await box(page, '.card')).bottom + (await box(page, 'footer')).height;

test('on a small phone, the button of the sign-in page is above the keyboard', { timeout: limit }, () => inContext(browser, phone, async (context) => {
  const page = await context.newPage();
  await open(page, 'signin');
  const { bottom, height } = await box(page, '#submit');
  assert.ok(bottom <= 430, `it ends at ${bottom}`); // 372 in Noto Sans; a wider font breaks the title
  assert.ok(height >= 52, `it is ${height} high`);
}));

for (const [lang, most] of [['en', { signin: 570, waiting: 740, declined: 450 }], ['hi', { signin: 620, waiting: 790, declined: 480 }],
  ['ar', { signin: 620, waiting: 760, declined: 480 }], ['ur', { signin: 720, waiting: 860, declined: 600 }], ['ta', { signin: 740, waiting: 1020, declined: 560 }]]) {
  test(`pages in ${lang} are as short as they were drawn`, { timeout: limit }, () => inContext(browser, phone, async (context) => {
    const page = await context.newPage();
    for (const [scene, bound] of Object.entries(most)) {
      await open(page, scene, lang);
      const height = await content(page);
      assert.ok(height <= bound, `${scene} is ${Math.round(height)} long, want at most ${bound}`);
      assert.ok(height >= 200, `${scene} is ${Math.round(height)} long: nothing is on it`);
    }
    if (lang === 'en' || lang === 'hi') return;
    await open(page, 'waiting', lang);
    const { bottom } = await box(page, '#cancel');
    assert.ok(bottom <= 700, `Cancel ends at ${bottom}`);
  }));
}

test('the head of the card is at one place on every page', { timeout: limit }, () => inContext(browser, { viewport: { width: 1280, height: 800 } }, async (context) => {
  const page = await context.newPage();
  for (const scene of ['signin', 'waiting', 'approved', 'declined', 'error-internal', 'sign-out', 'consent']) {
    await open(page, scene);
    const { top, height, left } = await box(page, '.head');
    assert.deepEqual([scene, Math.round(top), Math.round(height), Math.round(left)], [scene, 144, 56, 464]);
  }
}));

for (const lang of ['en', 'ta', 'ur']) {
  test(`nothing moves while a number is typed in ${lang}`, { timeout: limit }, () => inContext(browser, phone, async (context) => {
    const page = await context.newPage();
    await open(page, 'signin', lang);
    const places = () => page.$$eval('.card > *, .card h1, .card label, .tel, .tel > *, #submit, .small', (all) => all.map((e) => {
      const b = e.getBoundingClientRect();
      return [b.x, b.y, b.width, b.height].map(Math.round).join(' ');
    }).join('\n'));
    const before = await places();
    for (const digit of '0701740605') {
      await page.locator('#phone').press(digit);
      assert.equal(await places(), before, `after ${await page.inputValue('#phone')}`);
    }
    assert.notEqual(await page.textContent('#hint'), '');
    assert.equal(await page.locator('#rest').evaluate((e) => getComputedStyle(e).visibility), 'hidden');
  }));
}

test('the field is joined before the page is drawn, and nothing shifts', { timeout: limit }, () => inContext(browser, phone, async (context) => {
  const page = await context.newPage();
  await page.addInitScript(() => {
    window.shifts = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) window.shifts += e.value; }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(server.demo + '/login', { waitUntil: 'networkidle' });
  const [select, input] = [await box(page, '.country'), await box(page, '#phone')];
  assert.equal(Math.round(select.top), Math.round(input.top), 'the country is beside the number');
  await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 0))); }));
  assert.equal(await page.evaluate(() => window.shifts), 0);
}));

test('without a script, the field has two rows that say the country in full', { timeout: limit }, () => inContext(browser, { ...phone, javaScriptEnabled: false }, async (context) => {
  const page = await context.newPage();
  await page.goto(`${server.issuer}/gallery/signin?lang=en`);
  const [select, input] = [await box(page, '#region'), await box(page, '#phone')];
  assert.ok(input.top >= select.bottom, 'the number is below the country');
  assert.ok(select.height >= 44 && input.height >= 50, `${select.height} and ${input.height} high`);
  assert.equal(await page.locator('.code').isVisible(), false);
  assert.equal(await page.locator('#region').evaluate((e) => getComputedStyle(e).opacity), '1');
}));

test('whatever can be pressed is large enough', { timeout: limit }, () => inContext(browser, phone, async (context) => {
  const page = await context.newPage();
  for (const scene of ['signin', 'signin-android', 'waiting', 'waiting-onetap', 'declined', 'cancelled', 'consent', 'account', 'sign-out', 'error-internal', 'device-confirm']) {
    await open(page, scene);
    const small = await page.$$eval('a, button, summary, select, input:not([type=hidden])', (all) => all.filter((e) => e.checkVisibility() && !e.closest('p.small, p.problem, p.under'))
      .map((e) => [e.outerHTML.slice(0, 50), e.getBoundingClientRect()]).filter(([, b]) => b.height < 43.5 || b.width < 43.5).map(([html, b]) => `${html} ${b.width} x ${b.height}`));
    assert.deepEqual(small, [], scene);
  }
}));
