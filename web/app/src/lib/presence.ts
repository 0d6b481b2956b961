// presence.ts -- what the others see of somebody.
import type { ColumnId } from '../boq/columns';

export type Tab = 'boq' | 'tasks' | 'comments' | 'activity';
export const TABS: readonly { id: Tab; title: string }[] = [
  { id: 'boq', title: 'BoQ' },
  { id: 'tasks', title: 'Tasks' },
  { id: 'comments', title: 'Comments' },
  { id: 'activity', title: 'Activity' },
];

export interface CellRef {
  item: string;
  column: ColumnId;
}

export type Presence = {
  tab: Tab;
  cell: CellRef | null;
  idle: boolean;
};
