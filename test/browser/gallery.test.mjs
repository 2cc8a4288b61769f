// SPDX-License-Identifier: Apache-2.0
// Every page in every state, as the gallery of `calleridp dev` shows them: axe finds
// nothing at WCAG 2.2 AA, nothing overflows on a small phone or is cut when text is
// twice as large, and the keyboard reaches everything in order.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { dev } from '../lib/calleridp.mjs';
import { launch, limit } from '../lib/browser.mjs';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

// Pages that most people meet; the others are looked at in fewer languages.
const main = ['signin', 'signin-android', 'signin-phone-too-short', 'waiting', 'waiting-onetap', 'approved', 'declined', 'expired', 'consent', 'account', 'error-internal'];

let server, browser, scenes, languages;
before(async () => {
  [server, browser] = await Promise.all([dev(), launch()]);
  const list = await (await fetch(server.issuer + '/gallery')).text();
  scenes = [...list.matchAll(/data-scene="([a-z0-9-]+)"/g)].map((m) => m[1]);
  languages = [...new Set([...list.matchAll(/<option value="[a-zA-Z-]+" lang="([a-zA-Z-]+)"/g)].map((m) => m[1]))];
  assert.ok(scenes.length > 50 && languages.length > 10, `${scenes.length} scenes in ${languages}`);
  for (const scene of main) assert.ok(scenes.includes(scene), `no scene ${scene}`);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const address = (scene, lang, more = '') => `${server.issuer}/gallery/${scene}?lang=${lang}${more}`;

// each opens pages in several tabs of one context and collects what look finds
// wrong with each.
async function each(options, pages, look, tabs = 3) {
  const context = await browser.newContext(options);
  const wrong = [], queue = [...pages];
  await Promise.all(Array.from({ length: tabs }, async () => {
    const page = await context.newPage();
    for (let at = queue.shift(); at; at = queue.shift()) {
      const answer = await page.goto(at, { waitUntil: 'load' });
      assert.ok(answer.status() < 600 && answer.headers()['content-type'].startsWith('text/html'), at);
      wrong.push(...(await look(page)).map((what) => `${new URL(at).pathname}${new URL(at).search}: ${what}`));
    }
  }));
  await context.close();
  return wrong;
}

// settled ends what moves once: what appears has its colours then.
const settled = (page) => page.evaluate(() => {
  for (const a of document.getAnimations()) {
    if (a.effect.getComputedTiming().endTime !== Infinity) a.finish();
  }
});

// axe needs to run a script in the page, which the pages' own policy forbids: for
// this alone it is set aside. The other tests hold the policy.
const inspected = async (page) => {
  await settled(page);
  await page.addScriptTag({ path: axe });
  const found = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] }), rules);
  return found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`);
};

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing on any page in English, ${colorScheme}`, { timeout: limit }, async () => {
    assert.equal((await each({ bypassCSP: true, colorScheme }, scenes.map((s) => address(s, 'en')), inspected)).join('\n'), '');
  });
}

test('axe finds nothing on any page from right to left', { timeout: limit }, async () => {
  assert.equal((await each({ bypassCSP: true }, scenes.map((s) => address(s, 'ar')), inspected)).join('\n'), '');
});

test('axe finds nothing on the main pages in every language', { timeout: limit }, async () => {
  const pages = languages.flatMap((lang) => ['signin', 'waiting', 'account'].map((s) => address(s, lang)));
  assert.equal((await each({ bypassCSP: true, colorScheme: 'dark' }, pages, inspected)).join('\n'), '');
});

// spilled says what is wider than the window, or is cut. It runs in the page.
function spilled() {
  const found = [], width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) found.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${width}`);
  for (const e of document.querySelectorAll('body *')) {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || !box.height || style.visibility === 'hidden' || e.classList.contains('unseen')) continue;
    const name = `${e.tagName.toLowerCase()}${e.id ? '#' + e.id : ''}${e.className && typeof e.className === 'string' ? '.' + e.className.split(' ')[0] : ''}`;
    if (box.right > width + 1 || box.left < -1) found.push(`${name} reaches from ${Math.round(box.left)} to ${Math.round(box.right)} in ${width}`);
    const cuts = style.overflowX !== 'visible' && style.overflowX !== 'auto' && style.overflowX !== 'scroll';
    if (cuts && !e.closest('[aria-hidden=true]') && e.tagName !== 'SELECT' && e.tagName !== 'INPUT' && e.scrollWidth > e.clientWidth + 1) found.push(`${name} cuts its text`);
    if (e.tagName === 'BUTTON' && e.scrollHeight > e.clientHeight + 1) found.push(`${name} is too low for its text`);
  }
  return found;
}

// measured looks at the pages in one language, several times as fast as by loading
// each: their markup is put into one page, whose stylesheet has the language's
// direction by then. What it leaves out, scripts, the pages in English run.
async function measured(page, wanted, lang, look) {
  await page.goto(address('signin', lang));
  await page.evaluate('globalThis.look = ' + look);
  const wrong = [];
  for (const scene of wanted) {
    const answer = await fetch(address(scene, lang));
    const found = await page.evaluate(([html, lang]) => {
      const other = new DOMParser().parseFromString(html, 'text/html');
      if (other.documentElement.lang !== lang) return [`is in ${other.documentElement.lang}`];
      document.body.replaceWith(document.adoptNode(other.body));
      return globalThis.look();
    }, [await answer.text(), lang]);
    wrong.push(...found.map((what) => `${scene} in ${lang}: ${what}`));
  }
  return wrong;
}

// everywhere looks at pages as they are in English, and at their markup in every
// other language.
async function everywhere(options, wanted, look, inEnglish = (page) => page.evaluate(look)) {
  const wrong = await each(options, scenes.map((s) => address(s, 'en')), inEnglish);
  const context = await browser.newContext(options);
  const page = await context.newPage();
  for (const lang of languages.filter((l) => l !== 'en')) wrong.push(...await measured(page, wanted, lang, look));
  await context.close();
  return wrong.join('\n');
}

test('nothing overflows a window of 320 px, on any page in any language', { timeout: limit }, async () => {
  assert.equal(await everywhere({ viewport: { width: 320, height: 640 } }, scenes, spilled), '');
});

test('nothing is cut when text is twice as large', { timeout: limit }, async () => {
  const larger = `() => { document.documentElement.style.setProperty('font-size', '200%', 'important'); return (${spilled})(); }`;
  assert.equal(await everywhere({ viewport: { width: 640, height: 800 } }, main, larger, (page) => page.evaluate(`(${larger})()`)), '');
});

test('the keyboard reaches everything in its order, and shows where it is', { timeout: limit }, async () => {
  const walked = async (page) => {
    const want = await page.evaluate(() => {
      document.activeElement?.blur();
      return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, [tabindex="0"]')]
        .filter((e) => !e.disabled && e.checkVisibility()).map((e, i) => { e.dataset.step = i; return e.outerHTML.slice(0, 60); });
    });
    const wrong = [];
    await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); });
    for (let i = 0; i < want.length; i++) {
      await page.keyboard.press('Tab');
      const [step, ring] = await page.evaluate(() => {
        const e = document.activeElement, s = getComputedStyle(e.closest('.tel') ?? e); // the number field has one ring
        return [e.dataset.step, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2];
      });
      if (Number(step) !== i) wrong.push(`step ${i} is ${step}, want ${want[i]}`);
      else if (!ring) wrong.push(`no ring around ${want[i]}`);
    }
    return wrong;
  };
  const pages = scenes.flatMap((s) => [address(s, 'en'), ...(main.includes(s) ? [address(s, 'ar')] : [])]);
  assert.equal((await each({}, pages, walked, 1)).join('\n'), '');
});

test('nothing moves for people who asked for that', { timeout: limit }, async () => {
  const moving = (page) => page.evaluate(() => document.getAnimations().map((a) => `${a.animationName ?? a.transitionProperty} runs`));
  assert.equal((await each({ reducedMotion: 'reduce' }, main.map((s) => address(s, 'en')), moving)).join('\n'), '');
  const context = await browser.newContext({ reducedMotion: 'no-preference' });
  const page = await context.newPage();
  await page.goto(address('waiting', 'en'));
  assert.notEqual((await moving(page)).length, 0, 'nothing moves on the waiting page at all: the test shows nothing');
  await context.close();
});

test('forced colours: what is framed stays framed', { timeout: limit }, async () => {
  const frameless = (page) => page.evaluate(() => [...document.querySelectorAll('button, a.primary, input:not([type=hidden]), select')]
    .filter((e) => e.checkVisibility() && !e.classList.contains('quiet') && parseFloat(getComputedStyle(e.closest('.tel') ?? e).borderTopWidth) < 1)
    .map((e) => 'no frame: ' + e.outerHTML.slice(0, 60)));
  assert.equal((await each({ forcedColors: 'active' }, main.map((s) => address(s, 'en')), frameless)).join('\n'), '');
});
