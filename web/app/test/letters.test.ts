// Comments and tasks on their way: kept, in order, once, and never lost without a word.
import { RealtimeError } from '@skybuild/realtime-react';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Task } from '../src/lib/api';
import { laidOver, type LetterHooks, Letters } from '../src/lib/letters';

const { disk } = vi.hoisted(() => ({ disk: new Map<string, unknown>() }));
vi.mock('idb-keyval', () => ({ get: async (key: string) => structuredClone(disk.get(key)), update: async (key: string, make: (old: unknown) => unknown) => void disk.set(key, structuredClone(make(structuredClone(disk.get(key))))) }));

const task = (more: Partial<Task> = {}): Task => ({ task_id: 7, title: 'Crane', description: '', status: 'todo', assignee_id: null, due_date: null, position: 1, item_id: null, version: 3, updated_by: 'anna', ...more });
const settle = () => vi.advanceTimersByTimeAsync(0);

interface Call {
  method: string;
  path: string;
  body: Record<string, unknown>;
  key: string;
}

/** A server that answers as the test says. */
function make(answer: (call: Call, n: number) => unknown, { row = task() as Task | null, isConnected = true, isRead = true } = {}) {
  const calls: Call[] = [];
  const got: unknown[] = [];
  let connect!: () => void;
  const connection = new Promise<void>((resolve) => (connect = resolve));
  const state = { isConnected, row };
  const hooks: LetterHooks = {
    request: (async (method: string, path: string, body: Record<string, unknown>, options: { idempotencyKey: string }) => {
      const call = { method, path, body, key: options.idempotencyKey };
      calls.push(call);
      const said = answer(call, calls.length);
      if (said instanceof Error) throw said;
      return said;
    }) as LetterHooks['request'],
    connected: () => (state.isConnected ? null : connection),
    taskOf: () => state.row ?? undefined,
    nameOf: (id) => ({ ben: 'Ben' })[id] ?? id,
    onComment: (r) => got.push(r),
    onTask: (r) => (got.push(r), (state.row = r)),
  };
  const letters = new Letters('s', 'p 1', hooks);
  if (isRead) void letters.restore();
  return { letters, calls, got, state, connect: () => ((state.isConnected = true), connect()) };
}

beforeEach(() => {
  disk.clear();
  vi.useFakeTimers();
});

describe('letters', () => {
  it('are kept while there is no connection, and go out in order when there is', async () => {
    const { letters, calls, got, connect } = make(({ body }) => ({ ...body, done: true }), { isConnected: false });
    letters.post({ kind: 'comment', body: { text: 'one' } });
    letters.post({ kind: 'task', body: { title: 'two' } });
    await settle();
    expect(calls).toEqual([]);
    expect((disk.get('s') as unknown[]).length).toBe(2);
    connect();
    await settle();
    expect(calls.map((c) => [c.method, c.path])).toEqual([['POST', '/api/projects/p%201/comments'], ['POST', '/api/projects/p%201/tasks']]);
    expect(got).toEqual([{ text: 'one', done: true }, { title: 'two', done: true }]);
    expect([letters.list(), disk.get('s')]).toEqual([[], []]);
  });

  it('repeat with the same key until there is an answer', async () => {
    const { letters, calls } = make((_, n) => (n < 3 ? new RealtimeError('away', n === 1 ? 'unreachable' : 'unavailable', n === 1 ? {} : { status: 503 }) : {}));
    letters.post({ kind: 'comment', body: { text: 'one' } });
    await vi.advanceTimersByTimeAsync(5000);
    expect(calls.length).toBe(3);
    expect(new Set(calls.map((c) => c.key)).size).toBe(1);
    expect(letters.list()).toEqual([]);
  });

  it('of an earlier page go first, with the keys they had', async () => {
    const first = make(() => ({}), { isConnected: false });
    first.letters.post({ kind: 'comment', body: { text: 'old' } });
    const [old] = first.letters.list();
    const { letters, calls } = make(() => ({}), { isRead: false });
    letters.post({ kind: 'comment', body: { text: 'new' } }); // before the page has read what there is
    await settle();
    expect(calls).toEqual([]);
    expect((disk.get('s') as unknown[]).length).toBe(2);
    await letters.restore();
    await letters.restore();
    await settle();
    expect(calls.map((c) => c.body.text)).toEqual(['old', 'new']);
    expect(calls[0]!.key).toBe(old!.key);
  });

  it('of two windows do not write over each other', async () => {
    const [one, other] = [make(() => ({}), { isConnected: false }), make(() => ({}), { isConnected: false })];
    await settle();
    one.letters.post({ kind: 'comment', body: { text: 'one' } });
    other.letters.post({ kind: 'comment', body: { text: 'other' } });
    await settle();
    one.letters.discard(one.letters.list()[0]!.key);
    expect(disk.get('s')).toMatchObject([{ body: { text: 'other' } }]);
  });

  it('that are refused stay with the reason, let the others pass, and go again with another key', async () => {
    const { letters, calls } = make(({ body }, n) => (body.text === 'bad' && n < 3 ? new RealtimeError('too long', 'invalid', { status: 422 }) : {}));
    letters.post({ kind: 'comment', body: { text: 'bad' } });
    letters.post({ kind: 'comment', body: { text: 'good' } });
    await settle();
    expect(letters.list()).toMatchObject([{ body: { text: 'bad' }, refusal: 'too long' }]);
    expect((disk.get('s') as unknown[]).length).toBe(1);
    letters.again(letters.list()[0]!.key);
    await settle();
    expect(letters.list()).toEqual([]);
    expect(calls[2]!.key).not.toBe(calls[0]!.key);
  });
});

describe('changes of tasks', () => {
  const conflict = (current: Task) => new RealtimeError('outdated', 'conflict', { status: 409, current });
  const change = { kind: 'change', taskId: 7, body: { status: 'done' }, was: { status: 'todo' } } as const;

  it('go through when something else of the task was changed meanwhile', async () => {
    const { letters, calls } = make((call, n) => (n === 1 ? conflict(task({ title: 'Tower crane', version: 4 })) : task({ ...call.body, version: 5 })));
    letters.post(change);
    await settle();
    expect(calls.map((c) => [c.method, c.body])).toEqual([['PATCH', { status: 'done', version: 3 }], ['PATCH', { status: 'done', version: 4 }]]);
    expect(new Set(calls.map((c) => c.key)).size).toBe(2); // with another version it is another request
    expect(letters.list()).toEqual([]);
  });

  it('are refused with a name when just that was changed', async () => {
    const { letters } = make(() => conflict(task({ status: 'blocked', version: 4, updated_by: 'ben' })));
    letters.post(change);
    await settle();
    expect(letters.list()).toMatchObject([{ refusal: 'Ben has changed “Crane” meanwhile: it stays as they left it' }]);
    expect(laidOver([task({ status: 'blocked' })], letters.list())[0]!.status).toBe('blocked');
  });

  it('are nothing when it is so already, and refused when the task is gone', async () => {
    const same = make(() => ({}), { row: task({ status: 'done' }) });
    same.letters.post(change);
    await settle();
    expect([same.calls, same.letters.list()]).toEqual([[], []]);
    const gone = make(() => ({}), { row: null });
    gone.letters.post(change);
    await settle();
    expect(gone.letters.list()[0]!.refusal).toBe('the task is not there any more');
  });

  it('show over the tasks, the later over the earlier, until they are answered', () => {
    const { letters } = make(() => ({}), { isConnected: false });
    letters.post(change);
    letters.post({ ...change, body: { status: 'blocked' }, was: { status: 'done' } });
    const other = task({ task_id: 8 });
    const [shown, same] = laidOver([task(), other], letters.list());
    expect(shown!.status).toBe('blocked');
    expect(same).toBe(other);
  });
});
