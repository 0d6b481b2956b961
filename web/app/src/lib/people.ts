// people.ts -- a colour and initials for everybody.
import type { Collaborator } from './api';

const HUES = [255, 25, 150, 310, 70, 200, 345, 110];
const hueColour = (i: number) => `oklch(0.52 0.15 ${HUES[i]})`;

function hash(text: string): number {
  let sum = 0;
  for (const c of text) sum = (sum * 31 + c.codePointAt(0)!) >>> 0;
  return sum;
}

/** A colour for each: by the id, and no two the same while there are as many colours. */
export function coloursOf(userIds: readonly string[]): Map<string, string> {
  const taken = new Set<number>();
  const colours = new Map<string, string>();
  for (const id of [...new Set(userIds)].sort()) {
    let i = hash(id) % HUES.length;
    while (taken.has(i) && taken.size < HUES.length) i = (i + 1) % HUES.length;
    taken.add(i);
    colours.set(id, hueColour(i));
  }
  return colours;
}

export const initialsOf = (name: string) =>
  name
    .split(/\s+/)
    .map((word) => [...word][0] ?? '')
    .slice(0, 2)
    .join('')
    .toUpperCase();

export const firstName = (name: string) => name.split(/\s+/)[0] ?? name;

export interface People {
  list: readonly Collaborator[];
  nameOf(userId: string): string;
  colourOf(userId: string): string;
}

export function peopleOf(list: readonly Collaborator[], present: readonly { userId: string; name: string }[]): People {
  const names = new Map(list.map((c) => [c.user_id, c.name || c.user_id]));
  for (const p of present) if (!names.has(p.userId)) names.set(p.userId, p.name);
  const colours = coloursOf([...names.keys()]);
  return { list, nameOf: (id) => names.get(id) ?? id, colourOf: (id) => colours.get(id) ?? hueColour(hash(id) % HUES.length) };
}

/** "Anna", "Anna and Ben", "Anna, Ben and 2 others" */
export function namesInShort(names: readonly string[]): string {
  if (names.length <= 1) return names[0] ?? '';
  if (names.length === 2) return `${names[0]} and ${names[1]}`;
  if (names.length === 3) return `${names[0]}, ${names[1]} and ${names[2]}`;
  return `${names[0]} and ${names.length - 1} others`;
}

const MINUTE = 60_000;
/** "just now", "5 min ago", "14:03", "3 Nov", "3 Nov 2025" */
export function when(iso: string, now = Date.now()): string {
  const at = new Date(iso);
  const ago = now - at.getTime();
  if (ago < MINUTE) return 'just now';
  if (ago < 60 * MINUTE) return `${Math.floor(ago / MINUTE)} min ago`;
  if (at.toDateString() === new Date(now).toDateString()) return at.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
  const isOld = at.getFullYear() !== new Date(now).getFullYear();
  return at.toLocaleDateString(undefined, { day: 'numeric', month: 'short', ...(isOld && { year: 'numeric' }) });
}
