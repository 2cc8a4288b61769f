// SPDX-License-Identifier: Apache-2.0
// One-tap in a real browser that says that it runs on Android. The link that the
// page opens is handed to the simulator, which follows it as the phone would.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev, simulated } from '../lib/calleridp.mjs';
import { claims, launch, limit, still, timeout, watched } from '../lib/browser.mjs';

const android = 'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36';
const iphone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1';

let server, browser, phone;
before(async () => {
  [server, browser] = await Promise.all([dev(), launch()]);
  phone = simulated(server.simulator);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// onPhone runs a test on an Android phone. links are those that the page has
// opened; answers is what the phone does with each: a number, or nothing for a
// phone without the app.
function onPhone(name, options, run) {
  test(name, { timeout: limit }, async () => {
    const context = await browser.newContext({ userAgent: android, viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, ...options });
    const page = await context.newPage();
    const errors = watched(context), links = [], answers = [], attempts = [];
    page.on('response', (answer) => {
      if (answer.url() !== server.issuer + '/onetap' || !answer.ok()) return;
      attempts.push(answer.json().then((started) => server.issuer + started.attempt, () => 'the page has gone on'));
    });
    const devtools = await context.newCDPSession(page);
    await devtools.send('Page.enable');
    devtools.on('Page.frameRequestedNavigation', async ({ url }) => {
      if (!url.startsWith('truecallersdk:')) return;
      links.push(url);
      const number = answers.shift();
      if (number) assert.deepEqual((await phone.open(url, number)).warnings, [], 'a clean link');
    });
    try {
      await run(page, { links, answers, attempts });
      assert.deepEqual(errors, [], 'no script errors, nothing against the content security policy');
    } catch (e) {
      const said = await page.locator('#onetap-say').textContent({ timeout: 1000 }).catch(() => 'nothing');
      e.message += `\nat ${page.url()}, which says ${said}; opened ${links.length} links, began ${await Promise.all(attempts)}`;
      throw e;
    } finally {
      await context.close();
    }
  });
}

// cookiesOf returns the Cookie header of a page's context. The browser's secret is renewed
// with each attempt, and opens only those that it began.
const cookiesOf = async (page) => (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');

// ended waits until an attempt has ended, because the page cancels one without waiting for
// it, and returns its outcome.
async function ended(attempt, cookies) {
  for (;;) {
    const answer = await fetch(attempt + '/status', { headers: { Cookie: cookies } });
    assert.equal(answer.status, 200, 'the status of an attempt of this browser');
    const { state, outcome } = await answer.json();
    if (state !== 'waiting') return outcome;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// press is a click after the link was opened. Desktop Chromium then asks whether to
// open another program, and holds real clicks and keys back for its question, which
// nobody answers here. An Android browser asks nothing.
const press = (page, selector) => page.locator(selector).evaluate((element) => element.click());

const say = (page, text) => page.locator('#onetap-say', { hasText: text }).waitFor({ timeout });

onPhone('the app is there: one tap and one approval end at the claims', {}, async (page, { links, answers }) => {
  answers.push('46701740605');
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  const got = await claims(page);
  assert.equal(got.phone_number, '+46701740605');
  assert.equal(got.phone_number_verified, 'true');
  assert.equal(links.length, 1);
  assert.match(links[0], /^truecallersdk:\/\/truesdk\/web_verify\?type=btmsheet&requestNonce=[\w-]{43}&partnerKey=simulated-app-key&partnerName=Demo%20shop&lang=en&/);
});

onPhone('the page says that Truecaller is open while its person thinks', {}, async (page, { answers }) => {
  answers.push('46701740607');
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller is open');
  assert.equal(await page.locator('#phone').isVisible(), true, 'the number field is never hidden');
  const [dialog] = await phone.pending('46701740607');
  assert.equal(dialog.kind, 'onetap');
  await phone.decide(dialog.requestId, 'approve');
  assert.equal((await claims(page)).phone_number, '+46701740607');
});

onPhone('the app is absent: the page says so, and the number works', {}, async (page, { links }) => {
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller did not open');
  assert.equal(links.length, 1);
  assert.equal(await page.evaluate(() => document.activeElement.id || document.activeElement.tagName), 'BUTTON', 'the focus is not taken away');
  await page.fill('#phone', '+46 70 174 06 05');
  await press(page, '#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

onPhone('the app is there and no user is signed in: no dialog, and the number works', {}, async (page, { answers }) => {
  answers.push('46701740617');
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller did not open');
  await page.fill('#phone', '+46 70 174 06 10');
  await press(page, '#submit');
  assert.equal((await claims(page)).phone_number, '+46701740610');
});

onPhone('declined, and then again with another link', {}, async (page, { links, answers }) => {
  answers.push('46701740608', '46701740605');
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'You declined');
  await press(page, '#onetap button');
  assert.equal((await claims(page)).phone_number, '+46701740605');
  assert.equal(links.length, 2);
  const nonces = links.map((link) => /requestNonce=([^&]+)/.exec(link)[1]);
  assert.notEqual(nonces[0], nonces[1]);
});

onPhone('another number: the field gets the focus, as the person has asked for', {}, async (page, { answers }) => {
  answers.push('46701740607');
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller is open');
  const [dialog] = await phone.pending('46701740607');
  await phone.decide(dialog.requestId, 'another');
  await say(page, 'Enter the number');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'phone');
  await page.fill('#phone', '0701740605');
  await press(page, '#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

onPhone('a profile with several numbers is refused, and the page says what to do', {}, async (page, { answers }) => {
  answers.push('46701740621');
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'several numbers');
});

onPhone('the token comes before the news that the dialog is open', {}, async (page, { answers }) => {
  answers.push('46701740613');
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  assert.equal((await claims(page)).phone_number, '+46701740613');
});

onPhone('a double click is one sign-in', {}, async (page, { links, answers }) => {
  answers.push('46701740606', '46701740606');
  await page.clock.install();
  await page.goto(server.demo + '/login');
  await still(page);
  await page.dblclick('#onetap button');
  await page.clock.resume();
  assert.equal((await claims(page)).phone_number, '+46701740606');
  assert.equal(links.length, 1);
});

onPhone('a late answer of the app is heard after the page has given up on it', {}, async (page, { links }) => {
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller did not open');
  await phone.open(links[0], '46701740605');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

onPhone('pressed again when nothing opened, it opens the same link, and the sign-in is the same', {}, async (page, { links, answers, attempts }) => {
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller did not open');
  answers.push('46701740605');
  await press(page, '#onetap button');
  assert.equal((await claims(page)).phone_number, '+46701740605');
  assert.equal(links.length, 2);
  assert.equal(links[0], links[1]);
  assert.equal(attempts.length, 1);
});

onPhone('pressed again after the dialog was closed in silence, it begins anew', {}, async (page, { links, answers, attempts }) => {
  answers.push('46701740609', '46701740605');
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller is open');
  await page.waitForTimeout(1000); // what is sooner is a double click
  const cookies = await cookiesOf(page);
  await press(page, '#onetap button');
  assert.equal((await claims(page)).phone_number, '+46701740605');
  assert.notEqual(links[0], links[1]);
  assert.equal(await ended(await attempts[0], cookies), 'cancelled', 'its dialog signs nobody in');
});

// away is another app in front, from which the person comes back. Time stands still
// meanwhile, but for what it says.
const away = async (page) => {
  await page.evaluate(() => window.dispatchEvent(new Event('blur')));
  await page.clock.runFor(1200);
  assert.equal(await page.locator('#onetap-say').textContent(), 'Opening Truecaller…', 'what is in front may be Truecaller');
  await page.evaluate(() => window.dispatchEvent(new Event('focus')));
};

onPhone('another app was in front: soon after the return the page says that it waits', {}, async (page, { links }) => {
  await page.clock.install();
  await page.goto(server.demo + '/login');
  await still(page);
  await page.click('#onetap button');
  await away(page);
  await page.clock.resume();
  await say(page, 'Still waiting for Truecaller');
  await phone.open(links[0], '46701740605');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

onPhone('after half a minute without a word the page says that it waits', {}, async (page) => {
  await page.clock.install();
  await page.goto(server.demo + '/login');
  await still(page);
  await page.click('#onetap button');
  await page.clock.runFor(1000);
  await say(page, 'Truecaller did not open');
  // After each leap of the clock the page asks, and says what it has heard.
  const leap = async (ms) => {
    const heard = page.waitForResponse(/\/status$/);
    await page.clock.fastForward(ms);
    await (await heard).finished();
  };
  await leap(25_000);
  await say(page, 'Truecaller did not open');
  await leap(5_000);
  await say(page, 'Still waiting for Truecaller');
});

onPhone('who types a number has given the link up', {}, async (page, { links, attempts }) => {
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller did not open');
  const cookies = await cookiesOf(page);
  await page.fill('#phone', '+46 70 174 06 07');
  await press(page, '#submit');
  await page.waitForSelector('#waiting');
  assert.equal(await ended(await attempts[0], cookies), 'cancelled');
  await phone.open(links[0], '46701740605'); // somebody approves it all the same
  const [asked] = await phone.pending('46701740607');
  await phone.decide(asked.requestId, 'approve');
  assert.equal((await claims(page)).phone_number, '+46701740607');
});

onPhone('the phone drops the page while Truecaller is in front', {}, async (page, { answers }) => {
  answers.push('46701740607');
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller is open');
  await page.reload();
  await say(page, 'Still waiting for Truecaller');
  const [dialog] = await phone.pending('46701740607');
  await phone.decide(dialog.requestId, 'approve');
  assert.equal((await claims(page)).phone_number, '+46701740607');
});

onPhone('a page for another request, in the same tab, knows nothing of it', {}, async (page, { links, answers }) => {
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await say(page, 'Truecaller did not open');
  await page.goto(server.demo + '/login');
  await phone.open(links[0], '46701740605'); // the first dialog is approved late
  answers.push('46701740610');
  await press(page, '#onetap button');
  assert.equal((await claims(page)).phone_number, '+46701740610');
});

onPhone('the network is away at the click: the request is sent until it arrives', {}, async (page, { links, answers, attempts }) => {
  answers.push('46701740605'); // at once, so the callback is the first to arrive
  let lost = 0;
  await page.route('**/onetap', (route) => (lost++ < 2 ? route.abort('connectionreset') : route.continue()));
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  assert.equal((await claims(page)).phone_number, '+46701740605');
  assert.equal(lost, 3);
  assert.equal(links.length, 1);
  assert.equal(attempts.length, 1);
});

onPhone('the first answer is lost, and with it the cookie: the same form leads to the same attempt', {}, async (page, { links, answers }) => {
  answers.push('46701740605');
  let sent = 0;
  await page.route('**/onetap', async (route) => {
    if (sent++ > 0) { await route.continue(); return; }
    await fetch(route.request().url(), { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: route.request().postData() });
    await route.abort('connectionreset');
  });
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  assert.equal((await claims(page)).phone_number, '+46701740605');
  assert.equal(sent, 2);
  assert.equal(links.length, 1);
});

onPhone('a refusal shows the page that says why', {}, async (page) => {
  await page.route('**/onetap', (route) => route.continue({ postData: 'request=nonsense&nonce=nonsense' }));
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await page.waitForSelector('#error');
});

onPhone('by keyboard alone', {}, async (page, { answers }) => {
  answers.push('46701740605');
  await page.goto(server.demo + '/login');
  for (let i = 0; i < 20 && !(await page.evaluate(() => document.activeElement.closest('#onetap'))); i++) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

onPhone('without JavaScript the link is on the waiting page, which moves on by itself', { javaScriptEnabled: false }, async (page) => {
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await page.waitForSelector('#waiting');
  const link = await page.getAttribute('#open', 'href');
  await phone.open(link, '46701740605');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

onPhone('without JavaScript, giving up leads to the number field', { javaScriptEnabled: false }, async (page) => {
  await page.goto(server.demo + '/login');
  await page.click('#onetap button');
  await page.click('#again');
  await page.waitForSelector('#phone');
  await page.fill('#phone', '+46701740605');
  await page.click('#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

for (const [what, userAgent] of [['a desktop', undefined], ['an iPhone', iphone]]) {
  test(`${what} is not offered one-tap`, { timeout: limit }, async () => {
    const context = await browser.newContext(userAgent ? { userAgent } : {});
    const page = await context.newPage();
    await page.goto(server.demo + '/login');
    await page.waitForSelector('#phone');
    assert.equal(await page.locator('#onetap').count(), 0);
    assert.doesNotMatch(await page.content(), /truecallersdk/);
    await context.close();
  });
}
