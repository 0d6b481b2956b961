// Debian's python3-socketio client: the guide's Python snippet, run by
// python/*.py; each line "ok NAME" or "not ok NAME: WHY" of theirs is one test here.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { run, startServer } from './lib/harness.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
let skip = false;
try {
  execFileSync(PYTHON, ['-c', 'import socketio, websocket, requests'], { stdio: 'ignore' });
} catch {
  skip = `${PYTHON} has no socketio: install python3-socketio (scripts/setup test)`;
}

let server;
before(async () => {
  if (!skip) server = await startServer({ env: { PRESENCE_GRACE: 200 } });
});
after(() => server?.stop());

describe('python-socketio client', { skip }, () => {
  for (const script of ['snippet.py', 'errors.py', 'events.py'])
    for (const transport of ['polling', 'websocket', 'upgrade'])
      it(`${script}, ${transport}`, async () => {
        const got = await run(PYTHON, [path.join(HERE, 'python', script)], {
          env: {
            SKYBUILD_URL: server.url,
            SKYBUILD_TRANSPORT: transport,
            TOKEN_ANNA: server.token('anna'),
            TOKEN_BEN: server.token('ben'),
            TOKEN_DORA: server.token('dora'),
            TOKEN_OLD: server.token('anna', { ttl: -3600 }),
            SERVICE_API_KEY: server.env.SERVICE_API_KEY,
            PYTHONDONTWRITEBYTECODE: '1',
          },
          timeout: 60000,
        });
        assert.equal(got.code, 0, got.stdout + got.stderr);
        assert.match(got.stdout, /^ok/m, got.stdout + got.stderr);
        assert.doesNotMatch(got.stdout, /^not ok/m);
      });
});
