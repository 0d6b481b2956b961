// 10,000 connects and disconnects; afterwards memory is where it was and no
// descriptor is left.  Memory is judged on the release build only: a sanitizer
// keeps freed memory on purpose.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Polling, RawWs } from './lib/eio.mjs';
import { SANITIZED, startServer } from './lib/harness.mjs';
import { sleep, until } from './lib/queue.mjs';

const ROUNDS = Number(process.env.SOAK_ROUNDS ?? (SANITIZED ? 1000 : 10000));
const WARM = ROUNDS / 4; // the heap finds its shape: memory between blocks that others still use
const BATCH = 50; // connections at the same time
const QUIET = SANITIZED ? 1500 : 5000; // ms; the store's caches go three seconds after its last request

let server, tokens;
before(async () => {
  server = await startServer({ env: { MAX_CONNECTIONS_PER_USER: 0, PRESENCE_GRACE: 0 } });
  tokens = ['anna', 'ben', 'cleo', 'eve'].map((u) => server.token(u, { ttl: 36000 }));
});
after(() => server?.stop());

// One visit: connect, join, say something, and go in one of four ways.
async function visit(n) {
  const auth = { token: tokens[n % 4], projects: ['proj-123'] };
  if (n % 10 === 9) {
    const p = await (await new Polling(server.port).open()).connect(auth);
    await p.next('42["joined_project"');
    await p.post('1');
    return;
  }
  const w = await (await new RawWs(server.port).handshakeDone()).connect(auth);
  await w.text('42["joined_project"');
  w.send('42["cursor:move",{"project_id":"proj-123","cursor":{"x":1}}]');
  if (n % 4 === 0) w.send('41').send(Buffer.from([3, 232]), { opcode: 8 });
  else if (n % 4 === 1) w.send('1');
  else if (n % 4 === 2) w.destroy();
  else w.tcp.resetAndDestroy?.() ?? w.destroy();
  if (n % 4 < 2) await w.end();
}

async function visits(from, to) {
  for (let n = from; n < to; n += BATCH) await Promise.all(Array.from({ length: Math.min(BATCH, to - n) }, (_, i) => visit(n + i)));
  await until(async () => {
    const s = await server.status();
    return s.active_connections === 0 && s.active_project_rooms === 0;
  }, 'everybody has gone');
}

describe(`${ROUNDS} connects and disconnects`, () => {
  let warm, end;
  const isBack = () => ['own', 'rss'].every((kind) => end[kind] <= warm[kind] * 1.05);

  it('leave no descriptor and no room behind', { timeout: 300000 }, async (t) => {
    await visits(0, WARM);
    await sleep(QUIET); // lets the server give memory back
    const fds = server.fds();
    warm = server.memory();
    await visits(WARM, ROUNDS);
    await sleep(QUIET);
    end = server.memory();
    // What is back later is back: the quiet after which the server gives memory back begins with its last request.
    for (let i = 0; i < 20 && !isBack(); i++) await sleep(500), (end = server.memory());
    t.diagnostic(`own memory ${warm.own} -> ${end.own} KiB, RSS ${warm.rss} -> ${end.rss} KiB`);
    await until(() => server.fds() <= fds, `not more than ${fds} descriptors`);
  });

  // Not PSS: a library's pages count for more once another process lets go of them.
  it('leave memory where it was', { skip: SANITIZED ? 'a sanitizer keeps freed memory: judged on the release build' : false }, () => {
    for (const kind of ['own', 'rss']) assert.ok(end[kind] <= warm[kind] * 1.05, `${kind}: ${warm[kind]} -> ${end[kind]} KiB`);
  });
});
