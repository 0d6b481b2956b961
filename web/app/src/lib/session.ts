// session.ts -- who is signed in, in this window.
//
// The token is kept for the window (sessionStorage), so two windows may be two people.  When it
// is about to end, or the server has refused it, whoever needs a token waits until the person has
// signed in again: the page stays as it is, with everything that was typed.
import { useSyncExternalStore } from 'react';
import { SESSION_KEY as KEY } from './early';

export interface Session {
  userId: string;
  token: string;
}
interface State {
  session: Session | null;
  /** The token has ended or ends soon: ask for the password again. */
  isExpired: boolean;
}

const EARLY_S = 30; // ask again so long before the end

const watchers = new Set<() => void>();
let state: State = { session: stored(), isExpired: false };
let waiting: ((token: string | null) => void)[] = [];

function stored(): Session | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Session | null;
  } catch {
    return null;
  }
}

function set(next: State): void {
  state = next;
  for (const watcher of watchers) watcher();
}

/** Seconds until the token ends; without an end, infinity. */
function secondsLeft(token: string): number {
  try {
    const claims = JSON.parse(atob(token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/'))) as { exp?: number };
    return claims.exp === undefined ? Infinity : claims.exp - Date.now() / 1000;
  } catch {
    return 0;
  }
}

export async function signIn(username: string, password: string): Promise<void> {
  const answer = await fetch('/api/auth/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password }),
  }).catch(() => null);
  if (!answer) throw new Error('The server cannot be reached. Try again in a moment.');
  const body = (await answer.json().catch(() => ({}))) as { access_token?: string; detail?: string; title?: string };
  if (!answer.ok || !body.access_token) throw new Error(body.detail ?? body.title ?? `The server answered ${answer.status}`);
  const session = { userId: username, token: body.access_token };
  sessionStorage.setItem(KEY, JSON.stringify(session));
  set({ session, isExpired: false });
  for (const go of waiting) go(session.token);
  waiting = [];
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  set({ session: null, isExpired: false });
  for (const go of waiting) go(null);
  waiting = [];
}

/** The token; when it is over, the one of the next sign-in. */
export function getToken(): Promise<string | null> {
  const { session, isExpired } = state;
  if (!session) return Promise.resolve(null);
  if (!isExpired && secondsLeft(session.token) > EARLY_S) return Promise.resolve(session.token);
  refuse(session.token);
  return new Promise((resolve) => waiting.push(resolve));
}

/** That token is over, whatever the clock says; nothing when another one has come meanwhile. */
export function refuse(token: string): void {
  const { session, isExpired } = state;
  if (session?.token === token && !isExpired) set({ session, isExpired: true });
}

export const useSession = (): State =>
  useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => state,
  );
