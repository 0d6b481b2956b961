// NotRead.tsx -- a list that could not be read: that it is so, and again.
import { Button, Text } from '@mantine/core';

export function NotRead({ what, onAgain }: { what: string; onAgain(): void }) {
  return (
    <div className="notice" role="alert">
      <Text>{what} could not be read.</Text>
      <Button size="xs" onClick={onAgain}>
        Try again
      </Button>
    </div>
  );
}
