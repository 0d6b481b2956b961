// The hooks against a real server: what a fake cannot know.
import { act, cleanup, render } from '@testing-library/react';
import { StrictMode } from 'react';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { clientOf } from '../src/client.js';
import * as api from '../src/index.js';
// @ts-expect-error plain JavaScript, made for node --test
import { Server, serverEnv, startServer } from '../../../../tests/server/lib/harness.mjs';

const { ProjectProvider, RealtimeProvider } = api;
const P = 'proj-123';
type Item = { item_id: string; qty: string; version: number };

let server: any;
beforeAll(async () => {
  // No recovery by the protocol: every absence is a long one.
  server = await startServer({ env: { RECOVERY_WINDOW: 0, PRESENCE_GRACE: 50 } });
});
afterAll(() => server?.stop());
afterEach(cleanup);

/** A page of that user, in the project; `see` is called by each render. */
function page(user: string, See: () => React.ReactNode, { getToken = () => server.token(user) as string, project = P, onUnauthorized }: { getToken?: api.GetToken; project?: string; onUnauthorized?: (error: api.RealtimeError) => void } = {}) {
  return render(
    <StrictMode>
      <RealtimeProvider url={server.url} getToken={getToken} onUnauthorized={onUnauthorized} session={`${user}-${Math.random()}`} socketOptions={{ reconnectionDelay: 50, reconnectionDelayMax: 200 }}>
        <ProjectProvider projectId={project}>
          <See />
        </ProjectProvider>
      </RealtimeProvider>
    </StrictMode>,
  );
}
// What throws inside of act() takes the rendering that was due with it: look outside.
const until = (what: () => void) =>
  vi.waitFor(async () => {
    await act(async () => {});
    what();
  }, { timeout: 10000, interval: 20 });
const add = async (id: string, qty = 1) => expect((await server.api('POST', `/api/projects/${P}/boq`, { as: 'ben', body: { item_id: id, qty } })).status).toBe(201);

describe('against a real server', () => {
  it('two people see each other: members, presence, typing, cursors', async () => {
    const seen: Record<string, { others: readonly api.Member<{ cell?: string }>[]; typing: string[]; cursors: string[]; own: ReturnType<typeof api.useTyping>; move: (c: api.Point | null) => void; update: (p: { cell?: string }) => void }> = {};
    vi.stubGlobal('matchMedia', () => ({ matches: false }));
    const Page = (user: string) =>
      function See() {
        const { others } = api.useMembers<{ cell?: string }>();
        const own = api.useTyping('note');
        const { cursors, move } = api.useCursors<api.Point>({ toPoint: (p) => p });
        const [, update] = api.useMyPresence<{ cell?: string }>();
        seen[user] = { others, typing: own.typing.map((t) => t.name), cursors: cursors.map((c) => c.name), own, move, update };
        return null;
      };
    page('anna', Page('anna'));
    const ben = page('ben', Page('ben'));
    await until(() => expect(seen.anna!.others.map((o) => o.name)).toEqual(['Ben']));
    await until(() => expect(seen.ben!.others.map((o) => o.name)).toEqual(['Anna']));
    act(() => {
      seen.ben!.update({ cell: 'a1' });
      seen.ben!.own.start();
    });
    await until(() => {
      act(() => seen.ben!.move({ x: 3, y: 4 })); // volatile: one that meets a busy connection is lost
      expect(seen.anna!.others[0]!.presence).toEqual({ cell: 'a1' });
      expect(seen.anna!.typing).toEqual(['Ben']);
      expect(seen.anna!.cursors).toEqual(['Ben']);
    });
    act(() => seen.ben!.own.stop());
    await until(() => expect(seen.anna!.typing).toEqual([]));
    ben.unmount();
    await until(() => {
      expect(seen.anna!.others).toEqual([]);
      expect(seen.anna!.cursors).toEqual([]);
    });
    vi.unstubAllGlobals();
  });

  it('what was missed in a long absence comes first, once and in order; the token is asked for anew', async () => {
    const events: string[] = [];
    const tokens: string[] = [];
    let project!: api.ProjectView;
    let socket: api.RealtimeSocket | null = null;
    const getToken = () => {
      tokens.push('asked');
      return server.token('anna') as string;
    };
    page('anna', () => {
      project = api.useProject();
      socket = api.useSocket();
      api.useEvent('boq:item:created', (data, { missed }) => events.push(`${data.item_id}${missed ? ' missed' : ''}`));
      return null;
    }, { getToken });
    await until(() => expect(project.joined).toBe(true));
    await add('item-1');
    await until(() => expect(events).toEqual(['item-1']));
    const asked = tokens.length;
    // The network goes, and does not come back while others work.
    const manager = socket!.io as unknown as { engine: { close(): void }; reconnect(): void };
    const away = vi.spyOn(manager, 'reconnect').mockImplementation(() => {});
    act(() => manager.engine.close());
    for (const n of [2, 3, 4]) await add(`item-${n}`);
    expect(events.length).toBe(1);
    away.mockRestore();
    manager.reconnect();
    await until(() => expect(project.caughtUp).not.toBeNull());
    await add('item-5');
    await until(() => expect(events.length).toBe(5));
    expect(events).toEqual(['item-1', 'item-2 missed', 'item-3 missed', 'item-4 missed', 'item-5']);
    expect(project.caughtUp!.changes).toBe(3);
    expect(socket!.recovered).toBeFalsy();
    expect(tokens.length).toBeGreaterThan(asked);
  });

  it('a page that leaves a project and comes back, at once or later, hears what came meanwhile, once', async () => {
    const events: string[] = [];
    let project!: api.ProjectView;
    const See = () => {
      project = api.useProject();
      api.useEvent('boq:item:created', (data) => events.push(data.item_id));
      return null;
    };
    const session = `anna-${Math.random()}`;
    const getToken = () => server.token('anna') as string;
    const tree = (isOpen: boolean) => (
      <RealtimeProvider url={server.url} getToken={getToken} session={session}>
        {isOpen && (
          <ProjectProvider projectId={P}>
            <See />
          </ProjectProvider>
        )}
      </RealtimeProvider>
    );
    const { rerender } = render(tree(true));
    await until(() => expect(project.joined).toBe(true));
    await add('leave-1');
    await until(() => expect(events).toEqual(['leave-1']));
    rerender(tree(false));
    await add('leave-2');
    rerender(tree(true));
    await add('leave-3');
    await until(() => expect(events.length).toBe(3));
    rerender(tree(false));
    const client = clientOf(server.url, session);
    await until(() => expect(client.projects.size).toBe(0)); // left
    await add('leave-4');
    rerender(tree(true));
    await until(() => expect(events.length).toBe(4));
    expect(events).toEqual(['leave-1', 'leave-2', 'leave-3', 'leave-4']);
  });

  it('a server that is killed and started again: nothing is lost', async () => {
    const events: string[] = [];
    let project!: api.ProjectView;
    let status!: api.Status;
    page('anna', () => {
      project = api.useProject();
      status = api.useStatus();
      api.useEvent('boq:item:created', (data) => events.push(data.item_id));
      return null;
    });
    await until(() => expect(project.joined).toBe(true));
    const { dir, env, port } = server;
    server.child.kill('SIGKILL');
    await server.exited;
    await until(() => expect(status).toBe('reconnecting'));
    server = await new Server(dir, { ...env, PORT: port }).listening();
    await add('after-the-kill');
    await until(() => expect(events).toEqual(['after-the-kill']));
    await until(() => expect(status).toBe('connected'));
  });

  it('an optimistic change rolls back on 409, with the row as it is', async () => {
    await add('item-c', 1);
    const item = (await server.api('GET', `/api/projects/${P}/boq/item-c`, { as: 'anna' })).json as Item;
    const rows = [item];
    let own!: api.OptimisticRows<Item>;
    let request!: api.Request;
    page('anna', () => {
      own = api.useOptimistic(rows, { keyOf: (i) => i.item_id, versionOf: (i) => i.version });
      request = api.useRequest();
      return null;
    });
    await server.api('PATCH', `/api/projects/${P}/boq/item-c`, { as: 'ben', body: { qty: 7, version: item.version } });
    let outcome!: api.Outcome<Item>;
    await act(async () => {
      const done = own.change(item, { qty: '5' }, (newest) => request('PATCH', `/api/projects/${P}/boq/item-c`, { qty: '5', version: newest.version }));
      outcome = await done;
    });
    expect(outcome).toMatchObject({ ok: false, error: { status: 409, code: 'conflict' }, theirs: { qty: 7 } });
    expect(own.rows[0]).toMatchObject({ qty: 7 });
  });

  it('no access to the project: denied, with the guide’s sentence', async () => {
    let project!: api.ProjectView;
    page('dora', () => {
      project = api.useProject();
      return null;
    });
    await until(() => expect(project).toMatchObject({ status: 'denied', error: { message: 'Access denied to project', code: 'access_denied' } }));
  });

  it('a token that ends under the open page: a fresh one is fetched and the page stays live', async () => {
    let status!: api.Status;
    let id: string | undefined;
    const ids = new Set<string>();
    let asked = 0;
    page('anna', () => {
      status = api.useStatus();
      id = api.useSocket()?.id;
      if (id) ids.add(id);
      return null;
    }, { getToken: () => server.token('anna', { ttl: asked++ === 0 ? 3 : 600 }) });
    await until(() => expect(status).toBe('connected'));
    // token:expiring comes at once, since less than a minute is left: refreshed without a break.
    await until(() => expect(asked).toBe(2));
    expect(ids.size).toBe(1);
  });

  it('a wrong token ends in disconnected', async () => {
    let connection!: ReturnType<typeof api.useConnection>;
    page('anna', () => {
      connection = api.useConnection();
      return null;
    }, { getToken: () => 'nonsense' });
    await until(() => expect(connection).toMatchObject({ status: 'disconnected', error: { code: 'token_invalid', message: 'Authentication required' } }));
  });

  it('a kept token that is no longer good: another one is asked for, for the connection and for requests; without one it is told', async () => {
    let status!: api.Status;
    let request!: api.Request;
    let kept = 'of an older secret';
    const See = () => {
      status = api.useStatus();
      request = api.useRequest();
      return null;
    };
    page('anna', See, { getToken: ({ force }) => (force ? (kept = server.token('anna')) : kept) });
    await until(() => expect(status).toBe('connected'));
    kept = 'of an older secret';
    expect(await request('GET', '/api/projects')).toHaveProperty('items');
    cleanup();
    const told: string[] = [];
    page('anna', See, { getToken: () => 'nonsense', onUnauthorized: (error) => told.push(error.code) });
    await expect(request('GET', '/api/projects')).rejects.toMatchObject({ status: 401, code: 'token_invalid' });
    await until(() => expect(status).toBe('disconnected'));
    expect(told).toEqual(['token_invalid']);
  });

  it('notifications come, and are there after a new start', async () => {
    let inbox!: api.Notifications;
    const fresh: unknown[] = [];
    let status!: api.Status;
    const view = page('ben', () => {
      status = api.useStatus();
      inbox = api.useNotifications({ onNew: (n) => fresh.push(n.data.message) });
      return null;
    });
    await until(() => expect(status).toBe('connected'));
    const { json } = await server.api('POST', `/api/projects/${P}/tasks`, { as: 'anna', body: { title: 'Order lifts', assignee_id: 'ben' } });
    await until(() => expect(fresh.length).toBe(1));
    expect(inbox).toMatchObject({ unread: 1, items: [{ data: { kind: 'task_assigned', task_id: json.task_id } }] });
    await act(() => inbox.markRead(inbox.items[0]!.id));
    view.unmount();
    page('ben', () => {
      inbox = api.useNotifications();
      return null;
    });
    await until(() => expect(inbox.items.length).toBe(1));
    expect(inbox.unread).toBe(0);
  });
});
