// Debian's Firefox, driven over WebDriver BiDi by puppeteer-core: playwright-core
// wants a Firefox of its own build.
import puppeteer from 'puppeteer-core';

export function firefox() {
  return puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    headless: true,
    extraPrefsFirefox: { 'browser.cache.disk.enable': false, 'app.update.enabled': false, 'network.captive-portal-service.enabled': false },
  });
}
