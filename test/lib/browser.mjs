// Debian's Chromium, driven by playwright-core.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

// timeout is how long a test waits for what must happen, in milliseconds. A test
// that passes does not wait so long; a slow machine may.
export const timeout = 60_000;

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

// watched returns the list to which the context's pages add their script errors and
// violations of the content security policy.
export function watched(context) {
  const errors = [];
  context.on('weberror', (e) => errors.push(e.error()));
  context.on('console', (m) => { if (m.type() === 'error' && /Content.Security.Policy/i.test(m.text())) errors.push(m.text()); });
  return errors;
}

// inContext runs a test in a browser context of its own: no cookies from the test
// before. It fails if a page raises a script error or breaks the policy.
export async function inContext(browser, options, run) {
  const context = await browser.newContext(options);
  const errors = watched(context);
  try {
    await run(context);
    assert.deepEqual(errors, [], 'the pages raise no script errors and break no content security policy');
  } finally {
    await context.close();
  }
}

// sendNumber goes from the demo application to the sign-in page and sends a number.
export async function sendNumber(page, demo, number) {
  await page.goto(demo + '/login');
  await page.fill('#phone', number);
  await page.click('#submit');
}

// claims reads the demo's claims page as an object.
export async function claims(page) {
  await page.waitForSelector('#claims', { timeout });
  return page.$$eval('[data-claim]', (rows) => Object.fromEntries(
    rows.map((row) => [row.dataset.claim, (row.querySelector('[data-value]') ?? row.lastElementChild ?? row).textContent.trim()])));
}
