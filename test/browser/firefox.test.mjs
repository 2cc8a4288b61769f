// SPDX-License-Identifier: Apache-2.0
// The main path in Debian's Firefox, with and without JavaScript.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { dev, simulated } from '../lib/calleridp.mjs';
import { launch } from '../lib/firefox.mjs';
import { limit } from '../lib/time.mjs';

for (const javaScript of [true, false]) {
  describe(`Firefox ${javaScript ? 'with' : 'without'} JavaScript`, () => {
    let server, firefox, phone;
    before(async () => {
      [server, firefox] = await Promise.all([dev(), launch({ 'javascript.enabled': javaScript })]);
      phone = simulated(server.simulator);
    }, { timeout: 90_000 });
    after(async () => {
      await firefox?.close();
      await server?.stop();
    });

    // The claims are folded, and WebDriver gives no text that is not shown.
    const claim = async (name) => {
      await firefox.find('#claims');
      return firefox.evaluate(`return document.querySelector('[data-claim="${name}"] [data-value]').textContent`);
    };

    test('scripts run as this is about', { timeout: limit }, async () => {
      await firefox.goto(server.demo + '/login');
      // A script groups a number while it is typed; without it, the field keeps what was typed.
      await firefox.type('#phone', '0701740605');
      assert.equal(await firefox.evaluate("return document.getElementById('phone').value"), javaScript ? '070 174 06 05' : '0701740605');
    });

    test('a number that declines: the page says so', { timeout: limit }, async () => {
      await firefox.goto(server.demo + '/login');
      await firefox.type('#phone', '+46 70 174 06 08');
      await firefox.click('#submit');
      await firefox.find('#ended[data-outcome=declined]');
    });

    test('a number that approves by itself ends at the claims', { timeout: limit }, async () => {
      await firefox.goto(server.demo + '/login');
      await firefox.type('#phone', '+46 70 174 06 05');
      await firefox.click('#submit');
      assert.equal(await claim('phone_number'), '+46701740605');
      assert.equal(await claim('phone_number_verified'), 'true');
      await firefox.goto(server.issuer + '/logout');
      await firefox.click('#submit');
      await firefox.find('#signed-out');
    });

    test('approved on the phone, the waiting page moves on by itself', { timeout: limit }, async () => {
      await firefox.goto(server.demo + '/login');
      await firefox.type('#phone', '+46 70 174 06 07\uE007'); // WebDriver's name for Enter
      assert.match(await firefox.text('#waiting'), /•+\s?0607/);
      assert.equal(await firefox.evaluate("return document.getElementById('onetap')"), null, 'a desktop is not offered one-tap');
      const [request] = await phone.pending('46701740607');
      await phone.decide(request.requestId, 'approve');
      assert.equal(await claim('phone_number'), '+46701740607');
    });
  });
}
