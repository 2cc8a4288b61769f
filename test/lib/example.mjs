// SPDX-License-Identifier: Apache-2.0
// Tests an application of examples/ from the outside: started as its README says, with a
// browser in front and the built binary behind it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { inContext, launch, timeout } from './browser.mjs';
import { dev } from './calleridp.mjs';

const root = path.join(import.meta.dirname, '../..');

// What an application may take to start: its README also downloads and builds.
const patience = 300_000;

// exampleWorks adds the tests of examples/NAME.
export function exampleWorks(name) {
  let server, browser, application, callback;

  before(async () => {
    const port = await freePort();
    const directory = await mkdtemp(path.join(tmpdir(), 'calleridp-example-'));
    const clients = path.join(directory, 'clients.yaml');
    const registered = await readFile(path.join(root, 'examples', name, 'clients.yaml'), 'utf8');
    [, callback] = /^  redirect_uris: \["http:\/\/localhost:3000\/([^"]*)"\]$/m.exec(registered);
    await writeFile(clients, registered.replaceAll(':3000/', `:${port}/`));
    [server, browser] = await Promise.all([dev('--clients', clients), launch()]);
    await rm(directory, { recursive: true });
    application = await start(await command(name), port, { ISSUER: server.issuer, PORT: String(port) });
  }, { timeout: patience });
  after(async () => {
    await application?.stop();
    await browser?.close();
    await server?.stop();
  });

  // fresh runs a test in a browser of its own, at the application's home page.
  function fresh(what, run) {
    test(`${name}: ${what}`, { timeout: 120_000 }, () => inContext(browser, {}, async (context) => {
      const page = await context.newPage();
      await page.goto(application.home);
      try {
        await run(page);
      } catch (error) {
        error.message += `\n${page.url()}\n${await page.textContent('body').catch(() => '')}\n${application.log()}`;
        throw error;
      }
    }));
  }

  // enter goes to the sign-in page, from a page with this link or button, and sends a number.
  async function enter(page, number, by = /^Sign in with Truecaller$/) {
    await press(page, by);
    await page.fill('#phone', number);
    await page.click('#submit');
  }

  fresh('sign in, see the number, sign out here and at the provider', async (page) => {
    await enter(page, '+46 70 174 06 05');
    await shows(page, '#phone', '+46701740605');
    assert.match(await page.textContent('#name'), /^Anna/);
    assert.equal(page.url().includes('code='), false, 'the code is not in the address');
    await page.reload();
    await shows(page, '#phone', '+46701740605');

    await press(page, /^Sign out$/);
    await page.waitForURL((url) => url.href.startsWith(application.home), { timeout });
    await page.goto(application.home);
    assert.equal(await page.locator('#phone').count(), 0, 'signed out of the application');
    await press(page, /^Sign in with Truecaller$/);
    await page.waitForSelector('#submit', { timeout }); // the provider asks for a number again
    assert.ok(page.url().startsWith(server.issuer));
  });

  fresh('a user who declines gets an error, and may try again', async (page) => {
    await enter(page, '+46 70 174 06 08');
    await page.locator('form[action$="/leave"] button').click({ timeout });
    await page.waitForSelector('#error', { timeout });
    assert.ok(page.url().startsWith(application.home), 'the application shows it');
    assert.match(await page.textContent('#error'), /access_denied/);
    await enter(page, '+46 70 174 06 10', /^Try again$/);
    await shows(page, '#phone', '+46701740610');
  });

  fresh('a response that no sign-in of this browser asked for is an error', async (page) => {
    for (const query of ['code=stolen&state=foreign', 'error=%3Cb%20id%3Dinjected%3E&state=foreign', 'code=stolen', '']) {
      const response = await page.goto(`${application.home}${callback}?${query}&iss=${encodeURIComponent(server.issuer)}`);
      assert.ok(response.status() < 500, `${query}: ${response.status()}`);
      assert.equal(await page.locator('#error').count(), 1, query);
      assert.equal(await page.locator('#injected').count(), 0, 'escaped');
    }
    await page.goto(application.home);
    assert.equal(await page.locator('#phone').count(), 0, 'not signed in');
  });

  // Login CSRF (RFC 6749 section 10.12): the victim would use the attacker's account.
  fresh("the response to another browser's sign-in signs nobody in", async (page) => {
    let location, body; // of the response: a redirect, or a form (response_mode=form_post)
    await inContext(browser, {}, async (context) => {
      const attacker = await context.newPage();
      await attacker.route((url) => url.href.startsWith(server.issuer) && url.pathname.endsWith('/continue'), async (route) => {
        const response = await route.fetch({ maxRedirects: 0 });
        location = response.headers().location;
        body = await response.text();
        await route.fulfill({ body: 'held back' });
      });
      await attacker.goto(application.home);
      await enter(attacker, '+46 70 174 06 05');
      await attacker.getByText('held back').waitFor({ timeout });
    });
    assert.match(location ?? body, /[?&]code=|name="code"/);
    await page.goto('about:blank');
    const landed = page.waitForResponse((response) => response.url().startsWith(application.home));
    if (location) {
      await page.goto(location);
    } else {
      await page.setContent(/<form id="formpost"[^]*<\/form>/.exec(body)[0]);
      await page.evaluate(() => document.forms[0].submit());
    }
    assert.ok((await landed).status() < 500);
    await page.waitForSelector('#error', { timeout });
    await page.goto(application.home);
    assert.equal(await page.locator('#phone').count(), 0, 'not signed in');
  });

  fresh('hostile text in a profile is shown as text', async (page) => {
    await enter(page, '+46 70 174 06 23');
    await shows(page, '#phone', '+46701740623');
    assert.equal(await page.locator('#name *').count(), 0, await page.innerHTML('#name'));
    assert.match(await page.textContent('#name'), /[<>&"]/, 'the name is hostile');
  });
}

// press clicks the link or button whose text this is.
function press(page, text) {
  return page.getByRole('link', { name: text }).or(page.getByRole('button', { name: text })).click({ timeout });
}

async function shows(page, selector, text) {
  await page.locator(selector, { hasText: text }).waitFor({ timeout });
  assert.equal(await page.textContent(selector), text);
}

// command reads how a README starts its application: the indented lines, whose first
// starts the provider.
async function command(name) {
  const lines = (await readFile(path.join(root, 'examples', name, 'README.md'), 'utf8')).match(/^ {4}.+$/gm).map((line) => line.trim());
  assert.equal(lines.shift(), `go run ./cmd/calleridp dev --clients examples/${name}/clients.yaml`);
  return lines.join(' && ');
}

// freePort returns a port below those that the system hands out: until the application
// listens, no other process gets it by chance.
async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 30_000), listener = createServer();
    const free = await new Promise((resolve) => listener.once('error', () => resolve(false)).listen(port, 'localhost', () => resolve(true)));
    if (!free) continue;
    await new Promise((resolve) => listener.close(resolve));
    return port;
  }
}

// start runs the command in a shell, and resolves once the application serves.
async function start(shell, port, environment) {
  // detached: a group of processes, which is stopped as a whole.
  const child = spawn('bash', ['-c', shell], { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  let output = '', ended;
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output = (output + chunk).slice(-20_000); });
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => { ended = code ?? signal; resolve(); }));
  const home = `http://localhost:${port}/`;
  const stop = async () => {
    if (ended === undefined) process.kill(-child.pid, 'SIGTERM');
    await exited;
  };
  for (const end = Date.now() + patience; ;) {
    if (ended !== undefined) throw new Error(`${shell}: ended (${ended}) before it served\n${output}`);
    if (await fetch(home).then((response) => response.ok, () => false)) return { home, log: () => output, stop };
    if (Date.now() > end) { await stop(); throw new Error(`${shell}: does not serve\n${output}`); }
    await pause(100);
  }
}
