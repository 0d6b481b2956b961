// Several servers on one database and one Redis.
import { rmSync } from 'node:fs';
import { cliIn, fillStore, serverEnv, startServer, tempDir } from './harness.mjs';
import { request } from './http.mjs';
import { until } from './queue.mjs';

// n servers on one database; .stop() ends them all.
export async function startServers(n, env) {
  const dir = tempDir();
  const { JWT_SECRET, SERVICE_API_KEY } = serverEnv(dir);
  const shared = { JWT_SECRET, SERVICE_API_KEY, REDIS_ENABLED: 'true', ...env };
  await fillStore((args, opts) => cliIn(dir, serverEnv(dir, shared), args, opts));
  const servers = [];
  for (let i = 0; i < n; i++) servers.push(await startServer({ dir, fill: 'none', env: shared }));
  servers.dir = dir;
  servers.env = shared;
  servers.stop = async () => {
    try {
      for (const s of servers) if (!s.wasKilled) await s.end();
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  };
  await knowEachOther(servers);
  return servers;
}

export const verbose = async (s) => (await request(s.port, 'GET', '/ws/status?verbose=1')).json;
export const knowEachOther = (servers, options) =>
  until(async () => (await Promise.all(servers.map(verbose))).every((v) => v.nodes === servers.length && v.redis === 'ok'), 'all servers know each other', options);
export const metric = (s, name) => s.metric(name);
