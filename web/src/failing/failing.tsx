import './failing.css';
import { Component, type ComponentType, lazy, type ReactNode } from 'react';
import { createPortal } from 'react-dom';

/**
 * A part of the page that is fetched when it is first needed. Should that fail (no network, or a new version
 * came meanwhile), it says so in its place, and the rest of the page goes on.
 *
 * @param what the part, as the beginning of a sentence; without, it is left out silently
 */
export function lazily<P extends object>(
  what: string | undefined,
  load: () => Promise<ComponentType<P>>,
): ComponentType<P> {
  const missing = () =>
    what
      ? // Above all else, wherever it would have stood.
        createPortal(
          <Failing>{what} could not be loaded.</Failing>,
          document.querySelector('main') ?? document.body,
        )
      : null;
  return lazy(() =>
    load().then(
      (part) => ({ default: part }),
      () => ({ default: missing }),
    ),
  );
}

/** Around the whole page: what fails in it leaves words and a way on, and not an empty window. */
export class Unfailing extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <main className="page">
        <Failing>Something on this page has failed. What you wrote is kept.</Failing>
      </main>
    );
  }
}

function Failing({ children }: { children: ReactNode }) {
  return (
    <p role="alert" className="failing">
      {children}{' '}
      <button type="button" onClick={() => window.location.reload()}>
        Load the page again
      </button>
    </p>
  );
}
