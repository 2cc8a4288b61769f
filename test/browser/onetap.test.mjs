// One-tap in a real browser that says that it runs on Android. The link that the
// page opens is handed to the simulator, which follows it as the phone would.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev, simulated } from '../lib/calleridp.mjs';
import { claims, launch } from '../lib/browser.mjs';

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
  test(name, { timeout: 60_000 }, async () => {
    const context = await browser.newContext({ userAgent: android, viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, ...options });
    const page = await context.newPage();
    const errors = [], links = [], answers = [];
    context.on('weberror', (e) => errors.push(e.error()));
    context.on('console', (m) => { if (m.type() === 'error' && /Content.Security.Policy/i.test(m.text())) errors.push(m.text()); });
    const devtools = await context.newCDPSession(page);
    await devtools.send('Page.enable');
    devtools.on('Page.frameRequestedNavigation', async ({ url }) => {
      if (!url.startsWith('truecallersdk:')) return;
      links.push(url);
      const number = answers.shift();
      if (number) assert.deepEqual(await phone.open(url, number), { warnings: null });
    });
    try {
      await run(page, { links, answers });
      assert.deepEqual(errors, [], 'no script errors, nothing against the content security policy');
    } finally {
      await context.close();
    }
  });
}

// press is a click after the link was opened. Desktop Chromium then asks whether to
// open another program, and holds real clicks and keys back for its question, which
// nobody answers here. An Android browser asks nothing.
const press = (page, selector) => page.locator(selector).evaluate((element) => element.click());

const say = (page, text) => page.locator('#onetap-say', { hasText: text }).waitFor({ timeout: 15_000 });

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

onPhone('the app is there and nobody is signed in: no dialog, and the number works', {}, async (page, { answers }) => {
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
  await say(page, 'Type the number');
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
  await page.goto(server.demo + '/login');
  await page.dblclick('#onetap button');
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
  test(`${what} is not offered one-tap`, { timeout: 60_000 }, async () => {
    const context = await browser.newContext(userAgent ? { userAgent } : {});
    const page = await context.newPage();
    await page.goto(server.demo + '/login');
    await page.waitForSelector('#phone');
    assert.equal(await page.locator('#onetap').count(), 0);
    assert.doesNotMatch(await page.content(), /truecallersdk/);
    await context.close();
  });
}
