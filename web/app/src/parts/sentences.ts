// sentences.ts -- what an event of the history says to a person.
import type { HistoryEvent, ServerToClientEvents } from '@skybuild/realtime-react';
import { titleOf } from '../boq/columns';
import { shown, textOf } from '../lib/decimal';
import type { Workspace } from './workspace';

type Data<E extends keyof ServerToClientEvents> = Parameters<ServerToClientEvents[E]>[0];

const STATUS: Record<string, string> = { todo: 'to do', in_progress: 'in progress', blocked: 'blocked', done: 'done' };
const short = (text: string, n = 120) => (text.length > n ? `${text.slice(0, n)}…` : text);

function value(field: string, v: unknown): string {
  if (v === null || v === '') return 'nothing';
  const text = field === 'qty' || field === 'unit_price' ? textOf(v) : null;
  return text !== null ? shown(text, field === 'unit_price' ? 2 : 0) : short(String(v), 60);
}

/** "quantity to 77, unit to m" */
export const changesOf = (updates: object) => Object.entries(updates).map(([f, v]) => `${titleOf(f as never).toLowerCase()} to ${value(f, v)}`).join(', ');

export function sentenceOf(event: HistoryEvent, { people, boq, tasks }: Workspace): { who: string | null; text: string } {
  const data = event.data as Record<string, unknown>;
  const who = typeof data?.updated_by === 'string' ? data.updated_by : null;
  const item = (id: unknown) => {
    const row = boq.items.get(String(id));
    return row ? `${row.code} ${row.description}` : String(id);
  };
  const task = (id: unknown) => `“${tasks?.find((t) => t.task_id === id)?.title ?? `task ${id}`}”`;
  switch (event.type) {
    case 'boq:item:updated':
      return { who, text: `changed ${item(data.item_id)}: ${changesOf((data as unknown as Data<'boq:item:updated'>).updates)}` };
    case 'boq:item:created': {
      const { item: made } = data as unknown as Data<'boq:item:created'>;
      return { who, text: `added ${made.code} ${made.description}` };
    }
    case 'boq:item:deleted':
      return { who, text: `removed the item ${String(data.item_id)}` };
    case 'boq:bulk:updated': {
      const { summary } = data as unknown as Data<'boq:bulk:updated'>;
      return { who, text: `changed ${summary.updated === 1 ? 'one item' : `${summary.updated ?? 'many'} items`} at once${summary.skipped ? `; skipped: ${summary.skipped}` : ''}` };
    }
    case 'task:created':
      return { who, text: `made the task “${(data as unknown as Data<'task:created'>).task.title}”` };
    case 'task:updated': {
      const { updates, task_id } = data as unknown as Data<'task:updated'>;
      const parts = [
        updates.status && `to ${STATUS[updates.status] ?? updates.status}`,
        updates.assignee_id !== undefined && (updates.assignee_id ? `for ${people.nameOf(updates.assignee_id)}` : 'for nobody'),
        updates.due_date !== undefined && `due ${updates.due_date ?? 'any time'}`,
        updates.title && `named “${short(updates.title)}”`,
      ].filter(Boolean);
      return { who, text: parts.length ? `put ${task(task_id)} ${parts.join(', ')}` : `moved ${task(task_id)}` };
    }
    case 'task:deleted':
      return { who, text: `removed ${task(data.task_id)}` };
    case 'comment:created': {
      const { comment } = data as unknown as Data<'comment:created'>;
      return { who: comment.author_id ?? null, text: `wrote${comment.item_id ? ` about ${item(comment.item_id)}` : comment.task_id ? ` about ${task(comment.task_id)}` : ''}: ${short(comment.text ?? '')}` };
    }
    case 'comment:deleted':
      return { who, text: 'removed a comment' };
    case 'project:updated':
      return { who, text: `changed the project: ${Object.entries((data as unknown as Data<'project:updated'>).updates).map(([k, v]) => `${k} “${v}”`).join(', ')}` };
    case 'collaborator:changed': {
      const { user_id, role } = data as unknown as Data<'collaborator:changed'>;
      return { who, text: role ? `made ${people.nameOf(user_id)} ${role === 'owner' || role === 'editor' ? 'an' : 'a'} ${role}` : `took ${people.nameOf(user_id)} out of the project` };
    }
    default:
      return { who, text: `${event.type}: ${short(JSON.stringify(event.data))}` };
  }
}
