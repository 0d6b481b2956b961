// A server, and somebody who is there while others do what they should not: after each case
// the server lives, and his session goes on unharmed.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { clientPool } from './clients.mjs';
import { startServer } from './harness.mjs';
import { request } from './http.mjs';

export const MAX = 100000; // MAX_PAYLOAD

// For a whole file: {pool, hostile}; take is given {server, bystander} before its tests run.
export function withBystander(take) {
  const pool = clientPool();
  let server, bystander;
  before(async () => {
    server = await startServer({
      env: { MAX_PAYLOAD: MAX, PING_INTERVAL: 60000, UPGRADE_TIMEOUT: 500, CONNECT_TIMEOUT: 30000, MAX_CONNECTIONS_PER_USER: 0, RATE_LIMIT_EVENTS: 0 },
    });
    bystander = await pool.user(server, 'ben', { project: 'proj-123', name: 'bystander' });
    take({ server, bystander });
  });
  after(async () => {
    pool.close();
    await server?.stop();
  });
  // Run a case, then look after the server and the one who was there before.
  const hostile = (name, fn) =>
    it(name, async (t) => {
      const sid = bystander.socket.id;
      await fn(t);
      assert.ok(server.alive(), `the server ended with ${server.code}:\n${server.lines.slice(-20).join('\n')}`);
      await bystander.settle();
      assert.equal(bystander.socket.id, sid, 'the other session is the same one');
      const after = await request(server.port, 'GET', '/ws/status');
      assert.equal(after.status, 200);
    });
  return { pool, hostile };
}
