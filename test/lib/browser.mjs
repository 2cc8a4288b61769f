// Debian's Chromium, driven by playwright-core.
import { chromium } from 'playwright-core';

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

// signIn goes from the demo application to our sign-in page and sends a number.
export async function sendNumber(page, demo, number) {
  await page.goto(demo + '/login');
  await page.fill('#phone', number);
  await page.click('#submit');
}

// claims reads the demo's claims page as an object.
export async function claims(page) {
  await page.waitForSelector('#claims', { timeout: 15_000 });
  return page.$$eval('[data-claim]', (rows) => Object.fromEntries(
    rows.map((row) => [row.dataset.claim, (row.querySelector('[data-value]') ?? row.lastElementChild ?? row).textContent.trim()])));
}
