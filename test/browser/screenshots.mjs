// SPDX-License-Identifier: Apache-2.0
// Takes the screenshots in docs/images anew, from the gallery of `calleridp dev`:
//
//   go build -o /tmp/calleridp ./cmd/calleridp
//   CALLERIDP=/tmp/calleridp node test/browser/screenshots.mjs
//
// It is run by hand, when the pages have changed, and what it made is looked at: no
// test can tell whether a page looks right. It needs pngquant (of Debian).
import { execFileSync } from 'node:child_process';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { dev } from '../lib/calleridp.mjs';
import { launch } from '../lib/browser.mjs';

const images = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const most = 80_000; // bytes of a picture

const dark = { colorScheme: 'dark' }, narrow = { viewport: { width: 320, height: 690 } };
const forced = { colorScheme: 'dark', forcedColors: 'active' };

// Each picture shows pages side by side: their scene and language, and what is
// particular about the browser.
const pictures = {
  'signin-waiting': [['signin', 'en'], ['waiting', 'en', dark], ['signin-android', 'en']],
  'themes': [['signin', 'en'], ['waiting', 'en'], ['signin', 'en', dark], ['waiting', 'en', dark]],
  'languages': [['signin', 'hi'], ['waiting', 'hi'], ['signin', 'ar'], ['waiting', 'ar']],
  'narrow-forced': [['signin', 'en', narrow], ['waiting', 'en', narrow], ['signin', 'en', forced], ['waiting', 'en', forced]],
  'consent-account': [['consent', 'en'], ['account', 'en']],
  'outcomes': [['approved', 'en'], ['declined', 'en'], ['expired-again', 'en'], ['mismatch', 'en']],
  'known': [['signin-known', 'en'], ['signin-phone-too-short', 'en'], ['error-not-your-browser', 'en']],
};

const [server, browser] = await Promise.all([dev(), launch()]);
try {
  for (const [name, shots] of Object.entries(pictures)) {
    const pages = [];
    for (const [scene, lang, options] of shots) {
      const context = await browser.newContext({ viewport: { width: 380, height: 720 }, reducedMotion: 'reduce', ...options });
      const page = await context.newPage();
      await page.goto(`${server.issuer}/gallery/${scene}?lang=${lang}`);
      await page.evaluate(() => { document.querySelector('.simulation').remove(); document.activeElement.blur(); });
      pages.push((await page.screenshot({ fullPage: true })).toString('base64'));
      await context.close();
    }
    const context = await browser.newContext({ viewport: { width: 2000, height: 1000 } });
    const page = await context.newPage();
    await page.setContent(`<style>body { margin: 0 } div { display: inline-flex; align-items: start; gap: 16px; padding: 16px; background: #c9d1db }</style>
      <div>${pages.map((png) => `<img src="data:image/png;base64,${png}">`).join('')}</div>`);
    const file = path.join(images, name + '.png');
    await page.locator('div').screenshot({ path: file });
    await context.close();
    execFileSync('pngquant', ['--force', '--strip', '--speed', '1', '--output', file, '64', file]);
    const { size } = await stat(file);
    console.log(`${name}.png: ${size} bytes`);
    if (size > most) throw new Error(`${file} is larger than ${most} bytes`);
  }
} finally {
  await browser.close();
  await server.stop();
}
