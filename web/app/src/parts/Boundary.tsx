// Boundary.tsx -- a part of the page that cannot be shown says so, in its place: most of all one whose
// script could not be loaded.  Everything around it goes on.
import { Button, Text } from '@mantine/core';
import { Component, type ReactNode } from 'react';

export class Boundary extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false };
  static getDerivedStateFromError = () => ({ isBroken: true });

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <div className="notice" role="alert">
        <Text>This part of the page could not be loaded. What you have typed is kept.</Text>
        {/* React and browsers both remember a script that failed: only a new page asks for it again. */}
        <Button size="xs" onClick={() => location.reload()}>
          Load again
        </Button>
      </div>
    );
  }
}
