// SPDX-License-Identifier: Apache-2.0
// The challenge on the sign-in page, in a real browser: solved by a script under
// the strict content security policy, told to who cannot see it, explained to
// who has no JavaScript.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { claims, inContext, launch, limit, sendNumber, timeout } from '../lib/browser.mjs';

let server, browser;
before(async () => { [server, browser] = await Promise.all([dev('--challenge', 'always'), launch()]); });
after(async () => { await browser?.close(); await server?.stop(); });

function fresh(name, options, run) {
  test(name, { timeout: limit }, () => inContext(browser, options, run));
}

// zeros counts the zero bits at the start of a SHA-256.
function zeros(text) {
  const bits = [...createHash('sha256').update(text).digest()].map((b) => b.toString(2).padStart(8, '0')).join('');
  return bits.indexOf('1');
}

fresh('a number that is typed and sent at once signs in', {}, async (context) => {
  const page = await context.newPage();
  let posted;
  page.on('request', (r) => { if (r.url().endsWith('/signin')) posted = new URLSearchParams(r.postData()); });
  await page.goto(server.demo + '/login');
  const { seed, bits } = await page.$eval('#solution', (e) => ({ ...e.dataset }));
  await page.fill('#phone', '+46701740605');
  await page.click('#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605');
  assert.ok(zeros(seed + posted.get('solution')) >= Number(bits), 'the script hashes as everybody does');
});

fresh('it is solved while the person types, and nothing is said of it', {}, async (context) => {
  const page = await context.newPage();
  await page.goto(server.demo + '/login');
  assert.equal(await page.inputValue('#solution'), '', 'nobody works before somebody types');
  await page.locator('#phone').pressSequentially('+46701740605', { delay: 20 });
  await page.waitForFunction(() => document.getElementById('solution').value !== '', undefined, { timeout });
  assert.equal(await page.textContent('#check'), '');
  await page.keyboard.press('Enter');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

fresh('who has to wait is told, by keyboard alone, and the page stays alive', {}, async (context) => {
  const page = await context.newPage();
  // A harder one than the server's: as many bits as the browser has no time for.
  await page.addInitScript(() => document.addEventListener('readystatechange', () => {
    const solution = document.getElementById('solution');
    if (solution && document.readyState === 'interactive') { solution.dataset.bits = '31'; }
  }));
  await page.goto(server.demo + '/login');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'phone');
  await page.keyboard.type('+46701740605');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  const check = page.getByRole('status');
  await check.filter({ hasText: 'short check' }).waitFor();
  assert.equal(await page.getAttribute('#submit', 'aria-disabled'), 'true');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'submit', 'the focus stays where it was');
  await page.keyboard.press('Enter'); // a second press does no harm
  // The page answers while it works: no slice of the work takes long. A busy machine makes
  // some of them longer, so that the median counts.
  const median = await page.evaluate(() => new Promise((resolve) => {
    let last = performance.now();
    const slices = [], next = () => {
      slices.push(performance.now() - last);
      last = performance.now();
      if (slices.length < 100) { setTimeout(next, 0); } else { resolve(slices.sort((a, b) => a - b)[50]); }
    };
    next();
  }));
  assert.ok(median < 250, `the page was busy for ${median} ms at a time`);
  await page.waitForFunction(() => /still running/.test(document.getElementById('check').textContent), undefined, { timeout });
  assert.match(page.url(), /\/authorize/, 'nothing was sent');
});

fresh('without JavaScript, the page says what to do, before and after', { javaScriptEnabled: false }, async (context) => {
  const page = await context.newPage();
  await page.goto(server.demo + '/login');
  assert.match(await page.textContent('form'), /needs JavaScript\. Turn JavaScript on, or use another browser\./);
  const answer = page.waitForResponse((r) => r.url().endsWith('/signin'));
  await page.fill('#phone', '+46701740605');
  await page.click('#submit');
  assert.equal((await answer).status(), 429);
  assert.match(await page.textContent('#problem'), /must pass a short check/);
  assert.equal(await page.inputValue('#phone'), '+46701740605', 'what was typed is kept');
  assert.match(await page.textContent('form'), /needs JavaScript/);
});

fresh('the same challenge does not work twice', {}, async (context) => {
  const page = await context.newPage();
  let posted;
  page.on('request', (r) => { if (r.url().endsWith('/signin')) posted = r.postData(); });
  await sendNumber(page, server.demo, '+46701740605');
  await claims(page);
  const again = new URLSearchParams(posted);
  again.set('phone', '+46701740606');
  const answer = await context.request.post(server.issuer + '/signin', {
    data: again.toString(), maxRedirects: 0,
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: server.issuer },
  });
  assert.equal(answer.status(), 429);
  assert.match(await answer.text(), /must pass a short check/);
});

fresh('a wrong number costs another challenge, and no more', {}, async (context) => {
  const page = await context.newPage();
  await sendNumber(page, server.demo, '+46 70 12');
  await page.waitForSelector('#problem');
  await page.fill('#phone', '+46701740605');
  await page.click('#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});
