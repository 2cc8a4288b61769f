// SPDX-License-Identifier: Apache-2.0
// The sign-in in a real browser, against the built binary.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev, simulated } from '../lib/calleridp.mjs';
import { claims, inContext, launch, limit, sendNumber, timeout } from '../lib/browser.mjs';

let server, browser, phone;

before(async () => {
  [server, browser] = await Promise.all([dev(), launch()]);
  phone = simulated(server.simulator);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// fresh runs a test in a browser of its own: no cookies from the test before.
function fresh(name, options, run) {
  test(name, { timeout: limit }, () => inContext(browser, options, run));
}

async function state(page, wanted) {
  await page.waitForSelector(wanted, { timeout });
}

// tabTo presses Tab until what has the focus says text.
async function tabTo(page, text) {
  const passed = [];
  while (passed.length < 30) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => document.activeElement.textContent.trim());
    if (text.test(focused)) return;
    passed.push(focused.slice(0, 40));
  }
  assert.fail(`Tab does not lead to ${text}: ${passed.join(' | ')}`);
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript';

  fresh(`a number that approves at once ends at the claims, ${how}`, { javaScriptEnabled }, async (context) => {
    const page = await context.newPage();
    await sendNumber(page, server.demo, '+46 70 174 06 05');
    const got = await claims(page);
    assert.equal(got.phone_number, '+46701740605');
    assert.equal(got.phone_number_verified, 'true');
    assert.equal(got.email_verified, 'false');
  });

  fresh(`approved on the phone's page, the waiting page moves on by itself, ${how}`, { javaScriptEnabled }, async (context) => {
    const page = await context.newPage();
    await sendNumber(page, server.demo, '070-174 06 07');
    await state(page, '#waiting');
    if (!javaScriptEnabled) assert.equal(await page.locator('meta[http-equiv=refresh]').count(), 1, 'the page refreshes itself');
    assert.match(await page.textContent('body'), /•+\s?0607/, 'the number is shown masked');
    assert.doesNotMatch(await page.content(), /701740607|70 174 06 07/, 'the whole number is not on the page');

    const phonePage = await (await browser.newContext({ javaScriptEnabled })).newPage();
    await phonePage.goto(server.simulator);
    await phonePage.getByRole('button', { name: /approve/i }).first().click();
    await phonePage.context().close();

    assert.equal((await claims(page)).phone_number, '+46701740607');
  });

  fresh(`the whole path by keyboard alone, ${how}`, { javaScriptEnabled }, async (context) => {
    const page = await context.newPage();
    const number = javaScriptEnabled ? '46701740674' : '46701740675', another = javaScriptEnabled ? '46701740676' : '46701740677';
    await page.goto(server.demo);
    await tabTo(page, /^Sign in with Truecaller$/);
    await page.keyboard.press('Enter');
    await state(page, '#phone:focus');
    await page.keyboard.type('12'); // a mistake
    await page.keyboard.press('Enter');
    await state(page, '#problem');
    await state(page, '#phone:focus');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('+' + another);
    await tabTo(page, /^Continue with Truecaller$/);
    await page.keyboard.press('Enter');
    await state(page, '#waiting');
    await tabTo(page, /^Use another number$/);
    await page.keyboard.press('Enter');
    await state(page, '#phone:focus');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('+' + number);
    await page.keyboard.press('Enter');
    await state(page, '#waiting');
    await phone.decide((await phone.pending(number))[0].requestId, 'approve');
    assert.equal((await claims(page)).phone_number, '+' + number);
  });

  fresh(`declined on the phone: the page says so, and offers the way back, ${how}`, { javaScriptEnabled }, async (context) => {
    const page = await context.newPage();
    await sendNumber(page, server.demo, '+46701740608');
    await page.getByText(/declined/i).first().waitFor({ timeout });
    assert.equal(await page.locator('#claims').count(), 0);
    await page.locator('form[action$="/leave"] button').click();
    await page.waitForURL((url) => url.href.startsWith(server.demo));
    assert.match(await page.textContent('body'), /access_denied/);
  });
}

fresh('two tabs, each with its own request, both arrive', {}, async (context) => {
  const [one, two] = [await context.newPage(), await context.newPage()];
  await one.goto(server.demo + '/login');
  await two.goto(server.demo + '/login');
  await one.fill('#phone', '+46701740606');
  await two.fill('#phone', '+46701740611');
  await one.click('#submit');
  await two.click('#submit');
  assert.equal((await claims(two)).phone_number, '+46701740611');
  assert.equal((await claims(one)).phone_number, '+46701740606');
});

fresh('a stolen waiting URL is worth nothing in another browser', {}, async (context) => {
  const page = await context.newPage();
  await sendNumber(page, server.demo, '+46701740631');
  await state(page, '#waiting');
  const stolen = page.url();

  const thief = await browser.newContext();
  const there = await thief.newPage();
  for (const at of ['', '/status', '/events', '/continue']) {
    const answer = await there.goto(stolen + at);
    assert.equal(answer.status(), 403, stolen + at);
  }
  const [request] = await phone.pending('46701740631');
  await phone.decide(request.requestId, 'approve');
  const answer = await there.goto(stolen + '/continue');
  assert.equal(answer.status(), 403);
  assert.equal(await there.locator('#error').count(), 1);
  await thief.close();

  assert.equal((await claims(page)).phone_number, '+46701740631', 'the person who started it is not hurt');
});

fresh('the back button after signing in does no harm', {}, async (context) => {
  const page = await context.newPage();
  await sendNumber(page, server.demo, '+46701740605');
  await claims(page);
  for (let back = 0; back < 4; back++) {
    const answer = await page.goBack({ waitUntil: 'load' });
    if (!answer && page.url() === 'about:blank') break;
    assert.ok(!answer || answer.status() < 500, `${page.url()}: ${answer?.status()}`);
  }
  await page.goto(server.demo + '/claims');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

fresh('a wrong number keeps what was typed and says what is wrong', {}, async (context) => {
  const page = await context.newPage();
  await sendNumber(page, server.demo, '+46 70 12');
  assert.equal(await page.inputValue('#phone'), '+46 70 12');
  assert.equal(await page.getAttribute('#phone', 'aria-invalid'), 'true');
  await page.fill('#phone', '+४६ ७० १७४ ०६ ०५');
  await page.click('#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605', 'and the next try, in Devanagari digits, goes through');
});

fresh('a second visit signs in without another push, until signing out', {}, async (context) => {
  const page = await context.newPage();
  await sendNumber(page, server.demo, '+46701740605');
  const first = await claims(page);
  const pushes = async () => (await phone.pending('46701740605')).length;
  const before = await pushes();
  await page.goto(server.demo + '/login');
  const second = await claims(page);
  assert.equal(second.sub, first.sub);
  assert.equal(second.auth_time, first.auth_time);
  assert.equal(await pushes(), before, 'no push for the second sign-in');

  await page.goto(server.issuer + '/logout');
  await page.click('#submit');
  await page.waitForSelector('#signed-out');
  await page.goto(server.demo + '/login');
  assert.equal(await page.locator('#phone').isVisible(), true, 'after signing out the number is asked for again');
  // The browser is known, by two digits; its user approves as before.
  assert.match(await page.innerText('#known'), /Continue as \+46 •••• 05/);
  assert.doesNotMatch(await page.content(), /0605|701740605/);
  const asked = page.waitForRequest(/\/attempt\/[^/]+$/);
  await page.click('#known button');
  await asked;
  assert.equal((await claims(page)).sub, first.sub);
});

fresh('cancelling on the waiting page leads back to the number field', {}, async (context) => {
  const page = await context.newPage();
  await sendNumber(page, server.demo, '+46701740632');
  await state(page, '#waiting');
  await page.click('#cancel');
  await page.locator('form[action$="/again"] button').first().click();
  assert.equal(await page.locator('#phone').count(), 1);
});
