// The two echo servers of the protocol suites and what both suites do with them.
// Knows how they are started and that all clients are gone after each test.
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { clientPool } from './clients.mjs';
import { Polling, RawWs } from './eio.mjs';
import { REFERENCE, SANITIZED, startEcho } from './harness.mjs';

export const MAX = 1000000;
// Valgrind and the sanitizers slow a server down; the heartbeat then gets more air.
export const SLOW = SANITIZED === 'valgrind' ? 6 : 1;
export const INTERVAL = 300 * SLOW, TIMEOUT = 200 * SLOW;
export const ours = (name, fn) => it(name, { skip: REFERENCE && 'the reference does otherwise' }, fn);

export let quick; // short heartbeat, for what waits for it
export let calm; // long heartbeat, for everything else
export const pool = clientPool();
const raws = [];
export const ws = (opts, server = calm) => (raws.push(new RawWs(server.port, opts)), raws.at(-1));
export const wsOpen = (opts, server) => ws(opts, server).handshakeDone();
export const wsConnected = async (auth, server) => (await wsOpen({}, server)).connect(auth);
export const poll = (server = calm) => new Polling(server.port).open();

before(async () => {
  quick = await startEcho({ PING_INTERVAL: INTERVAL, PING_TIMEOUT: TIMEOUT, CONNECT_TIMEOUT: 1000 * SLOW, UPGRADE_TIMEOUT: 400 * SLOW, MAX_PAYLOAD: MAX });
  calm = await startEcho({ PING_INTERVAL: 60000, PING_TIMEOUT: 20000, CONNECT_TIMEOUT: 60000, UPGRADE_TIMEOUT: 10000, MAX_PAYLOAD: MAX });
});
afterEach(() => {
  pool.close();
  for (const raw of raws.splice(0)) raw.destroy();
});
after(async () => {
  await quick?.end();
  await calm?.end();
});

// The session behind a polling client is there, and works.
export async function works(p, n = 7) {
  await p.post(`42${n}["message-with-ack",${n}]`);
  assert.equal(await p.next(`43${n}`), `43${n}[${n}]`);
}
export async function wsWorks(w, n = 7) {
  w.send(`42${n}["message-with-ack",${n}]`);
  assert.equal(await w.text(`43${n}`), `43${n}[${n}]`);
}
