// SPDX-License-Identifier: Apache-2.0
// Debian's Chromium, driven by playwright-core.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { limit, timeout } from './time.mjs';

export { limit, timeout };

// still stops the clock of a page's context, which clock.install has set up: what its
// scripts measure does not depend on the machine then.
export async function still(page, ahead = 2_000) {
  // The clock goes on until it is stopped, and it cannot be stopped in the past.
  try {
    await page.clock.pauseAt(new Date(Date.now() + ahead));
  } catch (e) {
    if (ahead > timeout) throw e;
    await still(page, 2 * ahead);
  }
}

// launch starts Chromium. Whatever its pages wait for without saying for how long, they
// wait for timeout.
export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    timeout,
  });
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (options) => {
    const context = await newContext(options);
    context.setDefaultTimeout(timeout);
    return context;
  };
  return browser;
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
