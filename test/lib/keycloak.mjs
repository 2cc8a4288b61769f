// SPDX-License-Identifier: Apache-2.0
// A Keycloak server of its own for a test: in a folder of its own, on loopback, with a
// database in memory. KEYCLOAK names the archive of its distribution; test/all fetches it.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './calleridp.mjs';

const unpack = promisify(execFile);

// patience bounds the start: Keycloak builds itself first, and then its database.
export const patience = 900_000;

// keycloak starts the server and resolves once it answers: { base, admin(), log(), stop() }.
export async function keycloak() {
  const archive = process.env.KEYCLOAK;
  if (!archive) throw new Error('KEYCLOAK must name the archive of its distribution (tar.gz): run ./test/all browser');
  const home = await mkdtemp(path.join(tmpdir(), 'calleridp-keycloak-'));
  await unpack('tar', ['xzf', archive, '--strip-components=1', '-C', home]);
  const port = await freePort();
  const password = 'a-password-on-loopback-only';
  const child = spawn(path.join(home, 'bin/kc.sh'),
    ['start-dev', '--db=dev-mem', '--http-host=127.0.0.1', `--http-port=${port}`, '--cache=local', '--health-enabled=false'],
    {
      detached: true, // kc.sh starts java as its child: both end with the group
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, KC_BOOTSTRAP_ADMIN_USERNAME: 'admin', KC_BOOTSTRAP_ADMIN_PASSWORD: password, JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m' },
    });
  let output = '', ended;
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output = (output + chunk).slice(-100_000); });
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => { ended = code ?? signal; resolve(); }));
  const stop = async () => {
    if (ended === undefined) process.kill(-child.pid, 'SIGKILL');
    await exited;
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  };
  const base = `http://127.0.0.1:${port}`;
  const until = Date.now() + patience;
  while (!await fetch(`${base}/realms/master`).then((r) => r.ok, () => false)) {
    if (ended !== undefined || Date.now() > until) {
      await stop();
      throw new Error(`Keycloak did not start\n${output}`);
    }
    await pause(500);
  }
  return {
    base,
    log: () => output,
    stop,
    // admin calls the admin API; a token of the master realm lives for a minute.
    async admin(method, at, body) {
      const login = await fetch(`${base}/realms/master/protocol/openid-connect/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', username: 'admin', password }),
      });
      const { access_token: token } = await login.json();
      const answer = await fetch(`${base}/admin/realms${at}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: body && JSON.stringify(body),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${at}: ${answer.status} ${text}`);
      return text ? JSON.parse(text) : undefined;
    },
  };
}
