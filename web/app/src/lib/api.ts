// api.ts -- the rows of the API as this application has them, and lists read to their end.
import { isUnreachable, RealtimeError, type Request } from '@skybuild/realtime-react';
import { type Decimal, parseExact } from './decimal';
import { PAGE_ROWS, takeEarly } from './early';

export type Role = 'owner' | 'editor' | 'commenter' | 'viewer';

export interface ProjectRow {
  project_id: string;
  name: string;
  description: string;
  version: number;
  seq: number;
  role: Role;
}

export interface Item {
  item_id: string;
  code: string;
  description: string;
  unit: string;
  qty: Decimal | null;
  unit_price: Decimal | null;
  section: string;
  version: number;
  updated_at: string;
  updated_by: string;
}

export type TaskStatus = 'todo' | 'in_progress' | 'blocked' | 'done';
export interface Task {
  task_id: number;
  title: string;
  description: string;
  status: TaskStatus;
  assignee_id: string | null;
  due_date: string | null;
  position: number;
  item_id: string | null;
  version: number;
  updated_by: string;
}

export interface Comment {
  comment_id: number;
  text: string;
  author_id: string;
  item_id: string | null;
  task_id: number | null;
  created_at: string;
}

export interface Collaborator {
  user_id: string;
  name: string;
  role: Role;
}

export const canEdit = (role: Role) => role === 'owner' || role === 'editor';
export const canComment = (role: Role) => role !== 'viewer';
export const pathOf = (projectId: string) => `/api/projects/${encodeURIComponent(projectId)}`;

export const RETRY_MS = 1000;
/** Is that no answer to what was asked?  Then it is asked again, with the same key: the server is away, or somebody has to sign in first. */
export const isLater = (error: unknown): boolean => isUnreachable(error) || (error instanceof RealtimeError && (error.status === 401 || (error.status ?? 0) >= 500));

/** One row, or all pages of a list.  What was asked for early is there already, or on its way. */
export async function readOne<T>(request: Request, path: string): Promise<T> {
  const early = await takeEarly(path);
  return early ? (parseExact(early[0]!) as T) : request<T>('GET', path);
}

export async function listAll<T>(request: Request, path: string, signal?: AbortSignal): Promise<T[]> {
  const early = await takeEarly(path);
  if (early) return early.flatMap((text) => (parseExact(text) as { items: T[] }).items);
  const all: T[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: { items: T[]; next_cursor: string | null } = await request('GET', `${path}?limit=${PAGE_ROWS}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, undefined, signal && { signal });
    all.push(...page.items);
    cursor = page.next_cursor;
  }
  return all;
}
