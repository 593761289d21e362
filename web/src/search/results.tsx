import './results.css';
import { useEffect, useRef } from 'react';
import { Hit } from './hit.tsx';
import type { SearchView } from './search.ts';

export const optionId = (id: string): string => `hit-${id}`;

interface Props {
  readonly view: SearchView;
  readonly activeId: string | undefined;
  onPoint(id: string): void;
  onOpen(id: string): void;
  onMore(): void;
}

/** The hits, and more of them as their end comes near. */
export function Results({ view, activeId, onPoint, onOpen, onMore }: Props) {
  const end = useRef<HTMLDivElement>(null);
  const count = view.hits.length;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a longer list is observed anew, since its end may be as near as before
  useEffect(() => {
    if (!end.current) return;
    const observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) onMore();
    });
    observer.observe(end.current);
    return () => observer.disconnect();
  }, [count, view.isCurrent, onMore]);

  useEffect(() => {
    if (activeId) document.getElementById(optionId(activeId))?.scrollIntoView({ block: 'nearest' });
  }, [activeId]);

  return (
    <div
      id="search-hits"
      className="hits"
      role="listbox"
      aria-label="Passages"
      aria-busy={view.isLoading}
      data-current={view.isCurrent}
    >
      {view.hits.map((edge) => {
        const { id } = edge.node;
        return (
          // biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/useFocusableInteractive: the field has the focus and the keys
          <div
            key={id}
            id={optionId(id)}
            className="hit"
            role="option"
            aria-selected={id === activeId}
            onPointerMove={() => onPoint(id)}
            onClick={() => onOpen(id)}
          >
            <Hit edge={edge} />
          </div>
        );
      })}
      <div ref={end} className="hits-end" aria-hidden="true" />
    </div>
  );
}
