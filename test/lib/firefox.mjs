// SPDX-License-Identifier: Apache-2.0
// Debian's Firefox, driven through Marionette, the remote protocol that is built
// into it: JSON with a length before it over TCP, which geckodriver translates
// WebDriver (W3C) to. playwright-core drives a Firefox of its own only, geckodriver
// is not in Debian 12, and puppeteer-core brings 90 packages: this is 120 lines.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const element = 'element-6066-11e4-a52e-4f735466cecf'; // WebDriver, section 12.3

// launch starts Firefox without a screen, with a profile of its own and these
// preferences.
export async function launch(preferences = {}) {
  const profile = await mkdtemp(path.join(tmpdir(), 'calleridp-firefox-'));
  const all = {
    'marionette.port': 0, // a free one, written to a file in the profile
    'browser.shell.checkDefaultBrowser': false,
    'browser.startup.homepage_override.mstone': 'ignore',
    'datareporting.policy.dataSubmissionEnabled': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'intl.accept_languages': 'en',
    ...preferences,
  };
  await writeFile(path.join(profile, 'user.js'),
    Object.entries(all).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`).join(''));
  const binary = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
  const child = spawn(binary, ['--headless', '--no-remote', '--marionette', '--profile', profile],
    { stdio: 'ignore', env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1' } });
  let gone;
  child.once('error', (e) => { gone = e; });
  child.once('exit', (code, signal) => { gone ??= new Error(`${binary} ended: ${code ?? signal}`); });

  let port;
  for (const end = Date.now() + 60_000; !port;) {
    if (gone) throw gone;
    if (Date.now() > end) { child.kill('SIGKILL'); throw new Error('Firefox did not open its port in a minute'); }
    port = Number(await readFile(path.join(profile, 'MarionetteActivePort'), 'utf8').catch(() => '')) || await pause(100);
  }
  const send = await marionette(port);
  await send('WebDriver:NewSession', { acceptInsecureCerts: true });
  await send('WebDriver:SetTimeouts', { implicit: 60_000, pageLoad: 60_000, script: 60_000 });
  return new Firefox(send, async () => {
    const ended = new Promise((resolve) => { if (gone) resolve(); else child.once('exit', resolve); });
    await send('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => child.kill('SIGKILL'));
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });
}

// marionette connects, and returns a function that sends one command and resolves
// to its result.
async function marionette(port) {
  const socket = connect(port, '127.0.0.1'), waiting = new Map();
  let have = Buffer.alloc(0), last = 0, greeted;
  const greeting = new Promise((resolve, reject) => { greeted = resolve; socket.once('error', reject); });
  const lost = (why) => { for (const { reject } of waiting.values()) reject(new Error('Firefox hung up: ' + why)); waiting.clear(); };
  socket.on('error', lost);
  socket.on('close', lost);
  socket.on('data', (chunk) => {
    have = Buffer.concat([have, chunk]);
    for (let colon; (colon = have.indexOf(':')) > 0;) {
      const end = colon + 1 + Number(have.subarray(0, colon));
      if (have.length < end) return;
      const message = JSON.parse(have.subarray(colon + 1, end));
      have = have.subarray(end);
      if (!Array.isArray(message)) { greeted(); continue; }
      const [, id, error, result] = message;
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error) reject(new Error(`${error.error}: ${error.message}`)); else resolve(result);
    }
  });
  await greeting;
  return (command, parameters = {}) => new Promise((resolve, reject) => {
    const id = ++last, text = JSON.stringify([0, id, command, parameters]);
    waiting.set(id, { resolve, reject });
    socket.write(`${Buffer.byteLength(text)}:${text}`);
  });
}

// Firefox is one window. A selector waits until something fits it.
class Firefox {
  constructor(send, close) { this.send = send; this.close = close; }

  goto(url) { return this.send('WebDriver:Navigate', { url }); }

  async find(css) { return (await this.send('WebDriver:FindElement', { using: 'css selector', value: css })).value[element]; }

  async text(css) { return (await this.send('WebDriver:GetElementText', { id: await this.find(css) })).value; }

  async click(css) { return this.send('WebDriver:ElementClick', { id: await this.find(css) }); }

  async type(css, text) { return this.send('WebDriver:ElementSendKeys', { id: await this.find(css), text }); }

  // evaluate runs a function body in a sandbox beside the page, which also works
  // where the page may not run scripts.
  async evaluate(script, ...args) { return (await this.send('WebDriver:ExecuteScript', { script, args })).value; }
}
