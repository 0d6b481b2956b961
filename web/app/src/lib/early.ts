// early.ts -- what the page of a project begins with, asked for while the rest of the script is
// still being read.
//
// Imported before anything else, and imports nothing: it reads the address and the session by
// itself.  An answer is handed out once, as text; what could not be had is asked for again in the
// usual way, where it is also said why.
export const SESSION_KEY = 'skybuild-session';
export const PAGE_ROWS = 1000; // the most that the server gives at once

const FRESH_MS = 10_000;

const begun = performance.now();
const answers = new Map<string, Promise<string[] | null>>();

/** The texts of what was asked for early at that path, one a page; undefined: it was not. */
export function takeEarly(path: string): Promise<string[] | null> | undefined {
  const answer = answers.get(path);
  answers.delete(path);
  return performance.now() - begun < FRESH_MS ? answer : undefined;
}

/** The cursor in the end of a page, found without reading all of it. */
const cursorOf = (text: string) => /"next_cursor":"([^"]+)"\}$/.exec(text.slice(-2100))?.[1];

async function read(path: string, token: string): Promise<string | null> {
  const answer = await fetch(path, { headers: { Authorization: `Bearer ${token}` } }).catch(() => null);
  return answer?.ok ? answer.text().catch(() => null) : null;
}

async function readAll(path: string, token: string): Promise<string[] | null> {
  const pages: string[] = [];
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page: string | null = await read(`${path}?limit=${PAGE_ROWS}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, token);
    if (page === null) return null;
    pages.push(page);
    cursor = cursorOf(page);
  }
  return pages;
}

function begin(): void {
  const id = /^\/p\/([^/]+)\/\w+$/.exec(location.pathname)?.[1];
  const token = (JSON.parse(sessionStorage.getItem(SESSION_KEY) ?? 'null') as { token?: string } | null)?.token;
  if (!id || !token) return;
  const path = `/api/projects/${encodeURIComponent(decodeURIComponent(id))}`;
  // Its number first, then the lists: nothing falls between them and the live events.
  const project = read(path, token);
  answers.set(path, project.then((text) => (text === null ? null : [text])));
  for (const name of ['boq', 'collaborators', 'tasks', 'comments'])
    answers.set(`${path}/${name}`, project.then((text) => (text === null ? null : readAll(`${path}/${name}`, token))));
}

try {
  begin();
} catch {
  // without storage, or with a session that is none: in the usual way
}
