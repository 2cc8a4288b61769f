// SPDX-License-Identifier: Apache-2.0
// Starts the built binary for a test and stops it again. CALLERIDP names the
// binary; test/all builds it and sets that.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const binary = process.env.CALLERIDP;
if (!binary) throw new Error('CALLERIDP must name the built binary: run ./test/all, or go build -o /tmp/calleridp ./cmd/calleridp and set it');

// dev starts `calleridp dev` on free ports and resolves once it serves:
// { issuer, simulator, demo, restart(), kill(signal), stop() }.
export async function dev(...args) {
  const data = await mkdtemp(path.join(tmpdir(), 'calleridp-test-'));
  const flags = (...ports) => ['dev', '--output', 'json', '--data', data,
    '--provider-port', ports[0], '--simulator-port', ports[1], '--demo-port', ports[2], ...args];
  let server;
  for (let tries = 1; !server; tries++) {
    const ports = [await freePort(), await freePort(), await freePort()];
    server = await start(flags(...ports)).catch((e) => {
      if (tries === 5 || !/is used by another program/.test(e.message)) throw e;
    });
  }
  // A restart keeps the addresses: the issuer must not change under its clients.
  const port = (url) => new URL(url).port;
  return {
    ...server.urls,
    data,
    log: () => server.log(),
    kill: (signal) => server.kill(signal),
    async restart() {
      server = await start(flags(port(server.urls.issuer), port(server.urls.simulator), port(server.urls.demo)));
    },
    async stop() {
      await server.kill('SIGTERM');
      await rm(data, { recursive: true, force: true });
    },
  };
}

// freePort resolves to a port that nobody listens at. It is below those that Linux gives
// to outgoing connections and to listeners at port 0, and below those of Go's harness, so
// that none of these takes it while its server restarts.
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(10_000 * Math.random());
    const free = await new Promise((resolve) => {
      const probe = createServer().once('error', () => resolve(false)).listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return String(port);
  }
}

function start(flags) {
  const child = spawn(binary, flags, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => { stderr = (stderr + chunk).slice(-200_000); });
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stdout });
    const timer = setTimeout(() => { child.kill('SIGKILL'); reject(new Error('calleridp was not ready in a minute\n' + stderr)); }, 60_000);
    exited.then((how) => { clearTimeout(timer); reject(new Error(`calleridp ended (${how}) before it was ready\n${stderr}`)); });
    lines.on('line', (line) => {
      if (!line.startsWith('{')) return;
      clearTimeout(timer);
      resolve({
        urls: JSON.parse(line),
        log: () => stderr,
        async kill(signal) { child.kill(signal); return exited; },
      });
    });
  });
}

// simulated talks to the control API of the simulator.
export function simulated(base) {
  const json = async (method, at, body) => {
    const answer = await fetch(base + at, { method, body: body && JSON.stringify(body), headers: body && { 'content-type': 'application/json' } });
    if (!answer.ok) throw new Error(`${method} ${at}: ${answer.status} ${await answer.text()}`);
    const text = await answer.text();
    return text ? JSON.parse(text) : undefined;
  };
  return {
    pending: (digits) => json('GET', `/sim/requests?phone=${digits}`),
    log: () => json('GET', '/sim/log'),
    // open is a phone with this number, whose browser has opened a one-tap link:
    // { requestId, dialog, reason, warnings }. It behaves as its number does, or as
    // another row of the table (docs/simulator.md).
    open: (link, number, as) => json('POST', '/sim/open', { link, phone: number, as }),
    decide: (requestId, what) => json('POST', `/sim/requests/${encodeURIComponent(requestId)}/${what}`),
  };
}
