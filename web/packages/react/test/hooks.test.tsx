import { act, cleanup, render, screen } from '@testing-library/react';
import { StrictMode, useEffect, useRef, useState } from 'react';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as api from '../src/index.js';
import { fakeFetch, type FakeSocket, freshUrl, newest, settle, sockets } from './fake.js';

vi.mock('socket.io-client', () => import('./fake.js'));
const { ProjectProvider, RealtimeProvider } = api;
const P = 'proj-1';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.runOnlyPendingTimers();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const joined = (users: object[] = [{ user_id: 'anna', name: 'Anna' }], seq = 0) => ({ project_id: P, message: `Joined project ${P}`, seq, users });
const people = [
  { user_id: 'anna', name: 'Anna' },
  { user_id: 'ben', name: 'Ben', state: { cell: 'a1' } },
];

/** A component inside a project, mounted twice as StrictMode does, connected and joined. */
async function inProject(Inside: () => React.ReactNode, { users = people as object[], presence, seq }: { users?: object[]; presence?: api.Presence; seq?: number } = {}) {
  const url = freshUrl();
  const tree = () => (
    <StrictMode>
      <RealtimeProvider url={url} getToken={() => 'token'}>
        <ProjectProvider projectId={P} initialPresence={presence} initialSeq={seq}>
          <Inside />
        </ProjectProvider>
      </RealtimeProvider>
    </StrictMode>
  );
  const view = render(tree());
  await act(settle);
  const socket = newest();
  await act(async () => {
    socket.accept('anna');
    socket.says('joined_project', joined(users, seq ?? 0));
    await settle();
  });
  return { ...view, socket, again: () => view.rerender(tree()) };
}
const say = (socket: FakeSocket, name: string, data: unknown) =>
  act(async () => {
    socket.says(name, data);
    await settle();
  });
const pass = (ms: number) => act(async () => void (await vi.advanceTimersByTimeAsync(ms)));

describe('providers', () => {
  it('StrictMode makes one socket and one join, and leaves and closes once', async () => {
    const n = sockets.length;
    const { socket, unmount, again } = await inProject(() => null);
    again();
    await pass(3000);
    expect(sockets.length).toBe(n + 1);
    expect(socket.auths).toEqual([{ token: 'token', projects: [P] }]);
    expect(socket.got('join_project')).toEqual([]);
    expect(socket.got('leave_project')).toEqual([]);
    unmount();
    await pass(600);
    expect(socket.got('leave_project')).toEqual([{ project_id: P }]);
    expect(socket.connected).toBe(true);
    await pass(1000);
    expect(socket.connected).toBe(false);
  });

  it('from one project to another and back in time: the first is not left', async () => {
    let go!: (id: string) => void;
    const App = () => {
      const [id, setId] = useState(P);
      go = setId;
      return (
        <ProjectProvider projectId={id}>
          <i />
        </ProjectProvider>
      );
    };
    render(
      <RealtimeProvider url={freshUrl()} getToken={() => 't'}>
        <App />
      </RealtimeProvider>,
    );
    await act(settle);
    await act(async () => newest().accept());
    act(() => go('proj-2'));
    expect(newest().got('join_project')).toEqual([{ project_id: 'proj-2' }]);
    act(() => go(P));
    await pass(2000);
    expect(newest().got('leave_project')).toEqual([{ project_id: 'proj-2' }]);
  });

  it('render on a server without a socket, and say so', () => {
    const n = sockets.length;
    vi.stubGlobal('window', undefined);
    const Inside = () => {
      const { others } = api.useMembers();
      const { typing } = api.useTyping('x');
      const { items } = api.useNotifications();
      const { cursors } = api.useCursors<api.Point>({ toPoint: (p) => p });
      return <p>{`${api.useStatus()} ${api.useProject().status} ${others.length} ${typing.length} ${items.length} ${cursors.length} ${api.useSocket()}`}</p>;
    };
    const html = renderToString(
      <RealtimeProvider url="http://ssr" getToken={() => 't'}>
        <ProjectProvider projectId={P}>
          <Inside />
        </ProjectProvider>
      </RealtimeProvider>,
    );
    expect(html).toBe('<p>initial joining 0 0 0 0 null</p>');
    expect(sockets.length).toBe(n);
  });

  it('hooks outside of their provider say which one is missing', () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const One = () => <>{api.useStatus()}</>;
    const Two = () => <>{api.useProject().status}</>;
    expect(() => render(<One />)).toThrow(/RealtimeProvider/);
    expect(() =>
      render(
        <RealtimeProvider url={freshUrl()} getToken={() => null}>
          <Two />
        </RealtimeProvider>,
      ),
    ).toThrow(/ProjectProvider/);
  });
});

describe('status and project', () => {
  it('useStatus and useConnection follow the connection', async () => {
    const Show = () => {
      const { status, userId, error } = api.useConnection();
      return <p>{`${api.useStatus()}/${status} ${userId} ${error?.code}`}</p>;
    };
    const { socket } = await inProject(Show);
    screen.getByText('connected/connected anna undefined');
    await act(async () => socket.drop());
    screen.getByText('reconnecting/reconnecting anna unreachable');
    await act(async () => socket.drop('io server disconnect'));
  });

  it('useProject: joined; denied with the guide’s sentence; revoked', async () => {
    const Show = () => {
      const { status, error, joined } = api.useProject();
      return <p>{`${status} ${joined} ${error?.message}`}</p>;
    };
    const { socket } = await inProject(Show);
    screen.getByText('joined true undefined');
    await say(socket, 'access:revoked', { project_id: P });
    screen.getByText('revoked false undefined');
    cleanup();
    const url = freshUrl();
    render(
      <RealtimeProvider url={url} getToken={() => 't'}>
        <ProjectProvider projectId={P}>
          <Show />
        </ProjectProvider>
      </RealtimeProvider>,
    );
    await act(settle);
    await act(async () => newest().accept());
    await say(newest(), 'error', { message: 'Access denied to project', code: 'access_denied', project_id: P });
    screen.getByText('denied false Access denied to project');
  });

  it('a join that the server cannot answer now is tried again, more and more slowly; one without access is not', async () => {
    const Show = () => {
      const { status, error } = api.useProject();
      return <p>{`${status} ${error?.code}`}</p>;
    };
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const { socket } = await inProject(Show);
    screen.getByText('joined undefined');
    await act(async () => socket.drop());
    const unavailable = { message: 'Access to the project could not be checked: try again in a moment', code: 'unavailable' };
    const refusals: { code: string; message: string }[] = [unavailable, { code: 'rate_limited', message: 'Too many events' }, unavailable];
    socket.answers['join_project'] = () => {
      const error = refusals.shift();
      if (!error) return { ok: true };
      if (error === unavailable) socket.says('error', { ...error, project_id: P });
      return { ok: false, error };
    };
    await act(async () => {
      socket.attempt();
      await settle();
      socket.accept();
      socket.says('error', { ...unavailable, project_id: P }); // the answer to what went along with the handshake
    });
    screen.getByText('joining unavailable');
    const joins = () => socket.got('join_project').length;
    await pass(650);
    expect(joins()).toBe(1);
    await pass(700);
    expect(joins()).toBe(1);
    await pass(600);
    expect(joins()).toBe(2);
    screen.getByText('joining rate_limited');
    await pass(8000);
    expect(joins()).toBe(4);
    await say(socket, 'joined_project', joined());
    screen.getByText('joined undefined');
    await pass(30000);
    expect(joins()).toBe(4);

    await act(async () => {
      socket.drop();
      socket.attempt();
      await settle();
      socket.accept();
      socket.says('error', { message: 'Access denied to project', code: 'access_denied', project_id: P });
    });
    await pass(30000);
    screen.getByText('denied access_denied');
    expect(joins()).toBe(4);
  });

  it('a join whose answer is lost is said again', async () => {
    render(
      <RealtimeProvider url={freshUrl()} getToken={() => 't'}>
        <ProjectProvider projectId={P}>
          <ProjectProvider projectId="proj-2" />
        </ProjectProvider>
      </RealtimeProvider>,
    );
    await act(settle);
    const socket = newest();
    await act(async () => socket.accept());
    await say(socket, 'joined_project', joined());
    await say(socket, 'error', { message: 'later', code: 'unavailable', project_id: 'proj-2' });
    await pass(700);
    expect(socket.got('join_project')).toEqual([{ project_id: 'proj-2' }]);
    await pass(12000);
    expect(socket.got('join_project').length).toBe(2);
  });
});

describe('useEvent', () => {
  it('calls the newest handler, once under StrictMode, for the own project and for none', async () => {
    const seen: string[] = [];
    let setName!: (name: string) => void;
    const Inside = () => {
      const [name, set] = useState('one');
      setName = set;
      api.useEvent('task:updated', (data) => seen.push(`${name} ${data.task_id}`));
      api.useEvent('notification:new', (data) => seen.push(`notification ${data.id}`));
      api.useEvent('site:weather', (data) => seen.push(`weather ${JSON.stringify(data)}`));
      return null;
    };
    const { socket } = await inProject(Inside);
    const update = (project_id: string, task_id: number, seq: number) => say(socket, 'task:updated', { project_id, task_id, updates: {}, updated_by: 'ben', seq });
    await update(P, 1, 1);
    await update('another', 2, 1);
    act(() => setName('two'));
    await update(P, 3, 2);
    await say(socket, 'notification:new', { id: 7 });
    await say(socket, 'site:weather', { wind: 12.5 });
    expect(seen).toEqual(['one 1', 'two 3', 'notification 7', 'weather {"wind":12.5}']);
  });

  it('missed events come from the history, before live ones, each once; useProject counts them', async () => {
    const seen: string[] = [];
    const Inside = () => {
      api.useEvent('task:updated', (data, { missed, created_at }) => seen.push(`${data.task_id}${missed ? ' missed' : ''}${created_at ? ` at ${created_at}` : ''}`));
      const { caughtUp, isCatchingUp } = api.useProject();
      return <p>{isCatchingUp ? 'catching up' : `caught up ${caughtUp?.changes}`}</p>;
    };
    const { socket } = await inProject(Inside, { seq: 1 });
    const event = (seq: number) => ({ project_id: P, task_id: seq, updates: {}, updated_by: 'ben', seq });
    await say(socket, 'task:updated', event(2));
    const calls = fakeFetch(() => ({ body: { items: [3, 4].map((seq) => ({ seq, type: 'task:updated', data: event(seq), created_at: `2026-11-28T00:00:0${seq}Z` })), oldest_seq: 1, last_seq: 4, next_after: null, must_reload: false } }));
    await act(async () => socket.drop());
    await act(async () => {
      socket.attempt();
      await settle();
      socket.accept();
      socket.says('joined_project', joined(people, 4));
      socket.says('task:updated', event(5)); // live, while the history is being read
      socket.says('task:updated', event(4)); // and one that the history has, too
    });
    await act(settle);
    expect(calls.map((c) => c.path.replace(/^.*\/api/, ''))).toEqual([`/projects/${P}/events?after=2&limit=1000`]);
    expect(seen).toEqual(['2', '3 missed at 2026-11-28T00:00:03Z', '4 missed at 2026-11-28T00:00:04Z', '5 missed']);
    screen.getByText('caught up 3');
  });

  it('who leaves and comes back hears what came meanwhile, each once, however long it was', async () => {
    const seen: string[] = [];
    let go!: (id: string) => void;
    const Inside = () => {
      api.useEvent('task:updated', (data, { missed }) => seen.push(`${data.task_id}${missed ? ' missed' : ''}`));
      return null;
    };
    const App = () => {
      const [id, setId] = useState(P);
      go = setId;
      return (
        <ProjectProvider key={id} projectId={id} initialSeq={1}>
          {id === P && <Inside />}
        </ProjectProvider>
      );
    };
    render(
      <StrictMode>
        <RealtimeProvider url={freshUrl()} getToken={() => 't'}>
          <App />
        </RealtimeProvider>
      </StrictMode>,
    );
    await act(settle);
    const socket = newest();
    const event = (seq: number) => ({ project_id: P, task_id: seq, updates: {}, updated_by: 'ben', seq });
    let last = 2;
    const calls = fakeFetch((path) => {
      const after = Number(/after=(\d+)/.exec(path)![1]);
      const items = Array.from({ length: last - after }, (_, i) => ({ seq: after + 1 + i, type: 'task:updated', data: event(after + 1 + i) }));
      return { body: { items, oldest_seq: 1, last_seq: last, next_after: null, must_reload: false } };
    });
    await act(async () => socket.accept());
    await say(socket, 'joined_project', joined(people, 1));
    await say(socket, 'task:updated', event(2));
    act(() => go('proj-2'));
    await say(socket, 'task:updated', event((last = 3)));
    act(() => go(P));
    await act(settle);
    await say(socket, 'task:updated', event((last = 4)));
    expect(seen).toEqual(['2', '3 missed', '4']);

    act(() => go('proj-2'));
    await pass(2000);
    last = 6;
    act(() => go(P));
    await say(socket, 'joined_project', joined(people, 6));
    await act(settle);
    expect(seen).toEqual(['2', '3 missed', '4', '5 missed', '6 missed']);
    expect([...new Set(calls.map((c) => /after=(\d+)/.exec(c.path)![1]))]).toEqual(['2', '4']); // StrictMode asks twice
  });

  it('who comes back with lists that are newer hears only what came after them', async () => {
    const seen: number[] = [];
    const url = freshUrl();
    const Inside = () => {
      api.useEvent('task:updated', (data) => seen.push(Number(data.task_id)));
      return null;
    };
    const tree = (seq: number | null) => (
      <RealtimeProvider url={url} getToken={() => 't'}>
        {seq !== null && (
          <ProjectProvider projectId={P} initialSeq={seq}>
            <Inside />
          </ProjectProvider>
        )}
      </RealtimeProvider>
    );
    const { rerender } = render(tree(0));
    await act(settle);
    const socket = newest();
    const calls = fakeFetch(() => ({ body: { items: [3].map((seq) => ({ seq, type: 'task:updated', data: { task_id: seq } })), oldest_seq: 1, last_seq: 3, next_after: null, must_reload: false } }));
    await act(async () => socket.accept());
    await say(socket, 'joined_project', joined(people, 0));
    rerender(tree(null));
    for (const seq of [1, 2, 3]) await say(socket, 'task:updated', { project_id: P, task_id: seq, seq });
    rerender(tree(2));
    await act(settle);
    expect(calls.map((c) => /after=(\d+)/.exec(c.path)![1])).toEqual(['2']);
    expect(seen).toEqual([3]);
  });

  it('useReload is told when the history does not reach back', async () => {
    const seen: unknown[] = [];
    const Inside = () => {
      api.useReload((seq) => seen.push(seq));
      return null;
    };
    const { socket } = await inProject(Inside, { seq: 3 });
    fakeFetch(() => ({ body: { items: [], oldest_seq: 50, last_seq: 60, next_after: null, must_reload: true } }));
    await act(async () => socket.drop());
    await act(async () => {
      socket.accept();
      socket.says('joined_project', joined(people, 60));
      await settle();
    });
    expect(seen).toEqual([60]);
  });

  it('useLostConnection: lost, and restored with what was missed', async () => {
    const seen: unknown[] = [];
    const Inside = () => {
      api.useLostConnection((change, { missed }) => seen.push([change, missed]));
      return null;
    };
    const { socket } = await inProject(Inside, { seq: 0 });
    fakeFetch(() => ({ body: { items: [{ seq: 1, type: 'x', data: {} }], oldest_seq: 1, last_seq: 1, next_after: null, must_reload: false } }));
    await act(async () => socket.drop());
    await pass(5001);
    await act(async () => {
      socket.accept();
      socket.says('joined_project', joined(people, 1));
      await settle();
    });
    expect(seen).toEqual([['lost', 0], ['restored', 1]]);
  });
});

describe('useEmit', () => {
  it('gives the answer, and sends volatile ones without', async () => {
    let emit!: api.Emit;
    const { socket } = await inProject(() => {
      emit = api.useEmit();
      return null;
    });
    socket.answers['presence:list'] = () => ({ ok: true, project_id: P, users: [] });
    expect((await emit('presence:list', { project_id: P })).users).toEqual([]);
    emit.volatile('cursor:move', { project_id: P, cursor: 1 });
    expect(socket.sent.at(-1)).toEqual({ name: 'cursor:move', data: { project_id: P, cursor: 1 }, isVolatile: true });
    const late = expect(emit('typing:start', { project_id: P }, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'timeout' });
    await pass(51);
    await late;
  });
});

describe('people', () => {
  it('useMembers: self, others, who comes (with a name as soon as it is known) and goes', async () => {
    const Show = () => {
      const { self, others, members } = api.useMembers();
      return <p>{`${self?.name} | ${others.map((o) => o.name).join(',')} | ${members.length}`}</p>;
    };
    const { socket } = await inProject(Show);
    screen.getByText('Anna | Ben | 2');
    socket.answers['presence:list'] = () => {
      socket.says('presence:state', { project_id: P, users: [...people, { user_id: 'mara', name: 'Mara', connections: 1, joined_at: '' }] });
      return { ok: true };
    };
    await say(socket, 'user:joined', { user_id: 'mara', project_id: P });
    await pass(300);
    screen.getByText('Anna | Ben,Mara | 3');
    await say(socket, 'user:left', { user_id: 'ben', project_id: P });
    screen.getByText('Anna | Mara | 2');
  });

  it('useOthers with a selector renders only when what it selects changes', async () => {
    let renders = 0;
    const Show = () => {
      renders++;
      const cells = api.useOthers<{ cell?: string; idle?: boolean }, (string | undefined)[]>((others) => others.map((o) => o.presence?.cell));
      return <p>{cells.join()}</p>;
    };
    const { socket } = await inProject(Show);
    screen.getByText('a1');
    const before = renders;
    await say(socket, 'presence:updated', { project_id: P, user_id: 'ben', state: { cell: 'a1', idle: true } });
    expect(renders).toBe(before);
    await say(socket, 'presence:updated', { project_id: P, user_id: 'ben', state: { cell: 'b2' } });
    await pass(20);
    screen.getByText('b2');
    expect(renders).toBeGreaterThan(before);
  });

  it('many who leave at once are drawn as one change', async () => {
    let renders = 0;
    const Show = () => {
      renders++;
      return <p>{api.useMembers().members.length} here</p>;
    };
    const users = Array.from({ length: 60 }, (_, i) => ({ user_id: `user-${i}`, name: `User ${i}` }));
    const { socket } = await inProject(Show, { users: [...people, ...users] });
    const before = renders;
    for (const { user_id } of users) await say(socket, 'user:left', { project_id: P, user_id });
    await pass(20);
    screen.getByText('2 here');
    expect(renders - before).toBeLessThan(10);
  });

  it('useOthers asks the selector that is there now: it may read other props than before', async () => {
    let choose!: (id: string) => void;
    const Show = () => {
      const [id, set] = useState('nobody');
      choose = set;
      const chosen = api.useOthers<{ cell?: string }, string>((others) => others.find((o) => o.userId === id)?.name ?? 'none');
      return <p>{chosen}</p>;
    };
    await inProject(Show);
    screen.getByText('none');
    act(() => choose('ben'));
    screen.getByText('Ben');
  });

  it('useSelf with a selector renders only when what it selects of oneself changes', async () => {
    let renders = 0;
    const Show = () => {
      renders++;
      return <p>{String(api.useSelf<{ cell?: string }, string | undefined>((self) => self.presence?.cell))}</p>;
    };
    const { socket } = await inProject(Show);
    screen.getByText('undefined');
    const before = renders;
    await say(socket, 'presence:updated', { project_id: P, user_id: 'ben', state: { cell: 'b1' } });
    await pass(20);
    expect(renders).toBe(before);
    await say(socket, 'presence:updated', { project_id: P, user_id: 'anna', state: { cell: 'a9' } });
    await pass(20);
    screen.getByText('a9');
    await say(socket, 'access:revoked', { project_id: P });
    screen.getByText('null');
  });

  it('useMyPresence: the initial one goes out with the join, parts are merged, the last of many wins; said again after a new session', async () => {
    let update!: (part: { cell?: string; idle?: boolean }) => void;
    const Inside = () => {
      const [mine, set] = api.useMyPresence<{ cell?: string; idle?: boolean }>();
      update = set;
      return <p>{JSON.stringify(mine)}</p>;
    };
    const { socket } = await inProject(Inside, { presence: { cell: 'a1' } });
    const state = () => socket.got('presence:update').map((d) => (d as { state: unknown }).state);
    expect(state()).toEqual([{ cell: 'a1' }]);
    await pass(100);
    act(() => {
      update({ cell: 'a2' });
      update({ cell: 'a3' });
      update({ idle: true });
      update({ idle: true });
    });
    await pass(100);
    expect(state()).toEqual([{ cell: 'a1' }, { cell: 'a2' }, { cell: 'a3', idle: true }]);
    screen.getByText('{"cell":"a3","idle":true}');
    await act(async () => {
      socket.drop();
      socket.accept();
      socket.says('joined_project', joined());
    });
    await pass(100);
    expect(state().length).toBe(4);
  });
});

describe('the initial presence', () => {
  it('is there in the first render, and what a child sets in an effect lies over it', async () => {
    const seen: unknown[] = [];
    const Inside = () => {
      const [mine, update] = api.useMyPresence<{ tab: string; cell: string | null }>();
      seen.push(mine);
      useEffect(() => update({ tab: 'tasks' }), [update]);
      return null;
    };
    const { socket } = await inProject(Inside, { presence: { tab: 'boq', cell: null } });
    expect(seen[0]).toEqual({ tab: 'boq', cell: null });
    expect(seen.at(-1)).toEqual({ tab: 'tasks', cell: null });
    expect(socket.got('presence:update')).toEqual([{ project_id: P, state: { tab: 'tasks', cell: null } }]);
  });
});

describe('useTyping', () => {
  it('tells who types at that target, not oneself, until they stop', async () => {
    const Show = () => {
      const { typing } = api.useTyping({ item: 'i' });
      return <p>{typing.map((m) => m.name).join() || 'nobody'}</p>;
    };
    const { socket } = await inProject(Show);
    const typing = (user_id: string, target: unknown, name = 'typing:started') => say(socket, name, { project_id: P, user_id, target });
    await typing('ben', { item: 'i' });
    await typing('anna', { item: 'i' });
    screen.getByText('Ben');
    await typing('ben', { item: 'j' }); // somewhere else now
    screen.getByText('nobody');
    await typing('ben', { item: 'i' });
    await typing('ben', { item: 'i' }, 'typing:stopped');
    screen.getByText('nobody');
    await typing('ben', { item: 'i' });
    await pass(6001); // the end was lost on the way
    screen.getByText('nobody');
    await typing('ben', { item: 'i' });
    await act(async () => socket.drop());
    screen.getByText('nobody');
  });

  it('start is said once and renewed while one types; a pause stops', async () => {
    let own!: { start(): void; stop(): void };
    const { socket } = await inProject(() => {
      own = api.useTyping('box');
      return null;
    });
    for (let i = 0; i < 8; i++) {
      act(() => own.start());
      await pass(500);
    }
    expect(socket.got('typing:start').length).toBe(2);
    await pass(2600);
    expect(socket.got('typing:stop')).toEqual([{ project_id: P, target: 'box' }]);
    act(() => own.stop());
    expect(socket.got('typing:stop').length).toBe(1);
  });
});

describe('useCursors', () => {
  type C = { x: number; y: number };
  const setUp = async (onRender = () => {}, onAsked: (() => void) | undefined = undefined) => {
    let move!: (cursor: C | null) => void;
    const Inside = () => {
      onRender();
      const cursors = api.useCursors<C>({ toPoint: (c) => (onAsked?.(), c.x < 0 ? null : c), restMs: 5000 });
      move = cursors.move;
      return cursors.cursors.map((c) => (
        <div key={c.userId} ref={c.ref} data-testid={c.userId}>
          {c.name}
        </div>
      ));
    };
    const view = await inProject(Inside);
    const moved = (x: number, user_id = 'ben') => view.socket.says('cursor:moved', { project_id: P, user_id, cursor: { x, y: 0 } });
    return { ...view, moved, move: (c: C | null) => move(c) };
  };
  const xOf = (element: HTMLElement) => Number(/translate\((-?[\d.]+)px/.exec(element.style.transform)?.[1]);

  it('glides there without rendering, carries a name at first, rests after a while, and goes', async () => {
    let renders = 0;
    vi.stubGlobal('matchMedia', () => ({ matches: false }));
    const { moved, socket } = await setUp(() => renders++);
    await act(async () => moved(0));
    await pass(50);
    const ben = screen.getByTestId('ben');
    expect(ben.textContent).toBe('Ben');
    expect(ben.hasAttribute('data-named')).toBe(true);
    const before = renders;
    moved(100);
    await pass(20);
    expect(xOf(ben)).toBeGreaterThan(0);
    expect(xOf(ben)).toBeLessThan(100);
    await pass(600);
    expect(xOf(ben)).toBe(100);
    await pass(2000);
    expect(ben.hasAttribute('data-named')).toBe(false);
    expect(ben.hasAttribute('data-resting')).toBe(false);
    await pass(3000);
    expect(ben.hasAttribute('data-resting')).toBe(true);
    moved(-1); // out of sight
    await pass(50);
    expect(ben.style.visibility).toBe('hidden');
    expect(renders).toBe(before);
    await say(socket, 'user:left', { user_id: 'ben', project_id: P });
    expect(screen.queryByTestId('ben')).toBeNull();
  });

  it('goes when its owner has left while one was away', async () => {
    vi.stubGlobal('matchMedia', () => ({ matches: false }));
    const { moved, socket } = await setUp();
    await act(async () => moved(0));
    screen.getByTestId('ben');
    await act(async () => socket.drop());
    await act(async () => socket.accept());
    screen.getByTestId('ben'); // as far as one knows
    await say(socket, 'joined_project', joined());
    expect(screen.queryByTestId('ben')).toBeNull();
  });

  it('with reduced motion it jumps', async () => {
    vi.stubGlobal('matchMedia', () => ({ matches: true }));
    const { moved } = await setUp();
    await act(async () => moved(0));
    await pass(50);
    moved(100);
    await pass(20);
    expect(xOf(screen.getByTestId('ben'))).toBe(100);
  });

  it('asks where they are once a frame, and leaves every second frame out where frames are slow', async () => {
    let frameMs = 16, frames = 0;
    const asked: number[] = [];
    vi.stubGlobal('matchMedia', () => ({ matches: false }));
    vi.stubGlobal('requestAnimationFrame', (draw: (at: number) => void) => setTimeout(() => (frames++, draw(performance.now())), frameMs));
    vi.stubGlobal('cancelAnimationFrame', clearTimeout);
    let x = 0;
    const { moved } = await setUp(undefined, () => asked.push(frames));
    await act(async () => moved(0));
    // Of the frames of the next n ms, the share in which something was drawn; it moves each millisecond.
    const drawn = async (n: number) => {
      const [from, before] = [frames, asked.length];
      for (let i = 0; i < n; i++) {
        moved(++x);
        await pass(1);
      }
      return (asked.length - before) / (frames - from);
    };
    expect(await drawn(800)).toBeCloseTo(1, 1);
    expect(new Set(asked).size).toBe(asked.length); // once in each frame, whatever came
    frameMs = 40;
    await drawn(800); // it takes some to judge
    expect(await drawn(800)).toBeCloseTo(0.5, 1);
    frameMs = 16;
    await drawn(3500);
    expect(await drawn(800)).toBeCloseTo(1, 1); // tried again, and good
  });

  it('the own one is sent at most every 33 ms, volatile, the last never lost', async () => {
    vi.stubGlobal('matchMedia', () => ({ matches: false }));
    const { socket, move } = await setUp();
    const sent = () => socket.sent.filter((s) => s.name === 'cursor:move' && (s.data as { cursor: unknown }).cursor !== null);
    const n = sent().length;
    for (let x = 1; x <= 100; x++) {
      move({ x, y: 0 });
      await pass(1);
    }
    await pass(50);
    expect(sent().length - n).toBeGreaterThanOrEqual(3);
    expect(sent().length - n).toBeLessThanOrEqual(5);
    expect(sent().at(-1)).toMatchObject({ isVolatile: true, data: { cursor: { x: 100 } } });
  });
});

describe('useCursor', () => {
  it('sends where the pointer is over an element, and that it has left', async () => {
    const Inside = () => {
      const ref = useRef<HTMLDivElement>(null);
      api.useCursor(ref);
      return <div ref={ref} data-testid="board" />;
    };
    const { socket } = await inProject(Inside);
    const board = screen.getByTestId('board');
    board.getBoundingClientRect = () => ({ left: 100, top: 50 }) as DOMRect;
    const last = () => (socket.got('cursor:move').at(-1) as { cursor: unknown }).cursor;
    board.dispatchEvent(new MouseEvent('pointermove', { clientX: 103, clientY: 54 }));
    expect(last()).toEqual({ x: 3, y: 4 });
    board.dispatchEvent(new MouseEvent('pointerleave'));
    await pass(50);
    expect(last()).toBeNull();
  });
});

describe('useNotifications', () => {
  it('has those that are kept and new ones; reading is told to the server', async () => {
    const fresh: string[] = [];
    let own!: api.Notifications;
    const calls = fakeFetch((path) => (path.includes('limit=') ? { body: { items: [{ id: 1, data: { message: 'old' }, created_at: '', read_at: null }], unread: 1 } } : { body: {} }));
    const Show = () => {
      own = api.useNotifications({ onNew: (n) => fresh.push(String(n.data.message)) });
      return <p>{`${own.unread}: ${own.items.map((n) => n.data.message).join()}`}</p>;
    };
    const { socket } = await inProject(Show);
    screen.getByText('1: old');
    await say(socket, 'notification:new', { id: 2, message: 'new' });
    await say(socket, 'notification:new', { id: 2, message: 'new' });
    screen.getByText('2: new,old');
    expect(fresh).toEqual(['new']);
    await act(() => own.markRead(2));
    screen.getByText('1: new,old');
    expect(calls.at(-1)!.path).toMatch(/\/api\/notifications\/2\/read$/);
    await act(() => own.markAllRead());
    expect(calls.some((c) => c.path.endsWith('/read-all'))).toBe(true);
  });
});

describe('useNotifications, when a list is on its way', () => {
  it('keeps what comes live meanwhile', async () => {
    let arrive!: (answer: { body: unknown }) => void;
    fakeFetch(() => new Promise((resolve) => (arrive = resolve as never)));
    const Show = () => {
      const { unread, items } = api.useNotifications();
      return <p>{`${unread}: ${items.map((n) => n.id).join()}`}</p>;
    };
    const { socket } = await inProject(Show);
    await say(socket, 'notification:new', { id: 5, message: 'live' });
    await act(async () => {
      arrive({ body: { items: [{ id: 4, data: {}, created_at: '', read_at: null }], unread: 1 } });
      await settle();
    });
    screen.getByText('2: 5,4');
  });
});

describe('useOptimistic', () => {
  it('shows a change at once and takes it back on 409', async () => {
    type Row = { id: string; qty: string; version: number };
    const base: Row[] = [{ id: 'a', qty: '1', version: 1 }];
    let rows!: api.OptimisticRows<Row>;
    const keys = { keyOf: (r: Row) => r.id, versionOf: (r: Row) => r.version };
    await inProject(() => {
      rows = api.useOptimistic(base, keys);
      return <p>{rows.rows.map((r) => `${r.qty}${rows.isPending(r, 'qty') ? '*' : ''}`).join()}</p>;
    });
    let refuse!: (error: unknown) => void;
    let outcome: unknown;
    act(() => void rows.change(base[0]!, { qty: '5' }, () => new Promise((_, reject) => (refuse = reject))).then((o) => (outcome = o)));
    await act(settle);
    screen.getByText('5*');
    await act(async () => {
      refuse(new api.RealtimeError('outdated', 'conflict', { status: 409, current: { id: 'a', qty: '3', version: 2 } }));
      await settle();
    });
    screen.getByText('3');
    expect(outcome).toMatchObject({ ok: false, theirs: { qty: '3' }, mine: { qty: '5' } });
  });
});
