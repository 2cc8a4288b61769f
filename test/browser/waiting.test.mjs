// SPDX-License-Identifier: Apache-2.0
// The waiting page when the network, a proxy or the computer's sleep is in the way.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev, simulated } from '../lib/calleridp.mjs';
import { claims, launch, limit, sendNumber, still, timeout } from '../lib/browser.mjs';

let server, browser, phone;
before(async () => {
  [server, browser] = await Promise.all([dev(), launch()]);
  phone = simulated(server.simulator);
});
after(async () => { await browser?.close(); await server?.stop(); });

// waits goes to the waiting page of a number and hands it to the test.
function waits(name, number, run, options = {}) {
  test(name, { timeout: limit }, async () => {
    const context = await browser.newContext(options);
    const page = await context.newPage(), errors = [];
    context.on('weberror', (e) => errors.push(e.error()));
    try {
      await sendNumber(page, server.demo, '+' + number);
      await page.waitForSelector('#waiting');
      await run(page, context, async (what) => {
        const [request] = await phone.pending(number);
        await phone.decide(request.requestId, what);
      });
      assert.deepEqual(errors, []);
    } finally {
      await context.close();
    }
  });
}

// takenOver waits until the script has the page: the refresh is gone.
const takenOver = (page) => page.waitForSelector('meta[http-equiv=refresh]', { state: 'detached', timeout });
const says = (page, text) => page.waitForFunction((t) => document.getElementById('say').textContent === t, text, { timeout });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const lost = 'The connection is lost. Trying again…';

waits('the network is lost and comes back', '46701740651', async (page, context, decide) => {
  await takenOver(page);
  const usual = await page.textContent('#say');
  await context.setOffline(true);
  // A live stream does not notice at once; the page asks when the system says so.
  await page.evaluate(() => window.dispatchEvent(new Event('online')));
  await says(page, lost);
  assert.equal(await page.locator('#waiting').isVisible(), true, 'the page stays');
  await context.setOffline(false);
  await says(page, usual);
  await decide('approve');
  assert.equal((await claims(page)).phone_number, '+46701740651');
});

waits('approved while the network was lost', '46701740652', async (page, context, decide) => {
  await takenOver(page);
  await context.setOffline(true);
  await page.evaluate(() => window.dispatchEvent(new Event('online')));
  await says(page, lost);
  await decide('approve');
  await context.setOffline(false);
  assert.equal((await claims(page)).phone_number, '+46701740652');
});

waits('a proxy answers 502 for a while', '46701740653', async (page, context, decide) => {
  await takenOver(page);
  const usual = await page.textContent('#say');
  let refused = 0;
  await page.route('**/attempt/*/{status,events}', (route) => { refused++; return route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad Gateway</h1>' }); });
  const begun = Date.now();
  await page.evaluate(() => window.dispatchEvent(new Event('online')));
  await says(page, lost);
  const before = refused;
  while (refused === before) await pause(50); // it goes on asking
  assert.ok(Date.now() - begun > 500 * (refused - 3), `and not without a pause: ${refused} times in ${Date.now() - begun} ms`);
  assert.equal(await page.locator('h1').first().innerText(), 'Look at your phone', 'the proxy\'s page is not shown');
  await page.unroute('**/attempt/*/{status,events}');
  await says(page, usual);
  await decide('approve');
  assert.equal((await claims(page)).phone_number, '+46701740653');
});

waits('live events never work: the page asks instead', '46701740654', async (page, context, decide) => {
  await page.route('**/attempt/*/events', (route) => route.abort());
  await page.reload();
  await takenOver(page);
  await decide('approve');
  assert.equal((await claims(page)).phone_number, '+46701740654');
});

waits('live events answer with an error page of a proxy', '46701740655', async (page, context, decide) => {
  await page.route('**/attempt/*/events', (route) => route.fulfill({ status: 200, contentType: 'text/html', body: 'hello' }));
  await page.reload();
  await takenOver(page);
  await decide('decline');
  await page.waitForSelector('#ended[data-outcome=declined]');
});

// The computer sleeps: nothing runs in the page, and what happens meanwhile
// reaches it when it wakes up. A page that Chromium is told to freeze may still take an
// event and leave; one that is stopped by a debugger runs nothing.
waits('the page sleeps while the phone approves', '46701740656', async (page, context, decide) => {
  await takenOver(page);
  const status = server.issuer + new URL(await page.getAttribute('#waiting', 'data-attempt') + '/status', server.issuer).pathname;
  const cdp = await context.newCDPSession(page);
  await cdp.send('Debugger.enable');
  const asleep = new Promise((resolve) => cdp.once('Debugger.paused', resolve));
  await cdp.send('Debugger.pause');
  await asleep; // its clock ticks each second, and runs into the pause
  await decide('approve');
  const state = async () => (await (await page.request.get(status)).json()).state;
  for (const end = Date.now() + timeout; await state() === 'waiting'; await pause(50)) {
    assert.ok(Date.now() < end, 'the approval arrives');
  }
  await cdp.send('Debugger.disable');
  assert.equal((await claims(page)).phone_number, '+46701740656');
});

// One visible tab listens for all tabs of the browser, and hands that over when it goes.
test('two hundred tabs would share one stream: the visible tab listens for the hidden ones', { timeout: limit }, async () => {
  const context = await browser.newContext();
  // A browser without a screen shows all its tabs; so the page is told otherwise.
  await context.addInitScript(() => {
    window.heard = [];
    new BroadcastChannel('waiting/attempt').addEventListener('message', (event) => window.heard.push(event.data));
    let hidden = false;
    Object.defineProperty(Document.prototype, 'hidden', { get: () => hidden });
    window.hide = () => { hidden = true; document.dispatchEvent(new Event('visibilitychange')); };
  });
  await context.clock.install();
  const asked = [];
  context.on('request', (request) => {
    const [, , id, what] = new URL(request.url()).pathname.split('/');
    if (what === 'status' || what === 'events') asked.push({ id, what });
  });
  const decide = async (number, what) => phone.decide((await phone.pending(number))[0].requestId, what);
  const open = async (number) => {
    const page = await context.newPage();
    await sendNumber(page, server.demo, '+' + number);
    await page.waitForSelector('#waiting');
    const id = (await page.getAttribute('#waiting', 'data-attempt')).split('/').at(-1);
    await takenOver(page);
    return { page, number, id, asks: (what) => asked.filter((a) => a.id === id && a.what === what).length };
  };
  try {
    const hidden = await open('46701740670');
    await hidden.page.evaluate(() => { window.heard = []; window.hide(); });
    const front = await open('46701740671');
    // Whoever listens says so at once, to all who wait.
    await hidden.page.waitForFunction(() => window.heard.includes(''));
    // From here on time stands still: the tabs ask when their clocks say so.
    await still(front.page);
    const behind = await open('46701740672'); // visible too, as in another window
    await behind.page.waitForFunction(() => window.heard.includes(''), undefined, { timeout, polling: 50 });
    await behind.page.clock.runFor(3000);     // in which it would ask once or twice
    assert.equal(behind.asks('events'), 0, 'it leaves the stream to the other');
    assert.ok(behind.asks('status') <= 1, `and does not ask: ${behind.asks('status')}`);
    assert.equal(front.asks('events'), 1);

    const before = hidden.asks('status');
    await decide(hidden.number, 'approve');
    assert.equal((await claims(hidden.page)).phone_number, '+' + hidden.number);
    assert.equal(hidden.asks('status') - before, 1, 'it was told when to ask');

    await front.page.close();
    await decide(behind.number, 'approve');
    assert.equal((await claims(behind.page)).phone_number, '+' + behind.number);
    assert.equal(behind.asks('events'), 1, 'the next one listens');
  } finally {
    await context.close();
  }
});

waits('a stream that has died without a word is noticed', '46701740657', async (page, context, decide) => {
  // A stream that says one thing and then nothing, as after a change of networks.
  await page.addInitScript(() => {
    const Real = window.EventSource;
    let first = true;
    window.EventSource = function (url) {
      if (!first) return new Real(url);
      first = false;
      const dead = { close() { window.closed = true; } };
      setTimeout(() => dead.onmessage({ data: '{"state":"waiting","seconds":250,"again":250}' }), 0);
      return dead;
    };
  });
  await page.reload();
  await takenOver(page);
  await decide('approve');
  assert.equal((await claims(page).catch(() => page.waitForSelector('#claims', { timeout }).then(() => claims(page)))).phone_number, '+46701740657');
});

waits('"send again" opens when the lock ends, without a word to screen readers', '46701740658', async (page) => {
  await page.clock.install();
  await page.route('**/attempt/*/events', (route) => route.abort());
  let again = 100; // seconds, as the server says
  await page.route('**/attempt/*/status', (route) => route.fulfill({ contentType: 'application/json', body: JSON.stringify({ state: 'waiting', seconds: 200, again }) }));
  await still(page);
  await page.reload();
  await takenOver(page);
  assert.equal(await page.isDisabled('#again'), true);
  assert.match(await page.textContent('#again'), /^Send again \(\d:\d\d\)$/);
  again = 2;
  while (!/\(0:0\d\)/.test(await page.textContent('#again'))) await page.clock.runFor(100); // until it has heard
  // From here on it hears nothing more, and opens by its own clock.
  await page.unroute('**/attempt/*/status');
  await page.route('**/attempt/*/status', (route) => route.abort());
  for (let i = 0; i < 50 && await page.isDisabled('#again'); i++) await page.clock.runFor(100);
  assert.equal(await page.isDisabled('#again'), false);
  assert.equal(await page.textContent('#again'), 'Send again');
  assert.equal(await page.locator('#left').getAttribute('role'), 'timer', 'which is silent');
  assert.equal(await page.evaluate(() => document.activeElement === document.body), true, 'the focus stays where it was');
});

waits('the title says that it is done, and the next page is announced', '46701740659', async (page, context, decide) => {
  await takenOver(page);
  assert.equal(await page.title(), 'Look at your phone');
  await page.route(/\/attempt\/[^/]+\/continue/, (route) => route.fulfill({ contentType: 'text/html', status: 204, body: '' })); // stay to look
  await decide('approve');
  await page.waitForFunction(() => document.title === 'Approved');
  assert.equal(await page.locator('#waiting').isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Approved', 'what had the focus is gone, so the heading has it');
});

waits('what a person needs to know is there', '46701740661', async (page) => {
  const text = await page.textContent('#waiting');
  for (const part of ['+46 •••• 0661', 'Demo shop', 'Open Truecaller', 'Send again', 'Use another number', 'Cancel', 'Did someone ask you to do this?']) {
    assert.ok(text.includes(part), part);
  }
  assert.match(await page.textContent('#left'), /^[45]:\d\d$/);
  assert.equal(await page.getAttribute('#say', 'role'), 'status');
  assert.equal(await page.locator('#truecaller').count(), 0, 'a desktop has no Truecaller');
});

waits('on an Android phone Truecaller can be opened, and the page goes on waiting', '46701740662', async (page, context, decide) => {
  await takenOver(page);
  assert.match(await page.getAttribute('#truecaller', 'href'), /^intent:#Intent;.*package=com\.truecaller;end$/);
  await page.click('#truecaller'); // which opens nothing here
  await decide('approve');
  assert.equal((await claims(page)).phone_number, '+46701740662');
}, { userAgent: 'Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36' });
