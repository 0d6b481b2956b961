import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { clientOf } from '../src/client.js';
import { isUnauthorized } from '../src/error.js';
import { fakeFetch, freshUrl, newest, settle, sockets } from './fake.js';

vi.mock('socket.io-client', () => import('./fake.js'));
beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.runOnlyPendingTimers();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function connected(user = 'anna') {
  const client = clientOf(freshUrl(), user);
  client.getToken = () => 'token';
  const release = client.retain();
  await settle();
  newest().accept(user);
  return { client, release, socket: newest() };
}

describe('one socket', () => {
  it('is shared by all who hold it, and closed a little after the last has gone', async () => {
    const n = sockets.length;
    const url = freshUrl();
    const client = clientOf(url, 'anna');
    expect(clientOf(url, 'anna')).toBe(client);
    const [a, b] = [client.retain(), client.retain()];
    await settle();
    expect(sockets.length).toBe(n + 1);
    newest().accept();
    a();
    a(); // twice is once
    b();
    vi.advanceTimersByTime(900);
    const c = client.retain(); // came back in time
    vi.advanceTimersByTime(5000);
    expect(newest().connected).toBe(true);
    c();
    vi.advanceTimersByTime(1001);
    expect(newest().connected).toBe(false);
    expect(client.connection.get().status).toBe('initial');
    client.retain();
    expect(sockets.length).toBe(n + 2);
  });

  it('is another one for another session', () => {
    const url = freshUrl();
    expect(clientOf(url, 'anna')).not.toBe(clientOf(url, 'ben'));
    expect(clientOf(url, 'anna', '/other')).not.toBe(clientOf(url, 'anna'));
  });

  it('is the same with a slash at the end of the address, which is not doubled', async () => {
    const url = freshUrl();
    const client = clientOf(`${url}/`, 'anna');
    expect(clientOf(url, 'anna')).toBe(client);
    const calls = fakeFetch(() => ({ body: {} }));
    await client.request('GET', '/api/projects');
    expect(calls[0]!.path).toBe(`${url}/api/projects`);
  });

  it('on a server each call makes one of its own, never opened', () => {
    vi.stubGlobal('window', undefined);
    const url = freshUrl();
    expect(clientOf(url, 'anna')).not.toBe(clientOf(url, 'anna'));
  });
});

describe('the token', () => {
  it('is asked for anew at each attempt', async () => {
    let n = 0;
    const client = clientOf(freshUrl(), '');
    client.getToken = async () => `token-${++n}`;
    client.retain();
    await settle();
    const socket = newest();
    socket.accept();
    socket.drop();
    expect(client.connection.get().status).toBe('reconnecting');
    socket.attempt();
    await settle();
    expect(socket.auths.map((a) => a.token)).toEqual(['token-1', 'token-2']);
  });

  it('goes along with the projects that are open', async () => {
    const client = clientOf(freshUrl(), '');
    client.getToken = () => 't';
    client.project('p-1').retain();
    await settle();
    expect(newest().auths).toEqual([{ token: 't', projects: ['p-1'] }]);
    newest().accept();
    expect(newest().got('join_project')).toEqual([]); // it was said with the handshake
  });

  it('a project that was entered during the handshake is joined after it', async () => {
    const client = clientOf(freshUrl(), '');
    client.getToken = () => 't';
    client.retain();
    await settle();
    client.project('p-late').retain();
    newest().accept();
    expect(newest().got('join_project')).toEqual([{ project_id: 'p-late' }]);
  });

  it('that has expired is fetched anew at once', async () => {
    const { client, socket } = await connected();
    socket.drop();
    socket.attempt();
    await settle();
    socket.refuse('token_expired');
    expect(client.connection.get()).toMatchObject({ status: 'reconnecting', error: { code: 'token_expired' } });
    vi.advanceTimersByTime(1);
    await settle();
    expect(socket.auths.length).toBe(3);
    socket.accept();
    expect(client.connection.get()).toMatchObject({ status: 'connected', error: null });
  });

  it('that is refused three times in a row ends in `disconnected`; reconnect() starts again', async () => {
    const changes: string[] = [];
    const client = clientOf(freshUrl(), '');
    client.getToken = () => 'bad';
    client.lost.add((change, { error }) => changes.push(`${change} ${error?.code}`));
    client.retain();
    for (let i = 0; i < 3; i++) {
      await settle();
      newest().refuse('token_invalid');
      vi.advanceTimersByTime(15000);
    }
    await settle();
    expect(newest().auths.length).toBe(3);
    expect(client.connection.get()).toMatchObject({ status: 'disconnected', error: { code: 'token_invalid', message: 'Authentication required' } });
    expect(changes).toEqual(['failed token_invalid']);
    client.reconnect();
    await settle();
    expect(newest().auths.length).toBe(4);
    newest().accept();
    expect(client.connection.get().status).toBe('connected');
  });

  it('a full server is tried again, more and more slowly, without an end', async () => {
    const client = clientOf(freshUrl(), '');
    client.getToken = () => 't';
    client.retain();
    for (let i = 0; i < 8; i++) {
      await settle();
      newest().refuse('too_many_connections');
      vi.advanceTimersByTime(12600);
    }
    await settle();
    expect(newest().auths.length).toBe(9);
    expect(client.connection.get().status).toBe('connecting');
  });

  it('that cannot be had now is asked for again', async () => {
    let works = false;
    const client = clientOf(freshUrl(), '');
    client.getToken = async () => {
      if (!works) throw new Error('the sign-in service is down');
      return 't';
    };
    client.retain();
    await settle();
    expect(client.connection.get().error?.message).toMatch(/sign-in service is down/);
    expect(newest().auths).toEqual([]);
    works = true;
    newest().attempt();
    await settle();
    expect(newest().auths.length).toBe(1);
  });

  it('an answer that comes when its attempt is over is not sent into the next one', async () => {
    const answers: ((token: string) => void)[] = [];
    const client = clientOf(freshUrl(), '');
    client.getToken = () => new Promise((resolve) => answers.push(resolve));
    client.retain();
    await settle();
    newest().attempt(); // the transport broke, the next attempt
    answers[0]!('old');
    await settle();
    expect(newest().auths).toEqual([]);
    answers[1]!('new');
    await settle();
    expect(newest().auths.map((a) => a.token)).toEqual(['new']);
  });

  it('that is refused is asked for with `force`; when that does not help it is told once', async () => {
    const asked: boolean[] = [];
    const told: string[] = [];
    const client = clientOf(freshUrl(), '');
    client.getToken = ({ force }) => (asked.push(force), 'bad');
    client.options = { onUnauthorized: (error) => told.push(error.code) };
    client.retain();
    for (let i = 0; i < 3; i++) {
      await settle();
      newest().refuse('token_expired');
      vi.advanceTimersByTime(15000);
    }
    await settle();
    expect(asked).toEqual([false, true, true]);
    expect(told).toEqual(['token_expired']);
    fakeFetch(() => ({ status: 401, body: { code: 'token_expired', detail: 'The token has expired' } }));
    await expect(client.request('GET', '/')).rejects.toMatchObject({ status: 401, code: 'token_expired' });
    expect(told.length).toBe(1);
  });

  it('that a request was refused for is replaced once, for all of them, and the request made again', async () => {
    const { client } = await connected();
    let kept = 'old';
    let n = 0;
    client.getToken = async ({ force }) => (force ? (kept = `new-${++n}`) : kept);
    const calls = fakeFetch((_, init) => {
      const isOld = (init.headers as Record<string, string>).Authorization === 'Bearer old';
      return isOld ? { status: 401, body: { code: 'token_invalid', detail: 'no' } } : { body: { ok: true } };
    });
    expect(await Promise.all([client.request('POST', '/a', {}), client.request('GET', '/b')])).toEqual([{ ok: true }, { ok: true }]);
    expect(n).toBe(1);
    expect(calls.length).toBe(4);
  });

  it('that is still refused is told once until one is good again; a refusal of another kind is not', async () => {
    const { client } = await connected();
    const told: string[] = [];
    client.options = { onUnauthorized: (error) => told.push(`${error.status} ${error.code}`) };
    let answer: { status: number; body: object } = { status: 401, body: { code: 'token_invalid', detail: 'no' } };
    const calls = fakeFetch(() => answer);
    const fails = () => client.request('GET', '/').catch((error) => isUnauthorized(error));
    expect(await Promise.all([fails(), fails()])).toEqual([true, true]);
    expect(calls.length).toBe(2); // the same token is not tried twice
    expect(told).toEqual(['401 token_invalid']);
    let i = 0;
    client.getToken = () => `token-${++i}`;
    await fails();
    expect(calls.length).toBe(4); // once more, not for ever
    answer = { status: 200, body: {} };
    await client.request('GET', '/');
    answer = { status: 403, body: { code: 'forbidden' } };
    expect(await fails()).toBe(false);
    expect(told.length).toBe(1);
    answer = { status: 401, body: { code: 'token_invalid' } };
    await fails();
    expect(told.length).toBe(2);
  });

  it('undefined is none; one that cannot be had is an error like others', async () => {
    const { client } = await connected();
    const calls = fakeFetch(() => ({ body: {} }));
    client.getToken = () => undefined;
    await client.request('GET', '/');
    expect(calls[0]!.init.headers).toEqual({});
    client.getToken = () => Promise.reject(new Error('sign-in is down'));
    await expect(client.request('GET', '/')).rejects.toMatchObject({ code: 'token_unavailable' });
  });

  it('is refreshed when the server says that it ends', async () => {
    const { client, socket } = await connected();
    client.getToken = async ({ force }) => (force ? 'fresh' : 'kept');
    socket.answers['auth:refresh'] = () => ({ ok: true, expires_in: 60 });
    socket.says('token:expiring', { expires_in: 60 });
    await settle();
    expect(socket.got('auth:refresh')).toEqual([{ token: 'fresh' }]);
  });
});

describe('loss', () => {
  it('is told after a while, and its end with it; a short one is not', async () => {
    const { client, socket } = await connected();
    const changes: string[] = [];
    client.lost.add((change) => changes.push(change));
    socket.drop();
    vi.advanceTimersByTime(4000);
    socket.accept();
    expect(changes).toEqual([]);
    socket.drop();
    socket.unreachable();
    vi.advanceTimersByTime(5001);
    expect(changes).toEqual(['lost']);
    socket.accept();
    expect(changes).toEqual(['lost', 'restored']);
  });

  it('by the server’s will is final', async () => {
    const { client, socket } = await connected();
    socket.drop('io server disconnect');
    expect(client.connection.get()).toMatchObject({ status: 'disconnected', error: { code: 'disconnected' } });
  });
});

describe('asking', () => {
  it('gives the answer, the refusal, or the time-out', async () => {
    const { client, socket } = await connected();
    socket.answers['presence:list'] = () => ({ ok: true, project_id: 'p', users: [] });
    expect(await client.ask('presence:list', { project_id: 'p' })).toMatchObject({ users: [] });
    socket.answers['presence:list'] = () => ({ ok: false, error: { code: 'not_joined', message: 'Join first' } });
    await expect(client.ask('presence:list', { project_id: 'p' })).rejects.toMatchObject({ code: 'not_joined', message: 'Join first' });
    const late = expect(client.ask('typing:start', { project_id: 'p' }, 100)).rejects.toMatchObject({ code: 'timeout' });
    vi.advanceTimersByTime(101);
    await late;
    socket.drop();
    await expect(client.ask('presence:list', { project_id: 'p' })).rejects.toMatchObject({ code: 'not_connected' });
  });

  it('requests carry the token and the key; problems become errors', async () => {
    const { client } = await connected();
    const calls = fakeFetch((path) => (path.endsWith('/boq/1') ? { status: 409, body: { code: 'conflict', detail: 'outdated', current: { version: 4 } } } : path.endsWith('/gone') ? { status: 204 } : { body: { items: [] } }));
    expect(await client.request('GET', '/list')).toEqual({ items: [] });
    expect(await client.request('DELETE', '/gone')).toBeUndefined();
    await expect(client.request('PATCH', '/boq/1', { qty: 1 }, { idempotencyKey: 'k' })).rejects.toMatchObject({ status: 409, code: 'conflict', current: { version: 4 } });
    expect(calls[2]!.init).toMatchObject({ method: 'PATCH', body: '{"qty":1}', headers: { Authorization: 'Bearer token', 'Idempotency-Key': 'k', 'Content-Type': 'application/json' } });
    expect(calls[0]!.init.headers).toEqual({ Authorization: 'Bearer token' });
    fakeFetch(() => Promise.reject(new TypeError('Failed to fetch')));
    await expect(client.request('GET', '/')).rejects.toMatchObject({ code: 'unreachable' });
  });
});
