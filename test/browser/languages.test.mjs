// SPDX-License-Identifier: Apache-2.0
// Choosing a language, and numbers in a language's digits, in a real browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev, simulated } from '../lib/calleridp.mjs';
import { claims, inContext, launch, limit, timeout } from '../lib/browser.mjs';

let server, browser, phone;
before(async () => {
  [server, browser] = await Promise.all([dev(), launch()]);
  phone = simulated(server.simulator);
});
after(async () => { await browser?.close(); await server?.stop(); });

function fresh(name, options, run) {
  test(name, { timeout: limit }, () => inContext(browser, options, async (context) => run(await context.newPage())));
}

async function open(page, number) {
  await page.goto(server.demo + '/login');
  if (number) {
    await page.fill('#phone', number);
    await page.click('#submit');
    await page.waitForSelector('#waiting');
  }
}

// choose presses a language. The list is a native one: open it where it is not.
async function choose(page, name) {
  if (!await page.locator('.languages details').evaluate((e) => e.open)) await page.click('.languages summary');
  await page.click(`.languages button:has-text("${name}")`);
}

const lang = (page) => page.getAttribute('html', 'lang');

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript';

  fresh(`another language on the sign-in page keeps what was typed, and is remembered, ${how}`, { javaScriptEnabled }, async (page) => {
    await open(page);
    assert.equal(await lang(page), 'en');
    await page.selectOption('#region', 'IN');
    await page.fill('#phone', '+46 70 174 06 05');
    await choose(page, 'Svenska');
    assert.equal(await lang(page), 'sv');
    // The script has put the code to the country.
    assert.equal(await page.inputValue('#phone'), javaScriptEnabled ? '70 174 06 05' : '+46 70 174 06 05');
    assert.equal(await page.inputValue('#region'), javaScriptEnabled ? 'SE' : 'IN');
    await choose(page, 'العربية');
    assert.equal(await page.getAttribute('html', 'dir'), 'rtl');
    await page.click('#submit');
    assert.equal((await claims(page)).phone_number, '+46701740605');

    await page.goto(server.issuer + '/logout');
    assert.equal(await lang(page), 'ar', 'it is remembered');
    await choose(page, 'English');
    assert.equal(await lang(page), 'en');
    await page.click('#submit');
    await page.waitForSelector('#signed-out');
    assert.equal(await lang(page), 'en');
    await choose(page, 'Svenska');
    await page.waitForSelector('#signed-out');
    assert.equal(await lang(page), 'sv');
  });

  fresh(`a mistake is explained in the other language too, ${how}`, { javaScriptEnabled }, async (page) => {
    await open(page);
    await page.fill('#phone', '+46 70 12');
    await page.click('#submit');
    await page.waitForSelector('#problem');
    await choose(page, 'Svenska');
    assert.equal(await page.textContent('#problem'), 'Numret är för kort. Saknas det en siffra?');
    assert.equal(await page.inputValue('#phone'), '+46 70 12');
    await page.fill('#phone', '+46 70 174 06 05');
    await page.keyboard.press('Enter'); // sends the number, and chooses no language
    assert.equal((await claims(page)).phone_number, '+46701740605');
  });

  fresh(`another language on the waiting page, ${how}`, { javaScriptEnabled }, async (page) => {
    const number = javaScriptEnabled ? '46701740641' : '46701740642';
    await open(page, '+' + number);
    const at = page.url();
    await choose(page, 'हिन्दी');
    await page.waitForSelector('html[lang=hi] #waiting');
    assert.equal(page.url(), at);
    const [request] = await phone.pending(number);
    await phone.decide(request.requestId, 'decline');
    await page.waitForSelector('#ended');
    assert.equal(await lang(page), 'hi');
    await choose(page, 'English');
    await page.waitForSelector('html[lang=en] #ended');
  });

  fresh(`an error page in another language, ${how}`, { javaScriptEnabled }, async (page) => {
    await page.goto(server.issuer + '/nowhere');
    await choose(page, 'Svenska');
    assert.equal(await lang(page), 'sv');
    assert.equal(await page.getAttribute('#error', 'data-error'), 'not_found');
  });

  for (const [locale, digits, number] of [['ar-EG', /^[٠-٩]:[٠-٩]{2}$/, '43'], ['bn-BD', /^[০-৯]:[০-৯]{2}$/, '44'], ['mr-IN', /^[०-९]:[०-९]{2}$/, '45'], ['ar-MA', /^\d:\d\d$/, '46']]) {
    fresh(`the countdown in the digits of ${locale}, ${how}`, { javaScriptEnabled, locale }, async (page) => {
      await open(page, `+46 70 174 06 ${javaScriptEnabled ? number : Number(number) + 20}`);
      const first = await page.textContent('#left');
      assert.match(first, digits);
      // With a script it runs by itself, else with the page that comes anew.
      await page.waitForFunction((first) => document.getElementById('left').textContent !== first, first, { timeout });
      assert.match(await page.textContent('#left'), digits);
      assert.match(await page.textContent('#again-in'), digits);
      assert.match(await page.textContent('.number'), /^\+46 •+ 06\d\d$/, 'the number is as it is dialled');
    });
  }
}

fresh('by keyboard: the list opens, and a language is chosen', {}, async (page) => {
  await open(page);
  await page.focus('.languages summary');
  await page.keyboard.press('Enter');
  const reached = [];
  while (reached.length < 18 && reached.at(-1) !== 'sv') {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.lang));
  }
  assert.deepEqual(reached.slice(0, 2), ['id', 'en'], 'the list, from its first');
  assert.equal(reached.at(-1), 'sv');
  await page.keyboard.press('Enter');
  await page.waitForSelector('html[lang=sv]');
});

fresh('the list is closed on a waiting page with a script, and nothing moves', {}, async (page) => {
  await page.addInitScript(() => {
    window.shifts = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) window.shifts += e.value; }).observe({ type: 'layout-shift', buffered: true });
  });
  await open(page, '+46701740647');
  await page.waitForFunction(() => !document.querySelector('.languages details').open);
  // What has moved by now is drawn with the next frame and reported with the one after it.
  await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve, 0))); }));
  assert.ok(await page.evaluate(() => window.shifts) < 0.01);
});
