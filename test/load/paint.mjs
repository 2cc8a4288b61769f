// SPDX-License-Identifier: Apache-2.0
// When the largest thing on the sign-in page is there (largest contentful paint),
// for somebody who comes for the first time, over a slow 4G network: 1.6 Mbit/s
// down, 0.75 up, and 150 ms from a request to its answer, as Lighthouse has it.
//
//	go build -o /tmp/calleridp ./cmd/calleridp
//	cd test && CALLERIDP=/tmp/calleridp node load/paint.mjs [visits]
import { createHash } from 'node:crypto';
import { dev } from '../lib/calleridp.mjs';
import { launch } from '../lib/browser.mjs';

const visits = Number(process.argv[2] ?? 15);
const android = 'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36';
const networks = {
  'no throttling': null,
  'slow 4G, 150 ms': { latency: 150, down: 1600, up: 750 },
  // What Chromium's own tools call slow 4G adds the time of a new connection to every request.
  'slow 4G of the developer tools, 562 ms': { latency: 562.5, down: 1440, up: 675 },
};

const [server, browser] = await Promise.all([dev(), launch()]);
try {
  const address = `${server.issuer}/authorize?` + new URLSearchParams({
    client_id: 'demo', redirect_uri: server.demo + '/callback', response_type: 'code', scope: 'openid phone', state: 'state',
    code_challenge_method: 'S256', code_challenge: createHash('sha256').update('verifier').digest('base64url'),
  });
  for (const [who, options] of Object.entries({ 'desktop, English': {}, 'Android, Hindi': { locale: 'hi-IN', userAgent: android, viewport: { width: 412, height: 823 } } })) {
    for (const [name, network] of Object.entries(networks)) {
      const took = [], again = [];
      for (let i = 0; i < visits; i++) {
        const context = await browser.newContext(options);
        const page = await context.newPage();
        if (network) {
          const session = await context.newCDPSession(page);
          await session.send('Network.emulateNetworkConditions', {
            offline: false, latency: network.latency, downloadThroughput: network.down * 1000 / 8, uploadThroughput: network.up * 1000 / 8,
          });
        }
        took.push(await painted(page));
        again.push(await painted(page));
        await context.close();
      }
      console.log(`${who}, ${name}: first visit ${middle(took)}, second ${middle(again)} (median of ${visits}, and the slowest)`);
    }
  }

  async function painted(page) {
    await page.goto(address, { waitUntil: 'networkidle' });
    return page.evaluate(() => new Promise((resolve) => {
      new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime)).observe({ type: 'largest-contentful-paint', buffered: true });
    }));
  }
} finally {
  await browser.close();
  await server.stop();
}

function middle(all) {
  all.sort((a, b) => a - b);
  return `${Math.round(all[all.length >> 1])} ms (${Math.round(all.at(-1))})`;
}
