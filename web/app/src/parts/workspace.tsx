// workspace.tsx -- what all tabs of a project share: its rows, the people, whom one follows.
import type { Member } from '@skybuild/realtime-react';
import { createContext, useContext } from 'react';
import type { Boq } from '../boq/boq';
import type { Comment, ProjectRow, Task } from '../lib/api';
import type { Letters } from '../lib/letters';
import type { People } from '../lib/people';
import type { CellRef, Presence } from '../lib/presence';
import type { LiveList } from './useLists';

export interface Workspace {
  project: ProjectRow;
  userId: string;
  people: People;
  boq: Boq;
  tasks: readonly Task[] | null;
  comments: readonly Comment[] | null;
  /** For when they could not be read. */
  lists: { tasks: LiveList<Task>; comments: LiveList<Comment> };
  letters: Letters;
  setCell(cell: CellRef | null): void;
  followed: Member<Presence> | null;
}

export const WorkspaceContext = createContext<Workspace | null>(null);

export function useWorkspace(): Workspace {
  const workspace = useContext(WorkspaceContext);
  if (!workspace) throw new Error('outside of a project');
  return workspace;
}
