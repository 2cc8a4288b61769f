// Takes the screenshots in docs/images anew, from the gallery of `calleridp dev`:
//
//   go build -o /tmp/calleridp ./cmd/calleridp
//   CALLERIDP=/tmp/calleridp node test/browser/screenshots.mjs
//
// It is run by hand, when the pages have changed. signin-waiting.png is the first
// three, side by side.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { dev } from '../lib/calleridp.mjs';
import { launch } from '../lib/browser.mjs';

const images = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..', 'docs', 'images');
const shots = {
  'signin-light': ['signin', 'en', { colorScheme: 'light' }],
  'waiting-dark': ['waiting', 'en', { colorScheme: 'dark' }],
  'signin-android': ['signin-android', 'en', { colorScheme: 'light' }],
  'consent': ['consent-little', 'en', { colorScheme: 'light' }],
  'account': ['account', 'en', { colorScheme: 'light', viewport: { width: 480, height: 900 } }],
};

const [server, browser] = await Promise.all([dev(), launch()]);
for (const [name, [scene, lang, options]] of Object.entries(shots)) {
  const context = await browser.newContext({ viewport: { width: 390, height: 720 }, ...options });
  const page = await context.newPage();
  await page.goto(`${server.issuer}/gallery/${scene}?lang=${lang}`);
  await page.evaluate(() => document.querySelector('.simulation')?.remove());
  await page.screenshot({ path: path.join(images, name + '.png') });
  await context.close();
}
await browser.close();
await server.stop();
