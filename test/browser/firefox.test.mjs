// The main path in Firefox.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { dev, simulated } from '../lib/calleridp.mjs';
import { firefox } from '../lib/firefox.mjs';

let server, phone;
before(async () => {
  server = await dev();
  phone = simulated(server.simulator);
});
after(() => server?.stop());

// appears waits for an element by asking again, over any number of pages.
async function appears(page, selector) {
  for (const until = Date.now() + 30_000; Date.now() < until;) {
    // A page that is on its way to another answers nothing.
    if (await page.$(selector).catch(() => null)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`no ${selector} at ${page.url()}`);
}

const claims = async (page) => {
  await appears(page, '#claims');
  return page.$$eval('[data-claim]', (rows) => Object.fromEntries(
    rows.map((row) => [row.dataset.claim, (row.querySelector('[data-value]') ?? row.lastElementChild ?? row).textContent.trim()])));
};

// send goes from the demo application to our sign-in page and sends a number by the
// keyboard: the field has the focus.
async function send(page, number) {
  await page.goto(server.demo + '/login');
  await appears(page, '#phone');
  await page.keyboard.type(number);
  await page.keyboard.press('Enter');
}

test('Firefox: a number that approves by itself, one that waits for the phone, and one that declines', { timeout: 180_000 }, async () => {
  const browser = await firefox();
  try {
    const page = await browser.newPage();
    await send(page, '+46 70 174 06 08');
    await appears(page, '#ended');
    assert.equal(await page.$eval('#ended', (e) => e.dataset.outcome), 'declined');

    await send(page, '+46 70 174 06 05');
    assert.equal((await claims(page)).phone_number, '+46701740605');

    const other = await (await browser.createBrowserContext()).newPage();
    await send(other, '+46 70 174 06 07');
    await appears(other, '#waiting');
    assert.equal(await other.$('#onetap'), null, 'a desktop is not offered one-tap');
    const [request] = await phone.pending('46701740607');
    await phone.decide(request.requestId, 'approve');
    assert.equal((await claims(other)).phone_number, '+46701740607');
  } finally {
    await browser.close();
  }
});
