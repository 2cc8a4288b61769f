// SPDX-License-Identifier: Apache-2.0
// The number field and the list of countries, in a real browser.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { dev, simulated } from '../lib/calleridp.mjs';
import { claims, inContext, launch, limit } from '../lib/browser.mjs';

let server, anywhere, browser, phone;
before(async () => {
  [server, anywhere, browser] = await Promise.all([dev(), dev('--region', 'none'), launch()]);
  phone = simulated(anywhere.simulator);
});
after(async () => { await browser?.close(); await server?.stop(); await anywhere?.stop(); });

// fresh runs a test on a new page of a browser of its own.
function fresh(name, options, run) {
  test(name, { timeout: limit }, () => inContext(browser, options, async (context) => run(await context.newPage())));
}

async function open(page, at = server) {
  await page.goto(at.demo + '/login');
  await page.waitForSelector('#phone');
}

const shown = (page) => page.locator('#hint').textContent();
const value = (page) => page.inputValue('#phone');
const country = (page) => page.inputValue('#region');
const caret = (page) => page.$eval('#phone', (e) => e.selectionStart);

async function press(page, key, times) {
  for (let i = 0; i < times; i++) await page.keyboard.press(key);
}

fresh('digits stand in groups while they are typed, and the caret stays where it was', {}, async (page) => {
  await open(page);
  await page.locator('#phone').pressSequentially('0701740605');
  assert.equal(await value(page), '070 174 06 05');
  assert.equal(await shown(page), 'The request goes to +46 70 174 06 05.');

  await page.keyboard.press('Home');
  await press(page, 'ArrowRight', 5);
  await page.keyboard.press('Delete'); // the 7
  assert.equal(await value(page), '070 140 60 5');
  assert.equal(await caret(page), 5);
  assert.equal(await shown(page), '', 'a digit is missing, so nothing is promised');
  await page.keyboard.type('7');
  assert.equal(await value(page), '070 174 06 05');
  assert.equal(await caret(page), 6);

  await page.keyboard.press('End');
  await press(page, 'Backspace', 2);
  assert.equal(await value(page), '070 174 06');
  await press(page, 'ArrowLeft', 2);
  await page.keyboard.press('Backspace'); // the space: it stays out, and nothing else happens
  assert.equal(await value(page), '070 17406');
  await page.keyboard.press('Backspace'); // and now the 4
  assert.equal(await value(page), '070 170 6');
  assert.equal(await caret(page), 6);
  await page.keyboard.press('End');
  await press(page, 'Backspace', 12);
  assert.equal(await value(page), '');
});

fresh('a number that is pasted is understood in whatever form it comes', {}, async (page) => {
  await open(page);
  for (const [pasted, want, region] of [
    ['+46 (0)70-174 06 05', '+46 70 174 06 05', 'SE'],
    ['0046701740605', '0046 70 174 06 05', 'SE'],
    ['tel:+46-70-174-06-05', '+46 70 174 06 05', 'SE'],
    ['tel:%2B46701740605', '+46 70 174 06 05', 'SE'],
    ['＋４６　７０　１７４　０６　０５', '+46 70 174 06 05', 'SE'],
    ['+४६ ७० १७४ ०६ ०५', '+46 70 174 06 05', 'SE'],
    ['٠٧٠١٧٤٠٦٠٥', '070 174 06 05', 'SE'],
    ['۰۷۰-۱۷۴۰۶۰۵', '070 174 06 05', 'SE'],
    ['\u202a+46\u00a070\u2011174\u00a006\u00a005\u202c', '+46 70 174 06 05', 'SE'],
    ['(070) 174.06.05', '070 174 06 05', 'SE'],
    ['70 174 06 05', '70 174 06 05', 'SE'],
    ['+91 99999 99999', '+91 99999 99999', 'IN'],
    ['+12015550123', '+1 201-555-0123', 'US'],
  ]) {
    await page.selectOption('#region', 'SE');
    await page.fill('#phone', '');
    await page.focus('#phone');
    await page.evaluate((text) => document.execCommand('insertText', false, text), pasted);
    assert.equal(await value(page), want, pasted);
    assert.equal(await country(page), region, pasted);
    assert.equal(await caret(page), want.length, pasted);
    assert.match(await shown(page), region === 'SE' ? /\+46 70 174 06 05/ : /\+91 99999 99999|\+1 201-555-0123/, pasted);
  }
});

fresh('what is no number is left as it is', {}, async (page) => {
  await open(page);
  for (const text of ['anna@example.com', '070-174 06 05 ext 4', '+46 70 12 and more', '+999 1', '08-123 456 78', '070*174', '++46', '+', 'tel:070-1740605;phone-context=+46', '112']) {
    await page.fill('#phone', text);
    assert.equal(await value(page), text);
    assert.equal(await shown(page), '', text);
  }
});

fresh('nothing happens in the middle of a composition', {}, async (page) => {
  await open(page);
  const after = await page.$eval('#phone', (field) => {
    const seen = [];
    field.dispatchEvent(new CompositionEvent('compositionstart'));
    field.value = '०७०१७४०६०५';
    field.dispatchEvent(new InputEvent('input', { isComposing: true, bubbles: true }));
    seen.push(field.value);
    field.dispatchEvent(new CompositionEvent('compositionend'));
    seen.push(field.value);
    return seen;
  });
  assert.deepEqual(after, ['०७०१७४०६०५', '070 174 06 05']);
});

// The script and the server read the same table; here they agree on numbers of
// every country.
fresh('numbers of every country are written as the server writes them', {}, async (page) => {
  await open(page);
  const numbers = JSON.parse(await readFile(new URL('testdata/numbers.json', import.meta.url)));
  assert.ok(numbers.length > 400);
  const wrong = await page.evaluate((numbers) => {
    const field = document.getElementById('phone'), region = document.getElementById('region'), hint = document.getElementById('hint');
    const wrong = [];
    for (const [country, home, abroad, whole] of numbers) {
      for (const typed of [home, abroad]) {
        region.value = typed === home ? country : 'SE';
        for (let n = 1; n <= typed.length; n++) { // digit by digit: no digit is lost or moved
          field.value = typed.slice(0, n);
          field.dispatchEvent(new InputEvent('input', { inputType: 'insertText' }));
          if (field.value.replace(/[^+0-9]/g, '') !== typed.slice(0, n)) wrong.push([country, typed.slice(0, n), field.value]);
        }
        if (!hint.textContent.includes(' ' + whole + '.')) wrong.push([country, typed, field.value, hint.textContent, whole]);
        if (typed === abroad && field.value !== whole) wrong.push([country, typed, field.value, whole]);
        const code = (id) => (/\+\d+$/.exec(document.querySelector(`option[value="${id}"]`).textContent) || [''])[0];
        if (code(region.value) !== code(country)) wrong.push([country, typed, region.value]);
      }
    }
    return wrong;
  }, numbers);
  assert.deepEqual(wrong, []);
});

fresh('the list of countries: a code that is typed wins, and then the country that is chosen', {}, async (page) => {
  await open(page);
  await page.selectOption('#region', 'IN');
  await page.locator('#phone').pressSequentially('+46701740605');
  assert.equal(await country(page), 'SE');
  await page.selectOption('#region', 'NO');
  assert.equal(await value(page), '701740605', 'which is no mobile number there');
  assert.equal(await country(page), 'NO');
  assert.equal(await shown(page), '');
  await page.selectOption('#region', 'SE');
  assert.equal(await shown(page), 'The request goes to +46 70 174 06 05.');
  await page.click('#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

// The country stands before the number. A code that was not typed by hand goes there.
fresh('a number that is filled in leaves its code to the country, and one that is typed when it is done', {}, async (page) => {
  await open(page);
  const plate = () => page.locator('.code').evaluate((e) => e.textContent.replace(/\s+/g, ' ').trim());
  // A browser that fills in a number says nothing of keys.
  const filled = (number) => page.$eval('#phone', (e, number) => { e.value = number; e.dispatchEvent(new Event('input', { bubbles: true })); }, number);
  assert.equal(await plate(), 'SE +46');
  await filled('+91 99999 99999');
  assert.deepEqual([await value(page), await country(page), await plate()], ['99999 99999', 'IN', 'IN +91']);
  assert.equal(await shown(page), 'The request goes to +91 99999 99999.');
  await page.fill('#phone', '');
  await page.locator('#phone').pressSequentially('+46701740605');
  assert.deepEqual([await value(page), await plate()], ['+46 70 174 06 05', 'SE +46'], 'not while it is typed');
  await page.locator('#phone').blur();
  assert.deepEqual([await value(page), await shown(page)], ['70 174 06 05', 'The request goes to +46 70 174 06 05.']);
  await page.selectOption('#region', 'CA');
  await filled('+1 506 234 5678');
  assert.deepEqual([await value(page), await plate()], ['506-234-5678', 'CA +1']);
  await page.selectOption('#region', 'NO');
  assert.equal(await plate(), 'NO +47');
  await page.fill('#phone', '+46701740605');
  await page.click('#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

// However a number is taken apart, it stays the number.
fresh('numbers of every country stay themselves when their code goes to the country', {}, async (page) => {
  await open(page);
  const numbers = JSON.parse(await readFile(new URL('testdata/numbers.json', import.meta.url)));
  const [moved, wrong] = await page.evaluate((numbers) => {
    const field = document.getElementById('phone'), region = document.getElementById('region'), hint = document.getElementById('hint');
    let moved = 0;
    const wrong = [];
    for (const [country, , abroad, whole] of numbers) {
      region.value = 'SE';
      field.value = abroad;
      field.dispatchEvent(new Event('input'));
      if (!hint.textContent.includes(' ' + whole + '.')) wrong.push([country, abroad, field.value, hint.textContent]);
      if (!field.value.startsWith('+')) moved++;
    }
    return [moved, wrong];
  }, numbers);
  assert.deepEqual(wrong, []);
  assert.ok(moved > 0.9 * numbers.length, `${moved} of ${numbers.length} moved`);
});

fresh('countries of one code: who has chosen Canada stays there', {}, async (page) => {
  await open(page);
  await page.selectOption('#region', 'CA');
  await page.fill('#phone', '+1 506 234 5678');
  assert.equal(await country(page), 'CA');
});

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript';

  fresh(`a national number of the country that was chosen, ${how}`, { javaScriptEnabled, locale: 'en-IN' }, async (page) => {
    await open(page, anywhere);
    assert.equal(await country(page), 'IN', 'the language of the browser speaks of India');
    await page.selectOption('#region', 'SE');
    await page.fill('#phone', '070-174 06 05');
    await page.click('#submit');
    assert.equal((await claims(page)).phone_number, '+46701740605');
  });

  fresh(`a number with a plus wins over the country, ${how}`, { javaScriptEnabled, locale: 'en-IN' }, async (page) => {
    await open(page, anywhere);
    await page.fill('#phone', '+46701740605');
    await page.click('#submit');
    assert.equal((await claims(page)).phone_number, '+46701740605');
  });

  fresh(`without a country the list is what is asked for, ${how}`, { javaScriptEnabled, locale: 'es-419' }, async (page) => {
    await open(page, anywhere);
    assert.equal(await country(page), '');
    await page.fill('#phone', '0701740605');
    await page.click('#submit');
    assert.equal(await page.getAttribute('#region', 'aria-invalid'), 'true');
    assert.equal(await value(page), '0701740605', 'what was typed stays');
    await page.selectOption('#region', 'SE');
    await page.click('#submit');
    assert.equal((await claims(page)).phone_number, '+46701740605');
  });

  fresh(`a mistake keeps the country, ${how}`, { javaScriptEnabled }, async (page) => {
    await open(page);
    await page.selectOption('#region', 'IN');
    await page.fill('#phone', '12');
    await page.click('#submit');
    await page.waitForSelector('#problem');
    assert.equal(await country(page), 'IN');
    assert.match(await page.textContent('#problem'), /too short/);
  });
}

// The country was guessed. A script shows the number in it before it is sent, so
// that the guess is no danger; without one, the server does.
fresh('a number in a guessed country goes at once where it was shown', { locale: 'sv-SE' }, async (page) => {
  await open(page, anywhere);
  await page.locator('#phone').pressSequentially('0701740605');
  assert.match(await shown(page), /\+46 70 174 06 05/);
  await page.click('#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

fresh('a number in a guessed country is shown first where nothing else can', { locale: 'sv-SE', javaScriptEnabled: false }, async (page) => {
  await open(page, anywhere);
  const before = (await phone.log()).length;
  await page.fill('#phone', '0701740605');
  await page.click('#submit');
  await page.waitForSelector('#problem[role=status]');
  assert.equal(await value(page), '+46 70 174 06 05');
  assert.equal(await page.getAttribute('#phone', 'aria-invalid'), null);
  assert.equal((await phone.log()).length, before, 'nobody has been asked');
  await page.click('#submit');
  assert.equal((await claims(page)).phone_number, '+46701740605');
});

fresh('what is typed leaves the page with the form only', {}, async (page) => {
  const urls = [];
  await open(page);
  page.on('request', (r) => urls.push(r.url()));
  await page.locator('#phone').pressSequentially('+46701740605');
  await page.fill('#phone', '');
  await page.locator('#phone').pressSequentially('0701740631');
  assert.deepEqual(urls, []);
  await page.click('#submit');
  await page.waitForSelector('#waiting');
  assert.ok(urls.length > 0);
  assert.deepEqual(urls.filter((url) => /1740631|174.06.31/.test(url)), [], 'and never in a URL');
});
