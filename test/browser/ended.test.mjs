// SPDX-License-Identifier: Apache-2.0
// The page of an attempt that has ended without success: its first button works now,
// and it counts down until the same number may be tried again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev, simulated } from '../lib/calleridp.mjs';
import { inContext, launch, sendNumber, timeout } from '../lib/browser.mjs';

let server, browser, phone;
before(async () => {
  [server, browser] = await Promise.all([dev('--cool-down', '1s'), launch()]);
  phone = simulated(server.simulator);
});
after(async () => { await browser?.close(); await server?.stop(); });

const fresh = (name, options, run) => test(name, { timeout: 120_000 }, () => inContext(browser, options, run));

// cancelled goes to the page of an attempt that its user has cancelled: the number stays
// locked, because the request stays open on the phone.
async function cancelled(page, number) {
  await sendNumber(page, server.demo, number);
  await page.click('#cancel');
  await page.waitForSelector('#ended[data-outcome=cancelled]', { timeout });
}

// buttons lists what can be pressed, and whether it is now.
const buttons = (page) => page.$$eval('.actions button', (all) => all.filter((b) => b.offsetParent).map(
  (b) => `${b.className.split(' ')[0]} ${b.textContent}${b.disabled ? ', not now' : ''}`));

const lockedButtons = ['primary Use another number', 'secondary Try again, not now', 'quiet Back to Demo shop'];

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript';
  let number = javaScriptEnabled ? 46701740640 : 46701740641;

  fresh(`after a cancel, another number is the first choice, ${how}`, { javaScriptEnabled }, async (context) => {
    const page = await context.newPage();
    await cancelled(page, '+' + number);
    assert.deepEqual(await buttons(page), lockedButtons);
    const said = await page.innerText('#wait');
    assert.match(said, javaScriptEnabled ? /in [0-5]:\d\d\.$/ : /in [45].minutes\.$/);
    await page.click('#another');
    await page.waitForSelector('#phone', { timeout });
    assert.equal(await page.inputValue('#phone'), '');
    await page.fill('#phone', javaScriptEnabled ? '+46701740605' : '+46701740606');
    await page.click('#submit');
    await page.waitForURL((url) => url.href.startsWith(server.demo), { timeout });
  });

  fresh(`after a decline and its cool-down, the same number works, ${how}`, { javaScriptEnabled }, async (context) => {
    const page = await context.newPage();
    number += 2;
    await sendNumber(page, server.demo, '+' + number);
    await page.waitForSelector('#waiting');
    await phone.decide((await phone.pending(String(number)))[0].requestId, 'decline');
    await page.waitForSelector('#ended[data-outcome=declined]', { timeout });
    // However fast this machine is, the button can be pressed in the end: the page counts,
    // or shows itself again.
    await page.locator('form[action$="/again"] button:not([disabled]):not([name])').click({ timeout });
    await page.waitForSelector('#phone', { timeout });
    assert.notEqual(await page.inputValue('#phone'), '');
    await page.click('#submit');
    await page.waitForSelector('#waiting', { timeout });
  });
}

fresh('the clock runs, says so once, and moves nothing', {}, async (context) => {
  await context.clock.install();
  const page = await context.newPage();
  await cancelled(page, '+46701740644');
  await page.clock.pauseAt(Date.now() + 2000);
  const places = () => page.$$eval('h1, p, button', (all) => all.map((e) => e.getBoundingClientRect()).map((r) => [r.x, r.y, r.width, r.height].map(Math.round).join()));
  const announced = () => page.$$eval('[role=status], [role=alert], [aria-live]', (all) => all.map((e) => e.textContent).join());
  const clock = () => page.textContent('#again-in');
  const before = await places(), first = await clock();
  assert.match(first, /^[45]:\d\d$/);
  assert.equal(await announced(), '');
  await page.clock.runFor(61_000);
  const [was, is] = [first, await clock()].map((text) => Number(text.split(':')[0]) * 60 + Number(text.split(':')[1]));
  assert.equal(was - is, 61);
  assert.equal(await announced(), '', 'screen readers do not hear each second');
  assert.deepEqual(await places(), before);
  assert.deepEqual(await buttons(page), lockedButtons);

  await page.focus('#another');
  await page.clock.runFor(5 * 60_000);
  assert.equal(await announced(), 'Another request can be sent to this number now.');
  assert.equal(await page.innerText('#wait'), '');
  assert.deepEqual(await buttons(page), lockedButtons.map((b) => b.replace(', not now', '')));
  assert.equal(await page.evaluate(() => document.activeElement.id), 'another', 'the focus stays');
  assert.deepEqual(await places(), before, 'nothing moves when the time is over');
});

fresh('the keyboard reaches what works, in order', {}, async (context) => {
  const page = await context.newPage();
  await cancelled(page, '+46701740645');
  const reached = [];
  for (let i = 0; i < 2; i++) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.textContent));
  }
  assert.deepEqual(reached, ['Use another number', 'Back to Demo shop']);
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#phone', { timeout });
});

fresh('without JavaScript, a number that takes a challenge is not the first choice', { javaScriptEnabled: false }, async (context) => {
  const page = await context.newPage();
  await page.goto(server.issuer + '/gallery/expired-again?lang=en');
  assert.deepEqual(await buttons(page), ['primary Use another number', 'quiet Back to Lingon Market']);
});

fresh('where no number works now, the way back is the first choice', {}, async (context) => {
  const page = await context.newPage();
  await page.goto(server.issuer + '/gallery/cancelled-no-tries?lang=en');
  assert.deepEqual(await buttons(page), ['primary Back to Lingon Market', 'secondary Try again, not now']);
});

// Another language, another direction of writing and other digits.
for (const [lang, clock] of [['ar', /^[\u0660-\u0669]:[\u0660-\u0669]{2}$|^\d:\d{2}$/], ['hi', /^[\u0966-\u096f\d]:[\u0966-\u096f\d]{2}$/], ['sv', /^\d:\d{2}$/]]) {
  fresh(`the clock in ${lang}`, { locale: lang }, async (context) => {
    const page = await context.newPage();
    await page.goto(`${server.issuer}/gallery/cancelled?lang=${lang}`);
    const zero = await page.getAttribute('#again-in', 'data-zero');
    const before = await page.textContent('#again-in');
    assert.match(before, clock);
    assert.equal(before.charCodeAt(0) - zero.charCodeAt(0) < 10, true);
    await page.waitForFunction((text) => document.getElementById('again-in').textContent !== text, before, { timeout });
    assert.match(await page.textContent('#again-in'), clock);
  });
}
