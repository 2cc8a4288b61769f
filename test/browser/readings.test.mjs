// SPDX-License-Identifier: Apache-2.0
// The number field's script, without a browser: it reads by the rule of the server, whose
// answers stand in testdata/readings.json (truecaller/phone, TestThreat_AnExitCode...).
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';

const file = (name) => readFile(new URL(name, import.meta.url), 'utf8');

// field runs the script on a page that has the number field and nothing else. It returns
// a function that types, and says what the page shows then.
async function field() {
  const script = (await file('../../ui/static/field.js')).replace('GROUPS', () => JSON.stringify(groups.trim()));
  const element = () => ({
    value: '', textContent: '', on: {}, attributes: {},
    addEventListener(name, run) { this.on[name] = run; },
    getAttribute(name) { return this.attributes[name] ?? null; },
    setAttribute(name, text) { this.attributes[name] = text; },
    setSelectionRange() {},
  });
  const elements = { phone: element(), region: element(), hint: element(), asked: element(), guessed: element() };
  elements.asked.cloneNode = () => ({ querySelector: () => ({}), firstChild: null });
  const parts = { '.plate': element(), span: element() };
  const document = {
    documentElement: {}, activeElement: null,
    getElementById: (id) => elements[id],
    querySelector: () => ({ querySelector: (what) => parts[what] }),
    addEventListener: (name, run) => run(), // the page is there
  };
  runInNewContext(script, { document, window: { addEventListener() {} } });
  return (typed, region) => {
    elements.phone.value = typed;
    elements.region.value = region;
    elements.phone.selectionStart = typed.length;
    elements.phone.on.input({ inputType: 'insertText' });
    const kept = elements.phone.value.replace(/[^+0-9]/g, '');
    return { text: elements.phone.value, kept, region: elements.region.value, shown: elements.hint.attributes['data-number'] || '', sure: elements.guessed.disabled === true };
  };
}

const groups = await file('../../truecaller/phone/groups.txt');
const type = await field();

test('the page promises no other number than the server takes, and none where the server asks', async () => {
  const { numbers, rows } = JSON.parse(await file('testdata/readings.json'));
  const wrong = [];
  let promised = 0;
  for (const { Exit: exit, Outcomes: outcomes, Regions: regions } of rows) {
    for (const region of regions) {
      numbers.forEach((number, i) => {
        const typed = exit + number.replace(/[^0-9]/g, '');
        const now = type(typed, region);
        if (now.kept !== typed || now.region !== region) wrong.push([region, typed, now]);
        if (now.shown !== '' && (now.shown !== number || outcomes[i] !== '=')) wrong.push([region, typed, outcomes[i], now]);
        if (now.shown !== '') promised++;
      });
    }
  }
  assert.deepEqual(wrong.slice(0, 10), []);
  assert.ok(promised > 40_000, `${promised} were promised`);
});

test('an old spelling is shown as it is or as today\'s, or not at all', async () => {
  const { old } = JSON.parse(await file('testdata/readings.json'));
  const digits = (text) => text.replace(/[^0-9]/g, '');
  assert.deepEqual(old.filter(([typed, today]) => !['', digits(typed), digits(today)].includes(digits(type(typed, 'SE').shown))), []);
});

test('what is dialled in a country is grouped as 00 is', () => {
  for (const [typed, region, text, shown] of [
    ['0011 46701740605', 'AU', '0011 46 70 174 06 05', '+46 70 174 06 05'],
    ['01146701740605', 'US', '011 46 70 174 06 05', '+46 70 174 06 05'],
    ['11946701740605', 'CU', '119 46 70 174 06 05', '+46 70 174 06 05'],
    ['491755762074', 'DE', '491755762074', ''],
    ['46701740605', 'DE', '46701740605', ''],
    ['0046701740605', 'US', '0046 70 174 06 05', '+46 70 174 06 05'],
    ['0055 51 98401-0101', 'BR', '0055 51 98401-0101', ''],
    ['0055 51 98401-0101', '', '0055 51 98401-0101', '+55 51 98401-0101'],
  ]) {
    const now = type(typed, region);
    assert.equal(now.text, text);
    assert.equal(now.shown, shown, typed);
    assert.equal(now.sure, shown !== '', typed);
  }
});

test('every character is what it is for the server', async () => {
  const { zeros, between } = JSON.parse(await file('testdata/characters.json'));
  const wrong = [];
  for (let code = 0; code <= 0xffff; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const character = String.fromCharCode(code);
    const digit = [...zeros].some((zero) => code >= zero.charCodeAt(0) && code < zero.charCodeAt(0) + 10);
    const { shown } = type(digit ? `070174060${character}` : `070${character}1740605`, 'SE');
    const value = digit && code - [...zeros].filter((zero) => zero <= character).pop().charCodeAt(0);
    const passed = between.some(([low, high]) => code >= low && code <= high);
    if (shown !== (digit ? `+46 70 174 06 0${value}` : passed ? '+46 70 174 06 05' : '')) wrong.push([code.toString(16), shown]);
  }
  assert.deepEqual(wrong, []);
});
