// Refused.tsx -- something that was written and not taken: what, why, and again or not at all.
import { Button, Group, Text } from '@mantine/core';
import type { Letter } from '../lib/letters';
import { useWorkspace } from './workspace';

export function Refused({ letter }: { letter: Letter }) {
  const { letters, tasks } = useWorkspace();
  const changed = (l: Extract<Letter, { kind: 'change' }>) => {
    const text = l.body.title ?? l.body.description; // what was written is shown, so that it can be taken along
    return `${text === undefined ? 'A change' : `“${text}” in a change`} of “${tasks?.find((t) => t.task_id === l.taskId)?.title ?? `task ${l.taskId}`}”`;
  };
  const what = letter.kind === 'comment' ? `“${letter.body.text}”` : letter.kind === 'task' ? `The task “${letter.body.title}”` : changed(letter);
  return (
    <Group className="refused" gap="xs" role="alert" wrap="nowrap">
      <Text size="sm" c="var(--bad)" className="grow">
        {what} was not saved: {letter.refusal}
      </Text>
      {letter.kind !== 'change' && (
        <Button size="compact-xs" variant="default" onClick={() => letters.again(letter.key)}>
          Send again
        </Button>
      )}
      <Button size="compact-xs" variant="default" onClick={() => letters.discard(letter.key)}>
        OK
      </Button>
    </Group>
  );
}
