// SPDX-License-Identifier: Apache-2.0
// Two hundred tabs of one browser wait at once. All share one profile, and so the
// six connections that a browser has to a server over HTTP/1.1. All are approved,
// and every one must get to the client with its code.
//
// One tab is in front, as in a window, and listens; the others are hidden. With
// "visible" all are in front, as they are in 200 windows.
//
//	go build -o /tmp/calleridp ./cmd/calleridp
//	cd test && CALLERIDP=/tmp/calleridp node load/tabs.mjs [tabs [visible]]
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { dev, simulated } from '../lib/calleridp.mjs';
import { launch } from '../lib/browser.mjs';

const tabs = Number(process.argv[2] ?? 200);
const visible = process.argv[3] === 'visible';
const quiet = 30_000;
const verifier = randomBytes(32).toString('base64url');

const [server, browser] = await Promise.all([dev('--attempt-life', '30m'), launch()]);
try {
  const context = await browser.newContext();
  if (!visible) {
    // A browser without a screen shows all its tabs; so the page is told otherwise.
    await context.addInitScript(() => {
      let hidden = false;
      Object.defineProperty(Document.prototype, 'hidden', { get: () => hidden });
      window.hide = () => { hidden = true; document.dispatchEvent(new Event('visibilitychange')); };
    });
  }
  // A page changes its title when it knows. When that was is read in the page, because
  // the word of it comes late out of a browser that is busy with so many.
  await context.addInitScript(() => {
    const title = Object.getOwnPropertyDescriptor(Document.prototype, 'title');
    Object.defineProperty(Document.prototype, 'title', { ...title, set(text) { console.debug('knows ' + Date.now()); title.set.call(this, text); } });
  });
  const asked = { status: 0, events: 0, other: 0 };
  context.on('request', (request) => {
    const { pathname } = new URL(request.url());
    asked[pathname.endsWith('/status') ? 'status' : pathname.endsWith('/events') ? 'events' : 'other']++;
  });
  // The first alone: the cookie that all of them share comes with the first number.
  const [first, ...rest] = Array(tabs).keys();
  const all = [await open(first), ...await inParallel(4, rest, open)];
  console.log(`${tabs} tabs wait`);

  Object.assign(asked, { status: 0, events: 0, other: 0 });
  await pause(quiet);
  const a = (n) => (n / quiet * 1000).toFixed(1);
  console.log(`for ${quiet / 1000} s: ${a(asked.status)} questions a second, ${a(asked.events)} new streams a second, ${a(asked.other)} other requests`);

  const phone = simulated(server.simulator);
  const requests = new Map((await phone.pending('')).map(({ phone: digits, requestId }) => ['+' + digits, requestId]));
  // The tab in front comes last: it listens for all the others.
  const half = all.slice(0, tabs >> 1), burst = all.slice(tabs >> 1, -1), front = all.at(-1);
  const took = [];
  for (const one of half) {
    took.push(await approve(one));
    await pause(400); // until the client's page is drawn
  }
  report('one after the other', took);
  report('all at once', await inParallel(burst.length, burst, approve));
  report('the tab in front', [await approve(front)]);

  // approve is how long it takes from the press on the phone until the tab knows, and
  // until it is at the client, in milliseconds.
  async function approve({ page, number }) {
    const knows = page.waitForEvent('console', { predicate: (message) => message.text().startsWith('knows '), timeout: 120_000 });
    const arrives = page.waitForURL((url) => url.href.startsWith(server.demo) && url.searchParams.has('code'), { timeout: 120_000, waitUntil: 'commit' });
    const begun = Date.now();
    const [known, arrived] = await Promise.all([
      knows.then((message) => Number(message.text().slice('knows '.length))), arrives.then(() => Date.now()),
      phone.decide(requests.get(number), 'approve'),
    ]);
    return [known - begun, arrived - begun];
  }

  function report(how, took) {
    const at = (which, p) => {
      const sorted = took.map((t) => t[which]).sort((x, y) => x - y);
      return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]) + ' ms';
    };
    console.log(`${how}: ${took.length} tabs. From the approval until the tab knows: p50 ${at(0, 0.5)}, p95 ${at(0, 0.95)}, max ${at(0, 1)}; until it is at the client: p50 ${at(1, 0.5)}, p95 ${at(1, 0.95)}, max ${at(1, 1)}`);
  }

  // open sends a number of its own in a new tab, and waits until the tab waits.
  async function open(i) {
    const page = await context.newPage();
    const number = `+9199${String(i).padStart(8, '0')}`;
    page.setDefaultTimeout(120_000);
    await page.goto(`${server.issuer}/authorize?` + new URLSearchParams({
      client_id: 'demo', redirect_uri: server.demo + '/callback', response_type: 'code', scope: 'openid phone', state: String(i),
      code_challenge_method: 'S256', code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    }));
    await page.fill('#phone', number);
    await page.click('#submit');
    // The script has taken the page over when it does not refresh itself any more.
    await page.waitForFunction(() => document.getElementById('waiting') && !document.querySelector('meta[http-equiv=refresh]'), undefined, { polling: 500 });
    if (!visible && i < tabs - 1) await page.evaluate(() => window.hide());
    return { page, number };
  }
} finally {
  await browser.close();
  await server.stop();
}

// inParallel is what each makes of the items, in order, so many at a time.
async function inParallel(atOnce, items, each) {
  const done = [];
  let next = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (next < items.length) {
      const i = next++;
      done[i] = await each(items[i]);
    }
  }));
  return done;
}
