// Face.tsx -- somebody's initials in their colour.
import { Avatar, type AvatarProps } from '@mantine/core';
import { initialsOf, type People } from '../lib/people';

export function Face({ userId, people, size = 28, ...props }: { userId: string; people: People; title?: string; 'aria-hidden'?: 'true' } & AvatarProps) {
  return (
    <Avatar size={size} radius="xl" variant="filled" {...props} styles={{ placeholder: { background: people.colourOf(userId), color: '#fff', fontSize: Number(size) * 0.4 } }}>
      {initialsOf(people.nameOf(userId))}
    </Avatar>
  );
}
